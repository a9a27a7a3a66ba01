"""The flags of a training run, for `glimpse train` and for recipes (files of such flags)."""

from absl import flags

from glimpse.config_flags import ConfigFlags, read_flag_file
from glimpse.pipelines.training_config import TrainingConfig

_KNOBS = {
    "model": (flags.DEFINE_string, "Variant; `glimpse models` lists them."),
    "initialize_from": (
        flags.DEFINE_string,
        "Run folder, .keras file or trained weights of the same model to start from.",
    ),
    "epochs": (flags.DEFINE_integer, "Passes over the training clips."),
    "batch_size": (flags.DEFINE_integer, "Windows in a batch."),
    "optimizer": (flags.DEFINE_string, "adam, sgd, reference_adam or adadelta."),
    "learning_rate": (flags.DEFINE_float, "Learning rate at the start."),
    "momentum": (flags.DEFINE_float, "Momentum of sgd."),
    "schedule": (flags.DEFINE_string, "constant, cosine (to zero at the last step) or decay."),
    "decay_after": (flags.DEFINE_integer, "Updates before the rate of --schedule=decay falls."),
    "decay_rate": (flags.DEFINE_float, "What each fall multiplies the rate with."),
    "decay_every": (flags.DEFINE_integer, "Updates between falls; 0: there is one."),
    "clip_norm": (flags.DEFINE_float, "Largest global norm of a gradient; 0: no limit."),
    "attention_penalty": (flags.DEFINE_float, "lambda of Eq. 7."),
    "attention_penalty_reduction": (flags.DEFINE_string, "sum, or mean over the regions."),
    "batch_reduction": (flags.DEFINE_string, "mean, or sum over the clips of a batch."),
    "weight_decay": (flags.DEFINE_float, "gamma of Eq. 7."),
    "decoupled_weight_decay": (flags.DEFINE_bool, "Apply gamma outside of the loss, as AdamW."),
    "num_frames": (flags.DEFINE_integer, "Frames in a window."),
    "frames_per_second": (flags.DEFINE_float, "Rate of a window's frames; default: the video's."),
    "step_stride": (flags.DEFINE_integer, "Take every n-th frame, in place of a rate."),
    "block_stride": (flags.DEFINE_integer, "Video frames between the starts of windows."),
    "rate_rule": (
        flags.DEFINE_string,
        "time (by the clock) or stride (every int(rate / --frames_per_second)-th frame).",
    ),
    "sampling_rule": (
        flags.DEFINE_string,
        "blocks, random_windows, random_frames or first_frames.",
    ),
    "spread_over": (flags.DEFINE_integer, "Frames that --sampling_rule=first_frames spans."),
    "eval_windows": (flags.DEFINE_integer, "Windows a video in validation; default: the rule's."),
    "flips": (flags.DEFINE_bool, "Mirror windows; needs features extracted with --flips."),
    "pooling": (flags.DEFINE_string, "average, max or flatten: how maps become vectors."),
    "attended_frames": (flags.DEFINE_integer, "Frames attended to; default: --num_frames."),
    "attended_place": (flags.DEFINE_string, "first, middle or last frame of each part."),
    "min_video_frames": (flags.DEFINE_integer, "Leave out shorter videos."),
    "windows_per_clip": (
        flags.DEFINE_integer,
        "Windows from each clip in an epoch, at random; default: every block once.",
    ),
    "early_stopping": (
        flags.DEFINE_integer,
        "Epochs without a better --monitor that end the run; 0: none do.",
    ),
    "monitor": (
        flags.DEFINE_string,
        "What picks the best epoch in validation: accuracy, auc (several labels) or loss.",
    ),
    "seed": (flags.DEFINE_integer, "Seed of weights, dropout and order."),
    "mixed_precision": (flags.DEFINE_string, "float32, mixed_bfloat16 or mixed_float16."),
    "jit_compile": (flags.DEFINE_bool, "Compile the training step with XLA."),
}


class TrainingFlags(ConfigFlags):
    """Defines the flags of a `TrainingConfig` and reads one from their values.

    Args:
        flag_values: Where to define them; default: absl's own.
        module_name: The module whose help shows them.
    """

    def __init__(self, flag_values=flags.FLAGS, module_name=None):
        super().__init__(TrainingConfig, _KNOBS, flag_values, module_name)


def read_recipe(path, **changes):
    """Returns the `TrainingConfig` of a flag file, with some flags changed.

    Args:
        path: The flag file, one `--flag=value` a line.
        **changes: Flags by name with values in place of the file's.

    Raises:
        ValueError: If the file names an unknown flag or a value is out of range.
    """
    return read_flag_file(TrainingFlags, path, **changes)
