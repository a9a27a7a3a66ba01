"""The switches of the released code: together they are its model, each alone does what it says."""

import keras
import numpy as np
import pytest
from keras import ops

import glimpse
from glimpse.layers import SoftAttentionLSTM, SoftAttentionLSTMCell
from glimpse.layers.square_orthogonal import SquareOrthogonal
from tests import released_code_references as code
from tests.gradients import assert_gradients_match_differences, float64, gradients

# On the other backends, where each new loop is compiled, what could differ there runs alone.
_BACKENDS = pytest.mark.backends

BATCH, FRAMES, HEIGHT, WIDTH, FEATURES = 4, 5, 3, 2, 7
LABELS = np.array([0, 1, 2, 0])
MANY_HOT = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 1], [0, 0, 0]])


def numpy(value):
    return ops.convert_to_numpy(value)


def clips(frames=FRAMES):
    shape = (BATCH, frames, HEIGHT, WIDTH, FEATURES)
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def make(name, **options):
    """A built model of three classes, with weights of a size at which all of them matter."""
    sizes = {"units": 6, "attention_units": 4} if name.startswith("soft_") else {}
    model = glimpse.create_model(name, 3, **{"dropout": 0.0, **sizes, **options})
    model.build(clips().shape)
    generator = np.random.default_rng(1)
    for weight in model.trainable_variables:
        weight.assign(generator.normal(size=weight.shape) * 0.5)
    return model


def released_form(model):
    """The model's weights by their names in the released code, gates in its order i, f, o, c."""
    cell, (state, memory) = model.recurrence.cell, model.recurrence.first_states.output_layers
    head = model.head

    def gates(weight):
        i, f, g, o = np.split(numpy(weight).astype("float64"), 4, axis=-1)
        return np.concatenate([i, f, o, g], axis=-1)

    def both(prefix, layer):
        return {f"{prefix}_W": numpy(layer.kernel), f"{prefix}_b": numpy(layer.bias)}

    return {
        "Wc_att": numpy(cell.value_kernel),
        "b_att": numpy(cell.attention_bias),
        "W_att": [numpy(kernel) for kernel in cell.deep_value_kernels],
        "b_att_deeper": [numpy(bias) for bias in cell.deep_value_biases],
        "Wd_att": numpy(cell.query_kernel),
        "U_att": numpy(cell.score_kernel),
        "W": gates(cell.kernels[0]),
        "U": gates(cell.recurrent_kernels[0]),
        "b": gates(cell.biases[0]),
        **both("ff_state", state),
        **both("ff_memory", memory),
        **both("ff_logit_lstm", head.hidden),
        **both("ff_logit", head.classes),
    }


def loss_of(model, labels, features=None, **compiled):
    model.compile("sgd", **compiled)
    features = clips() if features is None else features
    return float(numpy(model.compute_loss(None, labels, model(features), None)))


RELEASED = {"attention_penalty_reduction": "mean", "batch_reduction": "sum"}


@_BACKENDS
@pytest.mark.parametrize(
    ("name", "multi_label"),
    [
        ("soft_attention_reference_large", False),
        ("soft_attention_reference", True),
    ],
)
def test_the_variants_are_the_released_codes_model_and_cost(name, multi_label):
    model = make(name, multi_label=multi_label, scored_steps=3)
    P = released_form(model)
    regions = clips().astype("float64").reshape(BATCH, FRAMES, HEIGHT * WIDTH, FEATURES)
    outputs = model(clips())
    for n, clip in enumerate(regions):
        logits, alphas = code.run_clip(P, clip)
        np.testing.assert_allclose(numpy(outputs["step_logits"])[n], logits, rtol=1e-4, atol=1e-5)
        found = numpy(outputs["attention_weights"])[n].reshape(FRAMES, -1)
        np.testing.assert_allclose(found, alphas, rtol=1e-4, atol=1e-6)
        if not multi_label:
            found = numpy(outputs["probabilities"])[n] * 3
            np.testing.assert_allclose(found, code.scores(logits, 3), rtol=1e-4)
    labels = MANY_HOT if multi_label else LABELS
    expected = code.cost(P, regions, labels, decay_c=0.01, alpha_c=0.7, binary=multi_label)
    found = loss_of(model, labels, attention_penalty=0.7, weight_decay=0.01, **RELEASED)
    assert found == pytest.approx(expected, rel=1e-4)


def test_sizes_of_the_released_code():
    # To draw large orthogonal matrices takes a while.
    base = glimpse.create_model("soft_attention_reference", 11, initialization="keras")
    base.build((None, 30, 7, 7, 1024))
    # Wc 1024 x 1024 with a bias, Wd 512 x 1024, U 1024; two states of 1025 * 512; the LSTM's
    # 4 * 512 * (1024 + 512 + 1); 513 * 512 and 513 * 11. The soft-max's constant c is left out.
    attention = 1024 * 1025 + 512 * 1024 + 1024
    expected = attention + 2 * 1025 * 512 + 4 * 512 * 1537 + 513 * 512 + 513 * 11
    assert base.count_params() == expected
    large = glimpse.create_model("soft_attention_reference_large", 51)
    assert large.scored_steps == 16 and large.attention_depth == 3 and large.units == 1024


@_BACKENDS
@pytest.mark.parametrize("depth", [3])
def test_deeper_attention_step_by_step_equals_the_clip_and_its_gradients_are_exact(depth):
    shape = (2, 3, 4, 5)
    generator = np.random.default_rng(2)
    probe = generator.normal(size=(2, 3, 4))
    with float64():
        layer = SoftAttentionLSTM(
            4, 2, "content", 3, initial_state="zeros", attention_depth=depth, dtype="float64"
        )
        layer.build(shape)
        values = [generator.normal(size=shape)]
        values += [generator.normal(size=w.shape) * 0.7 for w in layer.trainable_variables]
        layer.set_weights(values[1:])

        def total(features, *weights):
            (hidden_states, maps), _ = layer.stateless_call(list(weights), [], features)
            pull = ops.convert_to_tensor(probe, "float64")
            return ops.sum(hidden_states * pull) + ops.sum(ops.square(maps))

        names = ["features", *(weight.path for weight in layer.trainable_variables)]
        assert sum("deep_value" in name for name in names) == 2 * (depth - 1)
        assert_gradients_match_differences(total, values, names)
        hidden_states, maps = layer(values[0])
        states = layer.cell.get_initial_state(2)
        for t in range(3):
            _, weights = layer.cell.attend(values[0][:, t], states)
            hidden_state, states = layer.cell(values[0][:, t], states)
            np.testing.assert_allclose(numpy(weights), numpy(maps)[:, t], rtol=1e-5)
            np.testing.assert_allclose(numpy(hidden_state), numpy(hidden_states)[:, t], rtol=1e-5)


def test_a_deeper_attention_survives_its_file(tmp_path):
    model = make("soft_attention_reference_large")
    model.compile("sgd", **RELEASED)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_config() == model.get_config()
    assert (again.batch_reduction, again.attention_penalty_reduction) == ("sum", "mean")
    for key, value in model(clips()).items():
        np.testing.assert_array_equal(numpy(again(clips())[key]), numpy(value))


def test_recurrence_dropout_leaves_the_recurrence_whole():
    options = {"dropout": 0.5, "recurrence_dropout": 0.0}
    model = make("soft_attention_reference", **options)
    still = model(clips())
    dropped = [model(clips(), training=True) for _ in range(2)]
    for each in dropped:
        maps = numpy(each["attention_weights"])
        np.testing.assert_array_equal(maps, numpy(still["attention_weights"]))
    first, second = (numpy(each["step_logits"]) for each in dropped)
    assert np.abs(first - second).max() > 1e-3
    paper = make("soft_attention_reference", dropout=0.5, recurrence_dropout=None)
    maps = numpy(paper(clips(), training=True)["attention_weights"])
    assert np.abs(maps - numpy(still["attention_weights"])).max() > 1e-4


def test_reference_weights_are_drawn_as_the_code_draws_them():
    options = {"units": 64, "attention_units": 64, "hidden_units": 32}
    model = glimpse.create_model("soft_attention_reference_large", 3, **options)
    model.build((None, 2, 2, 2, 64))
    cell = model.recurrence.cell
    for weight in (*cell.kernels, *cell.recurrent_kernels):
        blocks = np.split(numpy(weight), 4, axis=1)
        for number, block in enumerate(blocks):
            np.testing.assert_allclose(block @ block.T, np.eye(64), atol=1e-4)
            assert all(np.abs(block - other).max() > 0.1 for other in blocks[:number])
    square = [cell.query_kernel, *cell.deep_value_kernels]
    square += [layer.kernel for layer in model.recurrence.first_states.output_layers]
    for weight in square:
        np.testing.assert_allclose(numpy(weight) @ numpy(weight).T, np.eye(64), atol=1e-4)
    for weight in (cell.value_kernel, cell.score_kernel, model.head.hidden.kernel):
        assert 0.005 < numpy(weight).std() < 0.015 and abs(numpy(weight).mean()) < 0.005
    np.testing.assert_array_equal(numpy(cell.biases[0]), 0)


@_BACKENDS
def test_square_orthogonal_draws_anew_unless_it_has_a_seed():
    free, fixed = SquareOrthogonal(), SquareOrthogonal(stddev=0.1, seed=3)
    assert np.abs(numpy(free((4, 4))) - numpy(free((4, 4)))).max() > 1e-3
    np.testing.assert_array_equal(numpy(fixed((4, 16))), numpy(fixed.clone()((4, 16))))
    assert fixed.get_config() == {"stddev": 0.1, "seed": 3}
    assert numpy(free((4, 5))).std() < 0.05 and numpy(free((4,))).shape == (4,)
    # A recurrent kernel of Keras has rows of length 1 over all four gates, this one's of 1 in each.
    ours = (numpy(free((4, 16))) ** 2).sum(axis=1)
    theirs = (numpy(keras.initializers.Orthogonal()((4, 16))) ** 2).sum(axis=1)
    np.testing.assert_allclose(ours, 4, rtol=1e-4)
    np.testing.assert_allclose(theirs, 1, rtol=1e-4)


@_BACKENDS
def test_scored_steps_are_the_last_real_ones():
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 1, 0, 1], [0, 0, 0, 0, 0]], bool)
    model = make("softmax_regression", scored_steps=2)
    steps = numpy(model(clips())["step_probabilities"])
    found = numpy(model(clips())["probabilities"])
    np.testing.assert_allclose(found, steps[:, -2:].mean(1), rtol=1e-5)
    outputs = model(clips(), mask=mask)
    steps = numpy(outputs["step_probabilities"])
    for n, last in enumerate(([3, 4], [1, 2], [2, 4])):
        expected = steps[n, last].mean(0)
        np.testing.assert_allclose(numpy(outputs["probabilities"])[n], expected, rtol=1e-5)
    np.testing.assert_array_equal(numpy(outputs["probabilities"])[3], 0)
    whole = make("softmax_regression", scored_steps=9)(clips())["probabilities"]
    every = make("softmax_regression")(clips())["probabilities"]
    np.testing.assert_allclose(numpy(whole), numpy(every), rtol=1e-5)
    # The loss reads all steps, as in the released code.
    assert loss_of(model, LABELS) == loss_of(make("softmax_regression"), LABELS)


def test_reductions_are_named_switches():
    model = make("soft_attention_base", depth=1)
    plain, decay = loss_of(model, LABELS), loss_of(model, LABELS, weight_decay=0.1)
    gaze = loss_of(model, LABELS, attention_penalty=2.0) - plain
    mean = {"attention_penalty": 2.0, "attention_penalty_reduction": "mean"}
    assert loss_of(model, LABELS, **mean) - plain == pytest.approx(gaze / 6, rel=1e-3)
    both = {"attention_penalty": 2.0, "weight_decay": 0.1, "batch_reduction": "sum"}
    expected = BATCH * (plain + gaze) + decay - plain
    assert loss_of(model, LABELS, **both) == pytest.approx(expected, rel=1e-5)


@_BACKENDS
def test_several_labels_a_clip_in_equation_7():
    """y of Eq. 7 with more than one 1: each label's log-probability counts, by softmax."""
    model = make("softmax_regression")
    log = np.log(numpy(model(clips())["step_probabilities"]).astype("float64"))
    expected = 0.0
    for n in range(BATCH):
        for t in range(FRAMES):
            for i in range(3):
                expected -= MANY_HOT[n, i] * log[n, t, i] / BATCH
    assert loss_of(model, MANY_HOT) == pytest.approx(expected, rel=1e-4)
    assert loss_of(model, MANY_HOT.astype("float32")) == pytest.approx(expected, rel=1e-4)
    one_hot, column = np.eye(3)[LABELS], LABELS[:, None]
    assert loss_of(model, one_hot) == pytest.approx(loss_of(model, LABELS), rel=1e-6)
    assert loss_of(model, column) == pytest.approx(loss_of(model, LABELS), rel=1e-6)
    model.compile("sgd")
    history = model.fit(clips(), MANY_HOT, verbose=0).history
    assert np.isfinite(history["loss"][0]) and 0 <= history["accuracy"][0] <= 1


def test_a_penalty_on_a_gaze_that_is_not_there_is_refused():
    model = make("softmax_regression")
    with pytest.raises(ValueError, match="`attention_penalty` is 0.3.*SoftmaxRegression"):
        loss_of(model, LABELS, attention_penalty=0.3)


@_BACKENDS
@pytest.mark.parametrize("name", ["soft_attention_reference", "softmax_regression"])
def test_nan_in_padding_reaches_no_gradient(name):
    model = make(name)
    model.compile("sgd")
    features, mask = clips(), np.ones((BATCH, FRAMES), bool)
    mask[1, 2:] = False
    features[1, 2:] = np.nan

    def loss(*weights):
        outputs, _ = model.stateless_call(
            list(weights), [numpy(v) for v in model.non_trainable_variables], features, mask=mask
        )
        return model.compute_loss(None, LABELS, outputs, None)

    values = [numpy(weight) for weight in model.trainable_variables]
    for weight, found in zip(model.trainable_variables, gradients(loss, values), strict=True):
        assert np.isfinite(found).all(), weight.path
        assert np.abs(found).max() > 0, weight.path


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("soft_attention_base", {"attention_depth": 2}, "`attention_depth` must be 1 with"),
        ("soft_attention_reference", {"attention_depth": 0}, "`attention_depth` .* received 0"),
        ("soft_attention_reference", {"initialization": "xavier"}, "`initialization`.*'xavier'"),
        ("soft_attention_reference", {"recurrence_dropout": 1.0}, "`dropout` must be in"),
        ("soft_attention_base", {"scored_steps": 0}, "`scored_steps` .* received 0"),
        ("softmax_regression", {"dropout": 1.0}, r"`dropout` must be in \[0, 1\); received 1.0"),
        ("average_pooled_lstm_base", {"dropout": 1.0}, r"`dropout` must be in \[0, 1\)"),
        ("average_pooled_lstm_base", {"units": 0}, "`units` .* received 0"),
        ("soft_attention_base", {"hidden_units": -1}, "`hidden_units` .* received -1"),
    ],
)
def test_bad_options_are_named(name, options, words):
    with pytest.raises(ValueError, match=words):
        glimpse.create_model(name, 3, **options)


@pytest.mark.parametrize("name", ["attention_penalty_reduction", "batch_reduction"])
def test_unknown_reductions_are_named(name):
    with pytest.raises(ValueError, match=f"`{name}` must be one of .*'median'"):
        make("softmax_regression").compile("sgd", **{name: "median"})


def test_one_layer_of_attention_has_the_weights_of_the_contract():
    cell = SoftAttentionLSTMCell(4, attention="content", attention_units=3)
    cell.build((None, 5, 6))
    names = [weight.name for weight in cell.weights]
    assert names[:4] == ["value_kernel", "query_kernel", "attention_bias", "score_kernel"]
    assert len(names) == 7 and cell.deep_value_kernels == []


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
