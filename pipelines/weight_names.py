"""What the published files call the weights of our backbones' layers."""

import re

# The formats of published weights of each backbone.
FORMATS = {
    "googlenet": ("caffe", "torchvision", "slim"),
    "vgg19": ("caffe", "keras"),
    "resnet152": ("keras",),
    "c3d": ("caffe",),
}

_NORM = "(beta|moving_mean|moving_variance)"
# Tensors that a file may hold and a backbone may not need: auxiliary heads, counters, optimizer
# slots, and what comes after the layer that is asked for.
LEFT_OUT = {
    ("googlenet", "caffe"): (
        r"loss[12]/(conv|fc|classifier)\[[01]\]",
        r"loss3/classifier\[[01]\]",
        r"inception_\d\w/(1x1|[35]x[35](_reduce)?|pool_proj)\[[01]\]",
    ),
    ("googlenet", "torchvision"): (
        r"aux[12]\.(conv\.(conv|bn)|fc[12])\.\w+",
        r".+\.bn\.num_batches_tracked",
        r"fc\.(weight|bias)",
        r"inception\d\w\.branch\d(\.\d)?\.(conv\.weight|bn\.(weight|bias|running_(mean|var)))",
    ),
    ("googlenet", "slim"): (
        "global_step",
        "InceptionV1/.+/(ExponentialMovingAverage|Momentum|RMSProp(_1)?)",
        r"InceptionV1/Logits/Conv2d_0c_1x1/(weights|biases)",
        rf"InceptionV1/Mixed_\d\w/Branch_\d/Conv2d_0[ab]_\dx\d/(weights|BatchNorm/{_NORM})",
    ),
    ("vgg19", "caffe"): (r"fc[678]\[[01]\]",),
    ("vgg19", "keras"): (r"(fc[12]|predictions)/((fc[12]|predictions)_[Wb]_1|kernel|bias):0",),
    ("resnet152", "keras"): (
        "(probs|predictions)/(kernel|bias):0",
        rf"conv5_block\d_\d_(conv/(kernel|bias)|bn/(gamma|{_NORM})):0",
    ),
    ("c3d", "caffe"): (r"(conv5[ab]|fc[678]-1)\[[01]\]",),
}

_TORCH_LEAVES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_TORCH_STEM = {"conv1_7x7_s2": "conv1", "conv2_3x3_reduce": "conv2", "conv2_3x3": "conv3"}
_TORCH_BRANCHES = {
    "1x1": "branch1",
    "3x3_reduce": "branch2.0",
    "3x3": "branch2.1",
    "5x5_reduce": "branch3.0",
    "5x5": "branch3.1",
    "pool_proj": "branch4.1",
}
_SLIM_STEM = {
    "conv1_7x7_s2": "Conv2d_1a_7x7",
    "conv2_3x3_reduce": "Conv2d_2b_1x1",
    "conv2_3x3": "Conv2d_2c_3x3",
}
_SLIM_BLOCKS = {
    "3a": "3b",
    "3b": "3c",
    "4a": "4b",
    "4b": "4c",
    "4c": "4d",
    "4d": "4e",
    "4e": "4f",
    "5a": "5b",
    "5b": "5c",
}
_SLIM_BRANCHES = {
    "1x1": "Branch_0/Conv2d_0a_1x1",
    "3x3_reduce": "Branch_1/Conv2d_0a_1x1",
    "3x3": "Branch_1/Conv2d_0b_3x3",
    "5x5_reduce": "Branch_2/Conv2d_0a_1x1",
    "5x5": "Branch_2/Conv2d_0b_3x3",
    "pool_proj": "Branch_3/Conv2d_0b_1x1",
}


def published_names(backbone, form, layer, weight):
    """Returns what a file may call a weight of ours, likeliest first.

    Args:
        backbone: A name in `FORMATS`, and `form` one of its formats.
        layer: Our layer's name, such as `inception_3a_1x1`.
        weight: Our weight's name in it, such as `kernel`.

    >>> published_names("googlenet", "caffe", "inception_3a_1x1", "bias")
    ('inception_3a/1x1[1]',)
    """
    return _NAMES[backbone, form](layer, weight)


def _caffe_blob(weight):
    return f"[{('kernel', 'bias').index(weight)}]"


def _caffe_googlenet(layer, weight):
    return (re.sub(r"^(conv\d|inception_\d\w|loss3)_", r"\1/", layer) + _caffe_blob(weight),)


def _torchvision_googlenet(layer, weight):
    if layer == "loss3_classifier":
        return (f"fc.{'weight' if weight == 'kernel' else 'bias'}",)
    convolution = layer.removesuffix("_bn")
    kind = "bn" if convolution != layer else "conv"
    return (f"{_torchvision_module(convolution)}.{kind}.{_TORCH_LEAVES[weight]}",)


def _torchvision_module(convolution):
    if convolution in _TORCH_STEM:
        return _TORCH_STEM[convolution]
    block, _, branch = convolution.removeprefix("inception_").partition("_")
    return f"inception{block}.{_TORCH_BRANCHES[branch]}"


def _slim_googlenet(layer, weight):
    if layer == "loss3_classifier":
        leaf = "weights" if weight == "kernel" else "biases"
        return (f"InceptionV1/Logits/Conv2d_0c_1x1/{leaf}",)
    convolution = layer.removesuffix("_bn")
    leaf = "weights" if weight == "kernel" else f"BatchNorm/{weight}"
    return (f"InceptionV1/{_slim_scope(convolution)}/{leaf}",)


def _slim_scope(convolution):
    if convolution in _SLIM_STEM:
        return _SLIM_STEM[convolution]
    block, _, branch = convolution.removeprefix("inception_").partition("_")
    if (block, branch) == ("5a", "5x5"):
        # The one convolution that slim's scopes name unlike its sisters.
        return "Mixed_5b/Branch_2/Conv2d_0a_3x3"
    return f"Mixed_{_SLIM_BLOCKS[block]}/{_SLIM_BRANCHES[branch]}"


def _caffe_vgg19(layer, weight):
    return (layer + _caffe_blob(weight),)


def _keras_vgg19(layer, weight):
    heads = {"fc6": "fc1", "fc7": "fc2", "fc8": "predictions"}
    published = heads.get(layer) or re.sub(r"^conv(\d)_(\d)$", r"block\1_conv\2", layer)
    # The file of 2016 numbers Keras 1's names; files saved since have today's.
    old = {"kernel": "W", "bias": "b"}[weight]
    return (f"{published}/{published}_{old}_1:0", f"{published}/{weight}:0")


def _keras_resnet152(layer, weight):
    if layer in ("probs", "predictions"):
        return (f"probs/{weight}:0", f"predictions/{weight}:0")
    return (f"{layer}/{weight}:0",)


def _caffe_c3d(layer, weight):
    return (re.sub(r"^(fc\d)$", r"\1-1", layer) + _caffe_blob(weight),)


_NAMES = {
    ("googlenet", "caffe"): _caffe_googlenet,
    ("googlenet", "torchvision"): _torchvision_googlenet,
    ("googlenet", "slim"): _slim_googlenet,
    ("vgg19", "caffe"): _caffe_vgg19,
    ("vgg19", "keras"): _keras_vgg19,
    ("resnet152", "keras"): _keras_resnet152,
    ("c3d", "caffe"): _caffe_c3d,
}
