"""From clips and their captions to batches for teacher forcing, with TensorFlow operations alone.

No Python runs per element, and an epoch depends on the seed and the epoch's number only.
"""

import numpy as np
import tensorflow as tf

from glimpse.pipelines.clip_features import ClipFeatures


class CaptionBatches:
    """All captions of a `CaptionSet` in batches of about one length.

    A batch is `({"features", "token_ids"}, targets)`: float32 features `(batch, frames, height,
    width, features)`, and int32 tokens `(batch, words)`, where the words are those of the batch's
    longest caption and the end; `token_ids` begin with the start token, `targets` end with the end
    token, and both are padded with 0.

    Args:
        index: A `FeatureIndex`.
        captions: Its `CaptionSet` of a split.
        vocabulary: A `CaptionVocabulary`.
        sampling: A `WindowSampling` of one window a clip.
        memory_bytes: As in `ClipFeatures`.
        bucket_batches: A bucket takes captions of neighbouring lengths until it fills so many
            batches, 8: then at most every eighth batch is not full. 0: all captions are one
            bucket, whose batches are padded more. So where the length of a caption tells of its
            words, as in a grammar, each batch still has all words.

    Attributes:
        features: The `ClipFeatures`.
        num_captions: Captions in an epoch.
        unknown_words: Words of them that the vocabulary does not have.

    Raises:
        ValueError: As `ClipFeatures`.
    """

    def __init__(
        self, index, captions, vocabulary, sampling, memory_bytes=4 * 2**30, bucket_batches=8
    ):
        self._bucket_batches = bucket_batches
        self.features = ClipFeatures(index, captions.clips, sampling, memory_bytes)
        encoded = [vocabulary.encode(words) for each in captions.captions for words in each]
        counts = [len(each) for each in captions.captions]
        self._clips = np.repeat(np.arange(len(counts), dtype="int32"), counts)
        # With the start or the end.
        self._lengths = np.array([len(ids) + 1 for ids in encoded], "int32")
        self.num_captions = len(encoded)
        shape = (self.num_captions, self._lengths.max())
        self._inputs, self._targets = np.zeros(shape, "int32"), np.zeros(shape, "int32")
        for number, ids in enumerate(encoded):
            self._inputs[number, : len(ids) + 1] = [vocabulary.start_token_id, *ids]
            self._targets[number, : len(ids) + 1] = [*ids, vocabulary.end_token_id]
        self.unknown_words = int((self._targets == vocabulary.unknown_token_id).sum())

    def shuffled(self, batch_size, seed, first_epoch=0):
        """Returns endless epochs of batches; each depends on its number and the seed only.

        In an epoch every caption comes once, its bucket's others at random beside it, and the
        batches of all buckets at random one after the other.

        Args:
            batch_size: Captions in a batch; each bucket's last may hold fewer.
            seed: Integer.
            first_epoch: Number of the first epoch that the dataset yields.
        """
        buckets, starts, counts = self._buckets(batch_size)
        read = self._reader()

        def epoch_batches(epoch):
            draw, seeds = tf.stack([seed, 2 * epoch]), tf.stack([seed, 2 * epoch + 1])
            fold, shuffle = (
                tf.random.experimental.stateless_fold_in,
                tf.random.experimental.stateless_shuffle,
            )
            order = shuffle(tf.range(self.num_captions), fold(seeds, 0))
            order = tf.gather(order, tf.argsort(tf.gather(buckets, order), stable=True))
            turns = shuffle(tf.range(len(starts)), fold(seeds, 1))

            def batch(turn):
                start = tf.gather(starts, turn)
                rows = order[start : start + tf.gather(counts, turn)]
                return read(rows, fold(draw, tf.cast(turn, tf.int64)))

            batches = tf.data.Dataset.from_tensor_slices(turns)
            return batches.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

        epochs = tf.data.Dataset.counter(start=first_epoch)
        return epochs.flat_map(epoch_batches).prefetch(2)

    def batches_per_epoch(self, batch_size):
        """Returns the number of batches in one epoch of `shuffled`."""
        return len(self._buckets(batch_size)[1])

    def in_order(self, batch_size):
        """Returns every caption once, by rising length, with the windows of evaluation."""
        order = np.argsort(self._lengths, kind="stable").astype("int32")
        rows = tf.data.Dataset.from_tensor_slices(order).batch(batch_size)
        batches = rows.map(self._reader(), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return batches.prefetch(2)

    def _buckets(self, batch_size):
        """The bucket of each caption; where each batch starts in the buckets' order; its size."""
        lengths, numbers = np.unique(self._lengths, return_counts=True)
        bucket_of, sizes = {}, [0]
        for length, number in zip(lengths, numbers, strict=True):
            if 0 < self._bucket_batches * batch_size <= sizes[-1]:
                sizes.append(0)
            bucket_of[length] = len(sizes) - 1
            sizes[-1] += int(number)
        starts, counts, first = [], [], 0
        for size in sizes:
            for start in range(0, size, batch_size):
                starts.append(first + start)
                counts.append(min(batch_size, size - start))
            first += size
        buckets = np.array([bucket_of[length] for length in self._lengths], "int32")
        return buckets, np.array(starts, "int32"), np.array(counts, "int32")

    def _reader(self):
        """Returns the function (captions' numbers, seed of their windows or None) -> batch."""
        gather = self.features.gather()
        clips, lengths = tf.constant(self._clips), tf.constant(self._lengths)
        inputs, targets = tf.constant(self._inputs), tf.constant(self._targets)

        def read(rows, draw=None):
            words = tf.reduce_max(tf.gather(lengths, rows))
            x = {
                "features": gather(tf.gather(clips, rows), draw),
                "token_ids": tf.gather(inputs, rows)[:, :words],
            }
            return x, tf.gather(targets, rows)[:, :words]

        return read
