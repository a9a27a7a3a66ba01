"""The search for a model's best captions, compiled as Keras compiles `predict`."""

import keras
import numpy as np

from glimpse.layers.soft_attention_lstm_cell import check_positive_integer
from glimpse.models.caption import read_captions


class CaptionSearch(keras.Model):
    """Searches the captions of clips in one graph, batch by batch.

    Args:
        model: A captioner, with `beam_search` and `vocabulary`.
        **options: Arguments of its `beam_search`.
    """

    def __init__(self, model, **options):
        super().__init__(name="caption_search", dtype=model.dtype_policy)
        self.model = model
        self.options = options
        # XLA would compile anew for each number of clips; JAX has nothing else.
        self.jit_compile = keras.config.backend() == "jax"

    def build(self, clips_shape):
        """The model that it searches with is built before."""

    def call(self, clips):
        return self.model.beam_search(clips["clips"], clips.get("mask"), **self.options)

    def captions(self, clips, mask=None, batch_size=16):
        """Returns a list of the n best `Caption`s of each clip.

        Args:
            clips: What the model looks at, one row a clip, an array.
            mask: `(batch, frames)`, True where the frame is real, or None.
            batch_size: Clips that are searched at once.

        Raises:
            ValueError: If the clips or the mask have another shape than the model's, are no
                numbers, or make scores that are no numbers.
        """
        check_positive_integer("batch_size", batch_size)
        clips = np.asarray(clips)
        if clips.dtype.kind in "OSUmM":
            raise ValueError(
                f"the clips to describe must be an array of numbers; received {clips.dtype}. For "
                "video files there is glimpse.pipelines.VideoCaptionAnswerer."
            )
        if not self.model.built:
            self.model.build(clips.shape)
        mask = None if mask is None else np.asarray(mask, bool)
        # Keras traces a second shape with open axes, which no check within would refuse.
        self.model.check_clips(clips.shape, None if mask is None else mask.shape)
        if not len(clips):
            raise ValueError(f"there must be clips to describe; received shape {clips.shape}.")
        inputs = {"clips": clips} if mask is None else {"clips": clips, "mask": mask}
        return read_captions(self._predict(inputs, batch_size), self.model.vocabulary)

    def _predict(self, inputs, batch_size):
        """Keras takes a model's values away while JAX predicts; an error must not keep them."""
        values = [variable.value for variable in self.variables]
        try:
            return self.predict(inputs, batch_size=batch_size, verbose=0)
        except BaseException:
            if keras.config.backend() == "jax":
                self.jax_state_sync()  # what the batches before the error gave back
                for variable, value in zip(self.variables, values, strict=True):
                    if not value.is_deleted():
                        variable.assign(value)
            raise
