"""Published files into our backbones: every stage as the same network in torch gives it."""

import gc

import keras
import numpy as np
import pytest

from glimpse.models.googlenet import GoogLeNet
from glimpse.models.resnet152 import ResNet152
from glimpse.models.vgg19 import VGG19
from glimpse.pipelines.weight_conversion import convert_file, convert_weights, weights_format
from tests.published_files import write_caffemodel, write_keras_h5, write_slim_checkpoint

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
def test_vgg19_gives_every_stage_of_its_twin(tmp_path, form):
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
def test_resnet152_gives_every_stage_of_its_twin(tmp_path):
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


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
