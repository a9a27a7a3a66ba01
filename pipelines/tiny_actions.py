"""Renders `tiny_actions`: encoded clips of stick figures with the truth about every frame."""

import csv
import hashlib
import io
import json
import os
import pathlib

import cv2
import numpy as np

from glimpse.pipelines.partial_file import partial_file
from glimpse.pipelines.rendering_processes import map_clips
from glimpse.pipelines.tiny_actions_captions import reference_captions
from glimpse.pipelines.tiny_actions_config import SPLITS, TinyActionsConfig
from glimpse.pipelines.tiny_actions_drawing import draw_scene, sample_background
from glimpse.pipelines.tiny_actions_scene import sample_scene

__all__ = ["TinyActionsConfig", "render_tiny_actions", "write_clip"]

FORMAT_VERSION = 1
# FourCC and file extension, taken in turn by rounds through the classes, so that no class can be
# told by its codec.
CODECS = (
    ("mp4v", ".mp4"),
    ("MJPG", ".avi"),
    ("mp4v", ".mp4"),
    ("MJPG", ".avi"),
    ("XVID", ".avi"),
)
# Fewer clips than this are drawn in this process: starting others takes longer.
_FEW_CLIPS = 64
_DATASET_FILE = "dataset.json"
# Stands for dataset.json while the set is incomplete.
_UNFINISHED_FILE = "unfinished.json"


def write_clip(path, frames, frames_per_second, fourcc):
    """Encodes a clip, reads it back, and only then gives it its name.

    Args:
        path: file to write; its extension chooses the container.
        frames: iterable of (height, width, 3) uint8 RGB frames, at least one.
        frames_per_second: rate written into the file.
        fourcc: four-letter codec name.

    Raises:
        OSError: the codec is missing, or the file does not hold all frames (a full disk).
    """
    path = pathlib.Path(path)
    written, writer = 0, None
    with partial_file(path) as partial:
        try:
            for frame in frames:
                if writer is None:
                    writer = _open_writer(path, partial, frame.shape, frames_per_second, fourcc)
                writer.write(np.ascontiguousarray(frame[..., ::-1]))
                written += 1
        finally:
            if writer is not None:
                writer.release()
        if not written:
            raise ValueError(f"frames for {path} must hold at least one frame, got none.")
        found = _count_frames(partial)
        if found != written:
            raise OSError(
                f"cannot write {path}: {found} of {written} frames can be read back; is the disk "
                f"full?"
            )


def _open_writer(path, partial, shape, frames_per_second, fourcc):
    writer = cv2.VideoWriter(
        str(partial), cv2.VideoWriter_fourcc(*fourcc), frames_per_second, (shape[1], shape[0])
    )
    if not writer.isOpened():
        raise OSError(
            f"cannot write {path}: OpenCV {cv2.__version__} opened no {fourcc} writer for it; is "
            f"the folder writable, and the codec part of this build?"
        )
    return writer


def _count_frames(path):
    reader = cv2.VideoCapture(str(path))
    count = 0
    while reader.grab():
        count += 1
    reader.release()
    return count


def _clip_name(split, index, num_classes):
    fourcc, extension = CODECS[index // num_classes % len(CODECS)]
    return f"{split}_{index:05d}", fourcc, extension


def clip_generator(seed, split, index):
    """Returns the numpy Generator of one clip, independent of all other clips."""
    return np.random.default_rng(np.random.SeedSequence([seed, SPLITS.index(split), index]))


def _round(boxes):
    return np.round(boxes, 2).tolist()


def _truth(config, split, index, scene, clip_id, path):
    actor = scene.figures[0]
    near = [(thing.colour, thing.kind) for thing in scene.objects if thing.near]
    return {
        "clip_id": clip_id,
        "path": path,
        "label": config.classes[index % len(config.classes)],
        "seed": [config.seed, SPLITS.index(split), index],
        "scene": scene.name,
        "frame_size": [config.size, config.size],
        "action_interval": list(scene.action_interval),
        "figures": [
            {
                "role": figure.role,
                "hat": figure.hat,
                "action": figure.action,
                "colour": figure.colour,
                "height": round(figure.height, 2),
                "phase": round(figure.phase, 4),
                "period": round(figure.period, 4),
                "boxes": _round(figure.boxes),
            }
            for figure in scene.figures
        ],
        "objects": [
            {
                "kind": thing.kind,
                "colour": thing.colour,
                "box": _round(thing.box),
                "near": thing.near,
            }
            for thing in scene.objects
        ],
        "captions": reference_captions(actor.colour, actor.action, near),
    }


def _render_clip(job):
    """Writes one clip unless it is there; returns its truth."""
    folder, config, split, index = job
    rng = clip_generator(config.seed, split, index)
    clip_id, fourcc, extension = _clip_name(split, index, len(config.classes))
    relative_path = f"videos/{split}/{clip_id}{extension}"
    path = _clip_path(folder, config, split, index)
    scene = sample_scene(rng, config, config.classes[index % len(config.classes)])
    if not path.exists():
        background, corners = sample_background(rng, config, scene.name)
        frames = draw_scene(scene, background, corners, config.size)
        write_clip(path, frames, config.frames_per_second, fourcc)
    return _truth(config, split, index, scene, clip_id, relative_path)


def _write_text(path, text):
    with partial_file(path) as partial:
        partial.write_bytes(text.encode())


def _read_description(folder):
    for name in (_DATASET_FILE, _UNFINISHED_FILE):
        if (folder / name).exists():
            return name, json.loads((folder / name).read_text())
    return None, None


def _check_folder(folder, description):
    """Refuses a folder that holds anything but this set."""
    name, found = _read_description(folder)
    if found is None:
        if folder.exists() and any(folder.iterdir()):
            raise ValueError(
                f"folder {folder} is not empty and holds no tiny_actions set; name a new folder."
            )
        return None
    for key in ("format_version", "config"):
        if found.get(key) != description[key]:
            raise ValueError(
                f"folder {folder} holds a set of another {key}: {found.get(key)!r}, not "
                f"{description[key]!r}; name another folder or delete this one."
            )
    return found if name == _DATASET_FILE else None


def _split_csv(truths):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "label"])
    writer.writerows([truth["path"], truth["label"]] for truth in truths)
    return text.getvalue()


def render_tiny_actions(folder, config=None, workers=None, progress=True):
    """Renders the data set into `folder`, going on where an earlier call was interrupted.

    The bytes depend on the config and on the OpenCV build alone, not on the number of workers.

    Args:
        folder: where to write; created if missing. Holds `videos/SPLIT/`, `splits/SPLIT.csv`
            (header path,label), `truth/SPLIT.jsonl` and, once complete, `dataset.json`.
        config: `TinyActionsConfig`; None: the default.
        workers: number of processes; None: one per processor.
        progress: show a progress bar.

    Returns:
        The content of `dataset.json`.

    Raises:
        ValueError: the folder holds something else, or a set of another config.
        OSError: a clip could not be written.
    """
    config = config or TinyActionsConfig()
    folder = pathlib.Path(folder)
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers!r}.")
    description = {
        "name": "tiny_actions",
        "format_version": FORMAT_VERSION,
        "seed": config.seed,
        "config": config.to_dict(),
        "classes": list(config.classes),
        "counts": {split: config.num_clips(split) for split in SPLITS},
        "opencv_version": cv2.__version__,
    }
    finished = _check_folder(folder, description)
    jobs = [
        (str(folder), config, split, index)
        for split in SPLITS
        for index in range(config.num_clips(split))
    ]
    missing = sum(not _clip_path(*job).exists() for job in jobs)
    if finished is not None and not missing:
        return finished
    for name in ("splits", "truth", *(f"videos/{split}" for split in SPLITS)):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob("videos/*/.*.partial.*"):
        leftover.unlink()
    (folder / _DATASET_FILE).unlink(missing_ok=True)
    _write_text(folder / _UNFINISHED_FILE, json.dumps(description, indent=2) + "\n")

    if workers is None:
        workers = 1 if missing < _FEW_CLIPS else os.cpu_count()
    truths = map_clips(_render_clip, jobs, workers, progress, f"rendering {folder.name}")
    hashes = {}
    for split in SPLITS:
        selected = [truth for job, truth in zip(jobs, truths, strict=True) if job[2] == split]
        table = _split_csv(selected)
        _write_text(folder / "splits" / f"{split}.csv", table)
        hashes[f"splits/{split}.csv"] = hashlib.sha256(table.encode()).hexdigest()
        lines = "".join(json.dumps(truth) + "\n" for truth in selected)
        _write_text(folder / "truth" / f"{split}.jsonl", lines)
    description["sha256"] = hashes
    _write_text(folder / _DATASET_FILE, json.dumps(description, indent=2) + "\n")
    (folder / _UNFINISHED_FILE).unlink()
    return description


def _clip_path(folder, config, split, index):
    clip_id, _, extension = _clip_name(split, index, len(config.classes))
    return pathlib.Path(folder) / "videos" / split / f"{clip_id}{extension}"
