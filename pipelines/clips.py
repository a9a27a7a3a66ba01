"""Finds the clips of a data set on disk: what they are called, what they show, whose split."""

import dataclasses
import hashlib
import json
import os

from absl import logging

from glimpse.pipelines.datasets import find_reader, looks_like
from glimpse.pipelines.segment import Segment
from glimpse.pipelines.split_overlap import refuse_overlap

SPLITS = ("train", "val", "test")
VIDEO_SUFFIXES = frozenset(
    (
        ".3gp",
        ".avi",
        ".flv",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".ogv",
        ".seq",
        ".ts",
        ".vob",
        ".webm",
        ".wmv",
    )
)


def is_video_name(name):
    """Whether a file is a video by its name; macOS's companions (`._clip.mov`) are none."""
    return os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES and not name.startswith("._")


@dataclasses.dataclass(frozen=True)
class Clip:
    """One labelled video file.

    Args:
        clip_id: Name of the clip, unique in its data set.
        path: Absolute path of the video file, or of the folder of its frames.
        label: Index of the class in the data set's `label_names`; a tuple of them, which may be
            empty, where a clip may have several.
        split: "train", "val" or "test".
        truth: What is known of the clip besides its label, a dict, or None.
        segment: The `Segment` of the video that is the clip; None: all of it.
        group: Name of what must not stand in two splits (a scene, a film, a person), or None.
        video_id: Name of the video that the clip is a part of; None: the clip's own.
    """

    clip_id: str
    path: str
    label: int | tuple
    split: str
    truth: dict | None = dataclasses.field(default=None, compare=False, repr=False)
    segment: Segment | None = None
    group: str | None = None
    video_id: str | None = None


@dataclasses.dataclass(frozen=True)
class ClipSet:
    """The clips of a data set, in a fixed order.

    Args:
        name: Name of the data set.
        label_names: Class names in label order.
        clips: The clips of all splits.
        unknown_files: Files in the folder that were left out because they are no
            videos by their names, relative to it.
        protocol: Name of the official data set whose rules of evaluation hold ("hollywood2"), or
            None.
        split_name: Which of several splits this is, such as "split 1" or "groups, seed 0".
        missing: Dicts of clip_id, path, split, label and reason: clips that the split lists and
            that are not there, or cannot be used.
        left_out: {reason in words: number of clips}, for what the reader left out on purpose.
    """

    name: str
    label_names: tuple
    clips: tuple
    unknown_files: tuple = ()
    protocol: str | None = None
    split_name: str = ""
    missing: tuple = ()
    left_out: dict = dataclasses.field(default_factory=dict)

    @property
    def expected(self):
        """{split: number of clips that it lists, there or missing}."""
        splits = [clip.split for clip in self.clips] + [clip["split"] for clip in self.missing]
        return {split: splits.count(split) for split in SPLITS if split in splits}

    @property
    def split_hash(self):
        """SHA-256 over the sorted (split, clip_id, label name): says who is in which split.

        Missing clips count: it is the same for whoever lacks some files of a data set.
        """
        digest = hashlib.sha256()
        listed = [(c.split, c.clip_id, self._named(c.label)) for c in self.clips]
        listed += [(c["split"], c["clip_id"], self._named(c["label"])) for c in self.missing]
        for entry in sorted(listed):
            digest.update(json.dumps(entry).encode())
        return digest.hexdigest()

    def _named(self, label):
        if isinstance(label, tuple):
            return sorted(self.label_names[each] for each in label)
        return self.label_names[label]

    def in_split(self, split):
        """The clips of one split, in order."""
        if split not in SPLITS:
            raise ValueError(f"split must be one of {SPLITS}, got {split!r}.")
        return tuple(clip for clip in self.clips if clip.split == split)


def read_clips(folder, dataset=None, split_file=None, compare_files=True, **options):
    """Reads what a data set on disk holds; no video is decoded.

    Args:
        folder: The data set's folder, or a CSV file.
        dataset: Name of the data set, of those in `glimpse.pipelines.datasets.READERS`. None takes
            a .csv file for `csv`, a folder with dataset.json for `tiny_actions`, and any other for
            `folder`; where a folder looks like an official data set, it must be given.
        split_file: JSON file that keeps the split. It is written if it is not there; else the clips
            are divided as it says, whatever there is of them.
        compare_files: Whether to refuse two files of the same bytes in two splits.
        **options: Those of the data set's own function, such as `split_number` of `read_hmdb51`.

    Returns:
        A ClipSet. Clips that the data set lists and that are not on disk are in its `missing`.

    Raises:
        ValueError: If there is no such data set, option, file or folder, the folder is not laid out
            as the data set is or has no clip, a clip, video or group stands in two splits, or the
            split file was changed or is of other clips.
    """
    # Imported here, since these name the splits of this module.
    from glimpse.pipelines.saved_split import apply_split, save_split

    folder = os.path.abspath(os.fsdecode(folder))
    reader = find_reader(_detect(folder) if dataset is None else dataset, options)
    if not os.path.exists(folder):
        raise ValueError(f"{folder}: no such folder; give the folder of a data set.")
    clip_set = reader(folder, **options)
    if not clip_set.clips and not clip_set.missing:
        left_out = "; ".join(f"{count} {what}" for what, count in clip_set.left_out.items())
        raise ValueError(
            f"{folder}: has no clip to read" + (f"; left out: {left_out}." if left_out else ".")
        )
    if split_file is not None and os.path.exists(split_file):
        clip_set = apply_split(clip_set, split_file, options)
    refuse_overlap(clip_set.clips, compare_files)
    if split_file is not None and not os.path.exists(split_file):
        save_split(clip_set, split_file)
    if clip_set.unknown_files:
        logging.warning(
            "%s: left out %d files that are no videos by their names, such as %r.",
            ascii(folder),
            len(clip_set.unknown_files),
            clip_set.unknown_files[0],
        )
    return clip_set


def _detect(folder):
    if folder.lower().endswith(".csv") and not os.path.isdir(folder):
        return "csv"
    if os.path.isfile(os.path.join(folder, "dataset.json")):
        return "tiny_actions"
    if os.path.isfile(os.path.join(folder, "unfinished.json")):
        raise ValueError(f"{folder}: was not rendered to its end; run the rendering again.")
    official = looks_like(folder)
    if official:
        raise ValueError(
            f"{folder}: looks like {official}; give dataset={official!r} for its splits, or "
            "dataset='folder' for class folders."
        )
    return "folder"
