"""Searches the glimpse with which a model would answer right: only where it looks is optimised.

Sharma et al., "Action Recognition using Visual Attention", 2015, section 4.4 and Fig. 9.
"""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from glimpse.pipelines.gaze import Gaze

VARIABLES = ("weights", "maps")
STARTS = ("random", "model")
# Weights that decide where a layer looks, and nothing else.
_LOCATION_WEIGHTS = (
    "attention_kernel",
    "value_kernel",
    "query_kernel",
    "attention_bias",
    "score_kernel",
    "input_attention_kernel",
    "hidden_attention_kernel",
)
# Adam's; the paper does not say how it searched.
_LEARNING_RATES = {"weights": 0.01, "maps": 0.1}
_SMALLEST_WEIGHT = 1e-6


@dataclasses.dataclass(frozen=True, eq=False)
class GlimpseSearch:
    """What a search found.

    Args:
        wanted_label: The label that was searched for.
        own: The `Gaze` of the model as it is.
        start: The `Gaze` at which the search began.
        found: The `Gaze` at its end: the first that answers as wanted or, if none does, the one
            that comes nearest.
        history: The wanted label's probability at each step, the start's first.
        reached: Whether `found` answers as wanted.
    """

    wanted_label: str
    own: Gaze
    start: Gaze
    found: Gaze
    history: np.ndarray
    reached: bool

    @property
    def steps(self):
        """How many steps were taken from the start to `found`."""
        return len(self.history) - 1 if self.reached else int(np.argmax(self.history))

    @property
    def gazes(self):
        """The three gazes: the model's own, the start and what was found."""
        return self.own, self.start, self.found

    def probability(self, gaze):
        """The wanted label's probability with one of the gazes."""
        return gaze.probability_of(self.wanted_label)[0]


def search_glimpse(
    answerer,
    window,
    wanted_label=None,
    variables="weights",
    start="random",
    max_steps=300,
    learning_rate=None,
    least_probability=0.0,
    seed=0,
    truth=None,
    true_label=None,
):
    """Searches a glimpse of one window with which the model gives the wanted label.

    Minimises -mean_t log p[t, wanted] by Adam, over one of two things:

        weights: the weights of the location softmax (Eq. 4), in a copy of the model. All other
                 weights are kept. This is the paper's search.
        maps:    free logits a, with l[t] = softmax(a[t]) as the attention override of frame t.

    and ends at the first glimpse with which the wanted label is the likeliest (section 4.4). The
    model itself is not changed; what was found is shown to it as an attention override.

    Args:
        answerer: A `VideoAnswerer` of a model that attends.
        window: A `ClipWindow`.
        wanted_label: Name of a class; default: `true_label`.
        variables: `"weights"` or `"maps"`.
        start: `"random"`, uniform between the smallest and the largest of each of the model's own
            values (the paper), or `"model"`, its own values.
        max_steps: Most steps, at least 1.
        learning_rate: Adam's; default: 0.01 for weights, 0.1 for maps.
        least_probability: The wanted label must reach this as well.
        seed: Of the random start.
        truth: The clip's truth, for the boxes of the figures.
        true_label: Name of the clip's class.

    Returns:
        A `GlimpseSearch`.

    Raises:
        ValueError: If an argument is out of its range, no label is wanted, or the model has no
            gaze or no weights that decide it.
    """
    wanted = true_label if wanted_label is None else wanted_label
    _check(answerer, wanted, variables, start, max_steps, learning_rate, least_probability)
    own = answerer.look(window, truth, true_label, "the model's own gaze")
    label = answerer.label_names.index(wanted)
    random = np.random.default_rng(seed) if start == "random" else None
    make = _location_weights if variables == "weights" else _free_maps
    searched, forward = make(answerer.classifier, window.features[None], own.attention, random)
    maps, history, reached = _descend(
        searched,
        forward,
        label,
        answerer.classifier.multi_label,
        max_steps,
        learning_rate or _LEARNING_RATES[variables],
        least_probability,
    )
    begin = "random glimpse" if start == "random" else "where the search began"
    steps = len(history) - 1
    end = f"found after {steps} steps" if reached else f"nearest in {steps} steps"
    first, last = (
        answerer.look(window, truth, true_label, name, attention_override=override)
        for name, override in zip((begin, end), maps, strict=True)
    )
    return GlimpseSearch(wanted, own, first, last, np.array(history), reached)


def _check(answerer, wanted, variables, start, max_steps, learning_rate, least_probability):
    if wanted is None:
        raise ValueError("no label is wanted: give wanted_label, since the true one is unknown.")
    if wanted not in answerer.label_names:
        raise ValueError(
            f"wanted_label {wanted!r} is none of the model's: {', '.join(answerer.label_names)}."
        )
    for name, value, allowed in (("variables", variables, VARIABLES), ("start", start, STARTS)):
        if value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}.")
    if max_steps < 1:
        raise ValueError(f"max_steps must be at least 1, got {max_steps}.")
    if learning_rate is not None and not learning_rate > 0:
        raise ValueError(f"learning_rate must be above 0, got {learning_rate}.")
    if not 0 <= least_probability < 1:
        raise ValueError(
            f"least_probability must be at least 0 and below 1, got {least_probability}."
        )


def _location_weights(classifier, features, own_maps, random):
    """The variables of the paper's search and the answer that follows from them."""
    del own_maps
    copy = type(classifier).from_config(classifier.get_config())
    copy.build_from_config(classifier.get_build_config())
    copy.set_weights(classifier.get_weights())
    searched = [v for v in copy.trainable_variables if v.name in _LOCATION_WEIGHTS]
    if not searched:
        raise ValueError(
            f"{classifier.name} has no weights that only decide where it looks; search its maps: "
            "variables='maps'."
        )
    if random is not None:
        for variable in searched:
            variable.assign(_redrawn(np.asarray(variable), random))
    return searched, lambda: copy(features, training=False)


def _free_maps(classifier, features, own_maps, random):
    logits = np.log(np.maximum(np.asarray(own_maps, "float32"), _SMALLEST_WEIGHT))
    if random is not None:
        logits = _redrawn(logits, random)
    variable = keras.Variable(logits[None].astype("float32"), name="logits")
    shape = variable.shape

    def forward():
        flat = keras.ops.reshape(variable, (*shape[:2], -1))
        maps = keras.ops.reshape(keras.ops.softmax(flat), shape)
        return classifier(features, attention_override=maps, training=False)

    return [variable], forward


def _redrawn(values, random):
    return random.uniform(values.min(), values.max(), values.shape).astype("float32")


def _descend(searched, forward, label, multi_label, max_steps, learning_rate, least_probability):
    """Returns the first and last maps, the wanted probability at each step, and if it was reached.

    The last maps are those that answer as wanted or, if none do, the best.
    """
    optimizer = keras.optimizers.Adam(learning_rate)
    optimizer.build(searched)

    @tf.function
    def look():
        with tf.GradientTape() as tape:
            outputs = forward()
            steps = outputs["step_probabilities"][0, :, label]
            loss = -keras.ops.mean(keras.ops.log(keras.ops.maximum(steps, keras.config.epsilon())))
        gradients = tape.gradient(loss, [variable.value for variable in searched])
        return outputs["probabilities"][0], outputs["attention_weights"][0], gradients

    history, first, best = [], None, None
    for step in range(max_steps + 1):
        probabilities, maps, gradients = look()
        probabilities, maps = np.asarray(probabilities), np.asarray(maps, "float32")
        probability = float(probabilities[label])
        first = maps if step == 0 else first
        if not history or probability > max(history):
            best = maps
        history.append(probability)
        answers = probability > 0.5 if multi_label else int(probabilities.argmax()) == label
        if answers and probability >= least_probability:
            return (first, maps), history, True
        if step < max_steps:
            optimizer.apply(gradients, searched)
    return (first, best), history, False
