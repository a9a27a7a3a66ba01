"""The flags of the training of a captioner, for `glimpse train-captioner` and for recipes."""

from absl import flags

from glimpse.config_flags import ConfigFlags, read_flag_file
from glimpse.pipelines.caption_config import CaptionConfig

_KNOBS = {
    "model": (flags.DEFINE_string, "Captioner; `glimpse models --pattern='captioner*'`."),
    "epochs": (flags.DEFINE_integer, "Passes over all captions of the training clips."),
    "batch_size": (flags.DEFINE_integer, "Captions in a batch."),
    "bucket_batches": (
        flags.DEFINE_integer,
        "Batches that a bucket of captions of about one length fills; 0: all lengths in one.",
    ),
    "optimizer": (flags.DEFINE_string, "adam, reference_adam or adadelta."),
    "learning_rate": (flags.DEFINE_float, "Learning rate at the start."),
    "schedule": (flags.DEFINE_string, "constant or cosine (to zero at the last step)."),
    "clip_norm": (flags.DEFINE_float, "Largest global norm of a gradient; 0: no limit."),
    "attention_penalty": (flags.DEFINE_float, "lambda of Eq. 3.6."),
    "attention_penalty_reduction": (flags.DEFINE_string, "sum, or mean over the regions."),
    "loss_normalization": (
        flags.DEFINE_string,
        "caption (each counts with the sum over its words, Eq. 3.6) or word (the words' mean).",
    ),
    "weight_decay": (flags.DEFINE_float, "gamma of Eq. 3.6."),
    "decoupled_weight_decay": (flags.DEFINE_bool, "Apply gamma outside of the loss, as AdamW."),
    "min_count": (
        flags.DEFINE_integer,
        "Words that the training captions hold less often are unknown.",
    ),
    "max_words": (
        flags.DEFINE_integer,
        "Longest caption to train on and to answer, its end counted; longer ones are left out.",
    ),
    "beam_width": (flags.DEFINE_integer, "Beams in validation, and of the model's answers."),
    "length_penalty": (flags.DEFINE_float, "Exponent of the length that divides a score."),
    "num_frames": (flags.DEFINE_integer, "Frames of a clip that the model reads."),
    "frames_per_second": (
        flags.DEFINE_float,
        "Rate of the frames to choose from; default: the video's.",
    ),
    "sampling_rule": (
        flags.DEFINE_string,
        "first_frames (evenly spaced of the first --spread_over) or random_frames (at random in "
        "each epoch, evenly spaced in answers).",
    ),
    "spread_over": (flags.DEFINE_integer, "Frames that --sampling_rule=first_frames spans."),
    "flips": (flags.DEFINE_bool, "Mirror clips in training; needs features with --flips."),
    "min_video_frames": (flags.DEFINE_integer, "Leave out shorter videos."),
    "early_stopping": (
        flags.DEFINE_integer,
        "Epochs without a better --monitor that end the run; 0: none do.",
    ),
    "monitor": (flags.DEFINE_string, "What picks the best epoch in validation: bleu4 or loss."),
    "seed": (flags.DEFINE_integer, "Seed of weights, dropout and order."),
    "mixed_precision": (flags.DEFINE_string, "float32, mixed_bfloat16 or mixed_float16."),
}


class CaptionFlags(ConfigFlags):
    """Defines the flags of a `CaptionConfig` and reads one from their values.

    Args:
        flag_values: Where to define them; default: absl's own.
        module_name: The module whose help shows them.
    """

    def __init__(self, flag_values=flags.FLAGS, module_name=None):
        super().__init__(CaptionConfig, _KNOBS, flag_values, module_name)


def read_caption_recipe(path, **changes):
    """Returns the `CaptionConfig` of a flag file, with some flags changed; as `read_recipe`."""
    return read_flag_file(CaptionFlags, path, **changes)
