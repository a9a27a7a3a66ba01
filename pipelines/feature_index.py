"""What a folder of extracted features holds: which clips, whose split, made by what."""

import collections
import dataclasses
import json
import os

import numpy as np

from glimpse.pipelines.clips import SPLITS
from glimpse.pipelines.feature_store import FeatureStore
from glimpse.pipelines.partial_file import partial_file

INDEX_FILE = "index.json"
FEATURES_FOLDER = "features"
FORMAT = "glimpse features"
FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True)
class IndexedClip:
    """One clip whose features are stored.

    Args:
        clip_id, path, label, split: As in `Clip`.
        key: Name of its features in the store.
        num_frames: Steps of its features: frames of the video, or whole chunks of them where the
            backbone reads several at a time.
        frames_per_second: Rate of these steps.
        flipped_key: Name of the features of its mirrored frames, if they were extracted.
        num_video_frames: Frames of the clip, counted by decoding; None: `num_frames`.
        start: Step of the stored features that is the clip's first: clips of one video may share
            what is stored.
        group, video_id: As in `Clip`.
        frame_times: Seconds from the clip's first frame to each of its steps, where these are not
            even; None: step n is at n / frames_per_second.
        captions: Sentences that describe the clip, as written.
    """

    clip_id: str
    path: str
    label: int | tuple
    split: str
    key: str
    num_frames: int
    frames_per_second: float
    flipped_key: str | None = None
    num_video_frames: int | None = None
    start: int = 0
    group: str | None = None
    video_id: str | None = None
    frame_times: tuple | None = None
    captions: tuple = ()

    @property
    def labels(self):
        """Its labels as a tuple, which is empty where it has none."""
        return self.label if isinstance(self.label, tuple) else (self.label,)

    @property
    def video_frames(self):
        """Frames of the video."""
        return self.num_frames if self.num_video_frames is None else self.num_video_frames


@dataclasses.dataclass(frozen=True)
class FeatureIndex:
    """The content of `index.json` in a folder of features.

    Args:
        folder: Absolute path of the folder.
        dataset: Name of the data set.
        split_hash: `ClipSet.split_hash` of the whole data set.
        label_names: Class names in label order.
        backbone: Name of the backbone.
        backbone_fingerprint: Hash of its config and weights.
        dtype: "float16" or "float32".
        feature_shape: Shape of one step's features: (height, width, features) or (features,).
        decoder: Name and version of the video decoder.
        limit: Clips per split that were asked for, or None for all.
        expected: Clips asked for.
        failed: Tuple of {path, reason, clip_id}, one for each clip that could not be decoded.
        warnings: Tuple of {path, reason}: clips that were decoded, with signs of missing frames.
        entries: Tuple of IndexedClip: all clips whose features are stored.
        backbone_options: Options that the backbone was made with, besides its name.
        frames_per_input: Frames of the video that make one step of the features.
        protocol, split_name, missing, left_out: As in `ClipSet`.
        expected_in: {split: clips that the data set's split lists, there or not}.
        manifest_sha256: Hash of the manifest by which clips were chosen, or None.
        cache: The folder of the stored features; relative to `folder`, or absolute.
        black_key: Name of the stored features of one black frame, or None.
    """

    folder: str
    dataset: str
    split_hash: str
    label_names: tuple
    backbone: str
    backbone_fingerprint: str
    dtype: str
    feature_shape: tuple
    decoder: str
    limit: int | None
    expected: int
    failed: tuple
    warnings: tuple
    entries: tuple
    backbone_options: dict = dataclasses.field(default_factory=dict)
    frames_per_input: int = 1
    protocol: str | None = None
    split_name: str = ""
    missing: tuple = ()
    left_out: dict = dataclasses.field(default_factory=dict)
    expected_in: dict = dataclasses.field(default_factory=dict)
    manifest_sha256: str | None = None
    cache: str = FEATURES_FOLDER
    black_key: str | None = None

    @property
    def multi_label(self):
        """Whether a clip may have any number of labels."""
        return any(isinstance(clip.label, tuple) for clip in self.entries)

    @property
    def dropped_frames(self):
        """Frames at the ends of videos that did not fill a step."""
        return sum(c.video_frames - c.num_frames * self.frames_per_input for c in self.entries)

    @property
    def seen(self):
        """Clips whose features are stored."""
        return len(self.entries)

    @property
    def seen_in(self):
        """{split: clips whose features are stored}, for each split that is expected."""
        found = collections.Counter(clip.split for clip in self.entries)
        return {split: found[split] for split in self.expected_in}

    @property
    def store(self):
        """The FeatureStore with the features."""
        return FeatureStore(os.path.join(self.folder, self.cache))

    def clips(self, split):
        """The clips of "train", "val" or "test", in the data set's order."""
        if split not in SPLITS:
            raise ValueError(f"split must be one of {SPLITS}, got {split!r}.")
        return tuple(clip for clip in self.entries if clip.split == split)

    def path(self, clip):
        """The file with a clip's features, and maybe those of other clips of its video."""
        return self.store.path(clip.key)

    def read(self, clip, start=0, stop=None):
        """Features `(steps, *feature_shape)` of steps start to stop of a clip.

        Raises:
            KeyError: If they are not stored (or the file is damaged).
            IndexError: If the range is not inside the clip.
        """
        stop = clip.num_frames if stop is None else stop
        if not 0 <= start <= stop <= clip.num_frames:
            raise IndexError(
                f"Steps {start} to {stop} of {clip.clip_id} were asked for; it has "
                f"{clip.num_frames}."
            )
        return self.store.read(clip.key, clip.start + start, clip.start + stop)

    def save(self):
        """Writes `index.json` into the folder."""
        values = dataclasses.asdict(self)
        values.pop("folder")
        values["clips"] = values.pop("entries")
        values["counts"] = {
            "expected": self.expected,
            "seen": self.seen,
            "failed": len(self.failed),
            "missing": len(self.missing),
        }
        values = {"format": FORMAT, "format_version": FORMAT_VERSION, **values}
        os.makedirs(self.folder, exist_ok=True)
        text = json.dumps(values, indent=1) + "\n"
        with partial_file(os.path.join(self.folder, INDEX_FILE)) as partial:
            partial.write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder):
        """Reads the index of a folder that `extract_features` wrote.

        Raises:
            ValueError: If the folder has no index, or one of something else, or of
                another version of the format.
        """
        folder = os.path.abspath(os.fsdecode(folder))
        path = os.path.join(folder, INDEX_FILE)
        try:
            with open(path, encoding="utf-8") as file:
                values = json.load(file)
        except (FileNotFoundError, NotADirectoryError):
            raise ValueError(
                f"{path}: no such file; extract features into this folder first."
            ) from None
        except ValueError as error:
            raise ValueError(
                f"{path}: is not JSON ({error}); extract the features again."
            ) from error
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise ValueError(f"{path}: is not an index of features; name the right folder.")
        if values.get("format_version") != FORMAT_VERSION:
            raise ValueError(
                f"{path}: has format version {values.get('format_version')!r}, this program reads "
                f"{FORMAT_VERSION}; extract the features again (stored ones are used)."
            )
        try:
            entries = tuple(_indexed_clip(clip) for clip in values["clips"])
            fields = {f.name: values[f.name] for f in dataclasses.fields(cls) if f.name in values}
            for name in ("label_names", "feature_shape", "failed", "warnings", "missing"):
                fields[name] = tuple(fields.get(name, ()))
            index = cls(folder=folder, entries=entries, **fields)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: is damaged ({error}); extract the features again."
            ) from error
        labels = np.array([label for clip in entries for label in clip.labels])
        if labels.size and not (0 <= labels.min() and labels.max() < len(index.label_names)):
            raise ValueError(f"{path}: is damaged (a label has no name); extract again.")
        return index


def _indexed_clip(values):
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return IndexedClip(**{**values, **lists})
