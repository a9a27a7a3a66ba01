"""From cached features to batches of windows, with TensorFlow operations alone.

No Python runs per element, so the same dataset works on one machine, under tf.data service and
under a distribution strategy, and an epoch depends on the seed and the epoch's number only.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from glimpse.pipelines.sampling import frame_stride, sample_blocks


@dataclasses.dataclass(frozen=True)
class WindowSampling:
    """How windows of frames are cut out of a video.

    Args:
        num_frames: Frames in a window, at least 1.
        frames_per_second: Rate at which a window's frames follow each other; None takes every
            frame of the video.
        block_stride: Video frames from one window's start to the next window's, at least 1.
    """

    num_frames: int = 30
    frames_per_second: float | None = None
    block_stride: int = 1

    def windows(self, num_video_frames, video_frames_per_second):
        """Returns the frame numbers of a video's windows, int32 `(windows, num_frames)`."""
        stride = 1
        if self.frames_per_second is not None:
            stride = frame_stride(video_frames_per_second, self.frames_per_second)
        blocks = sample_blocks(num_video_frames, self.num_frames, stride, self.block_stride)
        return blocks.astype("int32")


class FeatureWindows:
    """The windows of one split of a feature index, as tf.data datasets.

    A split that fits is read into memory once and its windows are gathered there. For a larger one
    each window reads its video's file, which is slow for long videos.

    Args:
        index: A `FeatureIndex`.
        split: `"train"`, `"val"` or `"test"`.
        sampling: A `WindowSampling`.
        memory_bytes: Largest size of a split to hold in memory.

    Attributes:
        clips: The split's clips, in order.
        labels: int32 `(clips,)`.

    Raises:
        ValueError: If the split has no clip, or a clip's features are missing or damaged.
    """

    def __init__(self, index, split, sampling, memory_bytes=4 * 2**30):
        self.clips = list(index.clips(split))
        if not self.clips:
            raise ValueError(f"The features in {index.folder} have no clip of split {split!r}.")
        self.index = index
        self.split = split
        self.sampling = sampling
        self.labels = np.array([clip.label for clip in self.clips], "int32")
        windows = [self._windows(clip) for clip in self.clips]
        self._counts = np.array([len(each) for each in windows], "int32")
        self._firsts = np.concatenate([[0], np.cumsum(self._counts)[:-1]]).astype("int32")
        self._frames = np.concatenate(windows)  # (windows, num_frames)
        self.window_clips = np.repeat(np.arange(len(self.clips)), self._counts)
        for clip in self.clips:
            if index.store.shape(clip.key) != (clip.num_frames, *index.feature_shape):
                raise ValueError(
                    f"The features of {clip.path} are missing or damaged in {index.folder}: "
                    "extract them again."
                )
        frames = sum(clip.num_frames for clip in self.clips)
        size = frames * int(np.prod(index.feature_shape)) * np.dtype(index.dtype).itemsize
        self._in_memory = size <= memory_bytes
        self._held = None

    def _windows(self, clip):
        try:
            return self.sampling.windows(clip.num_frames, clip.frames_per_second)
        except ValueError as error:
            raise ValueError(f"{clip.path}: {error}") from error

    @property
    def num_windows(self):
        return len(self._frames)

    def frame_numbers(self, window):
        """Returns the video frame numbers of one window, `(num_frames,)`."""
        return self._frames[window]

    def in_order(self, batch_size):
        """Returns every window once, in order: batches of `(features, label)`."""
        order = tf.data.Dataset.range(self.num_windows, output_type=tf.int32)
        return self._read(order).batch(batch_size).prefetch(tf.data.AUTOTUNE)

    def shuffled(self, batch_size, seed, first_epoch=0, per_clip=None):
        """Returns endless epochs of shuffled batches; each depends on its number and the seed only.

        Args:
            batch_size: Windows in a batch; an epoch's last batch may hold fewer.
            seed: Integer.
            first_epoch: Number of the first epoch that the dataset yields.
            per_clip: Windows taken from each clip in an epoch, at random and with replacement;
                None takes every window of every clip once, as Sharma et al. do.
        """
        firsts, counts = tf.constant(self._firsts), tf.constant(self._counts)

        def epoch_windows(epoch):
            draw, order = tf.stack([seed, 2 * epoch]), tf.stack([seed, 2 * epoch + 1])
            if per_clip is None:
                chosen = tf.range(self.num_windows)
            else:
                share = tf.random.stateless_uniform([per_clip, len(self.clips)], draw)
                offset = tf.cast(share * tf.cast(counts, tf.float32), tf.int32)
                chosen = tf.reshape(firsts + tf.minimum(offset, counts - 1), [-1])
            chosen = tf.random.experimental.stateless_shuffle(chosen, order)
            return self._read(tf.data.Dataset.from_tensor_slices(chosen)).batch(batch_size)

        epochs = tf.data.Dataset.counter(start=first_epoch)
        return epochs.flat_map(epoch_windows).prefetch(tf.data.AUTOTUNE)

    def batches_per_epoch(self, batch_size, per_clip=None):
        """Returns the number of batches in one epoch of `shuffled`."""
        windows = self.num_windows if per_clip is None else per_clip * len(self.clips)
        return -(-windows // batch_size)

    def _read(self, order):
        frames, clips = tf.constant(self._frames), tf.constant(self.window_clips.astype("int32"))
        labels = tf.constant(self.labels)
        shape = (self.sampling.num_frames, *self.index.feature_shape)
        gather = self._gather_from_memory() if self._in_memory else self._gather_from_files()

        def read(window):
            clip = clips[window]
            features = tf.cast(gather(clip, frames[window]), tf.float32)
            return tf.ensure_shape(features, shape), labels[clip]

        return order.map(read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    def _gather_from_memory(self):
        if self._held is None:
            counts = [clip.num_frames for clip in self.clips]
            held = np.empty((sum(counts), *self.index.feature_shape), self.index.dtype)
            ends = np.cumsum(counts)
            for clip, end in zip(self.clips, ends, strict=True):
                held[end - clip.num_frames : end] = self.index.read(clip)
            # Outside of whatever graph is being traced, so that it is captured and not copied in.
            with tf.init_scope(), tf.device("CPU"):
                self._held = tf.constant(held), tf.constant((ends - counts).astype("int32"))
        held, starts = self._held
        return lambda clip, wanted: tf.gather(held, starts[clip] + wanted)

    def _gather_from_files(self):
        paths = [self.index.path(clip) for clip in self.clips]
        headers = tf.constant([_header_bytes(path) for path in paths], tf.int64)
        paths = tf.constant(paths)
        dtype = tf.as_dtype(self.index.dtype)
        shape = tuple(self.index.feature_shape)
        frame_bytes = int(np.prod(shape)) * dtype.size

        def gather(clip, wanted):
            first, last = wanted[0], wanted[-1]
            content = tf.io.read_file(paths[clip])
            start = headers[clip] + tf.cast(first, tf.int64) * frame_bytes
            length = tf.cast(last - first + 1, tf.int64) * frame_bytes
            raw = tf.io.decode_raw(tf.strings.substr(content, start, length), dtype)
            return tf.gather(tf.reshape(raw, (-1, *shape)), wanted - first)

        return gather


def _header_bytes(path):
    """Returns the number of bytes before the data of an .npy file."""
    with open(path, "rb") as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            np.lib.format.read_array_header_1_0(file)
        else:
            np.lib.format.read_array_header_2_0(file)
        return file.tell()
