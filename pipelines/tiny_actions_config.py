"""The settings of the rendered data set `tiny_actions`."""

import dataclasses

from glimpse.pipelines.stick_figure import ACTIONS, IDLE

SPLITS = ("train", "val", "test")


@dataclasses.dataclass(frozen=True)
class TinyActionsConfig:
    """Everything that decides what `tiny_actions` looks like; two equal configs give equal bytes.

    The label of a clip is the action of the figure in the hat.

    Args:
        seed: seed of the whole set; each clip draws from (seed, split, index).
        placement: "random", or "centre" (the actor stays near the frame's centre).
        temporal: the action fills only part of the clip, idle before and after, and a ninth
            class "idle" holds clips in which the actor does nothing throughout.
        num_distractors: figures without hat, 0 to 3.
        distractor_action: "other" (actions that differ from the actor's and from each other) or
            "idle".
        min_height: least height of a figure, in pixels.
        max_height: greatest height of a figure, in pixels.
        drift: greatest speed of a figure, in pixels per frame and axis.
        pan: greatest speed of the background, in pixels per frame; half of the clips pan.
        num_objects: boxes and balls, 0 to 3.
        near_object_probability: chance that the first object stands beside the actor.
        num_frames: frames in a clip.
        frames_per_second: rate written into the video files.
        size: height and width of a frame in pixels.
        min_action_frames: least length of the action in a temporal clip.
        max_action_frames: greatest length of the action in a temporal clip.
        train_clips: clips in the training split.
        val_clips: clips in the validation split.
        test_clips: clips in the test split.

    Raises:
        ValueError: a value is out of range.
    """

    seed: int = 0
    placement: str = "random"
    temporal: bool = False
    num_distractors: int = 2
    distractor_action: str = "other"
    min_height: float = 27.0
    max_height: float = 34.0
    drift: float = 0.25
    pan: float = 0.4
    num_objects: int = 2
    near_object_probability: float = 0.9
    num_frames: int = 32
    frames_per_second: int = 15
    size: int = 112
    min_action_frames: int = 16
    max_action_frames: int = 24
    train_clips: int = 1600
    val_clips: int = 240
    test_clips: int = 480

    def __post_init__(self):
        def require(condition, name, what):
            if not condition:
                raise ValueError(f"{name} must be {what}, got {getattr(self, name)!r}.")

        require(self.seed >= 0, "seed", "at least 0")
        require(self.placement in ("random", "centre"), "placement", '"random" or "centre"')
        require(
            self.distractor_action in ("other", "idle"), "distractor_action", '"other" or "idle"'
        )
        require(0 <= self.num_distractors <= 3, "num_distractors", "0 to 3")
        require(0 <= self.num_objects <= 3, "num_objects", "0 to 3")
        require(self.min_height >= 16, "min_height", "at least 16 pixels")
        require(
            self.min_height <= self.max_height <= self.size / 2,
            "max_height",
            "at least min_height and at most half of size",
        )
        require(0 <= self.drift <= 1, "drift", "0 to 1 pixel per frame")
        require(0 <= self.pan <= 2, "pan", "0 to 2 pixels per frame")
        require(0 <= self.near_object_probability <= 1, "near_object_probability", "a probability")
        require(self.num_frames >= 2, "num_frames", "at least 2")
        require(self.frames_per_second >= 1, "frames_per_second", "at least 1")
        # mp4v halves the colour planes, so that odd sizes would be cut.
        require(
            self.size >= 64 and self.size % 2 == 0, "size", "an even number of pixels, 64 or more"
        )
        for split in SPLITS:
            require(getattr(self, f"{split}_clips") >= 1, f"{split}_clips", "at least 1")
        if self.temporal:
            require(self.min_action_frames >= 4, "min_action_frames", "at least 4")
            require(
                self.min_action_frames <= self.max_action_frames <= self.num_frames,
                "max_action_frames",
                "at least min_action_frames and at most num_frames",
            )

    @classmethod
    def for_temporal(cls, **changes):
        """Returns the config of the temporal set: 64 frames, one idle distractor, slow drift.

        Args:
            **changes: fields to set otherwise.
        """
        values = {
            "temporal": True,
            "num_distractors": 1,
            "distractor_action": "idle",
            "num_frames": 64,
            "drift": 0.12,
            "train_clips": 1350,
            "val_clips": 180,
            "test_clips": 360,
        }
        return cls(**{**values, **changes})

    @property
    def classes(self):
        """The class names in label order."""
        return (*ACTIONS, IDLE) if self.temporal else ACTIONS

    def num_clips(self, split):
        """Returns the number of clips in `split`."""
        if split not in SPLITS:
            raise ValueError(f"split must be one of {SPLITS}, got {split!r}.")
        return getattr(self, f"{split}_clips")

    def to_dict(self):
        """Returns the fields as a dict that JSON can hold."""
        return dataclasses.asdict(self)
