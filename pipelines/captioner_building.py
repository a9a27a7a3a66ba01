"""The captioner that a `CaptionConfig` describes."""

import dataclasses

from glimpse.models import list_models
from glimpse.pipelines.model_building import create_configured, make_optimizer

_TOLD_ELSEWHERE = ("name", "trainable", "dtype", "vocabulary", "sampling")


def make_captioner(config, vocabulary):
    """Returns the captioner of a run, neither built nor compiled.

    Args:
        config: A `CaptionConfig`.
        vocabulary: The `CaptionVocabulary`.

    Raises:
        ValueError: If the model is unknown, no captioner, or takes no such option.
    """
    # What its answers are sampled by: mirrored windows are for training.
    sampling = dataclasses.replace(config.window_sampling, flips=False)
    if config.model in set(list_models()) - set(list_models("captioner*")):
        raise ValueError(
            f"--model={config.model}: is no captioner; `glimpse models --pattern='captioner*'` "
            "lists them."
        )
    return create_configured(
        config,
        vocabulary=list(vocabulary.tokens),
        max_words=config.max_words,
        beam_width=config.beam_width,
        length_penalty=config.length_penalty,
        sampling=dataclasses.asdict(sampling),
    )


def prepare_captioner(model, config, features_shape, steps_per_epoch):
    """Builds and compiles the captioner of a run, with weights drawn from the run's seed.

    Args:
        model: What `make_captioner` returned.
        config: The same `CaptionConfig`.
        features_shape: Of one clip's features, `(num_frames, height, width, features)`.
        steps_per_epoch: Updates in an epoch.
    """
    model.build({"features": (None, *features_shape), "token_ids": (None, None)})
    model.compile(
        make_optimizer(config, steps_per_epoch),
        attention_penalty=config.attention_penalty,
        attention_penalty_reduction=config.attention_penalty_reduction,
        loss_normalization=config.loss_normalization,
        weight_decay=0.0 if config.decoupled_weight_decay else config.weight_decay,
        jit_compile=False,
    )
    model.optimizer.build(model.trainable_variables)


def describe_captioner(model, config, features_shape):
    """Returns one line that names a run's model, its sizes, inputs and optimizer."""
    told = model.get_config()
    for name in _TOLD_ELSEWHERE:
        told.pop(name, None)
    sizes = ", ".join(f"{key}={value}" for key, value in told.items() if value is not None)
    return (
        f"{config.model}: {type(model).__name__}({sizes}), {len(model.vocabulary)} tokens, "
        f"{model.count_params():,} parameters, features {' x '.join(map(str, features_shape))}, "
        f"{config.optimizer}."
    )
