"""Everything that decides the training of a captioner, in one frozen record."""

import dataclasses

from glimpse.pipelines.window_sampling import WindowSampling

# The rules that give one window a clip: a sentence describes all of it.
SAMPLING_RULES = ("first_frames", "random_frames")
_CHOICES = {
    "optimizer": ("adam", "reference_adam", "adadelta"),
    "schedule": ("constant", "cosine"),
    "attention_penalty_reduction": ("sum", "mean"),
    "loss_normalization": ("caption", "word"),
    "monitor": ("bleu4", "loss"),
    "mixed_precision": ("float32", "mixed_bfloat16", "mixed_float16"),
    "sampling_rule": SAMPLING_RULES,
}


@dataclasses.dataclass(frozen=True)
class CaptionConfig:
    """The choices of one training run of a captioner.

    The defaults are Sharma's thesis's (3.2.2) where the thesis states them, but for its penalty
    (lambda 1), which is off unless asked for: the recipes `sharma_msvd_*` are the thesis's whole.

    Args:
        model: A captioner of `glimpse.list_models("captioner*")`.
        model_options: Constructor arguments in place of the variant's.
        epochs: Passes over all captions of the training clips; the thesis's 15.
        batch_size: Captions in a batch; 64 as in the code that Yao et al. released.
        bucket_batches: As in `CaptionBatches`; 0 mixes captions of all lengths in a batch.
        optimizer: `"adam"`, `"reference_adam"` (see `ReferenceAdam`) or `"adadelta"` (Xu et al.'s,
            with 0.95 and 1e-6).
        learning_rate: At the start.
        schedule: `"constant"` or `"cosine"` (to zero at the last step).
        clip_norm: Gradients with a larger global norm are scaled down to it; 0 leaves them.
        attention_penalty: lambda of Eq. 3.6.
        attention_penalty_reduction: `"sum"` over the regions or `"mean"` (Yao et al.'s code).
        loss_normalization: `"caption"`: each caption counts with the sum over its words, as in
            Eq. 3.6; `"word"`: the loss is the mean over the words of a batch.
        weight_decay: gamma of Eq. 3.6, on all weights.
        decoupled_weight_decay: Whether gamma is applied outside of the loss, as by AdamW.
        min_count: Words that the training captions hold less often are `<unk>`.
        max_words: Longest caption to train on and to answer, its end token counted; longer ones
            are left out and counted.
        beam_width: Of the sentences in validation and, kept in the model, of its answers.
        length_penalty: Of those sentences, as in `beam_search`.
        num_frames, frames_per_second, sampling_rule, spread_over, flips, min_video_frames: As in
            `WindowSampling`, with a rule that gives one window a clip. `flips` mirrors in training
            alone.
        early_stopping: Epochs without a better `monitor` after which the run ends; 0: it never
            does.
        monitor: `"bleu4"` of the sentences or `"loss"` on the validation clips: picks the best
            epoch.
        seed: Seed of the weights, the dropout and the order of the captions.
        mixed_precision: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`.

    Raises:
        ValueError: If a value is out of its range, or has no effect beside the others.
    """

    model: str = "captioner_base"
    model_options: dict = dataclasses.field(default_factory=dict)
    epochs: int = 15
    batch_size: int = 64
    bucket_batches: int = 8
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "constant"
    clip_norm: float = 0.0
    attention_penalty: float = 0.0
    attention_penalty_reduction: str = "sum"
    loss_normalization: str = "caption"
    weight_decay: float = 1e-5
    decoupled_weight_decay: bool = False
    min_count: int = 1
    max_words: int = 30
    beam_width: int = 4
    length_penalty: float = 0.0
    num_frames: int = 26
    frames_per_second: float | None = None
    sampling_rule: str = "first_frames"
    spread_over: int = 240
    flips: bool = False
    min_video_frames: int | None = None
    early_stopping: int = 0
    monitor: str = "bleu4"
    seed: int = 0
    mixed_precision: str = "float32"

    def __post_init__(self):
        for name in ("epochs", "batch_size", "min_count", "beam_width"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        self._require("max_words", self.max_words >= 2, "at least 2, a word and the end")
        for name in (
            "clip_norm",
            "attention_penalty",
            "weight_decay",
            "seed",
            "early_stopping",
            "bucket_batches",
        ):
            self._require(name, getattr(self, name) >= 0, "at least 0")
        self._require("learning_rate", self.learning_rate > 0, "above 0")
        rate = self.frames_per_second
        self._require("frames_per_second", rate is None or rate > 0, "above 0")
        for name, allowed in _CHOICES.items():
            self._require(name, getattr(self, name) in allowed, f"one of {', '.join(allowed)}")
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
        names = {field.name for field in dataclasses.fields(WindowSampling)}
        own = [field.name for field in dataclasses.fields(self) if field.name in names]
        return WindowSampling(**{name: getattr(self, name) for name in own})

    def _require(self, name, holds, what):
        if not holds:
            raise ValueError(f"--{name} must be {what}, got {getattr(self, name)!r}.")
