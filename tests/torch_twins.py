"""The published networks again, in torch: from their papers and prototxt files, not from ours.

Each function runs a network on frames and returns its activations by name, channels last. The
weights are drawn as they are asked for, under the names and in the layout of the published file,
so that `RandomWeights` holds afterwards what that file would.
"""

import numpy as np
import torch
from torch.nn import functional

# Szegedy et al., Table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj.
_INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
_SLIM_BLOCKS = dict(
    zip(_INCEPTION, ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c"), strict=True)
)
_BLOCK = 999_983  # A prime, so that the repeats of a block never fall on a layer's rows.


class RandomWeights(dict):
    """Draws each named weight once; large ones repeat a block of normal numbers."""

    def __init__(self, seed=0):
        super().__init__()
        self._random = np.random.default_rng(seed)
        self._block = self._random.standard_normal(_BLOCK, dtype="float32")

    def __call__(self, name, shape, scale, offset=0.0):
        if name not in self:
            size = int(np.prod(shape))
            if size < _BLOCK:
                values = self._random.standard_normal(size, dtype="float32")
            else:
                values = np.resize(np.roll(self._block, len(self)), size)
            values *= np.float32(scale)
            values += np.float32(offset)
            self[name] = values.reshape(shape)
        return torch.from_numpy(self[name])

    def positive(self, name, shape, scale=1.0):
        """Draws between 0.5 and 1.5 times `scale`: for scales and variances."""
        if name not in self:
            self[name] = (scale * self._random.uniform(0.5, 1.5, shape)).astype("float32")
        return torch.from_numpy(self[name])


class _Stages(dict):
    """Keeps activations as NumPy arrays with channels last."""

    def __setitem__(self, name, tensor):
        super().__setitem__(name, torch.movedim(tensor, 1, -1).contiguous().numpy())


def _channels_first(frames):
    return torch.from_numpy(np.moveaxis(np.asarray(frames, "float32"), -1, 1).copy())


def _he(inputs):
    return np.sqrt(2.0 / inputs)


def _caffe_input(frames, mean=(104.0, 117.0, 123.0)):
    """RGB frames to BGR minus the mean."""
    return _channels_first(frames).flip(1) - torch.tensor(mean).view(1, 3, 1, 1)


@torch.no_grad()
def caffe_googlenet(frames, draw):
    """bvlc_googlenet: `deploy.prototxt` with the auxiliary heads of `train_val.prototxt`."""
    stages = _Stages()

    def conv(x, caffe, filters, size, **options):
        inputs = x.shape[1]
        name = caffe.replace("/", "_")
        kernel = draw(f"{caffe}[0]", (filters, inputs, size, size), _he(inputs * size * size))
        stages[name] = functional.conv2d(x, kernel, draw(f"{caffe}[1]", (filters,), 0.1), **options)
        stages[f"{name}_relu"] = x = torch.from_numpy(stages[name]).movedim(-1, 1).clamp(min=0)
        return x

    def norm(x):
        return functional.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=1.0)

    def pool(x):
        return functional.max_pool2d(x, 3, 2, ceil_mode=True)

    x = conv(_caffe_input(frames), "conv1/7x7_s2", 64, 7, stride=2, padding=3)
    stages["pool1_3x3_s2"] = x = pool(x)
    stages["pool1_norm1"] = x = norm(x)
    x = conv(x, "conv2/3x3_reduce", 64, 1)
    x = conv(x, "conv2/3x3", 192, 3, padding=1)
    stages["conv2_norm2"] = x = norm(x)
    stages["pool2_3x3_s2"] = x = pool(x)
    for block, (one, reduce3, three, reduce5, five, proj) in _INCEPTION.items():
        i = f"inception_{block}"
        branches = [
            conv(x, f"{i}/1x1", one, 1),
            conv(conv(x, f"{i}/3x3_reduce", reduce3, 1), f"{i}/3x3", three, 3, padding=1),
            conv(conv(x, f"{i}/5x5_reduce", reduce5, 1), f"{i}/5x5", five, 5, padding=2),
            conv(functional.max_pool2d(x, 3, 1, padding=1), f"{i}/pool_proj", proj, 1),
        ]
        stages[f"{i}_output"] = x = torch.cat(branches, 1)
        if block in ("3b", "4e"):
            number = 3 if block == "3b" else 4
            stages[f"pool{number}_3x3_s2"] = x = pool(x)
    x = x.mean((2, 3))
    kernel = draw("loss3/classifier[0]", (1000, 1024), _he(1024))
    stages["loss3_classifier"] = x @ kernel.T + draw("loss3/classifier[1]", (1000,), 0.1)
    for head in ("loss1", "loss2"):
        inputs = 512 if head == "loss1" else 528
        draw(f"{head}/conv[0]", (128, inputs, 1, 1), 0.1)
        draw(f"{head}/conv[1]", (128,), 0.1)
        draw(f"{head}/fc[0]", (1024, 2048), 0.1)
        draw(f"{head}/fc[1]", (1024,), 0.1)
        draw(f"{head}/classifier[0]", (1000, 1024), 0.1)
        draw(f"{head}/classifier[1]", (1000,), 0.1)
    return stages


@torch.no_grad()
def torchvision_googlenet(frames, draw):
    """torchvision/models/googlenet.py with `transform_input` and its auxiliary heads' tensors."""
    stages = _Stages()

    def conv(x, module, ours, filters, size, **options):
        inputs = x.shape[1]
        shape = (filters, inputs, size, size)
        kernel = draw(f"{module}.conv.weight", shape, _he(inputs * size * size))
        stages[ours] = x = functional.conv2d(x, kernel, **options)
        stages[f"{ours}_bn"] = x = functional.batch_norm(
            x,
            draw(f"{module}.bn.running_mean", (filters,), 0.3),
            draw.positive(f"{module}.bn.running_var", (filters,)),
            draw.positive(f"{module}.bn.weight", (filters,)),
            draw(f"{module}.bn.bias", (filters,), 0.3),
            eps=0.001,
        )
        draw[f"{module}.bn.num_batches_tracked"] = np.array(7, "int64")
        return x.clamp(min=0)

    def pool(x, size=3):
        return functional.max_pool2d(x, size, 2, ceil_mode=True)

    x = _channels_first(frames) / 255.0
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    x = (x - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    x = torch.stack(
        [x[:, c] * (std[c] / 0.5) + (mean[c] - 0.5) / 0.5 for c in range(3)], dim=1
    )  # `_transform_input`
    x = conv(x, "conv1", "conv1_7x7_s2", 64, 7, stride=2, padding=3)
    stages["pool1_3x3_s2"] = x = pool(x)
    x = conv(x, "conv2", "conv2_3x3_reduce", 64, 1)
    x = conv(x, "conv3", "conv2_3x3", 192, 3, padding=1)
    stages["pool2_3x3_s2"] = x = pool(x)
    for block, (one, reduce3, three, reduce5, five, proj) in _INCEPTION.items():
        t, i = f"inception{block}", f"inception_{block}"
        y3 = conv(x, f"{t}.branch2.0", f"{i}_3x3_reduce", reduce3, 1)
        y5 = conv(x, f"{t}.branch3.0", f"{i}_5x5_reduce", reduce5, 1)
        pooled = functional.max_pool2d(x, 3, 1, padding=1, ceil_mode=True)
        branches = [
            conv(x, f"{t}.branch1", f"{i}_1x1", one, 1),
            conv(y3, f"{t}.branch2.1", f"{i}_3x3", three, 3, padding=1),
            conv(y5, f"{t}.branch3.1", f"{i}_5x5", five, 3, padding=1),
            conv(pooled, f"{t}.branch4.1", f"{i}_pool_proj", proj, 1),
        ]
        stages[f"{i}_output"] = x = torch.cat(branches, 1)
        if block == "3b":
            stages["pool3_3x3_s2"] = x = pool(x)
        if block == "4e":
            stages["pool4_2x2_s2"] = x = pool(x, 2)
    weight = draw("fc.weight", (1000, 1024), _he(1024))
    stages["loss3_classifier"] = x.mean((2, 3)) @ weight.T + draw("fc.bias", (1000,), 0.1)
    for head, inputs in (("aux1", 512), ("aux2", 528)):
        draw(f"{head}.conv.conv.weight", (128, inputs, 1, 1), 0.1)
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            draw.positive(f"{head}.conv.bn.{leaf}", (128,))
        draw[f"{head}.conv.bn.num_batches_tracked"] = np.array(7, "int64")
        for layer, shape in (("fc1", (1024, 2048)), ("fc2", (1000, 1024))):
            draw(f"{head}.{layer}.weight", shape, 0.1)
            draw(f"{head}.{layer}.bias", shape[:1], 0.1)
    return stages


def _same(x, size, stride):
    """TensorFlow's SAME padding: the odd pixel goes below and to the right."""
    pads = []
    for length in (x.shape[3], x.shape[2]):
        total = max((-(-length // stride) - 1) * stride + size - length, 0)
        pads += [total // 2, total - total // 2]
    return pads


@torch.no_grad()
def slim_googlenet(frames, draw):
    """slim/nets/inception_v1.py, the variables of a training run's checkpoint included."""
    stages = _Stages()

    def conv(x, scope, ours, filters, size, stride=1):
        inputs, scope = x.shape[1], f"InceptionV1/{scope}"
        shape = (size, size, inputs, filters)
        kernel = draw(f"{scope}/weights", shape, _he(inputs * size * size)).permute(3, 2, 0, 1)
        x = functional.conv2d(functional.pad(x, _same(x, size, stride)), kernel, stride=stride)
        stages[ours] = x
        stages[f"{ours}_bn"] = x = functional.batch_norm(
            x,
            draw(f"{scope}/BatchNorm/moving_mean", (filters,), 0.3),
            draw.positive(f"{scope}/BatchNorm/moving_variance", (filters,)),
            None,
            draw(f"{scope}/BatchNorm/beta", (filters,), 0.3),
            eps=0.001,
        )
        return x.clamp(min=0)

    def pool(x, size=3, stride=2):
        padded = functional.pad(x, _same(x, size, stride), value=-np.inf)
        return functional.max_pool2d(padded, size, stride)

    x = _channels_first(frames) / 127.5 - 1.0
    x = conv(x, "Conv2d_1a_7x7", "conv1_7x7_s2", 64, 7, 2)
    stages["pool1_3x3_s2"] = x = pool(x)
    x = conv(x, "Conv2d_2b_1x1", "conv2_3x3_reduce", 64, 1)
    x = conv(x, "Conv2d_2c_3x3", "conv2_3x3", 192, 3)
    stages["pool2_3x3_s2"] = x = pool(x)
    for block, (one, reduce3, three, reduce5, five, proj) in _INCEPTION.items():
        s, i = f"Mixed_{_SLIM_BLOCKS[block]}", f"inception_{block}"
        last = "0a" if block == "5a" else "0b"  # Mixed_5b/Branch_2 is named unlike the others.
        y3 = conv(x, f"{s}/Branch_1/Conv2d_0a_1x1", f"{i}_3x3_reduce", reduce3, 1)
        y5 = conv(x, f"{s}/Branch_2/Conv2d_0a_1x1", f"{i}_5x5_reduce", reduce5, 1)
        branches = [
            conv(x, f"{s}/Branch_0/Conv2d_0a_1x1", f"{i}_1x1", one, 1),
            conv(y3, f"{s}/Branch_1/Conv2d_0b_3x3", f"{i}_3x3", three, 3),
            conv(y5, f"{s}/Branch_2/Conv2d_{last}_3x3", f"{i}_5x5", five, 3),
            conv(pool(x, 3, 1), f"{s}/Branch_3/Conv2d_0b_1x1", f"{i}_pool_proj", proj, 1),
        ]
        stages[f"{i}_output"] = x = torch.cat(branches, 1)
        if block == "3b":
            stages["pool3_3x3_s2"] = x = pool(x)
        if block == "4e":
            stages["pool4_2x2_s2"] = x = pool(x, 2)
    kernel = draw("InceptionV1/Logits/Conv2d_0c_1x1/weights", (1, 1, 1024, 1001), _he(1024))
    bias = draw("InceptionV1/Logits/Conv2d_0c_1x1/biases", (1001,), 0.1)
    stages["loss3_classifier"] = x.mean((2, 3)) @ kernel[0, 0] + bias
    draw["global_step"] = np.array(4_000_000, "int64")
    return stages


@torch.no_grad()
def vgg19(frames, draw, layout="caffe", classes=1000, mean=(103.939, 116.779, 123.68)):
    """VGG_ILSVRC_19_layers: sixteen 3x3 convolutions, five pools, three dense layers.

    `layout` is "caffe" (`conv1_1[0]`, flattening channels first) or "keras" (`block1_conv1/...`,
    kernels (height, width, inputs, filters), flattening channels last).
    """
    stages, keras = _Stages(), layout == "keras"
    x = _caffe_input(frames, mean)
    for block, (filters, count) in enumerate(((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)), 1):
        for index in range(1, count + 1):
            name, inputs = f"conv{block}_{index}", x.shape[1]
            scale = _he(inputs * 9)
            if keras:
                group = f"block{block}_conv{index}"
                kernel = draw(f"{group}/{group}_W_1:0", (3, 3, inputs, filters), scale)
                kernel, bias = kernel.permute(3, 2, 0, 1), f"{group}/{group}_b_1:0"
            else:
                kernel = draw(f"{name}[0]", (filters, inputs, 3, 3), scale)
                bias = f"{name}[1]"
            x = functional.conv2d(x, kernel, draw(bias, (filters,), 0.1), padding=1).clamp(min=0)
            stages[name] = x
        stages[f"block{block}_pool"] = x = functional.max_pool2d(x, 2, 2)
    x = (x.permute(0, 2, 3, 1) if keras else x).flatten(1)
    for name, published, units in (
        ("fc6", "fc1", 4096),
        ("fc7", "fc2", 4096),
        ("fc8", "predictions", classes),
    ):
        shape, scale = (units, x.shape[1]), _he(x.shape[1])
        if keras:
            kernel = draw(f"{published}/{published}_W_1:0", shape[::-1], scale).T
            bias = f"{published}/{published}_b_1:0"
        else:
            kernel, bias = draw(f"{name}[0]", shape, scale), f"{name}[1]"
        x = x @ kernel.T + draw(bias, (units,), 0.1)
        if name != "fc8":
            x = x.clamp(min=0)
        stages[name] = x
    return stages


@torch.no_grad()
def resnet152(frames, draw):
    """He et al., Table 1, as keras.applications names it: stride in a block's first 1x1."""
    stages = _Stages()

    def conv(x, name, filters, size, scale=1.0, **options):
        inputs = x.shape[1]
        shape = (size, size, inputs, filters)
        kernel = draw(f"{name}_conv/kernel:0", shape, _he(inputs * size * size))
        bias = draw(f"{name}_conv/bias:0", (filters,), 0.1)
        stages[f"{name}_conv"] = x = functional.conv2d(
            x, kernel.permute(3, 2, 0, 1), bias, **options
        )
        stages[f"{name}_bn"] = x = functional.batch_norm(
            x,
            draw(f"{name}_bn/moving_mean:0", (filters,), 0.1),
            draw.positive(f"{name}_bn/moving_variance:0", (filters,)),
            draw.positive(f"{name}_bn/gamma:0", (filters,), scale),
            draw(f"{name}_bn/beta:0", (filters,), 0.1),
            eps=1.001e-5,
        )
        return x

    x = _caffe_input(frames, (103.939, 116.779, 123.68))
    # Pixels are some sixty times larger than what the later layers see.
    x = conv(x, "conv1", 64, 7, 1 / 60, stride=2, padding=3).clamp(min=0)
    stages["pool1_pool"] = x = functional.max_pool2d(functional.pad(x, [1] * 4), 3, 2)
    for stack, (filters, count) in enumerate(((64, 3), (128, 8), (256, 36), (512, 3)), 2):
        for index in range(1, count + 1):
            name = f"conv{stack}_block{index}"
            stride = 2 if index == 1 and stack > 2 else 1
            shortcut = x
            if index == 1:
                shortcut = conv(x, f"{name}_0", 4 * filters, 1, stride=stride)
            y = conv(x, f"{name}_1", filters, 1, stride=stride).clamp(min=0)
            y = conv(y, f"{name}_2", filters, 3, padding=1).clamp(min=0)
            # A small last scale keeps fifty additions near one.
            y = conv(y, f"{name}_3", 4 * filters, 1, 0.2)
            stages[f"{name}_out"] = x = (shortcut + y).clamp(min=0)
    kernel = draw("probs/kernel:0", (2048, 1000), _he(2048))
    stages["predictions"] = x.mean((2, 3)) @ kernel + draw("probs/bias:0", (1000,), 0.1)
    return stages


@torch.no_grad()
def c3d(clips, draw, mean, filters=(64, 128, 256, 512, 512), units=4096, classes=487):
    """c3d_sport1m_feature_extractor_frm.prototxt, on `(batch, 16, 128, 171, 3)` clips.

    `mean` is the cube of a .binaryproto file, `(3, 16, 128, 171)`, BGR.
    """
    stages = _Stages()
    x = _channels_first(clips).flip(1) - torch.from_numpy(mean)
    x = x[..., 8 : 8 + 112, 29 : 29 + 112]

    def conv(x, name, filters):
        inputs = x.shape[1]
        kernel = draw(f"{name}[0]", (filters, inputs, 3, 3, 3), _he(inputs * 27))
        x = functional.conv3d(x, kernel, draw(f"{name}[1]", (filters,), 0.1), padding=1)
        stages[name] = x = x.clamp(min=0)
        return x

    blocks = (["conv1a"], ["conv2a"], *([f"conv{n}a", f"conv{n}b"] for n in (3, 4, 5)))
    for block, names in enumerate(blocks, start=1):
        for name in names:
            x = conv(x, name, filters[block - 1])
        kernel = (1, 2, 2) if block == 1 else 2
        stages[f"pool{block}"] = x = functional.max_pool3d(x, kernel, kernel, ceil_mode=True)
    x = x.flatten(1)
    for name, outputs in (("fc6", units), ("fc7", units), ("fc8", classes)):
        kernel = draw(f"{name}-1[0]", (outputs, x.shape[1]), _he(x.shape[1]))
        x = x @ kernel.T + draw(f"{name}-1[1]", (outputs,), 0.1)
        if name != "fc8":
            x = x.clamp(min=0)
        stages[name] = x
    return stages
