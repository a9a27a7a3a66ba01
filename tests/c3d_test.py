"""C3D: sizes, Caffe's pools, the mean cube, and the classifier that is tuned from it."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from glimpse.models.c3d import C3D
from glimpse.models.c3d_classifier import C3DClassifier
from glimpse.models.pixels_backbone import PixelsBackbone
from tests.gradients import compiled
from tests.shapes_only import shapes_only

pytestmark = pytest.mark.backends

PARAMETERS = {
    "conv1a": 5_248,
    "conv2a": 221_312,
    "conv3a": 884_992,
    "conv3b": 1_769_728,
    "conv4a": 3_539_456,
    "conv4b": 7_078_400,
    "conv5a": 7_078_400,
    "conv5b": 7_078_400,
    "fc6": 33_558_528,
    "fc7": 16_781_312,
    "fc8": 1_995_239,
}
TINY = {
    "filters": (3, 3, 3, 3, 3),
    "units": 4,
    "frame_size": (9, 11),
    "input_size": (8, 8),
    "scale": 0.01,
}
NAMES = ["wave", "jump", "run"]


def make_shapes(*arguments, **options):
    """A C3D whose weights have shapes but no values."""
    with shapes_only():
        return C3D(*arguments, **options)


def size(variables):
    return sum(math.prod(variable.shape) for variable in variables)


def numpy(value):
    return ops.convert_to_numpy(ops.stop_gradient(value))


def frames(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), "uint8")


def clips(seed=0):
    return frames(2, 32, 9, 11, seed=seed)


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(0)
    return C3DClassifier(3, label_names=NAMES, **TINY)


def test_parameters_are_those_of_the_published_network():
    backbone = make_shapes("probabilities")
    found = dict.fromkeys(PARAMETERS, 0)
    for weight in backbone.trainable_weights:
        found[weight.path.split("/")[-2]] += size([weight])
    assert found == PARAMETERS
    assert size(backbone.trainable_weights) == sum(PARAMETERS.values()) == 79_991_015
    assert size(backbone.non_trainable_weights) == 16 * 128 * 171 * 3
    assert backbone.count_params() == 79_991_015
    for mean in ("cube", (104, 117, 123)):  # the cube is counted with neither
        assert make_shapes("fc7", mean=mean).count_params() == 77_995_776
        assert make_shapes("fc6", mean=mean).count_params() == 61_214_464
        assert make_shapes("fc8", classes=101, mean=mean).count_params() == 78_409_573
        assert make_shapes("fc8", classes=203, mean=mean).count_params() == 78_827_467


def test_stages_have_the_published_sizes():
    network = make_shapes("fc8").network
    stages = {
        "conv1a": (16, 112, 112, 64),
        "pool1": (16, 56, 56, 64),
        "pool2": (8, 28, 28, 128),
        "pool3": (4, 14, 14, 256),
        "pool4": (2, 7, 7, 512),
        "pool5": (1, 4, 4, 512),
        "flatten": (8192,),
        "fc6": (4096,),
        "fc8": (487,),
    }
    for name, shape in stages.items():
        assert tuple(network.get_layer(name).output.shape) == (None, *shape), name
    backbone = make_shapes()
    assert backbone.feature_shape == (4096,) and backbone.frames_per_input == 16
    assert backbone.input_size == (112, 112)
    assert backbone.compute_output_shape((5, 16, 240, 320, 3)) == (5, 4096)
    assert make_shapes("pool5").feature_shape == (1, 4, 4, 512)


def caffe_pool(x, kernel):
    """Maxima of the windows of C3D's pool3d_layer.cpp, for x (length, height, width)."""
    pooled = [math.ceil((size - k) / k) + 1 for size, k in zip(x.shape, kernel, strict=True)]
    top = np.full(pooled, -np.inf)
    for place in np.ndindex(*pooled):
        start = [index * k for index, k in zip(place, kernel, strict=True)]
        for inside in np.ndindex(*kernel):
            at = tuple(first + step for first, step in zip(start, inside, strict=True))
            if all(index < size for index, size in zip(at, x.shape, strict=True)):
                top[place] = max(top[place], x[at])
    return top


def test_pools_are_those_of_caffe():
    """The last windows of `pool5` are cut: it pads below and to the right, not on both sides."""
    network = make_shapes("pool5").network
    random = np.random.default_rng(0)
    for name in ("pool1", "pool5"):
        layer = network.get_layer(name)
        shape = layer.input.shape[1:4] if name == "pool5" else (3, 5, 6)
        x = random.normal(-5, 1, shape).astype("float32")
        found = numpy(layer(ops.convert_to_tensor(x[None, ..., None])))[0, ..., 0]
        np.testing.assert_array_equal(found, caffe_pool(x, layer.pool_size))
    assert found.shape == (1, 4, 4)
    both = np.pad(x, [(0, 0), (1, 0), (1, 0)], constant_values=-np.inf)
    assert (caffe_pool(both, (2, 2, 2)) != found).any()


def test_the_centre_minus_its_part_of_the_mean_is_read():
    backbone = make_shapes("pool5", mean=(1, 2, 3), scale=0.5)
    frame = np.zeros((1, 16, 128, 171, 3), "float32")
    frame[..., 0] = np.arange(128)[:, None]  # R: the row
    frame[..., 1] = np.arange(171)  # G: the column
    frame[..., 2] = np.arange(16)[:, None, None]  # B: the frame
    pixels = numpy(backbone.preprocess(frame))[0]
    assert pixels.shape == (16, 112, 112, 3)
    for place in ((0, 0, 0), (5, 111, 40), (15, 30, 111)):
        t, y, x = place
        assert pixels[place].tolist() == [(t - 1) / 2, (x + 29 - 2) / 2, (y + 8 - 3) / 2]


def test_the_mean_cube_is_taken_off_where_it_belongs():
    keras.utils.set_random_seed(0)
    backbone = C3D("pool5", filters=(1, 1, 1, 1, 1), frame_size=(12, 15), input_size=(8, 8))
    assert numpy(backbone.mean_cube).min() == numpy(backbone.mean_cube).max() == 127.5
    cube = np.random.default_rng(0).uniform(80, 140, (16, 12, 15, 3)).astype("float32")
    backbone.mean_cube.assign(cube)
    clip = frames(1, 16, 12, 15)
    expected = clip[0, ..., ::-1].astype("float32") - cube
    np.testing.assert_allclose(
        numpy(backbone.preprocess(clip))[0], expected[:, 2:10, 3:11], atol=1e-4
    )


def test_frames_are_resized_as_opencv_does():
    cv2 = pytest.importorskip("cv2")
    clip = frames(1, 16, 40, 61)
    pixels = numpy(make_shapes("pool5", mean=(0, 0, 0)).preprocess(clip))[0]
    for index in (0, 15):
        resized = cv2.resize(clip[0, index].astype("float32"), (171, 128))
        np.testing.assert_allclose(pixels[index], resized[8:120, 29:141, ::-1], atol=2e-2)


def test_pixels_are_what_c3d_resizes_to():
    backbone = make_shapes("pool5", mean=(1, 2, 3))
    pixels = PixelsBackbone()
    clip = frames(1, 16, 50, 60)
    stored = numpy(pixels(clip[0]))
    assert stored.shape == (16, *pixels.feature_shape) == (16, 128, 171, 3)
    np.testing.assert_array_equal(
        numpy(backbone.preprocess(stored[None])), numpy(backbone.preprocess(clip))
    )
    with pytest.raises(ValueError, match="`width`.*got 0"):
        PixelsBackbone(width=0)


def test_a_file_keeps_the_weights_and_the_mean_cube(tmp_path):
    backbone = C3D("fc8", classes=5, **TINY)
    backbone.mean_cube.assign(np.random.default_rng(0).normal(size=backbone.mean_cube.shape))
    backbone.save(tmp_path / "c3d.keras")
    again = keras.saving.load_model(tmp_path / "c3d.keras")
    assert again.get_config() == backbone.get_config()
    clip = frames(2, 16, 12, 10)
    features = numpy(backbone(clip))
    assert features.shape == (2, 5)
    np.testing.assert_array_equal(numpy(again(clip)), features)
    np.testing.assert_allclose(numpy(backbone(clip.astype("float32"))), features, atol=1e-6)


def test_each_chunk_is_classified_by_itself(classifier):
    answer = {key: numpy(value) for key, value in classifier(clips()).items()}
    assert answer["step_probabilities"].shape == (2, 2, 3)
    np.testing.assert_allclose(
        answer["probabilities"], answer["step_probabilities"].mean(axis=1), rtol=1e-5
    )
    second = numpy(classifier(clips()[:, 16:])["step_logits"])
    np.testing.assert_allclose(answer["step_logits"][:, 1:], second, rtol=1e-4, atol=1e-5)
    assert np.abs(answer["step_logits"][:, 0] - answer["step_logits"][:, 1]).max() > 1e-4


def test_masked_chunks_may_hold_anything(classifier):
    padded = np.concatenate([clips(), np.full((2, 16, 9, 11, 3), np.nan)], axis=1)
    mask = np.array([[True, True, False]] * 2)
    answer = classifier(padded.astype("float32"), mask=mask)
    np.testing.assert_allclose(
        numpy(answer["probabilities"]), numpy(classifier(clips())["probabilities"]), rtol=1e-4
    )
    with pytest.raises(ValueError, match="`mask`"):
        classifier(clips(), mask=np.ones((2, 32), bool))


def test_training_lowers_the_loss_and_moves_every_weight():
    keras.utils.set_random_seed(1)
    model = C3DClassifier(3, **{**TINY, "dropout": 0.0, "filters": (4,) * 5, "units": 16})
    # Torch's compiler would take longer than all of these tests.
    jit = keras.config.backend() == "jax"
    model.compile(keras.optimizers.Adam(0.003), metrics=[], jit_compile=jit)
    model.build((None, 16, 9, 11, 3))
    first = [numpy(weight).copy() for weight in model.trainable_weights]
    losses = model.fit(clips()[:, :16], np.array([0, 2]), epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    for weight, old in zip(model.trainable_weights, first, strict=True):
        assert np.abs(numpy(weight) - old).max() > 0, weight.path


def test_tuning_begins_with_the_weights_of_another_c3d(tmp_path):
    keras.utils.set_random_seed(3)
    source = C3D("fc8", classes=7, **TINY)
    source.mean_cube.assign(np.random.default_rng(0).normal(size=source.mean_cube.shape))
    source.save(tmp_path / "sports1m.keras")
    model = C3DClassifier(3, mean="cube", **TINY)
    model.build((None, 16, 9, 11, 3))
    head = numpy(model.classes.kernel).copy()
    model.load_backbone(tmp_path / "sports1m.keras")
    np.testing.assert_array_equal(numpy(model.classes.kernel), head)
    reads = keras.Model(source.network.input, source.network.get_layer("fc7").output)
    clip = frames(2, 16, 12, 10)
    features = compiled(lambda x: reads(source.preprocess(x)))(ops.convert_to_tensor(clip))
    logits = numpy(features) @ head + numpy(model.classes.bias)
    np.testing.assert_allclose(numpy(model(clip)["step_logits"])[:, 0], logits, atol=1e-5)


def test_a_backbone_that_does_not_fit_is_refused(tmp_path, classifier):
    with pytest.raises(ValueError, match="`mean` = cube, and this model"):
        classifier.load_backbone(C3D("fc8", **TINY))
    model = C3DClassifier(3, mean="cube", **TINY)
    with pytest.raises(ValueError, match="ends in 'fc6' and has no fc7"):
        model.load_backbone(C3D("fc6", **TINY))
    with pytest.raises(ValueError, match="`units` = 5"):
        model.load_backbone(C3D("fc8", **{**TINY, "units": 5}))
    with pytest.raises(ValueError, match="must be a C3D, got a PixelsBackbone"):
        model.load_backbone(PixelsBackbone(4, 5))
    with pytest.raises(FileNotFoundError, match="none.keras"):
        model.load_backbone(tmp_path / "none.keras")


@pytest.mark.parametrize("options", [{}, {"mean": "cube"}])
def test_the_classifier_at_the_papers_size(options):
    with shapes_only():
        model = C3DClassifier(203, **options)
        model.build((None, 192, 112, 112, 3))
    assert model.count_params() == 78_827_467


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"output": "fc9"}, "`output`.*fc6.*'fc9'"),
        ({"mean": "image"}, "`mean`.*'image'"),
        ({"mean": (1, 2)}, r"`mean`.*\(1, 2\)"),
        ({"filters": (1, 2)}, r"`filters`.*\(1, 2\)"),
        ({"input_size": (200, 112)}, r"`input_size`.*\(200, 112\)"),
    ],
)
def test_bad_arguments_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        C3D(**options)


def test_frames_of_a_wrong_shape_are_refused(classifier):
    for shape in ((2, 15, 9, 11, 3), (2, 0, 9, 11, 3), (2, 16, 9, 11), (2, 16, 9, 11, 1)):
        with pytest.raises(ValueError, match=r"frames` must be .*multiple of 16"):
            classifier(np.zeros(shape, "uint8"))
    for shape in ((2, 12, 9, 11, 3), (16, 9, 11, 3)):
        with pytest.raises(ValueError, match=r"frames must have shape \(batch, 16, .*chunks of 16"):
            make_shapes("pool5")(np.zeros(shape, "uint8"))
    with pytest.raises(ValueError, match="attention_override"):
        classifier(clips(), attention_override=np.ones((2, 2)))


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
