"""Everything that decides a training run, in one frozen record."""

import dataclasses

from glimpse.pipelines.window_sampling import WindowSampling

# What is read only where another choice asks for it: {name: (that choice's name, its value)}.
_BELONGS_TO = {
    "momentum": ("optimizer", "sgd"),
    "decay_after": ("schedule", "decay"),
    "decay_rate": ("schedule", "decay"),
    "decay_every": ("schedule", "decay"),
    "block_stride": ("sampling_rule", "blocks"),
    "spread_over": ("sampling_rule", "first_frames"),
}
_CHOICES = {
    "optimizer": ("adam", "sgd", "reference_adam", "adadelta"),
    "schedule": ("constant", "cosine", "decay"),
    "attention_penalty_reduction": ("sum", "mean"),
    "batch_reduction": ("mean", "sum"),
    "monitor": ("accuracy", "auc", "loss"),
    "mixed_precision": ("float32", "mixed_bfloat16", "mixed_float16"),
}


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """The choices of one training run; the defaults are Sharma et al.'s, section 4.2.

    Args:
        model: A variant from `glimpse.list_models()`.
        model_options: Constructor arguments in place of the variant's.
        initialize_from: A run's folder, a `.keras` file or trained weights by name, of the same
            model: its weights are the start. The classes' layer is drawn anew where its size or
            the names of the classes differ.
        epochs: Passes over the training clips; the paper's 15.
        batch_size: Windows in a batch; the released code's 128.
        optimizer: `"adam"`, `"sgd"`, `"reference_adam"` (the released code's; see
            `ReferenceAdam`) or `"adadelta"` (Xu et al.'s, with 0.95 and 1e-6).
        learning_rate: At the start.
        momentum: Of `"sgd"`.
        schedule: `"constant"`, `"cosine"` (to zero at the last step) or `"decay"`.
        decay_after: Updates before a `"decay"` begins.
        decay_rate: What it multiplies the rate with.
        decay_every: Updates from one such fall to the next; 0: there is one fall.
        clip_norm: Gradients with a larger global norm are scaled down to it; 0 leaves them.
        attention_penalty: lambda of Eq. 7.
        attention_penalty_reduction: `"sum"` over the regions or `"mean"` (released code).
        batch_reduction: `"mean"` over the clips of a batch or `"sum"` (released code).
        weight_decay: gamma of Eq. 7, on all weights.
        decoupled_weight_decay: Whether gamma is applied outside of the loss, as by AdamW.
        num_frames, frames_per_second, step_stride, block_stride, sampling_rule, eval_windows,
        flips, pooling, attended_frames, attended_place, min_video_frames, rate_rule, spread_over:
            As in `WindowSampling`; `block_stride` also in training, where `windows_per_clip` is
            None.
        windows_per_clip: Windows taken from each training clip in an epoch, at random; None
            takes every block once an epoch, as the paper does, or one random window.
        early_stopping: Epochs without a better `monitor` after which the run ends; 0: it never
            does.
        monitor: `"accuracy"`, `"auc"` (of models with several labels a clip) or `"loss"` on the
            validation clips: picks the best checkpoint.
        seed: Seed of the weights, the dropout and the order of the clips.
        mixed_precision: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`.
        jit_compile: Whether XLA compiles the training step; such a run need not repeat to the
            bit.

    Raises:
        ValueError: If a value is out of its range, or has no effect beside the others.
    """

    model: str = "soft_attention_base"
    model_options: dict = dataclasses.field(default_factory=dict)
    initialize_from: str | None = None
    epochs: int = 15
    batch_size: int = 128
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    schedule: str = "constant"
    decay_after: int = 0
    decay_rate: float = 0.1
    decay_every: int = 0
    clip_norm: float = 0.0
    attention_penalty: float = 0.0
    attention_penalty_reduction: str = "sum"
    batch_reduction: str = "mean"
    weight_decay: float = 1e-5
    decoupled_weight_decay: bool = False
    num_frames: int = 30
    frames_per_second: float | None = None
    step_stride: int | None = None
    block_stride: int = 1
    sampling_rule: str = "blocks"
    eval_windows: int | None = None
    flips: bool = False
    pooling: str = "average"
    attended_frames: int | None = None
    attended_place: str = "first"
    min_video_frames: int | None = None
    rate_rule: str = "time"
    spread_over: int = 240
    windows_per_clip: int | None = None
    early_stopping: int = 0
    monitor: str = "accuracy"
    seed: int = 0
    mixed_precision: str = "float32"
    jit_compile: bool = False

    def __post_init__(self):
        for name in ("epochs", "batch_size"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        for name in (
            "clip_norm", "attention_penalty", "weight_decay", "seed", "decay_after",
            "decay_every", "early_stopping",
        ):  # fmt: skip
            self._require(name, getattr(self, name) >= 0, "at least 0")
        for name in ("learning_rate", "decay_rate"):
            self._require(name, getattr(self, name) > 0, "above 0")
        self._require("momentum", 0 <= self.momentum < 1, "in [0, 1)")
        rate, windows = self.frames_per_second, self.windows_per_clip
        self._require("frames_per_second", rate is None or rate > 0, "above 0")
        self._require("windows_per_clip", windows is None or windows >= 1, "at least 1")
        for name, allowed in _CHOICES.items():
            self._require(name, getattr(self, name) in allowed, f"one of {', '.join(allowed)}")
        for field in dataclasses.fields(self):
            if field.name in _BELONGS_TO and getattr(self, field.name) != field.default:
                other, value = _BELONGS_TO[field.name]
                needed = f"left out unless --{other} is {value}"
                self._require(field.name, getattr(self, other) == value, needed)
        self._require(
            "attention_penalty_reduction",
            self.attention_penalty > 0 or self.attention_penalty_reduction == "sum",
            "left out unless --attention_penalty is above 0",
        )
        try:
            self.window_sampling  # noqa: B018
        except ValueError as error:
            raise ValueError(f"--{error}") from error

    @property
    def window_sampling(self):
        """The `WindowSampling` of the run."""
        names = [field.name for field in dataclasses.fields(WindowSampling)]
        return WindowSampling(**{name: getattr(self, name) for name in names})

    def _require(self, name, holds, what):
        if not holds:
            raise ValueError(f"--{name} must be {what}, got {getattr(self, name)!r}.")
