"""The progress bar of a run."""

import keras
from tqdm import tqdm


class TrainingProgress(keras.callbacks.Callback):
    """One bar over all steps of a run, with the time left and the newest numbers."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def on_train_begin(self, logs=None):
        self._bar = None

    def on_epoch_begin(self, epoch, logs=None):
        if self._bar is None:
            steps, epochs = self.params["steps"], self.params["epochs"]
            self._bar = tqdm(
                total=steps * epochs,
                initial=steps * epoch,
                desc=self.name,
                unit="step",
                mininterval=1.0,
            )

    def on_train_batch_end(self, batch, logs=None):
        self._bar.update()

    def on_epoch_end(self, epoch, logs=None):
        shown = ("loss", "accuracy", "val_accuracy", "auc", "val_auc")
        shown += ("word_accuracy", "val_word_accuracy", "val_bleu4")
        self._bar.set_postfix({name: f"{logs[name]:.3f}" for name in shown if name in logs})

    def on_train_end(self, logs=None):
        if self._bar is not None:
            self._bar.close()
