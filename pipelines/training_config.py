"""Everything that decides a training run, in one frozen record."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """The choices of one training run; the defaults are Sharma et al.'s, section 4.2.

    Args:
        model: A variant from `glimpse.list_models()`.
        model_options: Constructor arguments in place of the variant's.
        epochs: Passes over the training clips; the paper's 15.
        batch_size: Windows in a batch; the released code's 128.
        learning_rate: Of Adam, at the start.
        schedule: `"constant"` or `"cosine"` (to zero at the last step).
        clip_norm: Gradients with a larger global norm are scaled down to it; 0 leaves them.
        attention_penalty: lambda of Eq. 7.
        weight_decay: gamma of Eq. 7, on all weights.
        decoupled_weight_decay: Whether gamma is applied by AdamW outside of the loss.
        num_frames: Frames in a window; the paper's 30.
        frames_per_second: Rate of the window's frames; None takes every frame of a video.
        block_stride: Video frames between the starts of windows in validation, and in training
            where `windows_per_clip` is None; the paper's 1.
        windows_per_clip: Windows taken from each training clip in an epoch, at random; None
            takes every window once an epoch, as the paper does.
        monitor: `"accuracy"` or `"loss"` on the validation clips: picks the best checkpoint.
        seed: Seed of the weights, the dropout and the order of the clips.
        mixed_precision: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`.
        jit_compile: Whether XLA compiles the training step; such a run need not repeat to the
            bit.

    Raises:
        ValueError: If a value is out of its range.
    """

    model: str = "soft_attention_base"
    model_options: dict = dataclasses.field(default_factory=dict)
    epochs: int = 15
    batch_size: int = 128
    learning_rate: float = 1e-3
    schedule: str = "constant"
    clip_norm: float = 0.0
    attention_penalty: float = 0.0
    weight_decay: float = 1e-5
    decoupled_weight_decay: bool = False
    num_frames: int = 30
    frames_per_second: float | None = None
    block_stride: int = 1
    windows_per_clip: int | None = None
    monitor: str = "accuracy"
    seed: int = 0
    mixed_precision: str = "float32"
    jit_compile: bool = False

    def __post_init__(self):
        for name in ("epochs", "batch_size", "num_frames", "block_stride"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        for name in ("clip_norm", "attention_penalty", "weight_decay", "seed"):
            self._require(name, getattr(self, name) >= 0, "at least 0")
        self._require("learning_rate", self.learning_rate > 0, "above 0")
        rate, windows = self.frames_per_second, self.windows_per_clip
        self._require("frames_per_second", rate is None or rate > 0, "above 0")
        self._require("windows_per_clip", windows is None or windows >= 1, "at least 1")
        for name, allowed in (
            ("schedule", ("constant", "cosine")),
            ("monitor", ("accuracy", "loss")),
            ("mixed_precision", ("float32", "mixed_bfloat16", "mixed_float16")),
        ):
            self._require(name, getattr(self, name) in allowed, f"one of {', '.join(allowed)}")

    def _require(self, name, holds, what):
        if not holds:
            raise ValueError(f"--{name} must be {what}, got {getattr(self, name)!r}.")
