"""Tests of the classifiers that read one sequence and attend to another, and of the plain LSTM."""

import keras
import numpy as np
import pytest
from keras import ops

import glimpse
from glimpse.models import LSTMClassifier, TemporalAttentionClassifier
from tests import references, temporal_references
from tests.temporal_attention_lstm_test import paper_lstm
from tests.temporal_attention_test import paper_weights

# On the other backends, where each new loop is compiled, what could differ there runs alone.
_BACKENDS = pytest.mark.backends

FUSIONS = pytest.mark.parametrize("fusion", ["every_step", "last_step"])
STEPS = np.array([[True] * 4, [True, True, False, False]])
FRAMES = np.array([[True] * 3, [True, False, True]])
MASKS = {"mask": STEPS, "attended_mask": FRAMES}


def numpy(value):
    return ops.convert_to_numpy(value)


def clips(attended_frames=3):
    generator = np.random.default_rng(0)
    shapes = {"inputs": (2, 4, 5), "attended": (2, attended_frames, 6)}
    return {name: generator.normal(size=x).astype("float32") for name, x in shapes.items()}


def make(model_class=TemporalAttentionClassifier, **options):
    """A model of 3 classes and 4 units whose every weight is random."""
    model = model_class(3, **{"units": 4, **options})
    shapes = {"inputs": (2, 4, 5), "attended": (2, 3, 6)}
    model.build(shapes if model_class is TemporalAttentionClassifier else shapes["inputs"])
    generator = np.random.default_rng(1)
    for weight in model.trainable_variables:
        weight.assign(generator.normal(size=weight.shape) * 0.7)
    return model


def assert_equal(found, expected):
    assert set(found) == set(expected)
    for name in expected:
        np.testing.assert_allclose(
            numpy(found[name]), numpy(expected[name]), rtol=1e-4, atol=1e-5, err_msg=name
        )


@_BACKENDS
@FUSIONS
@pytest.mark.parametrize("input_units", [None, 0])
def test_answers_are_those_of_the_equations(fusion, input_units):
    model, data = make(fusion=fusion, input_units=input_units), clips()
    v = data["inputs"]
    if input_units is None:
        layer = model.input_layer
        assert tuple(layer.kernel.shape) == (5, 5)
        v = references.sigmoid(v @ numpy(layer.kernel) + numpy(layer.bias))
    cell, start, last = model.recurrence.cell, np.zeros((2, 4)), fusion == "last_step"
    h, w, _, _ = temporal_references.attention_lstm(
        paper_weights(cell.attention),
        paper_lstm(cell),
        v,
        data["attended"],
        start,
        start,
        STEPS,
        FRAMES,
        last=last,
    )
    outputs = model(data, mask=STEPS, attended_mask=FRAMES)
    W_y, b_y = numpy(model.classes.kernel), numpy(model.classes.bias)
    for n, N in enumerate(STEPS.sum(1)):
        y = [np.exp(h[n, t] @ W_y + b_y) for t in range(N)]  # Eq. 13
        y = [scores / scores.sum() for scores in y]
        answer = y[-1] if last else sum(y) / N
        np.testing.assert_allclose(numpy(outputs["probabilities"])[n], answer, rtol=1e-4)
        maps = w[n, [N - 1]] if last else w[n]
        np.testing.assert_allclose(
            numpy(outputs["attention_weights"])[n], maps, rtol=1e-4, atol=1e-6
        )


@_BACKENDS
def test_the_two_inputs_may_come_as_a_dict_a_list_or_two_arguments():
    model, data = make(), clips()
    inputs, attended = data["inputs"], data["attended"]
    expected = model(inputs, attended, **MASKS)
    assert_equal(model(data, **MASKS), expected)
    assert_equal(model([inputs, attended], **MASKS), expected)
    assert_equal(model(data, mask={"inputs": STEPS, "attended": FRAMES}), expected)
    assert_equal(model.predict(data, verbose=0), model(data))
    for shapes in ({k: x.shape for k, x in data.items()}, [x.shape for x in data.values()]):
        fresh = TemporalAttentionClassifier(3, units=4)
        fresh.build(shapes)
        assert fresh.count_params() == model.count_params()


@_BACKENDS
@FUSIONS
def test_padding_changes_nothing_whatever_it_holds(fusion):
    model, data = make(fusion=fusion), clips()
    short = model({"inputs": data["inputs"][1:, :2], "attended": data["attended"][1:, [0, 2]]})
    data["inputs"][~STEPS] = data["attended"][~FRAMES] = np.nan
    longer = model(data, **MASKS)
    for name in ("probabilities", "logits"):
        found = numpy(longer[name])[1:]
        np.testing.assert_allclose(found, numpy(short[name]), rtol=1e-4, atol=1e-6)
    unmasked = numpy(model(data)["probabilities"])
    assert np.isfinite(unmasked[0]).all() and np.isnan(unmasked[1]).all()


def test_nan_in_padding_does_not_reach_the_weights():
    data = clips()
    data["inputs"][~STEPS] = data["attended"][~FRAMES] = np.nan
    for model_class in (TemporalAttentionClassifier, LSTMClassifier):
        model = make(model_class, dropout=0.0)
        names = model.input_names
        tensors = {name: keras.Input(data[name].shape[1:]) for name in names}
        masks = [keras.Input(x.shape[1:], dtype="bool") for x in (STEPS, FRAMES)][: len(names)]
        keys = ["mask", "attended_mask"][: len(names)]
        inputs = tensors if len(names) > 1 else tensors["inputs"]
        answer = model(inputs, **dict(zip(keys, masks, strict=True)))["probabilities"]
        whole = keras.Model([*tensors.values(), *masks], answer)
        whole.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
        whole.train_on_batch(
            [*(data[name] for name in names), *[STEPS, FRAMES][: len(names)]], np.array([0, 2])
        )
        assert all(np.isfinite(numpy(weight)).all() for weight in model.weights)


def test_masks_of_keras_are_used():
    model, masking, data = make(), keras.layers.Masking(), clips()
    data["inputs"][~STEPS] = data["attended"][~FRAMES] = 0
    expected = model(data, **MASKS)
    masked = {name: masking(x) for name, x in data.items()}
    assert_equal(model(masked), expected)
    assert_equal(model(**masked), expected)


@FUSIONS
def test_clips_without_a_real_step_have_no_answer_and_without_a_frame_no_context(fusion):
    model, data = make(fusion=fusion), clips()
    outputs = model(data, mask=np.zeros((2, 4), bool))
    np.testing.assert_array_equal(numpy(outputs["probabilities"]), 0)
    np.testing.assert_array_equal(numpy(outputs["attention_weights"]), 0)
    outputs = model(data, attended_mask=np.zeros((2, 3), bool))
    np.testing.assert_array_equal(numpy(outputs["attention_weights"]), 0)
    model.recurrence.cell.context_kernel.assign(np.zeros((6, 16)))
    np.testing.assert_allclose(
        numpy(outputs["probabilities"]), numpy(model(data)["probabilities"]), rtol=1e-5
    )


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize("input_units", [None, 0])
def test_is_the_plain_lstm_where_the_context_is_left_out(blocks, input_units):
    options = {
        "peepholes": blocks,
        "learned_initial_state": blocks,
        "input_units": input_units,
        "dropout": 0.0,
    }
    attends, plain, data = make(**options), make(LSTMClassifier, **options), clips()
    cell = attends.recurrence.cell
    cell.context_kernel.assign(np.zeros((6, 16)))
    names = ["kernel", "recurrent_kernel", "bias"]
    if blocks:
        names += ["input_peephole", "forget_peephole", "output_peephole"]
        for name in ("first_hidden_state", "first_cell_state"):
            getattr(plain, name).assign(getattr(attends.recurrence, name))
    for name in names:
        getattr(plain.recurrence.cell, name).assign(getattr(cell, name))
    plain.classes.set_weights(attends.classes.get_weights())
    if input_units is None:
        plain.input_layer.set_weights(attends.input_layer.get_weights())
    found, expected = attends(data, mask=STEPS), plain(data["inputs"], mask=STEPS)
    del found["attention_weights"]
    for outputs in (found, expected):
        for name in ("step_logits", "step_probabilities"):  # padding's are of no account
            outputs[name] = numpy(outputs[name])[STEPS]
    assert_equal(found, expected)
    with pytest.raises(ValueError, match="attention_override"):
        plain(data["inputs"], attention_override=np.ones((2, 4, 3)))


@FUSIONS
def test_a_manual_highlight_moves_the_answer_and_nan_keeps_the_own(fusion):
    model, data = make(fusion=fusion), clips()
    own = model(data)
    override = np.full(own["attention_weights"].shape, np.nan, "float32")
    assert_equal(model(data, attention_override=override), own)
    override[0, -1] = [0, 1, 0]
    moved = model(data, attention_override=override)
    np.testing.assert_array_equal(numpy(moved["attention_weights"])[0, -1], [0, 1, 0])
    change = np.abs(numpy(moved["probabilities"]) - numpy(own["probabilities"])).max(1)
    assert change[0] > 1e-4 and change[1] < 1e-6
    with pytest.raises(ValueError, match="attention_override"):
        model(data, attention_override=np.ones((2, 4, 5), "float32"))


def test_the_attended_frames_may_be_any_number():
    model = make()
    for frames in (1, 3, 8):
        outputs = model(clips(frames))
        assert outputs["attention_weights"].shape == (2, 4, frames)
        np.testing.assert_allclose(numpy(outputs["attention_weights"]).sum(-1), 1, rtol=1e-5)


@_BACKENDS
@pytest.mark.parametrize(
    ("model_class", "options"),
    [
        (TemporalAttentionClassifier, {"fusion": "last_step", "peepholes": True}),
        (LSTMClassifier, {"peepholes": True, "learned_initial_state": True}),
        (LSTMClassifier, {}),
    ],
)
def test_a_file_holds_the_whole_model(model_class, options, tmp_path):
    model = make(model_class, label_names=["a", "b", "c"], **options)
    data = clips() if model_class is TemporalAttentionClassifier else clips()["inputs"]
    model.save(tmp_path / "model.keras")
    again = glimpse.load_model(tmp_path / "model.keras")
    assert again.get_config() == model.get_config()
    assert_equal(again(data), model(data))


def test_the_loss_adds_the_penalty_of_the_maps():
    model, data, labels = make(), clips(), np.array([0, 2])
    outputs = model(data)
    model.compile("sgd")
    plain = float(numpy(model.compute_loss(None, labels, outputs, None)))
    model.compile("sgd", attention_penalty=0.5)
    whole = float(numpy(model.compute_loss(None, labels, outputs, None)))
    maps = numpy(outputs["attention_weights"])
    assert whole - plain == pytest.approx(references.attention_penalty(maps, 0.5), rel=1e-4)


def test_several_labels_a_clip_have_a_sigmoid_each():
    model, labels = make(fusion="last_step", multi_label=True), np.array([[1, 0, 1], [0, 0, 0]])
    outputs = model(clips())
    assert outputs["step_logits"].shape == (2, 1, 3)
    p = references.sigmoid(numpy(outputs["step_logits"])[:, 0].astype("float64"))
    np.testing.assert_allclose(numpy(outputs["probabilities"]), p, rtol=1e-4)
    model.compile("sgd")
    loss = float(numpy(model.compute_loss(None, labels, outputs, None)))
    expected = -(labels * np.log(p) + (1 - labels) * np.log(1 - p)).sum(1).mean()
    assert loss == pytest.approx(expected, rel=1e-4)


def test_parameter_counts_at_the_papers_size():
    sigmoid, classes = 4096 * 4096 + 4096, 512 * 203 + 203
    lstm = 4096 * 2048 + 512 * 2048 + 2048
    attention = 1000 * 512 + 512 * 512 + 512 + 512
    model = glimpse.create_model("temporal_attention_base", 203)
    model.build({"inputs": (None, 12, 4096), "attended": (None, 12, 1000)})
    assert model.count_params() == sigmoid + lstm + 1000 * 2048 + attention + classes
    model = glimpse.create_model("lstm_base", 203)
    model.build((None, 12, 4096))
    assert model.count_params() == sigmoid + lstm + classes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 1}, "`num_classes` must be an integer of at least 2, got 1"),
        ({"num_classes": 3, "fusion": "no"}, "`fusion` must be .* received 'no'"),
        ({"num_classes": 3, "input_units": -1}, "`input_units` must be None or .* received -1"),
        ({"num_classes": 3, "units": 0}, "`units` must be an integer .* received 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        TemporalAttentionClassifier(**arguments)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"inputs": (2, 5)}, r"`inputs` must be \(batch, steps, input_features\)"),
        ({"attended": (2, 2, 2, 6)}, r"`attended` must be \(batch, frames, features\)"),
        (
            {"attended": (3, 3, 6)},
            r"`attended` must be \(2, frames, 6\), received shape \(3, 3, 6\)",
        ),
        ({"mask": (2, 3)}, r"`mask` must have the shape of the inputs'"),
        ({"attended_mask": (2, 4)}, r"`attended_mask` must have the shape of the attended"),
    ],
)
def test_bad_calls(shapes, message):
    shapes = {"inputs": (2, 4, 5), "attended": (2, 3, 6), **shapes}
    with pytest.raises(ValueError, match=message):
        TemporalAttentionClassifier(3, units=4)(
            **{name: np.ones(shape, "float32") for name, shape in shapes.items()}
        )


def test_bad_containers_of_inputs():
    data = clips()
    for inputs, message in (
        (data["inputs"], "`attended` must be given"),
        ({"inputs": data["inputs"]}, r"`inputs` must hold inputs and attended; received"),
        ([data["inputs"]], "`attended` must be given"),
    ):
        with pytest.raises(ValueError, match=message):
            TemporalAttentionClassifier(3, units=4)(inputs)
    with pytest.raises(ValueError, match=r"`inputs` must be \(batch, steps, input_features\)"):
        LSTMClassifier(3, units=4)(np.ones((2, 4, 7, 7, 5), "float32"))


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
