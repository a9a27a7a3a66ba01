"""Published files into our backbones: every stage as the same network in torch gives it."""

import gc
import hashlib
import re

import keras
import numpy as np
import pytest

from glimpse.models import create_backbone
from glimpse.models.c3d import C3D
from glimpse.models.googlenet import GoogLeNet
from glimpse.models.resnet152 import ResNet152
from glimpse.models.vgg19 import VGG19
from glimpse.pipelines.weight_conversion import (
    check_digests,
    convert_file,
    convert_weights,
    weights_format,
)
from glimpse.pipelines.weight_names import LEFT_OUT
from tests.published_files import (
    write_binaryproto,
    write_caffemodel,
    write_keras_h5,
    write_slim_checkpoint,
)
from tests.run_command import run_command

torch = pytest.importorskip("torch", reason="torch is not installed, so nothing was compared")

from tests import torch_twins  # noqa: E402


def frames(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, size=shape, dtype="uint8")


def write_pth(path, weights, new_format=True):
    tensors = {name: torch.from_numpy(np.asarray(value)) for name, value in weights.items()}
    torch.save(tensors, path, _use_new_zipfile_serialization=new_format)


def assert_stages_match(backbone, inputs, stages):
    """Every layer with weights and every pool gives what the twin's gives, to 1e-5 of its scale."""
    network = backbone.network
    compared = [layer.name for layer in network.layers if layer.name in stages]
    assert set(compared) == set(stages)
    weighted = {layer.name for layer in network.layers if layer.weights}
    assert weighted <= set(stages), f"not compared: {weighted - set(stages)}"
    probe = keras.Model(network.input, [network.get_layer(name).output for name in compared])
    outputs = probe(backbone.preprocess(inputs), training=False)
    for name, output in zip(compared, outputs, strict=True):
        expected = stages[name]
        assert tuple(output.shape) == expected.shape, name
        error = np.abs(np.asarray(output) - expected).max() / np.abs(expected).max()
        assert error < 1e-5, f"{name}: {error:.1e} of its largest activation"


@pytest.fixture
def zero_weights(monkeypatch):
    """Large layers start at zero, which is quick, and shows what no file has filled."""
    zeros = keras.initializers.Zeros()
    monkeypatch.setattr(
        keras.initializers.GlorotUniform,
        "__call__",
        lambda self, shape, dtype=None, **_: zeros(shape, dtype),
    )


GOOGLENETS = {
    # form: (twin, file name, writer, tensors left out, parameters without auxiliary heads)
    "caffe": (
        torch_twins.caffe_googlenet,
        "bvlc_googlenet.caffemodel",
        lambda path, weights: write_caffemodel(path, weights, "layers"),
        12,
        6_998_552,
    ),
    "torchvision": (
        torch_twins.torchvision_googlenet,
        "googlenet-1378be20.pth",
        lambda path, weights: write_pth(path, weights, new_format=False),
        57 + 2 * 10,
        6_639_464,
    ),
    "slim": (
        torch_twins.slim_googlenet,
        "inception_v1.ckpt",
        lambda path, weights: write_slim_checkpoint(path, weights, version=1),
        1,
        6_633_209,
    ),
}


@pytest.mark.parametrize("form", GOOGLENETS)
def test_googlenet_gives_every_stage_of_its_twin(tmp_path, form):
    twin, file, write, left_out, parameters = GOOGLENETS[form]
    inputs, weights = frames(1, 224, 224, 3), torch_twins.RandomWeights()
    stages = twin(inputs, weights)
    write(tmp_path / file, weights)
    backbone = GoogLeNet(form, "loss3_classifier")
    conversion = convert_weights(tmp_path / file, backbone, "googlenet")
    assert conversion.parameters == parameters
    assert len(conversion.left_out) == left_out
    assert len(conversion.used) + left_out == len(weights)
    assert_stages_match(backbone, inputs, stages)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["caffe", "keras"])
def test_vgg19_gives_every_stage_of_its_twin(tmp_path, form, zero_weights):
    inputs, weights = frames(1, 224, 224, 3), torch_twins.RandomWeights()
    stages = torch_twins.vgg19(inputs, weights, form)
    if form == "caffe":
        path = tmp_path / "VGG_ILSVRC_19_layers.caffemodel"
        write_caffemodel(path, weights, "layers", as_bytes=True)
    else:
        path = tmp_path / "vgg19_weights_tf_dim_ordering_tf_kernels.h5"
        write_keras_h5(path, weights)
    assert sum(array.size for array in weights.values()) == 143_667_240
    del weights
    gc.collect()
    backbone = VGG19("fc8")
    conversion = convert_weights(path, backbone, "vgg19")
    assert conversion.parameters == 143_667_240 and not conversion.left_out
    path.unlink()
    assert_stages_match(backbone, inputs, stages)


@pytest.mark.slow
def test_resnet152_gives_every_stage_of_its_twin(tmp_path, zero_weights):
    inputs, weights = frames(1, 224, 224, 3), torch_twins.RandomWeights()
    stages = torch_twins.resnet152(inputs, weights)
    path = tmp_path / "resnet152_weights_tf_dim_ordering_tf_kernels.h5"
    write_keras_h5(path, weights)
    assert sum(array.size for array in weights.values()) == 60_419_944
    del weights
    backbone = ResNet152("logits")
    conversion = convert_weights(path, backbone, "resnet152")
    assert conversion.parameters == 60_419_944 and not conversion.left_out
    path.unlink()
    assert_stages_match(backbone, inputs, stages)


def convert_c3d(tmp_path, backbone, inputs, **sizes):
    weights = torch_twins.RandomWeights()
    mean = np.random.default_rng(1).uniform(80, 130, (3, 16, 128, 171)).astype("float32")
    stages = torch_twins.c3d(inputs, weights, mean, **sizes)
    write_caffemodel(tmp_path / "conv3d_deepnetA", weights, "c3d", as_bytes=True)
    write_binaryproto(tmp_path / "mean.binaryproto", mean, "c3d")
    del weights
    return stages, convert_weights(
        tmp_path / "conv3d_deepnetA", backbone, "c3d", mean=tmp_path / "mean.binaryproto"
    )


def test_a_narrow_c3d_gives_every_stage_of_its_twin(tmp_path):
    sizes = {"filters": (4, 6, 8, 10, 12), "units": 16, "classes": 7}
    backbone, inputs = C3D("fc8", **sizes), frames(2, 16, 128, 171, 3)
    stages, _ = convert_c3d(tmp_path, backbone, inputs, **sizes)
    assert_stages_match(backbone, inputs, stages)
    assert backbone.network.get_layer("pool5").output.shape[1:] == (1, 4, 4, 12)


@pytest.mark.slow
def test_c3d_gives_every_stage_of_its_twin(tmp_path, zero_weights):
    backbone, inputs = C3D("fc8"), frames(1, 16, 128, 171, 3)
    stages, conversion = convert_c3d(tmp_path, backbone, inputs)
    assert conversion.parameters == 79_991_015
    assert_stages_match(backbone, inputs, stages)


LATER = ("inception_5b/pool_proj[0]", "loss1/conv[0]", "loss3/classifier[0]")


@pytest.fixture(scope="module")
def first_block():
    """The tensors that GoogLeNet needs up to its first block, and some that come after it."""
    weights = torch_twins.RandomWeights()
    torch_twins.caffe_googlenet(frames(1, 224, 224, 3), weights)
    needed = ("conv1/", "conv2/", "inception_3a/")
    kept = {name: array for name, array in weights.items() if name.startswith(needed)}
    return kept | {name: weights[name] for name in LATER}


@pytest.fixture(scope="module")
def backbone():
    return GoogLeNet("caffe", "inception_3a")


def convert(tmp_path, backbone, weights, form="layers"):
    write_caffemodel(tmp_path / "x.caffemodel", weights, form, as_bytes=True)
    return convert_weights(tmp_path / "x.caffemodel", backbone, "googlenet")


@pytest.mark.parametrize("form", ["layer", "layers"])
def test_what_comes_after_the_output_is_left_out(tmp_path, backbone, first_block, form):
    conversion = convert(tmp_path, backbone, first_block, form)
    assert conversion.left_out == LATER
    assert len(conversion.used) == len(backbone.weights) == 2 * 9
    kernel = backbone.network.get_layer("inception_3a_5x5").kernel
    np.testing.assert_array_equal(kernel[1, 2, 3], first_block["inception_3a/5x5[0]"][:, 3, 1, 2])


@pytest.mark.parametrize(
    "name, form, superfluous",
    [
        ("googlenet", "torchvision", "inception5b.branch2.1.bn.running_var"),
        ("googlenet", "slim", "InceptionV1/Mixed_5b/Branch_2/Conv2d_0a_3x3/weights"),
        ("googlenet", "slim", "InceptionV1/Logits/Conv2d_0c_1x1/weights/RMSProp_1"),
        ("vgg19", "caffe", "fc8[1]"),
        ("vgg19", "keras", "predictions/predictions_W_1:0"),
        ("resnet152", "keras", "probs/kernel:0"),
        ("resnet152", "keras", "conv5_block3_3_bn/moving_variance:0"),
        ("c3d", "caffe", "fc7-1[0]"),
    ],
)
def test_superfluous_tensors_are_known_by_their_whole_name(name, form, superfluous):
    known = "|".join(f"(?:{pattern})" for pattern in LEFT_OUT[name, form])
    assert re.fullmatch(known, superfluous)
    for other in (f"x{superfluous}", f"{superfluous}x", "InceptionV1/x/BatchNorm/gamma"):
        assert not re.fullmatch(known, other)


def test_nothing_is_set_when_anything_is_wrong(tmp_path, first_block):
    backbone = GoogLeNet("caffe", "inception_3a")
    before = [np.array(weight) for weight in backbone.weights]
    five = first_block["inception_3a/5x5[0]"]
    damaged = five.copy()
    damaged[1, 2, 3, 4] = np.nan
    flipped = np.ascontiguousarray(five.transpose(2, 3, 1, 0))
    wrong = {
        "no tensor inception_3a/pool_proj[1]".replace("[", r"\["): {
            name: array for name, array in first_block.items() if "pool_proj[1]" not in name
        },
        r"conv9/1x1\[0\] of shape \(2, 2\) belongs to no": first_block
        | {"conv9/1x1[0]": np.ones((2, 2), "float32")},
        r"inception_3a/5x5\[0\] has the shape \(5, 5, 16, 32\).* inception_3a_5x5/kernel needs "
        r"\(32, 16, 5, 5\)": first_block | {"inception_3a/5x5[0]": flipped},
        r"inception_3a/5x5\[0\] holds NaN": first_block | {"inception_3a/5x5[0]": damaged},
    }
    for message, weights in wrong.items():
        with pytest.raises(ValueError, match=rf"x\.caffemodel: {message}"):
            convert(tmp_path, backbone, weights, "layer")
    path = tmp_path / "x.caffemodel"
    path.write_bytes(path.read_bytes()[:-90_000])
    with pytest.raises(ValueError, match=r"truncated.* layer 12, which follows 'loss1/conv'"):
        convert_weights(path, backbone, "googlenet")
    for weight, old in zip(backbone.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_the_file_of_another_network_is_refused(tmp_path, backbone, first_block):
    vgg = {"conv1_1[0]": np.ones((64, 3, 3, 3), "float32"), "conv1_1[1]": np.ones(64, "float32")}
    with pytest.raises(ValueError, match=r"no tensor conv1/7x7_s2\[0\].*file has conv1_1\[0\]"):
        convert(tmp_path, backbone, vgg)
    with pytest.raises(ValueError, match=r"no tensor conv1\.conv\.weight"):
        torchvision = GoogLeNet("torchvision", "inception_3a")
        write_caffemodel(tmp_path / "x.caffemodel", first_block)
        write_pth(tmp_path / "x.pth", first_block)
        convert_weights(tmp_path / "x.pth", torchvision, "googlenet")


def test_the_format_follows_from_the_file_and_the_backbone():
    assert weights_format("conv3d_deepnetA_sport1m_iter_1900000", "c3d") == "caffe"
    for path in ("inception_v1.ckpt", "model.ckpt-5000", "model.ckpt.index"):
        assert weights_format(path, "googlenet") == "slim"
    for path, name, message in (
        ("resnet152-394f9c45.pth", "resnet152", "another network.*Keras's .h5"),
        ("vgg19-dcbb9e9d.pth", "vgg19", r"\.caffemodel, \.h5"),
        ("weights", "googlenet", r"\.caffemodel, \.pth, \.pt, \.ckpt"),
        ("small.caffemodel", "small", "'small' can be converted; of googlenet"),
    ):
        with pytest.raises(ValueError, match=message):
            weights_format(path, name)


def test_c3d_needs_its_mean_cube(tmp_path):
    sizes = {"filters": (2, 2, 2, 2, 2), "units": 3, "classes": 2}
    backbone, clips = C3D("pool5", **sizes), frames(1, 16, 128, 171, 3)
    stages, conversion = convert_c3d(tmp_path, backbone, clips, **sizes)
    assert conversion.left_out == tuple(f"fc{n}-1[{i}]" for n in (6, 7, 8) for i in (0, 1))
    np.testing.assert_allclose(
        np.asarray(backbone(clips)), stages["pool5"], atol=1e-5 * stages["pool5"].max()
    )
    path = tmp_path / "conv3d_deepnetA"
    with pytest.raises(ValueError, match="mean cube of c3d is missing"):
        convert_weights(path, C3D("pool5", **sizes), "c3d")
    write_binaryproto(tmp_path / "image.binaryproto", np.ones((3, 128, 171), "float32"))
    with pytest.raises(ValueError, match=r"shape \(3, 128, 171\).*needs \(3, 16, 128, 171\)"):
        convert_weights(path, backbone, "c3d", mean=tmp_path / "image.binaryproto")
    convert_weights(path, C3D("pool5", mean=(104, 117, 123), **sizes), "c3d")


def test_a_converted_file_is_whole_or_absent(tmp_path, first_block):
    path, output = tmp_path / "x.caffemodel", tmp_path / "out" / "googlenet.keras"
    write_caffemodel(path, first_block, as_bytes=True)
    with pytest.raises(FileNotFoundError, match="folder of"):
        convert_file(path, "googlenet", output)
    output.parent.mkdir()
    with pytest.raises(ValueError, match="no tensor inception_3b"):
        convert_file(path, "googlenet", output, options={"output": "inception_3b"})
    with pytest.raises(ValueError, match="of the family caffe, not slim"):
        convert_file(path, "googlenet", output, options={"family": "slim"})
    with pytest.raises(ValueError, match="Only c3d has a mean cube"):
        convert_file(path, "googlenet", output, mean="mean.binaryproto")
    with pytest.raises(ValueError, match=r"googlenet\.h5: .*\.keras file"):
        convert_file(path, "googlenet", output.with_suffix(".h5"))
    assert not list(output.parent.iterdir())


def test_a_file_of_another_digest_is_refused(tmp_path):
    path = tmp_path / "x.pth"
    path.write_bytes(b"tensors")
    digests = check_digests([path], {})[path]
    assert digests["md5"] == hashlib.md5(b"tensors", usedforsecurity=False).hexdigest()
    assert check_digests([path], {"sha256": digests["sha256"].upper()}) == {path: digests}
    with pytest.raises(ValueError, match=rf"x\.pth has the sha1 {digests['sha1']}, not abc"):
        check_digests([path], {"sha1": "abc"})
    with pytest.raises(ValueError, match="One md5 was given for 2 files"):
        check_digests([path, path], {"md5": digests["md5"]})


def test_the_command_writes_a_backbone_that_loads_by_name(tmp_path, first_block, capsys):
    path, output = tmp_path / "x.caffemodel", tmp_path / "googlenet.keras"
    write_caffemodel(path, first_block, as_bytes=True)
    sha1 = hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()
    command = ("convert", "--backbone=googlenet", f"--weights={path}", f"--output={output}")
    options = '--backbone_options={"output": "inception_3a"}'
    for flags, words in (
        ((options, "--sha1=abc"), f"x.caffemodel has the sha1 {sha1}, not abc"),
        (('--backbone_options={"layer": "fc6"}',), "GoogLeNet: {'layer': 'fc6'}"),
        (('--backbone_options={"weights": "x.keras"}',), "'weights'"),
        ((), "no tensor inception_3b/"),
    ):
        assert run_command(*command, *flags) == 1
        errors = [x for x in capsys.readouterr().err.splitlines() if x.startswith("glimpse ")]
        assert len(errors) == 1 and words in errors[0]
    assert not output.exists()
    assert run_command(*command, options, f"--sha1={sha1}") == 0
    printed = capsys.readouterr().out
    for words in (f"x.caffemodel: sha1 {sha1}", f"left out: {', '.join(LATER)}", "used"):
        assert words in printed
    loaded = create_backbone("googlenet", weights=output)
    kernel = loaded.network.get_layer("conv1_7x7_s2").kernel
    np.testing.assert_array_equal(kernel[4, 5, 1], first_block["conv1/7x7_s2[0]"][:, 1, 4, 5])


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
