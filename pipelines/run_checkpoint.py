"""What a run leaves behind after each of its epochs."""

import csv
import math
import time

import keras

from glimpse.pipelines.partial_file import partial_file
from glimpse.pipelines.run_state import STATE_FILE, save_run_state


class RunCheckpoint(keras.callbacks.Callback):
    """After each epoch writes the log, the best and the last model and the state to resume from.

    Ends the training where `patience` epochs, if above 0, brought nothing better. The state is
    written last and under its name at once: whatever is interrupted before that is done again, to
    the same bits.

    Args:
        run: Path of the run's folder.
        history: The epochs so far, a list of dicts; grows by one each.
        monitor: Which number picks the best epoch.
        patience: Epochs without a better one that end the training; 0: none do.
        writes: Whether to write; of several workers one does.
    """

    def __init__(self, run, history, monitor, patience=0, writes=True):
        super().__init__()
        self.run = run
        self.history = history
        self.monitor = monitor
        self.patience = patience
        self.writes = writes
        self._started = time.monotonic()

    @property
    def best(self):
        """The number of the best epoch so far, the first of equals; None before the first."""
        sign = -1 if self.monitor.endswith("loss") else 1
        values = [sign * epoch[self.monitor] for epoch in self.history]
        return values.index(max(values)) if values else None

    @property
    def is_patience_lost(self):
        """Whether the last `patience` epochs brought nothing better; never with a patience of 0."""
        return bool(self.patience and len(self.history) - 1 - (self.best or 0) >= self.patience)

    def on_epoch_begin(self, epoch, logs=None):
        self._started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            if not math.isfinite(value):
                raise ValueError(
                    f"the {name} of epoch {epoch + 1} is {value}: train anew with a lower "
                    "--learning_rate or a --clip_norm."
                )
        seconds = round(time.monotonic() - self._started, 3)
        row = {"epoch": epoch, **{name: float(value) for name, value in logs.items()}}
        self.history.append({**row, "seconds": seconds})
        if self.writes:
            self._write(epoch)
        if self.is_patience_lost:
            self.model.stop_training = True

    def _write(self, epoch):
        if self.best == epoch:
            self._save("best.keras")
        self._save("last.keras")
        with partial_file(self.run / "log.csv") as partial:
            with open(partial, "w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, fieldnames=list(self.history[0]))
                writer.writeheader()
                writer.writerows(self.history)
        save_run_state(self.run / STATE_FILE, self.model, self.history)

    def _save(self, name):
        with partial_file(self.run / name) as partial:
            self.model.save(partial)
