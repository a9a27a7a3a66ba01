"""Properties of every classifier in the registry, and of the loss that they share."""

import inspect
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

import glimpse
from glimpse.models.step_classifier import StepClassifier

pytestmark = pytest.mark.backends

SIZES = {
    "ensemble": {"members": ["lstm_small", "softmax_regression"]},
    "c3d_small": {"filters": (2, 2, 2, 2, 2), "units": 3},
    "c3d_base": {
        "filters": (2, 2, 2, 2, 2),
        "units": 3,
        "frame_size": (9, 11),
        "input_size": (8, 8),
    },
    "conv_attention_small": {"filters": 4, "hidden_units": 5},
    "conv_attention_base": {"filters": 4},
    "conv_attention_reference": {"filters": 4},
    "hierarchical_conv_attention_small": {"filters": 4, "hidden_units": 5},
    "hierarchical_conv_attention_base": {"filters": 4},
    "hierarchical_conv_attention_reference": {"filters": 4},
    "lstm_small": {"units": 6},
    "lstm_base": {"units": 6},
    "soft_attention_small": {"units": 6, "hidden_units": 5, "attention_units": 4},
    "soft_attention_base": {"units": 6},
    "soft_attention_large": {"units": 6},
    "soft_attention_reference": {"units": 6, "attention_units": 4},
    "soft_attention_reference_large": {"units": 7, "attention_units": 7},
    "average_pooled_lstm_small": {"units": 6, "hidden_units": 5},
    "average_pooled_lstm_base": {"units": 6},
    "average_pooled_lstm_large": {"units": 6},
    "max_pooled_lstm_small": {"units": 6, "hidden_units": 5},
    "max_pooled_lstm_base": {"units": 6},
    "max_pooled_lstm_large": {"units": 6},
    "softmax_regression": {},
    "temporal_attention_small": {"units": 6, "attention_units": 5},
    "temporal_attention_last_step_small": {"units": 6, "attention_units": 5},
    "temporal_attention_base": {"units": 6, "attention_units": 6},
    "temporal_attention_last_step_base": {"units": 6, "attention_units": 6},
}
# One a class and form: what takes time is not repeated for sizes. These answer once a frame.
FRAME_FORMS = [
    "soft_attention_small",
    "soft_attention_base",
    "average_pooled_lstm_base",
    "max_pooled_lstm_small",
    "softmax_regression",
    "hierarchical_conv_attention_base",
]
FORMS = [*FRAME_FORMS, "lstm_base", "temporal_attention_base"]
# On the other backends, where each new loop is compiled, one of each recurrence runs alone.
ON_TENSORFLOW = keras.config.backend() == "tensorflow"
ELSEWHERE = ["soft_attention_small", "max_pooled_lstm_small", "temporal_attention_base"]
OTHERS = ["ensemble", "c3d_small", "conv_attention_reference", "soft_attention_reference"]
SHAPES = SIZES if ON_TENSORFLOW else [*ELSEWHERE, *OTHERS]
TRAINED = FORMS if ON_TENSORFLOW else [*ELSEWHERE, "hierarchical_conv_attention_base"]
PADDED = FRAME_FORMS if ON_TENSORFLOW else ELSEWHERE[:2]
SAVED = ELSEWHERE[:2] if ON_TENSORFLOW else ELSEWHERE[:1]
NAMES = ["wave", "jump", "run"]
BATCH, FRAMES, HEIGHT, WIDTH, FEATURES = 4, 5, 3, 2, 7
# The shape of one clip's input, by its name.
INPUTS = {
    "features": (FRAMES, HEIGHT, WIDTH, FEATURES),
    "inputs": (FRAMES, FEATURES),
    "attended": (4, 6),
    "frames": (32, HEIGHT, WIDTH, 3),
}
# The shape of one clip's attention maps, by how the name of the variant begins; the rest have none.
MAPS = {
    "soft_attention": (FRAMES, HEIGHT, WIDTH),
    "conv_attention": (FRAMES, HEIGHT, WIDTH),
    "hierarchical_conv_attention": (FRAMES, HEIGHT, WIDTH),
    "temporal_attention_last_step": (1, 4),
    "temporal_attention": (FRAMES, 4),
}
# How many answers a clip gets, by how the name of the variant begins; the rest answer each frame.
STEPS = {
    "c3d": 2,
    "conv_attention_reference": 1,
    "hierarchical_conv_attention_reference": 1,
    "ensemble": 1,
    "temporal_attention_last_step": 1,
}


def make(name, **options):
    return glimpse.create_model(name, 3, label_names=NAMES, **{**SIZES[name], **options})


def clips(seed=0, batch=BATCH, frames=FRAMES):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(batch, frames, HEIGHT, WIDTH, FEATURES)).astype("float32")


def model_inputs(model, seed=0):
    """What a model reads: an array, or a dict of them where it reads several."""
    rng = np.random.default_rng(seed)
    arrays = {
        name: rng.normal(size=(BATCH, *INPUTS[name])).astype("float32")
        for name in model.input_names
    }
    return arrays if len(arrays) > 1 else arrays[model.input_names[0]]


def begins(table, name, default):
    """The entry of the first key that `name` begins with."""
    return next((value for key, value in table.items() if name.startswith(key)), default)


def numpy(value):
    return ops.convert_to_numpy(value)


def test_the_table_of_sizes_covers_the_registry():
    captioners = glimpse.list_models("captioner*")
    assert sorted([*SIZES, *captioners]) == glimpse.list_models()


@pytest.mark.parametrize("name", SHAPES)
def test_outputs_have_the_shapes_and_sums_of_the_contract(name):
    model = make(name)
    outputs = {key: numpy(value) for key, value in model(model_inputs(model)).items()}
    steps = (BATCH, begins(STEPS, name, FRAMES), 3)
    assert outputs["probabilities"].shape == (BATCH, 3)
    assert outputs["step_logits"].shape == outputs["step_probabilities"].shape == steps
    np.testing.assert_allclose(outputs["step_probabilities"].sum(-1), 1, rtol=1e-5)
    mean = outputs["step_probabilities"].mean(axis=1)
    np.testing.assert_allclose(outputs["probabilities"], mean, rtol=1e-5)
    np.testing.assert_allclose(outputs["logits"], np.log(mean), rtol=1e-4, atol=1e-5)
    shape = begins(MAPS, name, None)
    if shape is None:
        assert "attention_weights" not in outputs
    else:
        maps = outputs["attention_weights"]
        assert maps.shape == (BATCH, *shape)
        np.testing.assert_allclose(maps.reshape(BATCH, shape[0], -1).sum(-1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", PADDED)
def test_padding_with_masked_frames_changes_nothing(name):
    model = make(name)
    short = model(clips())
    padded = np.concatenate([clips(), clips(seed=9, frames=3)], axis=1)
    mask = np.arange(FRAMES + 3)[None] < np.full((BATCH, 1), FRAMES)
    longer = model(padded, mask=mask)
    np.testing.assert_allclose(
        numpy(longer["probabilities"]), numpy(short["probabilities"]), rtol=1e-4, atol=1e-6
    )
    step_logits = numpy(longer["step_logits"])[:, :FRAMES]
    np.testing.assert_allclose(step_logits, numpy(short["step_logits"]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", TRAINED)
def test_training_lowers_the_loss_and_reaches_every_weight(name):
    keras.utils.set_random_seed(1)
    model = make(name, dropout=0.0)
    labels = np.array([0, 1, 2, 0])
    penalty = 0.1 if begins(MAPS, name, None) else 0.0
    model.compile(keras.optimizers.Adam(0.01), attention_penalty=penalty, weight_decay=1e-5)
    inputs = model_inputs(model)
    before = model.evaluate(inputs, labels, verbose=0, return_dict=True)
    first = [numpy(weight).copy() for weight in model.trainable_variables]
    history = model.fit(inputs, labels, epochs=8, verbose=0).history
    assert set(history) == {"accuracy", "loss"}
    assert history["loss"][-1] < before["loss"]
    for weight, old in zip(model.trainable_variables, first, strict=True):
        assert np.abs(numpy(weight) - old).max() > 0, weight.path


@pytest.mark.parametrize("name", SIZES)
def test_config_round_trip_and_names(name):
    model = make(name, sampling={"num_frames": 5, "frames_per_second": None})
    cls = type(model)
    config = json.loads(json.dumps(model.get_config()))
    taking = [each for each in (cls, StepClassifier) if issubclass(cls, each)]
    signatures = [inspect.signature(each.__init__) for each in taking]
    arguments = {name for each in signatures for name in each.parameters} - {"self", "kwargs"}
    assert arguments <= set(config)
    assert set(config) - arguments <= {"name", "trainable", "dtype"}
    again = cls.from_config(config)
    assert again.get_config() == model.get_config()
    assert keras.saving.get_registered_name(cls) == f"glimpse>{cls.__name__}"
    assert again.label_names == NAMES and again.sampling["num_frames"] == 5


@pytest.mark.parametrize("name", SAVED)
def test_a_fresh_process_loads_the_file_and_answers_bit_for_bit(name, tmp_path):
    model = make(name)
    answer = {key: numpy(value) for key, value in model.predict(clips(), verbose=0).items()}
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "answer.npz", clips=clips(), **answer)
    code = (
        "import sys, numpy as np, keras, glimpse\n"
        "model = keras.models.load_model(sys.argv[1] + '/model.keras')\n"
        "saved = np.load(sys.argv[1] + '/answer.npz')\n"
        "again = model.predict(saved['clips'], verbose=0)\n"
        "assert set(again) | {'clips'} == set(saved.files)\n"
        "assert all((np.asarray(again[k]) == saved[k]).all() for k in again), 'differs'\n"
        "assert model.label_names == ['wave', 'jump', 'run']\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_loaded_model_goes_on_training_with_its_loss(tmp_path):
    model = make("soft_attention_small", dropout=0.0)
    model.compile("adam", attention_penalty=2.0, weight_decay=0.5)
    model.fit(clips(), np.array([0, 1, 2, 0]), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.attention_penalty == 2.0 and loaded.weight_decay == 0.5
    for each in (model, loaded):
        each.fit(clips(1), np.array([0, 1, 2, 0]), verbose=0)
    for ours, theirs in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_allclose(numpy(ours), numpy(theirs), rtol=1e-5, atol=1e-6)


def test_loss_is_equation_7():
    coefficient, decay = 0.7, 0.01
    model = make("soft_attention_base", dropout=0.0)
    labels = np.array([0, 1, 2, 0])
    model.compile("sgd", attention_penalty=coefficient, weight_decay=decay)
    outputs = model(clips())
    loss = float(numpy(model.compute_loss(clips(), labels, outputs, None)))
    steps = numpy(outputs["step_probabilities"]).astype("float64")
    maps = numpy(outputs["attention_weights"]).astype("float64")
    expected = 0.0
    for n in range(BATCH):
        for t in range(FRAMES):
            expected -= np.log(steps[n, t, labels[n]])
        for i in range(HEIGHT):
            for j in range(WIDTH):
                expected += coefficient * (1 - sum(maps[n, t, i, j] for t in range(FRAMES))) ** 2
    expected /= BATCH
    for weight in model.trainable_variables:
        expected += decay * np.sum(numpy(weight).astype("float64") ** 2)
    assert loss == pytest.approx(expected, rel=1e-4)


def test_loss_ignores_masked_steps():
    model = make("softmax_regression", dropout=0.0)
    model.compile("sgd")
    labels = np.array([0, 1, 2, 0])
    short = model.compute_loss(None, labels, model(clips()), None)
    padded = np.concatenate([clips(), clips(seed=5)], axis=1)
    mask = np.arange(2 * FRAMES)[None] < np.full((BATCH, 1), FRAMES)
    longer = model.compute_loss(None, labels, model(padded, mask=mask), None)
    assert float(numpy(longer)) == pytest.approx(float(numpy(short)), rel=1e-5)


def test_multi_label_steps_are_sigmoids_and_the_loss_is_binary():
    model = make("softmax_regression", multi_label=True, dropout=0.0)
    labels = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]])
    model.compile("sgd")
    outputs = model(clips())
    logits = numpy(outputs["step_logits"]).astype("float64")
    p = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(numpy(outputs["step_probabilities"]), p, rtol=1e-4, atol=1e-6)
    y = labels[:, None, :]
    expected = -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum((1, 2)).mean()
    loss = model.compute_loss(None, labels, outputs, None)
    assert float(numpy(loss)) == pytest.approx(expected, rel=1e-4)
    assert np.isfinite(model.fit(clips(), labels, verbose=0).history["loss"][0])


def test_sample_weight_weighs_clips():
    model = make("softmax_regression", dropout=0.0)
    model.compile("sgd")
    labels, outputs = np.array([0, 1, 2, 0]), model(clips())
    only_first = model.compute_loss(None, labels, outputs, np.array([4.0, 0, 0, 0]))
    first = {key: value[:1] for key, value in outputs.items()}
    alone = model.compute_loss(None, labels[:1], first, None)
    assert float(numpy(only_first)) == pytest.approx(float(numpy(alone)), rel=1e-5)


def test_manual_glimpse_moves_the_gaze_and_nan_keeps_it():
    model = make("soft_attention_base")
    override = np.full((BATCH, FRAMES, HEIGHT, WIDTH), np.nan, "float32")
    own = model(clips())
    same = model(clips(), attention_override=override)
    np.testing.assert_allclose(numpy(same["probabilities"]), numpy(own["probabilities"]), rtol=1e-5)
    override[:, 1] = 0
    override[:, 1, 2, 1] = 1
    moved = model(clips(), attention_override=override)
    assert numpy(moved["attention_weights"])[:, 1, 2, 1].tolist() == [1] * BATCH
    assert np.abs(numpy(moved["probabilities"]) - numpy(own["probabilities"])).max() > 1e-6
    with pytest.raises(ValueError, match="attention_override"):
        make("softmax_regression")(clips(), attention_override=override)


def test_average_pooling_is_attention_held_uniform():
    """The baseline equals the attention model whose gaze rests on all regions alike."""
    attends = make("soft_attention_base", dropout=0.0)
    pooled = make("average_pooled_lstm_base", dropout=0.0)
    attends.build(clips().shape)
    pooled.build(clips().shape)
    cell = attends.recurrence.cell
    for layer, lstm in enumerate(pooled.lstms):
        lstm.set_weights(
            [numpy(w[layer]) for w in (cell.kernels, cell.recurrent_kernels, cell.biases)]
        )
    pooled.head.set_weights(attends.head.get_weights())
    pooled.first_states.set_weights(attends.recurrence.first_states.get_weights())
    uniform = np.full((BATCH, FRAMES, HEIGHT, WIDTH), 1 / (HEIGHT * WIDTH), "float32")
    ours = attends(clips(), attention_override=uniform)
    theirs = pooled(clips())
    np.testing.assert_allclose(
        numpy(ours["step_logits"]), numpy(theirs["step_logits"]), rtol=1e-4, atol=1e-5
    )


@pytest.mark.skipif(not ON_TENSORFLOW, reason="shapes are the same on every backend")
@pytest.mark.parametrize(
    ("name", "count"),
    [
        # Attention 512 * 49; LSTM 4 * 512 * (1024 + 512 + 1) + 2 * 4 * 512 * (512 + 512 + 1);
        # six states, each 1025 * 512 + 513 * 512; head 513 * 512 + 513 * 11.
        ("soft_attention_base", 25_088 + 3_147_776 + 4_198_400 + 4_724_736 + 262_656 + 5_643),
        ("average_pooled_lstm_base", 3_147_776 + 4_198_400 + 4_724_736 + 262_656 + 5_643),
        ("softmax_regression", 7 * 7 * 1024 * 11 + 11),
    ],
)
def test_parameter_counts_at_the_papers_size(name, count):
    model = glimpse.create_model(name, 11)
    model.build((None, 30, 7, 7, 1024))
    assert model.count_params() == count


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_classes": 0}, "num_classes"),
        ({"num_classes": 2.5}, "num_classes.*2.5"),
        ({"num_classes": 3, "label_names": ["a", "b"]}, "label_names.*3.*got 2"),
        ({"num_classes": 2, "label_names": ["a", "a"]}, "label_names"),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        glimpse.create_model("softmax_regression", **arguments)


def test_bad_penalties_are_named():
    with pytest.raises(ValueError, match="attention_penalty.*-1"):
        make("soft_attention_base").compile("adam", attention_penalty=-1)


def test_unknown_names_get_the_nearest():
    with pytest.raises(ValueError, match="soft_attention_base"):
        glimpse.create_model("soft_atention_base", 3)
    with pytest.raises(ValueError, match="no_such_thing"):
        glimpse.load_model("no_such_thing")


def test_load_model_names_what_is_wrong_with_a_path(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.keras"):
        glimpse.load_model(tmp_path / "none.keras")
    (tmp_path / "bad.keras").write_text("not a zip")
    with pytest.raises(ValueError, match="bad.keras.*not a .keras file"):
        glimpse.load_model(tmp_path / "bad.keras")
    with pytest.raises(ValueError, match="folder"):
        glimpse.load_model(tmp_path)
    make("softmax_regression")(clips())
    model = make("softmax_regression")
    model(clips())
    model.save(tmp_path / "good.keras")
    whole = (tmp_path / "good.keras").read_bytes()
    (tmp_path / "half.keras").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="half.keras"):
        glimpse.load_model(tmp_path / "half.keras")
    assert glimpse.load_model(tmp_path / "good.keras").label_names == NAMES


def test_a_backbone_is_tuned_through_the_gaze_with_the_same_loss():
    keras.utils.set_random_seed(0)
    backbone = keras.Sequential([keras.layers.Conv2D(FEATURES, 3, strides=4)])
    model = glimpse.models.VideoClassifier(backbone, make("soft_attention_small", dropout=0.0))
    frames = np.random.default_rng(0).random((4, 3, 12, 12, 3), dtype="float32")
    labels = np.array([0, 1, 2, 0])
    outputs = model(frames)
    model.compile(keras.optimizers.Adam(0.01), attention_penalty=0.3)
    model.classifier.compile("sgd", attention_penalty=0.3)
    ours = model.compute_loss(frames, labels, outputs, None)
    theirs = model.classifier.compute_loss(None, labels, outputs, None)
    assert float(numpy(ours)) == pytest.approx(float(numpy(theirs)), rel=1e-5)
    before = [numpy(weight).copy() for weight in backbone.trainable_variables]
    losses = model.fit(frames, labels, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    for weight, old in zip(backbone.trainable_variables, before, strict=True):
        assert np.abs(numpy(weight) - old).max() > 0


def test_a_mask_of_frames_does_not_cling_to_the_answers():
    """Else Keras would weigh a loss on `(batch, classes)` by a mask of `(batch, frames)`."""
    features = keras.Input((FRAMES, HEIGHT, WIDTH, FEATURES))
    mask = keras.Input((FRAMES,), dtype="bool")
    outputs = make("softmax_regression")(features, mask=mask)
    model = keras.Model([features, mask], outputs["probabilities"])
    model.compile("sgd", "sparse_categorical_crossentropy")
    real = np.arange(FRAMES)[None] < np.array([[5], [3], [1], [4]])
    history = model.fit([clips(), real], np.array([0, 1, 2, 0]), verbose=0).history
    assert np.isfinite(history["loss"][0])


def test_numpy_integers_are_integers():
    assert glimpse.create_model("softmax_regression", np.int64(3)).num_classes == 3


def test_wrong_shapes_of_overrides_and_masks_are_refused():
    model = make("soft_attention_base")
    turned = np.full((BATCH, FRAMES, WIDTH, HEIGHT), 1 / 6, "float32")
    for override in (turned, turned.reshape(BATCH, FRAMES, -1)):
        with pytest.raises(ValueError, match="attention_override"):
            model(clips(), attention_override=override)
    with pytest.raises(ValueError, match="mask"):
        make("softmax_regression")(clips(), mask=np.ones((BATCH, 1), bool))


def test_padding_may_hold_anything():
    model = make("softmax_regression")
    padded = np.concatenate([clips(), np.full_like(clips(), np.nan)], axis=1)
    mask = np.arange(2 * FRAMES)[None] < np.full((BATCH, 1), FRAMES)
    np.testing.assert_allclose(
        numpy(model(padded, mask=mask)["probabilities"]),
        numpy(model(clips())["probabilities"]),
        rtol=1e-5,
    )


def test_a_loss_of_ones_own_leaves_no_room_for_the_penalties():
    with pytest.raises(ValueError, match="weight_decay.*0.1"):
        make("softmax_regression").compile(
            "sgd", "sparse_categorical_crossentropy", weight_decay=0.1
        )


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
