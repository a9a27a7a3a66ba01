"""Trains the small backbone on the proxy task of `proxy_frames`."""

import importlib.metadata
import json
import pathlib
import platform

import cv2
import keras
import numpy as np
from keras import ops

from glimpse.models.small_backbone import SmallBackbone
from glimpse.models.weights_card import file_sha256
from glimpse.pipelines.partial_file import partial_file
from glimpse.pipelines.proxy_frames import (
    CELL_TYPES,
    COLOUR,
    FIRST_JOINT,
    FRAMES_PER_CLIP,
    HAT,
    PROXY_JOINTS,
    TYPE,
    render_proxy_frames,
)
from glimpse.pipelines.tiny_actions_scene import COLOURS

_OUTPUT_SIZES = (len(CELL_TYPES), 2, len(COLOURS), 2 * len(PROXY_JOINTS))
# Brings the joints' squared errors (units of a figure's height) to the scale of the others.
_JOINT_WEIGHT = 20.0


class _Batches(keras.utils.PyDataset):
    """Shuffled batches of an array that is not copied."""

    def __init__(self, frames, targets, batch_size, seed):
        super().__init__()
        self._frames, self._targets, self._batch_size = frames, targets, batch_size
        self._rng = np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self):
        return len(self._frames) // self._batch_size

    def __getitem__(self, index):
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return self._frames[chosen], self._targets[chosen]

    def on_epoch_end(self):
        self._order = self._rng.permutation(len(self._frames))


def _split_outputs(outputs):
    return ops.split(outputs, np.cumsum(_OUTPUT_SIZES)[:-1].tolist(), axis=-1)


def _masked_mean(values, mask):
    mask = ops.cast(mask, values.dtype)
    return ops.sum(values * mask) / ops.maximum(ops.sum(mask), 1.0)


def _cross_entropy(labels, logits):
    labels = ops.cast(labels, "int32")
    values = ops.sparse_categorical_crossentropy(ops.maximum(labels, 0), logits, from_logits=True)
    return _masked_mean(values, labels >= 0)


def _is_figure(targets):
    return targets[..., HAT] >= 0


def proxy_loss(targets, outputs):
    """Returns the sum of the cross-entropies of type, hat and colour and the joints' error.

    Args:
        targets: (batch, 7, 7, targets) as `proxy_frames.cell_targets` gives them.
        outputs: (batch, 7, 7, outputs) of the proxy head.
    """
    types, hats, colours, joints = _split_outputs(outputs)
    errors = ops.mean(ops.square(joints - targets[..., FIRST_JOINT:]), axis=-1)
    return (
        _cross_entropy(targets[..., TYPE], types)
        + _cross_entropy(targets[..., HAT], hats)
        + _cross_entropy(targets[..., COLOUR], colours)
        + _JOINT_WEIGHT * _masked_mean(errors, _is_figure(targets))
    )


def evaluate_proxy(model, frames, targets, batch_size=128):
    """Returns the proxy's figures on frames that it was not trained on.

    Returns:
        dict: accuracies over the cells they apply to, as fractions, and the mean distance of the
        wrists from the truth in units of the figure's height.
    """
    outputs = model.predict(frames, batch_size=batch_size, verbose=0)
    types, hats, colours, joints = np.split(outputs, np.cumsum(_OUTPUT_SIZES)[:-1], axis=-1)

    def accuracy(column, logits):
        known = targets[..., column] >= 0
        return float((logits.argmax(-1)[known] == targets[..., column][known]).mean())

    figure = _is_figure(targets)
    shape = (-1, len(PROXY_JOINTS), 2)
    distances = np.linalg.norm(
        joints[figure].reshape(shape) - targets[figure][:, FIRST_JOINT:].reshape(shape), axis=-1
    )
    return {
        "type_accuracy": accuracy(TYPE, types),
        "hat_accuracy": accuracy(HAT, hats),
        "colour_accuracy": accuracy(COLOUR, colours),
        "wrist_error_in_heights": float(distances[:, 1:3].mean()),
    }


def train_small_backbone(
    output,
    seed=0,
    num_clips=4000,
    num_val_clips=200,
    epochs=7,
    batch_size=64,
    learning_rate=3e-3,
    workers=None,
    progress=True,
):
    """Trains `SmallBackbone` and writes it to a `.keras` file, without the proxy head.

    Adam with a cosine schedule down to zero. The frames, their order and the first weights follow
    from the seed; sums in several threads may still differ in the last bits between runs.

    Args:
        output: `.keras` file to write.
        seed: seed of clips, order and first weights.
        num_clips: training clips of six frames each.
        num_val_clips: validation clips, disjoint from the training clips.
        epochs: passes over the frames.
        batch_size: frames per step.
        learning_rate: the schedule's start.
        workers: rendering processes; None: one per processor.
        progress: show progress bars.

    Returns:
        dict: `validation` (the figures of `evaluate_proxy`) and `settings` (the numbers given).

    Raises:
        ValueError: output does not end in .keras, or a number is not positive.
        FileNotFoundError: output's folder does not exist.
    """
    output = pathlib.Path(output)
    if output.suffix != ".keras":
        raise ValueError(f"output must end in .keras, got {str(output)!r}.")
    if not output.parent.is_dir():
        raise FileNotFoundError(f"No such folder for output: {output.parent}.")
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value!r}.")
    frames, targets = render_proxy_frames(num_clips, seed, 0, workers, progress)
    if len(frames) < batch_size:
        raise ValueError(
            f"batch_size must be at most the {len(frames)} frames of num_clips={num_clips}, got "
            f"{batch_size!r}."
        )
    val_frames, val_targets = render_proxy_frames(num_val_clips, seed, num_clips, workers, progress)

    keras.utils.set_random_seed(seed)
    batches = _Batches(frames, targets, batch_size, seed)
    backbone = SmallBackbone(name="small")
    head = keras.layers.Conv2D(sum(_OUTPUT_SIZES), 1, name="proxy")
    model = keras.Sequential([backbone, head])
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * len(batches))
    model.compile(keras.optimizers.Adam(schedule), loss=proxy_loss)
    model.fit(batches, epochs=epochs, verbose="auto" if progress else 0)
    results = evaluate_proxy(model, val_frames, val_targets)

    with partial_file(output) as partial:
        # The backbone was never compiled, so that no optimizer state is written.
        backbone.save(partial)
    settings = {
        "seed": seed,
        "num_clips": num_clips,
        "num_val_clips": num_val_clips,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
    }
    return {"validation": results, "settings": settings}


def write_backbone_card(path, weights, results):
    """Writes the card of trained weights: what they are, how they were made, what they score.

    Args:
        path: JSON file to write.
        weights: the `.keras` file that `train_small_backbone` wrote.
        results: what it returned.
    """
    path, weights = pathlib.Path(path), pathlib.Path(weights)
    settings = results["settings"]
    flags = " ".join(f"--{name}={value}" for name, value in settings.items())
    num_frames = settings["num_clips"] * FRAMES_PER_CLIP
    card = {
        "name": "small",
        "file": weights.name,
        "sha256": file_sha256(weights),
        "license": "Apache-2.0",
        "command": f"glimpse train-backbone --output={weights.name} {flags}",
        "tag": "proxy",
        "description": "Seven convolutions that turn a frame into 7 x 7 cells of 64 features.",
        "parameters": keras.saving.load_model(weights, compile=False).count_params(),
        "data": (
            f"{num_frames} frames of {settings['num_clips']} rendered clips, half through mp4v "
            "and half through MJPG; per-cell targets: type, hat, colour and joints. No action "
            "label, and no mark of which figure is the actor."
        ),
        "validation_data": (
            f"{settings['num_val_clips'] * FRAMES_PER_CLIP} frames of "
            f"{settings['num_val_clips']} other clips"
        ),
        "validation": {name: round(value, 4) for name, value in results["validation"].items()},
        "settings": settings,
        "versions": {
            "python": platform.python_version(),
            "keras": keras.__version__,
            keras.backend.backend(): importlib.metadata.version(keras.backend.backend()),
            "opencv": cv2.__version__,
        },
    }
    with partial_file(path) as partial:
        partial.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
