"""Eq. 3.6 as captioners compute it, against NumPy, and what padding must not change."""

import keras
import numpy as np
import pytest

from tests import references
from tests.gradients import compiled
from tests.small_captioner import (
    AT_ONCE,
    BATCH,
    FRAMES,
    HEIGHT,
    IS_JAX,
    VOCABULARY,
    WIDTH,
    WORDS,
    clips,
    make_captioner,
    numpy,
    token_ids,
)

# On the other backends, where each new loop is compiled, what could differ there runs alone.
_BACKENDS = pytest.mark.backends


def loss_of(model, targets, outputs, sample_weight=None):
    return float(numpy(model.compute_loss(None, targets, outputs, sample_weight)))


def equation_3_6(outputs, targets, coefficient, weights, decay, per_region=False, per_word=False):
    """The loss with the paper's letters, a loop over captions, words and regions."""
    logits = numpy(outputs["logits"]).astype("float64")
    maps = numpy(outputs["attention_weights"]).astype("float64")
    likelihood, penalty, captions, words = 0.0, 0.0, 0, 0
    for n, y in enumerate(targets):
        C = int((y != 0).sum())
        if not C:
            continue
        captions += 1
        words += C
        for t in range(C):
            p = np.exp(logits[n, t] - logits[n, t].max())
            likelihood -= np.log(p[y[t]] / p.sum())
        l = maps[n, :C].reshape(1, C, -1)
        each = references.attention_penalty(l, coefficient)
        penalty += each / l.shape[2] if per_region else each
    squares = sum(np.sum(numpy(theta).astype("float64") ** 2) for theta in weights)
    return likelihood / (words if per_word else captions) + penalty / captions + decay * squares


@pytest.mark.parametrize(
    ("per_word", "per_region"),
    [(False, False), pytest.param(True, False, marks=_BACKENDS), (False, True)],
)
def test_loss_is_equation_3_6(per_word, per_region):
    model = make_captioner()
    model.compile(
        "sgd",
        attention_penalty=0.7,
        weight_decay=0.01,
        attention_penalty_reduction="mean" if per_region else "sum",
        loss_normalization="word" if per_word else "caption",
    )
    inputs, targets = token_ids()
    outputs = model(clips(), inputs)
    expected = equation_3_6(
        outputs, targets, 0.7, model.trainable_variables, 0.01, per_region, per_word
    )
    assert loss_of(model, targets, outputs) == pytest.approx(expected, rel=1e-5)


def padded(inputs, targets, more_words=3, more_captions=2):
    """The batch with words after all captions, and rows that hold no caption."""
    shape = ((0, more_captions), (0, more_words))
    return np.pad(inputs, shape, constant_values=1), np.pad(targets, shape)


@pytest.mark.parametrize("normalization", [pytest.param("caption", marks=_BACKENDS), "word"])
def test_padding_changes_neither_loss_nor_any_step(normalization):
    """One step on a batch and on the same with padding gives the same weights and metrics."""
    inputs, targets = token_ids()
    more_inputs, more_targets = padded(inputs, targets)
    extra = np.concatenate([clips(), 5 * clips(seed=7, batch=2)])
    results = []
    for x, y in (
        ({"features": clips(), "token_ids": inputs}, targets),
        ({"features": extra, "token_ids": more_inputs}, more_targets),
    ):
        model = make_captioner()
        model.compile(
            keras.optimizers.SGD(0.1),
            attention_penalty=0.5,
            weight_decay=0.001,
            loss_normalization=normalization,
            **AT_ONCE,
        )
        before = model.evaluate(x, y, batch_size=8, verbose=0, return_dict=True)
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
        results.append((before, [numpy(w) for w in model.trainable_variables]))
    (short, ours), (longer, theirs) = results
    assert longer["loss"] == pytest.approx(short["loss"], rel=1e-5)
    assert longer["word_accuracy"] == pytest.approx(short["word_accuracy"], rel=1e-6)
    for our, their in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(their, our, rtol=1e-4, atol=1e-6)


def test_a_batch_without_a_caption_adds_nothing():
    model = make_captioner()
    model.compile("sgd", attention_penalty=0.5)
    inputs, targets = token_ids()
    assert loss_of(model, np.zeros_like(targets), model(clips(), inputs)) == 0


@_BACKENDS
def test_masked_frames_add_nothing_to_the_penalty():
    model = make_captioner(attention="content")
    model.compile("sgd", attention_penalty=2.0)
    inputs, targets = token_ids()
    short = loss_of(model, targets, model(clips(), inputs))
    longer = np.concatenate([clips(), np.full_like(clips(), np.nan)], axis=1)
    mask = np.arange(2 * FRAMES)[None] < np.full((BATCH, 1), FRAMES)
    outputs = model(longer, inputs, features_mask=mask)
    assert loss_of(model, targets, outputs) == pytest.approx(short, rel=1e-5)


@_BACKENDS
def test_word_accuracy_counts_real_words():
    model = make_captioner()
    inputs, targets = token_ids()
    model.compile("sgd", **AT_ONCE)
    logits = numpy(model(clips(), inputs)["logits"])
    real = targets != 0
    expected = (logits.argmax(-1) == targets)[real].mean()
    x = {"features": clips(), "token_ids": inputs}
    found = model.evaluate(x, targets, verbose=0, return_dict=True)
    assert set(found) == {"loss", "word_accuracy"}
    assert found["word_accuracy"] == pytest.approx(expected, rel=1e-6)


def test_sample_weight_weighs_captions():
    model = make_captioner()
    model.compile("sgd")
    inputs, targets = token_ids()
    outputs = model(clips(), inputs)
    first = {key: value[:1] for key, value in outputs.items()}
    alone = loss_of(model, targets[:1], first)
    only_first = loss_of(model, targets, outputs, np.array([BATCH, 0, 0, 0]))
    assert only_first == pytest.approx(alone, rel=1e-5)


@_BACKENDS
def test_training_learns_its_captions_and_reaches_every_weight():
    # The first word is read from zeros of no kind: every weight matters from the second on.
    model = make_captioner(units=16, dropout=0.0, encoder={"filters": 6, "depth": 1})
    model.compile(keras.optimizers.Adam(0.03), weight_decay=1e-6, jit_compile=IS_JAX)
    inputs, targets = token_ids()
    x = {"features": clips(), "token_ids": inputs}
    old = [numpy(weight).copy() for weight in model.trainable_variables]
    history = model.fit(x, targets, epochs=40, verbose=0).history
    assert set(history) == {"loss", "word_accuracy"}
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert history["word_accuracy"][-1] == 1
    for weight, before in zip(model.trainable_variables, old, strict=True):
        assert np.abs(numpy(weight) - before).max() > 0, weight.path


def test_a_loaded_captioner_goes_on_training_with_its_loss(tmp_path):
    model = make_captioner()
    choices = {
        "attention_penalty": 2.0,
        "weight_decay": 0.01,
        "attention_penalty_reduction": "mean",
        "loss_normalization": "word",
    }
    model.compile("adam", **choices, **AT_ONCE)
    inputs, targets = token_ids()
    x = {"features": clips(), "token_ids": inputs}
    model.fit(x, targets, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert {name: getattr(loaded, name) for name in choices} == choices
    for each in (model, loaded):
        each.fit(x, targets, verbose=0)
    for ours, theirs in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_allclose(numpy(ours), numpy(theirs), rtol=1e-5, atol=1e-6)


@_BACKENDS
@pytest.mark.parametrize("name", ["token_ids", "targets"])
@pytest.mark.parametrize("wrong", [-1, len(VOCABULARY)])
def test_ids_out_of_range_are_refused_before_training(name, wrong):
    model = make_captioner()
    model.compile("sgd")
    inputs, targets = token_ids()
    {"token_ids": inputs, "targets": targets}[name][0, 1] = wrong
    with pytest.raises(ValueError, match=f"`{name}` must hold ids from 0 to 10.*received {wrong}"):
        model.fit({"features": clips(), "token_ids": inputs}, targets, verbose=0)


@_BACKENDS
def test_in_a_graph_a_target_out_of_range_gives_nan():
    model = make_captioner()
    model.compile("sgd")
    inputs, targets = token_ids()
    targets[0, 0] = len(VOCABULARY)
    outputs = model(clips(), inputs)
    loss = compiled(lambda y, logits: model.clip_loss(y, {"logits": logits}))
    assert np.isnan(float(numpy(loss(keras.ops.convert_to_tensor(targets), outputs["logits"]))))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda y: y[:, 0], r"targets.*\(batch, words\).*received shape \(4,\)"),
        (lambda y: y.astype("float32"), "targets.*integers.*float32"),
        (lambda y: y[:, :4], r"token_ids.*\(4, 5\).*targets \(4, 4\).*one shape"),
        (lambda y: y[:, ::-1], "a caption's words first"),
        (lambda y: np.pad(y, ((0, 0), (0, 4))), "9 words.*`max_words` is 8"),
    ],
)
def test_targets_of_another_form_are_refused(change, words):
    model = make_captioner()
    model.compile("sgd")
    inputs, targets = token_ids()
    with pytest.raises(ValueError, match=words):
        model.fit({"features": clips(), "token_ids": inputs}, change(targets), verbose=0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"attention_penalty": -1}, "attention_penalty.*-1"),
        ({"weight_decay": float("nan")}, "weight_decay.*nan"),
        ({"loss_normalization": "clip"}, "loss_normalization.*caption, word.*clip"),
        ({"attention_penalty_reduction": "max"}, "attention_penalty_reduction.*max"),
        ({"loss": "mse", "weight_decay": 0.1}, "weight_decay.*0.1"),
    ],
)
def test_bad_choices_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        make_captioner().compile("sgd", **options)


def test_a_loss_of_ones_own_reads_the_logits():
    model = make_captioner()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)
    model.compile("sgd", loss, **AT_ONCE)
    inputs, targets = token_ids()
    x = {"features": clips(), "token_ids": inputs}
    assert np.isfinite(model.fit(x, targets, verbose=0).history["loss"][0])


@_BACKENDS
def test_the_smallest_penalty_is_the_one_that_is_said():
    """(regions - C)^2 / regions, of maps that share the words of a caption evenly."""
    model = make_captioner()
    model.compile("sgd", attention_penalty=1.0)
    regions = FRAMES * HEIGHT * WIDTH
    inputs, targets = token_ids(captions=[("a", "red", "dog", "runs")])
    maps = np.full((1, WORDS, FRAMES, HEIGHT, WIDTH), 1 / regions, "float32")
    logits = np.zeros((1, WORDS, len(VOCABULARY)), "float32")
    outputs = {"logits": logits, "attention_weights": maps}
    expected = WORDS * np.log(len(VOCABULARY)) + (regions - WORDS) ** 2 / regions
    assert loss_of(model, targets, outputs) == pytest.approx(expected, rel=1e-5)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
