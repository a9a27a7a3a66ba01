"""GoogLeNet's three families: sizes, what each does to pixels and borders, and files."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from glimpse.models.googlenet import GoogLeNet
from tests.gradients import compiled
from tests.shapes_only import shapes_only

pytestmark = pytest.mark.backends

# Parameters of the layers of Caffe's network, as facts of the published file.
CAFFE_PARAMETERS = {
    "conv1_7x7_s2": 9_472,
    "conv2_3x3_reduce": 4_160,
    "conv2_3x3": 110_784,
    "inception_3a": 163_696,
    "inception_3b": 388_736,
    "inception_4a": 376_176,
    "inception_4b": 449_160,
    "inception_4c": 510_104,
    "inception_4d": 605_376,
    "inception_4e": 868_352,
    "inception_5a": 1_043_456,
    "inception_5b": 1_444_080,
    "loss3_classifier": 1_025_000,
}
STAGES = {
    "conv1_7x7_s2": (112, 64),
    "pool1_3x3_s2": (56, 64),
    "conv2_3x3": (56, 192),
    "pool2_3x3_s2": (28, 192),
    "inception_3a_output": (28, 256),
    "inception_3b_output": (28, 480),
    "pool3_3x3_s2": (14, 480),
    "inception_4a_output": (14, 512),
    "inception_4d_output": (14, 528),
    "inception_4e_output": (14, 832),
    "inception_5a_output": (7, 832),
    "inception_5b_output": (7, 1024),
}
FAMILIES = ("caffe", "torchvision", "slim")


def make_shapes(*arguments, **options):
    """A backbone whose weights have shapes but no values."""
    with shapes_only():
        return GoogLeNet(*arguments, **options)


def size(variables):
    return sum(math.prod(variable.shape) for variable in variables)


def numpy(value):
    return ops.convert_to_numpy(ops.stop_gradient(value))


def run(model, frames):
    return numpy(compiled(model)(ops.convert_to_tensor(frames)))


def frames(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), "uint8")


@pytest.fixture(scope="module")
def whole():
    return {family: make_shapes(family, "probabilities") for family in FAMILIES}


def test_parameters_of_each_layer_are_those_of_the_published_network(whole):
    found = dict.fromkeys(CAFFE_PARAMETERS, 0)
    for weight in whole["caffe"].weights:
        layer = weight.path.split("/")[-2]
        found[next(name for name in found if layer == name or layer.startswith(f"{name}_"))] += (
            size([weight])
        )
    # `conv2_3x3_reduce` begins with the name of `conv2_3x3`, and comes before it.
    assert found == CAFFE_PARAMETERS


@pytest.mark.parametrize(
    ("family", "total", "trainable", "body"),
    [
        ("caffe", 6_998_552, 6_998_552, 5_973_552),
        ("torchvision", 6_639_464, 6_624_904, 5_614_464),
        ("slim", 6_633_209, 6_618_649, 5_607_184),
    ],
)
def test_parameters_in_total(whole, family, total, trainable, body):
    assert whole[family].count_params() == total
    assert size(whole[family].trainable_weights) == trainable
    assert make_shapes(family).count_params() == body
    convolutions = [x for x in whole[family].network.layers if isinstance(x, keras.layers.Conv2D)]
    assert len(convolutions) == 57


def test_slim_with_the_thousand_classes_of_the_others():
    assert make_shapes("slim", "loss3_classifier", classes=1000).count_params() == 6_632_184


@pytest.mark.parametrize("family", FAMILIES)
def test_stages_have_the_papers_sizes(whole, family):
    for name, (side, channels) in STAGES.items():
        shape = whole[family].network.get_layer(name).output.shape
        assert tuple(shape) == (None, side, side, channels), name
    assert whole[family].feature_shape == ((1001,) if family == "slim" else (1000,))
    backbone = make_shapes(family)
    assert backbone.feature_shape == (7, 7, 1024)
    assert backbone.compute_output_shape((4, 240, 320, 3)) == (4, 7, 7, 1024)
    assert backbone.input_size == (224, 224) and backbone.frames_per_input == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_pixels_are_scaled_as_the_family_was_trained(whole, family):
    colour = np.array([10, 20, 250], "uint8")  # R, G, B
    expected = {
        "caffe": [250 - 104, 20 - 117, 10 - 123],
        "slim": [value / 127.5 - 1 for value in (10, 20, 250)],
    }
    # `transform_input` of torchvision, after its usual normalisation.
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    expected["torchvision"] = [
        (value / 255 - m) / d * (d / 0.5) + (m - 0.5) / 0.5
        for value, m, d in zip((10, 20, 250), mean, deviation, strict=True)
    ]
    for height, width in ((224, 224), (30, 45)):
        pixels = numpy(whole[family].preprocess(np.broadcast_to(colour, (1, height, width, 3))))
        assert pixels.shape == (1, 224, 224, 3) and pixels.dtype == np.float32
        np.testing.assert_allclose(
            pixels, np.broadcast_to(np.float32(expected[family]), pixels.shape), atol=1e-4
        )


def test_frames_are_warped_whole(whole):
    """The left half of a wide frame is the left half of what the network reads."""
    wide = np.zeros((1, 20, 100, 3), "uint8")
    wide[:, :, :50] = 255
    pixels = numpy(whole["slim"].preprocess(wide))
    np.testing.assert_allclose(pixels[:, :, :100], 1, atol=1e-4)
    np.testing.assert_allclose(pixels[:, :, 124:], -1, atol=1e-4)


@pytest.mark.parametrize(("family", "first"), [("caffe", 0), ("torchvision", 0), ("slim", 1)])
def test_each_family_pads_conv1_its_own_way(family, first):
    """A kernel that keeps its centre reads every second pixel: from 0, or with slim from 1."""
    layers = make_shapes(family).network.layers
    last = next(i for i, layer in enumerate(layers) if layer.name == "conv1_7x7_s2")
    pixels = frames(1, 224, 224).astype("float32")
    x = ops.convert_to_tensor(pixels)
    for layer in layers[1:last]:
        x = layer(x)
    convolution = keras.layers.Conv2D.from_config({**layers[last].get_config(), "filters": 3})
    convolution.build(x.shape)
    kernel = np.zeros((7, 7, 3, 3), "float32")
    kernel[3, 3] = np.eye(3)
    convolution.kernel.assign(kernel)
    np.testing.assert_array_equal(numpy(convolution(x)), pixels[:, first::2, first::2])


def caffe_pool(x, kernel, stride, pad):
    """Maxima of the windows of pooling_layer.cpp, for x (height, width)."""
    height, width = x.shape
    pooled = []
    for length in (height, width):
        count = math.ceil((length + 2 * pad - kernel) / stride) + 1
        if pad > 0 and (count - 1) * stride >= length + pad:
            count -= 1
        pooled.append(count)
    top = np.full(pooled, -np.inf)
    for ph in range(pooled[0]):
        for pw in range(pooled[1]):
            hstart, wstart = ph * stride - pad, pw * stride - pad
            hend, wend = min(hstart + kernel, height), min(wstart + kernel, width)
            for h in range(max(hstart, 0), hend):
                for w in range(max(wstart, 0), wend):
                    top[ph, pw] = max(top[ph, pw], x[h, w])
    return top


@pytest.mark.parametrize("family", ["caffe", "slim"])
def test_pools_are_those_of_caffe(whole, family):
    """At these sizes the others agree: torchvision's `ceil_mode`, TensorFlow's "SAME"."""
    pools = [
        layer
        for layer in whole[family].network.layers
        if isinstance(layer, keras.layers.MaxPooling2D)
    ]
    assert len(pools) == 13
    sizes = set()
    for pool in pools:
        side, (kernel, _), (stride, _) = pool.input.shape[1], pool.pool_size, pool.strides
        if (side, kernel, stride) in sizes:
            continue
        sizes.add((side, kernel, stride))
        x = np.random.default_rng(side).normal(-5, 1, (side, side)).astype("float32")
        expected = caffe_pool(x, kernel, stride, pad=1 if stride == 1 else 0)
        found = numpy(pool(ops.convert_to_tensor(x[None, :, :, None])))[0, :, :, 0]
        np.testing.assert_array_equal(found, expected)
    last = (14, 3, 2) if family == "caffe" else (14, 2, 2)
    first = {(112, 3, 2), (56, 3, 2), (28, 3, 2), last}
    assert sizes == first | {(side, 3, 1) for side in (28, 14, 7)}


@pytest.fixture(scope="module")
def stems():
    """Each family's first layers, with weights that are not those of the start."""
    made = {}
    for family in FAMILIES:
        keras.utils.set_random_seed(0)
        made[family] = GoogLeNet(family, "inception_3a")
        random = np.random.default_rng(0)
        for weight in made[family].weights:
            if weight.name not in ("kernel", "moving_variance"):
                weight.assign(random.normal(size=weight.shape, scale=0.1))
    return made


@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_keeps_the_weights_and_the_family(stems, family, tmp_path):
    backbone = stems[family]
    backbone.save(tmp_path / "googlenet.keras")
    again = keras.saving.load_model(tmp_path / "googlenet.keras")
    assert type(again) is GoogLeNet and again.get_config() == backbone.get_config()
    for ours, theirs in zip(backbone.weights, again.weights, strict=True):
        np.testing.assert_array_equal(numpy(ours), numpy(theirs))
    if family == "torchvision":
        batch = frames(1, 50, 60)
        features = run(backbone, batch)
        assert features.shape == (1, 28, 28, 256) and features.std() > 0
        np.testing.assert_array_equal(run(again, batch), features)


def test_integers_and_floats_are_the_same_pixels_even_in_half_precision():
    keras.utils.set_random_seed(0)
    backbone = GoogLeNet("caffe", "inception_3a", dtype="mixed_bfloat16")
    pixels = frames(1, 224, 224)
    features = [
        compiled(backbone)(ops.convert_to_tensor(pixels.astype(kind)))
        for kind in ("uint8", "float32")
    ]
    assert keras.backend.standardize_dtype(features[0].dtype) == "bfloat16"
    integers, floats = (numpy(ops.cast(each, "float32")) for each in features)
    assert integers.std() > 0
    np.testing.assert_array_equal(integers, floats)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"family": "mxnet"}, "`family`.*caffe, torchvision, slim.*'mxnet'"),
        ({"output": "inception_6a"}, "`output`.*inception_5b.*'inception_6a'"),
        ({"classes": 0}, "`classes`.*got 0"),
        ({"classes": 2.5}, "`classes`.*got 2.5"),
    ],
)
def test_bad_arguments_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        GoogLeNet(**options)


@pytest.mark.parametrize("shape", [(9, 9, 3), (2, 4, 9, 9, 3), (2, 9, 9, 1)])
def test_frames_of_a_wrong_shape_are_refused(whole, shape):
    with pytest.raises(ValueError, match=r"frames must have shape \(batch, height, width, 3\)"):
        whole["caffe"](np.zeros(shape, "uint8"))


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
