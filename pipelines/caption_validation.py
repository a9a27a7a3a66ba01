"""BLEU-4 of a captioner's sentences after each epoch."""

import keras

from glimpse.pipelines.bleu_score import bleu


class CaptionValidation(keras.callbacks.Callback):
    """Describes the validation clips after each epoch and adds `val_bleu4` to the epoch's numbers.

    Must stand before the callbacks that read this number.

    Args:
        features: The `ClipFeatures` of the clips.
        references: For each clip its captions, lists of words.
        batch_size: Clips described at a time.
    """

    def __init__(self, features, references, batch_size=16):
        super().__init__()
        self._batches = features.in_order(batch_size)
        self._references = [[list(words) for words in each] for each in references]

    def on_epoch_end(self, epoch, logs=None):
        found = []
        for batch in self._batches:
            found += [best[0].words if best else () for best in self.model.caption(batch)]
        logs["val_bleu4"] = float(bleu(self._references, found)[3])
