"""The model and the optimizer that a `TrainingConfig` describes."""

import dataclasses

import keras

from glimpse.models.reference_adam import ReferenceAdam
from glimpse.models.registry import create_model
from glimpse.models.step_decay import StepDecay

_TOLD_ELSEWHERE = (
    "name", "trainable", "dtype", "label_names", "multi_label", "num_classes", "sampling",
)  # fmt: skip


def make_classifier(config, label_names):
    """Returns the model of a run, neither built nor compiled.

    Args:
        config: A `TrainingConfig`.
        label_names: Names of the classes.

    Raises:
        ValueError: If the model is unknown or takes no such option.
    """
    return create_configured(
        config,
        len(label_names),
        label_names=list(label_names),
        sampling=dataclasses.asdict(config.window_sampling),
    )


def create_configured(config, *arguments, **options):
    """Returns `create_model` of a config's model, with its own options and precision.

    Args:
        config: A `TrainingConfig` or a `CaptionConfig`.
        *arguments, **options: Of `create_model`, besides the config's.

    Raises:
        ValueError: If the model is unknown or takes no such option.
    """
    try:
        return create_model(
            config.model,
            *arguments,
            dtype=config.mixed_precision,
            **options,
            **config.model_options,
        )
    except TypeError as error:
        raise ValueError(
            f"--model_options: {config.model} takes no such option ({error})."
        ) from error
    except ValueError as error:
        # What Keras says of arguments that reach its own constructor.
        if not str(error).startswith("Unrecognized keyword arguments"):
            raise
        unknown = [name for name in config.model_options if repr(name) in str(error)]
        raise ValueError(
            f"--model_options: {config.model} takes no option {', '.join(unknown)}."
        ) from error


def make_optimizer(config, steps_per_epoch):
    """Returns the optimizer of a run.

    Args:
        config: A `TrainingConfig`.
        steps_per_epoch: Updates in an epoch, for the cosine schedule.
    """
    rate = config.learning_rate
    if config.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, config.epochs * steps_per_epoch)
    elif config.schedule == "decay":
        rate = StepDecay(rate, config.decay_after, config.decay_rate, config.decay_every)
    options = {"global_clipnorm": config.clip_norm} if config.clip_norm else {}
    if config.decoupled_weight_decay:
        options["weight_decay"] = config.weight_decay
    if config.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=config.momentum, **options)
    if config.optimizer == "reference_adam":
        return ReferenceAdam(rate, **options)
    if config.optimizer == "adadelta":
        return keras.optimizers.Adadelta(rate, rho=0.95, epsilon=1e-6, **options)
    adam = keras.optimizers.AdamW if config.decoupled_weight_decay else keras.optimizers.Adam
    return adam(rate, **options)


def prepare_classifier(model, config, input_shapes, steps_per_epoch):
    """Builds and compiles the model of a run, with weights drawn from the run's seed.

    Args:
        model: What `make_classifier` returned.
        config: The same `TrainingConfig`.
        input_shapes: {input name: shape of one window's input}, as `FeatureWindows` has it.
        steps_per_epoch: Updates in an epoch.

    Raises:
        ValueError: If the model does not fit the inputs, or a choice does not fit the model.
    """
    shapes = {name: (None, *shape) for name, shape in input_shapes.items()}
    model.build(shapes if len(shapes) > 1 else next(iter(shapes.values())))
    metric = "auc" if model.multi_label else "accuracy"
    if config.monitor not in (metric, "loss"):
        raise ValueError(
            f"--monitor={config.monitor}: with multi_label={model.multi_label} the model measures "
            f"{metric} and loss."
        )
    if config.attention_penalty and not _attends(model, shapes):
        raise ValueError(
            f"--attention_penalty={config.attention_penalty:g}: {config.model} does not attend; "
            "leave it out."
        )
    model.compile(
        make_optimizer(config, steps_per_epoch),
        attention_penalty=config.attention_penalty,
        attention_penalty_reduction=config.attention_penalty_reduction,
        batch_reduction=config.batch_reduction,
        weight_decay=0.0 if config.decoupled_weight_decay else config.weight_decay,
        jit_compile=config.jit_compile,
    )
    model.optimizer.build(model.trainable_variables)


def describe_classifier(model, config, input_shapes):
    """Returns one line that names a run's model, its sizes, inputs and optimizer."""
    told = model.get_config()
    for name in _TOLD_ELSEWHERE:
        told.pop(name, None)
    sizes = ", ".join(f"{key}={value}" for key, value in told.items() if value is not None)
    inputs = [f"{name} {' x '.join(map(str, shape))}" for name, shape in input_shapes.items()]
    several = " (any number a clip)" if model.multi_label else ""
    return (
        f"{config.model}: {type(model).__name__}({sizes}), {model.num_classes} classes{several}, "
        f"{model.count_params():,} parameters, {', '.join(inputs)}, {config.optimizer}."
    )


def _attends(model, shapes):
    """Whether the model's answer has attention maps, told without computing one."""
    symbols = {name: keras.KerasTensor((1, *shape[1:])) for name, shape in shapes.items()}
    inputs = symbols if len(symbols) > 1 else next(iter(symbols.values()))
    return "attention_weights" in model.compute_output_spec(inputs)
