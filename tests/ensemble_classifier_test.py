"""Tests of the classifier that averages the probabilities of others."""

import json

import keras
import numpy as np
import pytest
from keras import ops

import glimpse
from glimpse.models import (
    EnsembleClassifier,
    LSTMClassifier,
    SoftmaxRegressionClassifier,
    TemporalAttentionClassifier,
    VideoClassifier,
)

# On the other backends, where each new loop is compiled, what could differ there runs alone.
_BACKENDS = pytest.mark.backends

NAMES = ["wave", "jump", "run"]
STEPS = np.array([[True] * 4, [True, True, False, False]])
SHAPES = {
    "inputs": (2, 4, 5),
    "objects": (2, 3, 6),
    "scenes": (2, 2, 7),
    "features": (2, 3, 2, 2, 4),
}


def numpy(value):
    return ops.convert_to_numpy(value)


def data(*names):
    generator = np.random.default_rng(0)
    arrays = {name: generator.normal(size=x).astype("float32") for name, x in SHAPES.items()}
    return {name: arrays[name] for name in names or SHAPES}


def randomize(model):
    generator = np.random.default_rng(1)
    for weight in model.trainable_variables:
        weight.assign(generator.normal(size=weight.shape) * 0.7)


def trio(**options):
    """An ensemble of a model of objects, one of scenes, and one of maps, weights random."""
    options = {"label_names": NAMES, "dropout": 0.0, **options}
    ensemble = EnsembleClassifier(
        [
            TemporalAttentionClassifier(3, units=4, **options),
            TemporalAttentionClassifier(3, units=5, fusion="last_step", **options),
            SoftmaxRegressionClassifier(3, **options),
        ],
        member_names=["objects", "scenes", "maps"],
        member_inputs=[{"attended": "objects"}, {"attended": "scenes"}, None],
    )
    ensemble.build(SHAPES)
    randomize(ensemble)
    return ensemble


def member_answers(ensemble, x, masks=(None, None, None)):
    pairs = ({"attended": "objects"}, {"attended": "scenes"}, None)
    answers = []
    for member, pair, mask in zip(ensemble.members, pairs, masks, strict=True):
        own = x["features"] if pair is None else [x["inputs"], x[pair["attended"]]]
        answers.append(member(own, mask=mask))
    return answers


def test_probabilities_are_the_mean_of_the_members():
    ensemble, x = trio(), data()
    assert ensemble.input_names == ("inputs", "objects", "scenes", "features")
    outputs, answers = ensemble(x), member_answers(ensemble, x)
    expected = sum(numpy(answer["probabilities"]).astype("float64") for answer in answers) / 3
    np.testing.assert_allclose(numpy(outputs["probabilities"]), expected, rtol=1e-5)
    np.testing.assert_allclose(numpy(outputs["logits"]), np.log(expected), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(numpy(outputs["step_probabilities"]), expected[:, None], rtol=1e-5)
    maps = outputs["member_attention_weights"]
    assert set(maps) == {"objects", "scenes"} and "attention_weights" not in outputs
    for name, answer in zip(maps, answers, strict=False):
        np.testing.assert_allclose(
            numpy(maps[name]), numpy(answer["attention_weights"]), rtol=1e-5, atol=1e-7
        )
    predicted = ensemble.predict(x, verbose=0)
    np.testing.assert_allclose(predicted["probabilities"], expected, rtol=1e-5)
    assert predicted["member_attention_weights"]["scenes"].shape == (2, 1, 2)


def test_the_one_member_that_attends_shows_its_map():
    pair = [TemporalAttentionClassifier(3, units=4), LSTMClassifier(3, units=4)]
    ensemble = EnsembleClassifier(pair, member_inputs=[{"attended": "objects"}, None])
    outputs = ensemble(data("inputs", "objects"))
    np.testing.assert_array_equal(
        numpy(outputs["attention_weights"]), numpy(outputs["member_attention_weights"]["member_1"])
    )
    single = EnsembleClassifier([pair[1]])
    inputs = data()["inputs"]
    np.testing.assert_allclose(
        numpy(single(inputs, mask=STEPS)["probabilities"]),
        numpy(pair[1](inputs, mask=STEPS)["probabilities"]),
        rtol=1e-5,
    )


def attending_pair():
    ensemble = EnsembleClassifier(
        [TemporalAttentionClassifier(3, units=units, dropout=0.0) for units in (4, 5)]
    )
    ensemble.build([SHAPES["inputs"], SHAPES["objects"]])
    randomize(ensemble)
    return ensemble


def test_inputs_may_come_as_those_of_the_members():
    ensemble, x = attending_pair(), data()
    inputs, attended = x["inputs"], x["objects"]
    frames = np.array([[True] * 3, [False, True, True]])
    expected = numpy(ensemble({"inputs": inputs, "attended": attended})["probabilities"])
    masked = [
        m([inputs, attended], mask=[STEPS, frames])["probabilities"] for m in ensemble.members
    ]
    masked = numpy(sum(masked)) / 2
    assert np.abs(masked - expected).max() > 1e-3
    for form in ((inputs, attended), ([inputs, attended],), ((inputs, attended),)):
        np.testing.assert_array_equal(numpy(ensemble(*form)["probabilities"]), expected)
        own = (
            {"mask": STEPS, "attended_mask": frames} if len(form) > 1 else {"mask": [STEPS, frames]}
        )
        np.testing.assert_allclose(
            numpy(ensemble(*form, **own)["probabilities"]), masked, rtol=1e-5
        )
    steps = [m([inputs, attended], mask=STEPS)["probabilities"] for m in ensemble.members]
    np.testing.assert_allclose(
        numpy(ensemble(inputs, attended, mask=STEPS)["probabilities"]),
        numpy(sum(steps)) / 2,
        rtol=1e-5,
    )


def test_an_ensemble_called_with_two_tensors_or_a_list_is_saved_and_trained(tmp_path):
    inputs, attended = data("inputs", "objects").values()
    for call in (lambda model: model(inputs, attended), lambda model: model([inputs, attended])):
        ensemble = EnsembleClassifier(
            [TemporalAttentionClassifier(3, units=4, dropout=0.0) for _ in range(2)]
        )
        expected = numpy(call(ensemble)["probabilities"])
        ensemble.save(tmp_path / "ensemble.keras")
        again = glimpse.load_model(tmp_path / "ensemble.keras")
        np.testing.assert_array_equal(numpy(call(again)["probabilities"]), expected)
    predicted = again.predict([inputs, attended], verbose=0)
    np.testing.assert_allclose(predicted["probabilities"], expected, rtol=1e-5)
    again.compile(keras.optimizers.Adam(0.05))
    losses = again.fit([inputs, attended], np.array([0, 2]), epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_an_override_alone_is_that_of_the_one_member_that_attends():
    pair = [TemporalAttentionClassifier(3, units=4), LSTMClassifier(3, units=4)]
    ensemble, x = EnsembleClassifier(pair), data()
    inputs = [x["inputs"], x["objects"]]
    gaze = np.tile(np.array([0, 0, 1], "float32"), (2, 4, 1))
    outputs = ensemble(inputs, attention_override=gaze)
    named = ensemble(inputs, attention_override={"member_1": gaze})
    np.testing.assert_array_equal(numpy(outputs["attention_weights"]), gaze)
    np.testing.assert_array_equal(numpy(outputs["probabilities"]), numpy(named["probabilities"]))
    for other, count in ((attending_pair(), 2), (EnsembleClassifier(pair[1:]), 0)):
        with pytest.raises(
            ValueError, match=f"`attention_override` must be a dict .* {count} of them attend"
        ):
            other(inputs if count else inputs[0], attention_override=gaze)


@_BACKENDS
def test_masks_go_to_the_members_that_read_what_they_mask():
    ensemble, x = trio(), data()
    outputs = ensemble(x, mask={"inputs": STEPS, "objects": np.array([[True] * 3, [False] * 3])})
    answers = member_answers(ensemble, x, ([STEPS, None], STEPS, None))
    maps = numpy(outputs["member_attention_weights"]["objects"])
    np.testing.assert_array_equal(maps[1], 0)
    expected = numpy(sum(answer["probabilities"] for answer in answers) / 3)
    np.testing.assert_allclose(numpy(outputs["probabilities"])[0], expected[0], rtol=1e-5)


def test_an_override_moves_one_member():
    ensemble, x = trio(), data()
    gaze = np.tile(np.array([0, 0, 1], "float32"), (2, 4, 1))
    outputs, own = ensemble(x, attention_override={"objects": gaze}), ensemble(x)
    maps = outputs["member_attention_weights"]
    np.testing.assert_array_equal(numpy(maps["objects"]), gaze)
    np.testing.assert_array_equal(
        numpy(maps["scenes"]), numpy(own["member_attention_weights"]["scenes"])
    )
    change = numpy(outputs["probabilities"]) - numpy(own["probabilities"])
    assert np.abs(change).max() > 1e-4
    with pytest.raises(ValueError, match="`attention_override` may hold objects, .*; got gaze"):
        ensemble(x, attention_override={"gaze": gaze})


def test_a_file_holds_the_members(tmp_path):
    ensemble, x = trio(), data()
    ensemble.save(tmp_path / "ensemble.keras")
    again = glimpse.load_model(tmp_path / "ensemble.keras")
    assert json.dumps(again.get_config()) == json.dumps(ensemble.get_config())
    assert again.label_names == NAMES and again.num_classes == 3 and again.sampling is None
    np.testing.assert_array_equal(
        numpy(again(x)["probabilities"]), numpy(ensemble(x)["probabilities"])
    )


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_loss_is_the_cross_entropy_of_the_mean(multi_label):
    ensemble = trio(multi_label=multi_label)
    labels = np.array([[1, 0, 1], [0, 1, 0]]) if multi_label else np.array([0, 2])
    ensemble.compile("sgd", weight_decay=1e-3)
    outputs = ensemble(data())
    p = numpy(outputs["probabilities"]).astype("float64")
    if multi_label:
        expected = -(labels * np.log(p) + (1 - labels) * np.log(1 - p)).sum(1).mean()
    else:
        expected = -np.log(p[[0, 1], labels]).mean()
    squares = sum((numpy(w).astype("float64") ** 2).sum() for w in ensemble.trainable_variables)
    loss = float(numpy(ensemble.compute_loss(None, labels, outputs, None)))
    assert loss == pytest.approx(expected + 1e-3 * squares, rel=1e-4)
    with pytest.raises(ValueError, match="`attention_penalty` must be 0.*Received 0.5"):
        ensemble.compile("sgd", attention_penalty=0.5)


@_BACKENDS
def test_members_are_tuned_together(tmp_path):
    features, labels = data()["features"], np.array([0, 2])
    pair = [SoftmaxRegressionClassifier(3, dropout=0.0) for _ in range(2)]
    ensemble = EnsembleClassifier(pair)
    is_jax = keras.config.backend() == "jax"
    ensemble.compile(keras.optimizers.Adam(0.05), weight_decay=1e-5, jit_compile=is_jax)
    losses = ensemble.fit(features, labels, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    ensemble.save(tmp_path / "ensemble.keras")
    again = glimpse.load_model(tmp_path / "ensemble.keras")
    assert again.weight_decay == 1e-5
    for each in (ensemble, again):
        each.fit(features, labels, verbose=0)
    for ours, theirs in zip(ensemble.weights, again.weights, strict=True):
        np.testing.assert_allclose(numpy(ours), numpy(theirs), rtol=1e-5, atol=1e-6)


def test_the_registry_takes_models_and_names_of_variants():
    model = LSTMClassifier(3, units=4, label_names=NAMES)
    ensemble = glimpse.create_model(
        "ensemble", 3, members=[model, "temporal_attention_small"], label_names=NAMES
    )
    assert ensemble.members[0] is model and ensemble.members[1].units == 128
    assert ensemble.member_names == ["member_1", "member_2"]
    assert ensemble.input_names == ("inputs", "attended")
    with pytest.raises(ValueError, match="`num_classes` of the ensemble is 4; .* has 3"):
        glimpse.create_model("ensemble", 4, members=[model])
    with pytest.raises(ValueError, match="`members` must hold a classifier"):
        glimpse.create_model("ensemble", 3)


def test_a_model_of_pixels_may_be_a_member():
    backbone = keras.Sequential([keras.layers.Conv2D(4, 3, strides=4)])
    video = VideoClassifier(backbone, SoftmaxRegressionClassifier(3))
    ensemble = EnsembleClassifier([video, LSTMClassifier(3, units=4)])
    assert ensemble.input_names == ("frames", "inputs")
    frames = np.random.default_rng(0).random((2, 3, 8, 8, 3), dtype="float32")
    outputs = ensemble({"frames": frames, **data("inputs")})
    np.testing.assert_allclose(numpy(outputs["probabilities"]).sum(1), 1, rtol=1e-5)


def test_members_of_other_classes_are_refused_by_name():
    first = LSTMClassifier(3, label_names=NAMES)
    for other, message in (
        (LSTMClassifier(4), "same `num_classes`; member_2 has 4, member_1 has 3"),
        (LSTMClassifier(3, label_names=NAMES, multi_label=True), "same `multi_label`; member_2"),
        (LSTMClassifier(3, label_names=NAMES[::-1]), r"same `label_names`; member_2 has \['run'"),
        (LSTMClassifier(3), "same `label_names`; member_2 has None"),
        (keras.Sequential(), r"`members\[1\]` must be a classifier"),
        (EnsembleClassifier([first]), r"`members\[1\]` must be a classifier .* no ensemble"),
    ):
        with pytest.raises(ValueError, match=message):
            EnsembleClassifier([first, other])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"member_names": ["a", "a"]}, "`member_names` must hold 2 different names"),
        ({"member_names": ["a"]}, "`member_names` must hold 2 different names"),
        ({"member_inputs": [None]}, "`member_inputs` must hold 2 dicts, one a member; got 1"),
        ({"member_inputs": [None, {"attended": "x"}]}, "of member_2 may hold inputs; got attended"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        EnsembleClassifier([LSTMClassifier(3), LSTMClassifier(3)], **arguments)


def test_bad_inputs():
    ensemble, x = trio(), data()
    for inputs, received in (
        (data("inputs", "objects"), r"\['inputs', 'objects'\]"),
        (x["inputs"], ""),
        ([x["inputs"], x["objects"]], "a list of 2"),
    ):
        with pytest.raises(
            ValueError,
            match=f"`inputs` must be a dict of .*, or a list or tuple in .*; received {received}",
        ):
            ensemble(inputs)
    with pytest.raises(ValueError, match="`attended` belongs to the second of two inputs"):
        ensemble(x["inputs"], x["objects"])
    with pytest.raises(ValueError, match="or the first and then `attended`; received"):
        attending_pair()(x["inputs"])
    with pytest.raises(ValueError, match="`mask` must be a dict of"):
        ensemble(x, mask={"frames": STEPS})


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
