"""Published files of weights into our backbones, every tensor accounted for."""

import dataclasses
import difflib
import hashlib
import pathlib
import re

import keras
import numpy as np

from glimpse.models import create_backbone
from glimpse.pipelines.caffe_weights import read_caffe_mean, read_caffe_weights
from glimpse.pipelines.keras_h5_weights import read_keras_h5_weights
from glimpse.pipelines.partial_file import partial_file
from glimpse.pipelines.torch_weights import read_torch_weights
from glimpse.pipelines.weight_names import FORMATS, LEFT_OUT, published_names

# Publishers state one or other of these of their files.
DIGESTS = ("sha256", "sha1", "md5")
_SUFFIXES = {
    ".caffemodel": "caffe",
    ".pth": "torchvision",
    ".pt": "torchvision",
    ".ckpt": "slim",
    ".index": "slim",
    ".h5": "keras",
    ".hdf5": "keras",
}


@dataclasses.dataclass(frozen=True)
class Conversion:
    """What became of a file's tensors.

    Args:
        used: Names of the tensors that the backbone has now, in its order.
        left_out: Names of those it does not need.
        parameters: Numbers in the weights of the backbone's network.
    """

    used: tuple
    left_out: tuple
    parameters: int


def weights_format(path, backbone):
    """Returns the format of a file of weights of the backbone called `backbone`, by its suffix.

    Raises:
        ValueError: If the backbone has no published weights, or none in the file's format.
    """
    if backbone not in FORMATS:
        raise ValueError(
            f"No weights of backbone {backbone!r} can be converted; of {', '.join(FORMATS)} only."
        )
    formats = FORMATS[backbone]
    # C3D's file has no suffix of its own.
    default = formats[0] if len(formats) == 1 else None
    # TensorFlow numbers the checkpoints of a training run: model.ckpt-5000.
    suffix = re.sub(r"^\.ckpt-\d+$", ".ckpt", pathlib.Path(path).suffix)
    form = _SUFFIXES.get(suffix, default)
    if form in formats:
        return form
    if (backbone, form) == ("resnet152", "torchvision"):
        raise ValueError(
            f"{path}: torchvision's ResNet-152 is another network: it has its strides in the 3x3 "
            "convolutions and reads pixels scaled otherwise. Convert Keras's .h5 file."
        )
    known = ", ".join(s for s, f in _SUFFIXES.items() if f in formats)
    raise ValueError(f"{path}: weights of {backbone} are read from files named {known}.")


def convert_weights(path, backbone, name, form=None, mean=None):
    """Fills a backbone with the weights of a published file.

    Every weight of the backbone is set, and every tensor of the file is used or is known to be
    superfluous (auxiliary heads, counters, layers after the output that the backbone gives).
    Nothing is set if anything is wrong.

    Args:
        path: The file.
        backbone: A built backbone of the right family and output.
        name: The backbone's name, such as `"googlenet"`.
        form: "caffe", "torchvision", "slim" or "keras"; None for `weights_format(path, name)`.
        mean: The `.binaryproto` file of the mean cube, of a c3d that has one.

    Returns:
        A `Conversion`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or does not fit, naming the tensor and both shapes.
    """
    form = form or weights_format(path, name)
    tensors = _read(path, form)
    plan = []
    for variable in backbone.weights:
        if variable is getattr(backbone, "mean_cube", None):
            continue
        layer, weight = variable.path.split("/")[-2:]
        ours = f"{layer}/{weight}"
        candidates = published_names(name, form, layer, weight)
        tensor = next((found for found in candidates if found in tensors), None)
        if tensor is None:
            raise ValueError(_missing(path, candidates, f"{name}'s {ours}", tensors))
        flattened = _flattened_shape(backbone) if ours == "fc6/kernel" else None
        wanted = _published_shape(form, tuple(variable.shape))
        shape = tensors[tensor].shape
        # Caffe's older files pad shapes with ones.
        padded = form == "caffe" and shape == (1,) * (len(shape) - len(wanted)) + wanted
        if shape != wanted and not padded:
            raise ValueError(
                f"{path}: {tensor} has the shape {shape}, and {name}'s {ours} needs {wanted}."
            )
        # A sum is finite where all numbers are, and takes no memory.
        if not np.isfinite(tensors[tensor].sum(dtype="float64")):
            raise ValueError(f"{path}: {tensor} holds NaN or infinite numbers.")
        plan.append((variable, tensor, flattened))
    used = [tensor for _, tensor, _ in plan]
    left = [tensor for tensor in tensors if tensor not in set(used)]
    known = "|".join(f"(?:{pattern})" for pattern in LEFT_OUT[name, form])
    for tensor in left:
        if not re.fullmatch(known, tensor):
            raise ValueError(
                f"{path}: {tensor} of shape {tensors[tensor].shape} belongs to no layer of "
                f"{name}: this is the file of another network."
            )
    if name == "c3d" and backbone.mean == "cube":
        backbone.mean_cube.assign(_mean_cube(mean, backbone))
    for variable, tensor, flattened in plan:
        array = tensors.pop(tensor)
        variable.assign(_to_keras(form, array, tuple(variable.shape), flattened))
    parameters = backbone.count_params()
    return Conversion(tuple(used), tuple(left), parameters)


def convert_file(path, name, output, mean=None, options=None):
    """Writes a published file of weights as a backbone of ours, a `.keras` file.

    The file gets its name once it has been read back, in Keras's safe mode, with equal weights.

    Args:
        path: The published file.
        name: The backbone's name.
        output: The `.keras` file to write; its folder must exist.
        mean: The `.binaryproto` file of c3d's mean cube.
        options: Dict of the backbone's own arguments. GoogLeNet's `family` follows from the file.

    Returns:
        A `Conversion`.

    Raises:
        FileNotFoundError: If the file or the folder does not exist.
        ValueError: If the file is damaged or does not fit, naming the tensor and both shapes; or
            if `output` is no `.keras` file.
    """
    if pathlib.Path(output).suffix != ".keras":
        raise ValueError(f"{output}: a backbone is written as a .keras file.")
    form, options = weights_format(path, name), dict(options or {})
    if "weights" in options:
        raise ValueError(f"The option 'weights' is not taken: the weights are those of {path}.")
    if name == "googlenet" and options.setdefault("family", form) != form:
        raise ValueError(f"{path}: of the family {form}, not {options['family']}.")
    if mean is not None and name != "c3d":
        raise ValueError(f"Only c3d has a mean cube; the mean of {name} is an option of its own.")
    with partial_file(output) as partial:
        backbone = create_backbone(name, weights=None, **options)
        conversion = convert_weights(path, backbone, name, form, mean)
        backbone.save(partial)
        read = keras.saving.load_model(partial, compile=False, safe_mode=True)
        for written, found in zip(backbone.weights, read.weights, strict=True):
            if not np.array_equal(written.numpy(), found.numpy()):
                raise ValueError(f"{output}: {written.path} is read back with other numbers.")
    return conversion


def weight_files(path, name):
    """Returns the paths of the files that the weights are in: one, but for some checkpoints.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If the backbone has no published weights in the file's format.
    """
    if weights_format(path, name) == "slim":
        from glimpse.pipelines.slim_weights import checkpoint_files

        return checkpoint_files(path)
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(f"No such file of weights: {path}.")
    return [pathlib.Path(path)]


def check_digests(files, wanted):
    """Returns {algorithm: hexadecimal digest} of each file, after comparing them with `wanted`.

    Args:
        files: Paths.
        wanted: {"sha256", "sha1" or "md5": the digest that a single file must have}.

    Raises:
        ValueError: If a file has another digest, or there are several files for one.
    """
    digests = {}
    for path in files:
        hashes = {name: hashlib.new(name, usedforsecurity=False) for name in DIGESTS}
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                for value in hashes.values():
                    value.update(chunk)
        digests[path] = {name: value.hexdigest() for name, value in hashes.items()}
    for name, digest in wanted.items():
        if len(files) != 1:
            raise ValueError(f"One {name} was given for {len(files)} files of weights.")
        if digests[files[0]][name] != digest.lower():
            raise ValueError(
                f"{files[0]} has the {name} {digests[files[0]][name]}, not {digest}: it is another "
                "file, or damaged."
            )
    return digests


def _read(path, form):
    if form != "slim":
        readers = {
            "caffe": read_caffe_weights,
            "torchvision": read_torch_weights,
            "keras": read_keras_h5_weights,
        }
        return readers[form](path)
    # TensorFlow takes seconds to import, and only its own format needs it.
    from glimpse.pipelines.slim_weights import read_slim_weights

    return read_slim_weights(path)


def _flattened_shape(backbone):
    """Shape of the maps that `fc6` reads as a vector. Caffe flattens channels first, Keras last."""
    return tuple(backbone.network.get_layer("flatten").input.shape[1:])


def _mean_cube(path, backbone):
    wanted = tuple(backbone.mean_cube.shape)
    if path is None:
        raise ValueError(
            "The mean cube of c3d is missing: give the .binaryproto file as `mean`, or three "
            "numbers as the backbone's own option `mean`."
        )
    cube = read_caffe_mean(path)
    if (*cube.shape[1:], 3) != wanted:
        raise ValueError(
            f"{path}: the mean has the shape {cube.shape}, and c3d needs {(3, *wanted[:-1])}."
        )
    if not np.isfinite(cube).all():
        raise ValueError(f"{path}: the mean holds NaN or infinite numbers.")
    return np.moveaxis(cube, 0, -1)


def _missing(path, candidates, ours, tensors):
    near = difflib.get_close_matches(candidates[0], tensors, n=3, cutoff=0.3) or list(tensors)[:3]
    names = " or ".join(candidates)
    return f"{path}: no tensor {names}, which is {ours}. The file has {', '.join(near)}, ..."


def _published_shape(form, shape):
    """The shape of a tensor in the file, given our weight's."""
    if form == "slim" and len(shape) == 2:
        return (1, 1, *shape)
    if form in ("keras", "slim") or len(shape) == 1:
        return shape
    return (shape[-1], shape[-2], *shape[:-2])


def _to_keras(form, array, shape, flattened):
    """A tensor of a file in the layout of our weight."""
    if form in ("caffe", "torchvision") and len(shape) > 1:
        outputs = shape[-1]
        if flattened:
            array = array.reshape(outputs, flattened[-1], *flattened[:-1])
        else:
            array = array.reshape(outputs, shape[-2], *shape[:-2])
        # (outputs, inputs, ...) to (..., inputs, outputs)
        array = np.moveaxis(array, (0, 1), (-1, -2))
    return array.reshape(shape)
