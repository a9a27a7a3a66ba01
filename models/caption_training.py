"""How captioners are trained: Eq. 3.6 over captions whose words so far are given.

Sharma, "Action Recognition and Video Description using Visual Attention", 2016, section 3.1.3.
"""

import keras
from keras import ops

from glimpse.layers import attention_penalty
from glimpse.layers.attention_override import read_values
from glimpse.models.caption_search import CaptionSearch
from glimpse.models.gaze_training import GazeTraining
from glimpse.models.word_accuracy import WordAccuracy


class CaptionTraining(GazeTraining):
    """A model whose `compile` and `fit` minimise Eq. 3.6 over captions.

    As a mean over the captions of a batch, for a caption of C words, its end token included:

        L = - sum_t log p(y[t] | X, y[1..t-1])
            + lambda * sum_i (1 - sum_t l[t, i])^2
            + gamma * sum_j theta[j]^2                        t = 1..C

    with lambda = `attention_penalty`, gamma = `weight_decay`, l the attention weights over the
    regions i of all real frames, and theta all trainable weights. The targets y are token ids
    `(batch, words)`, 0 where a caption is over: what stands there adds nothing to the loss, to
    its gradient or to the metric, and a row of zeros alone is no caption and does not count.

    A subclass has the attributes `vocabulary` and `max_words`, and its call returns a dict of
    `logits (batch, words, vocabulary)`, `attention_weights (batch, words, frames, height, width)`
    and, where frames are masked, `features_mask (batch, frames)`.

    Differs from the paper: with `loss_normalization="word"` or
    `attention_penalty_reduction="mean"`, which divide the first line by the words of the batch
    and the second by the regions. The penalty of a caption of C words is at least
    (regions - C)^2 / regions, which for the paper's 1,274 regions outweighs the words.
    """

    CHOICES = {
        "attention_penalty_reduction": ("sum", "mean"),
        "loss_normalization": ("caption", "word"),
    }
    SCORED = "logits"

    def compile(
        self,
        optimizer="adam",
        loss=None,
        metrics=None,
        attention_penalty=0.0,
        weight_decay=0.0,
        attention_penalty_reduction="sum",
        loss_normalization="caption",
        **kwargs,
    ):
        """Configures training, by default with the loss of Eq. 3.6 and the accuracy of the words.

        Args:
            optimizer: As in `keras.Model.compile`.
            loss: A Keras loss on `logits` to use in place of Eq. 3.6.
            metrics: Metrics on `logits`; default: `WordAccuracy`.
            attention_penalty: lambda of Eq. 3.6, at least 0; the paper's is 1.
            weight_decay: gamma of Eq. 3.6, at least 0; the paper's is 1e-5. For decoupled decay
                leave it at 0 and pass `keras.optimizers.AdamW(weight_decay=...)`.
            attention_penalty_reduction: `"sum"` over the regions, or `"mean"`.
            loss_normalization: `"caption"` (each caption's sum, and their mean) or `"word"` (the
                mean over the real words of the batch).
            **kwargs: Passed on to `keras.Model.compile`.
        """
        self.configure_loss(
            loss,
            attention_penalty,
            weight_decay,
            attention_penalty_reduction=attention_penalty_reduction,
            loss_normalization=loss_normalization,
        )
        metrics = [WordAccuracy()] if metrics is None else metrics
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, **kwargs)

    def caption(self, clips, features_mask=None, batch_size=16, **options):
        """Returns the best captions of each clip: a list, for each a list of `Caption`, best first.

        The search is one graph, compiled once for each choice of options and shape of clips.

        Args:
            clips: What the model looks at, an array of one row a clip.
            features_mask: `(batch, frames)`, True where the frame is real.
            batch_size: Clips that are searched at once.
            **options: `beam_width`, `max_words`, `length_penalty` and `min_words` of the model's
                `beam_search`, in place of the model's own.
        """
        # Not an attribute in Keras's eyes, which would count the search among the model's layers.
        searches = vars(self).setdefault("_searches", {})
        settings = self.search_settings(**options)
        key = tuple(settings.values())
        if key not in searches:
            searches[key] = CaptionSearch(self, **settings).captions
        return searches[key](clips, features_mask, batch_size)

    def read_inputs(self, inputs, mask=None):
        """Returns a dict of tensors as arguments of `call`.

        Args:
            inputs: What the model reads, by `input_names`; and any of `mask`, `features_mask` and
                `attention_override`.
            mask: The masks that Keras found on the tensors, by name, or None.
        """
        optional = {"mask", "features_mask", "attention_override"}
        if not set(self.input_names) <= set(inputs) <= {*self.input_names, *optional}:
            raise ValueError(
                f"a dict of inputs must hold {' and '.join(self.input_names)}, and may hold "
                f"{', '.join(sorted(optional))}; received {', '.join(sorted(inputs))}."
            )
        carried = mask if isinstance(mask, dict) else {}
        clips, token_ids = self.input_names
        found = {"mask": carried.get(token_ids), "features_mask": carried.get(clips)}
        return {**found, **inputs}

    def clip_loss(self, y, y_pred, sample_weight=None):
        """Returns what the captions of a batch add to the loss: the first two lines of Eq. 3.6.

        Of batches a and b, (n(a) * clip_loss(a) + n(b) * clip_loss(b)) / n(a and b) is that of
        both, with n the number of captions, or of words where `loss_normalization` is `"word"`
        and there is no penalty.

        Args:
            y: Token ids `(batch, words)`, 0 where a caption is over.
            y_pred: The model's answer.
            sample_weight: `(batch,)`, factors of the captions' first line, or None.
        """
        targets = ops.cast(y, "int32")
        real = targets != 0
        word_loss = self._negative_log_likelihood(targets, y_pred["logits"])
        caption_loss = ops.sum(ops.where(real, word_loss, 0.0), axis=1)  # (batch,)
        if sample_weight is not None:
            # (batch, 1) would broadcast against (batch,).
            weights = ops.reshape(ops.cast(sample_weight, caption_loss.dtype), (-1,))
            caption_loss = caption_loss * weights
        captions = _count(ops.any(real, axis=1))
        divisor = captions if self.loss_normalization == "caption" else _count(real)
        return ops.sum(caption_loss) / divisor + self._gaze_loss(real, y_pred, captions)

    def _gaze_loss(self, real, y_pred, captions):
        """The second line of Eq. 3.6, the mean over the rows that are captions."""
        if not self.attention_penalty:
            return 0.0
        maps = ops.cast(y_pred["attention_weights"], "float32")
        batch, words, frames, height, width = ops.shape(maps)
        real_frames = ops.broadcast_to(ops.any(real, axis=1, keepdims=True), (batch, frames))
        if "features_mask" in y_pred:
            real_frames = ops.logical_and(real_frames, ops.cast(y_pred["features_mask"], "bool"))
        penalty = attention_penalty(
            ops.reshape(maps, (batch, words, frames * height * width)),
            self.attention_penalty,
            self.attention_penalty_reduction,
            mask=real,
            region_mask=ops.repeat(real_frames, height * width, axis=1),
        )
        return penalty * ops.cast(batch, penalty.dtype) / captions

    def _negative_log_likelihood(self, targets, logits):
        """- log p of each target, `(batch, words)`; NaN of an id that no graph can refuse."""
        logits = ops.cast(logits, "float32")
        known = ops.logical_and(targets >= 0, targets < len(self.vocabulary))
        loss = ops.sparse_categorical_crossentropy(
            ops.where(known, targets, 0), logits, from_logits=True
        )
        return ops.where(known, loss, float("nan"))

    def _check_targets(self, x, y):
        check_token_ids("targets", y, len(self.vocabulary), self.max_words)
        token_ids = x.get("token_ids") if isinstance(x, dict) else None
        if hasattr(token_ids, "shape"):
            check_token_ids("token_ids", token_ids, len(self.vocabulary), self.max_words)
            if tuple(token_ids.shape) != tuple(y.shape):
                raise ValueError(
                    f"`token_ids` {tuple(token_ids.shape)} and targets {tuple(y.shape)} must have "
                    "one shape: the ids before each word, and the ids of the words."
                )
        values = read_values(y)
        if values is not None and ((values[:, 1:] != 0) & (values[:, :-1] == 0)).any():
            raise ValueError("targets must hold a caption's words first and then zeros alone.")


def check_token_ids(name, token_ids, vocabulary_size, max_words):
    """Raises a ValueError that says what is wrong with ids; those of a graph by their shape.

    Args:
        name: The argument.
        token_ids: An array or a tensor.
        vocabulary_size: Number of tokens.
        max_words: Words that a caption may have, the end token among them.
    """
    shape = tuple(token_ids.shape)
    whole = "int" in keras.backend.standardize_dtype(token_ids.dtype)
    if len(shape) != 2 or shape[1] == 0 or not whole:
        raise ValueError(
            f"`{name}` must be (batch, words), integers; received shape {shape}, "
            f"{keras.backend.standardize_dtype(token_ids.dtype)}."
        )
    if shape[1] is not None and shape[1] > max_words:
        raise ValueError(
            f"`{name}` has captions of {shape[1]} words, end tokens counted, and `max_words` is "
            f"{max_words}: leave longer captions out, or make the model with more."
        )
    values = read_values(token_ids)
    if values is None or not values.size:
        return
    wrong = (values < 0) | (values >= vocabulary_size)
    if wrong.any():
        raise ValueError(
            f"`{name}` must hold ids from 0 to {vocabulary_size - 1}, for the vocabulary has "
            f"{vocabulary_size} tokens; received {values[wrong].flat[0]}."
        )


def _count(real):
    """The number of True, at least 1, as float32."""
    return ops.maximum(ops.sum(ops.cast(real, "float32")), 1.0)
