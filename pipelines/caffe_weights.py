"""Reads Caffe's files of weights: .caffemodel in two layer formats, C3D's own, and mean images."""

import functools
import math

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
_INTEGER, _TEXT, _BYTES = _FIELD.TYPE_INT64, _FIELD.TYPE_STRING, _FIELD.TYPE_BYTES
_FLOAT, _DOUBLE = _FIELD.TYPE_FLOAT, _FIELD.TYPE_DOUBLE

# The fields that hold weights, {message: {field: (number, type)}}; a type in capitals is another
# message, a name that ends in "*" is repeated. From caffe.proto of BVLC/caffe; `layers` is the
# older form of a layer (V1LayerParameter), `layer` the newer.
_NET = {
    "Net": {"layers*": (2, "OldLayer"), "layer*": (100, "Layer")},
    "OldLayer": {"name": (4, _TEXT), "blobs*": (6, "Blob")},
    "Layer": {"name": (1, _TEXT), "blobs*": (7, "Blob")},
    "Shape": {"dim*": (1, _INTEGER)},
}
# On the wire a packed list of floats is its bytes: declared as bytes it arrives in one piece,
# where a list of floats would become one Python object a number.
_BLOB = {
    "shape": (7, "Shape"),
    "num": (1, _INTEGER),
    "channels": (2, _INTEGER),
    "height": (3, _INTEGER),
    "width": (4, _INTEGER),
    "data*": (5, _BYTES),
    "double_data*": (8, _BYTES),
}
# From caffe.proto of facebookarchive/C3D (version 1.0), which put `length` in the middle.
_C3D_BLOB = {
    "num": (1, _INTEGER),
    "channels": (2, _INTEGER),
    "length": (3, _INTEGER),
    "height": (4, _INTEGER),
    "width": (5, _INTEGER),
    "data*": (6, _BYTES),
}
_UNPACKED_BLOB = _BLOB | {"data*": (5, _FLOAT), "double_data*": (8, _DOUBLE)}
_UNPACKED_C3D_BLOB = _C3D_BLOB | {"data*": (6, _FLOAT)}
_BLOBS = (_BLOB, _C3D_BLOB, _UNPACKED_BLOB, _UNPACKED_C3D_BLOB)


def read_caffe_weights(path):
    """Returns the blobs of a `.caffemodel` as float32 arrays by name, `layer[index]`.

    Index 0 is a layer's weights and 1 its biases. Shapes are as the file gives them: older files
    pad them with ones to four axes (C3D's to five).

    Args:
        path: The file: Caffe's with `layer` or `layers`, or C3D's, whatever its name.

    Raises:
        ValueError: If the file is no such file or breaks off, naming the layer; or if a blob's
            shape and its numbers disagree, naming the blob.
    """
    with open(path, "rb") as file:
        data = file.read()
    for blob_fields in range(len(_BLOBS)):
        net = _parse_net(path, data, blob_fields)
        blobs = [blob for layer in (*net.layers, *net.layer) for blob in layer.blobs]
        if any(_numbers(blob) for blob in blobs):
            break
    del data, blobs
    weights = {}
    for layer in (*net.layers, *net.layer):
        if layer.blobs and not layer.name:
            raise ValueError(
                f"{path}: a layer has weights but no name: Caffe's first format; convert the file "
                "with Caffe's upgrade_net_proto_binary."
            )
        for index, blob in enumerate(layer.blobs):
            name = f"{layer.name}[{index}]"
            if name in weights:
                raise ValueError(f"{path}: two layers with weights are called {layer.name!r}.")
            weights[name] = _read_blob(path, name, blob)
    if not weights:
        raise ValueError(f"{path}: no layer with weights: this is not a .caffemodel.")
    return weights


def read_caffe_mean(path):
    """Returns the mean of a `.binaryproto` file, `(channels, [length,] height, width)`, BGR.

    Raises:
        ValueError: If the file is no such file or breaks off.
    """
    with open(path, "rb") as file:
        data = file.read()
    for blob_fields in range(len(_BLOBS)):
        blob = _messages(blob_fields)["Blob"]()
        try:
            blob.ParseFromString(data)
        except message.DecodeError as error:
            raise ValueError(f"{path}: damaged, or not a .binaryproto file.") from error
        if _numbers(blob):
            break
    mean = _read_blob(path, "mean", blob)
    if mean.ndim == 0 or mean.shape[0] == 1 and mean.ndim > 3:
        mean = mean.reshape(mean.shape[1:])
    if mean.ndim not in (3, 4) or mean.shape[0] != 3:
        raise ValueError(
            f"{path}: a mean has the shape (3, [length,] height, width), got {mean.shape}."
        )
    return mean


def _parse_net(path, data, blob_fields):
    net = _messages(blob_fields)["Net"]()
    try:
        net.ParseFromString(data)
    except message.DecodeError as error:
        # The layers before the damage are whole; the one that it lies in has not been filled.
        whole = [layer.name for layer in (*net.layers, *net.layer) if layer.name]
        if not whole:
            raise ValueError(f"{path}: not a .caffemodel file, or damaged at its start.") from error
        raise ValueError(
            f"{path}: truncated or damaged: cannot read layer {len(whole) + 1}, which follows "
            f"{whole[-1]!r}."
        ) from error
    return net


def _numbers(blob):
    return len(blob.data) or ("double_data" in blob.DESCRIPTOR.fields_by_name and blob.double_data)


def _read_blob(path, name, blob):
    values, dtype = blob.data, "<f4"
    if not len(values) and "double_data" in blob.DESCRIPTOR.fields_by_name:
        values, dtype = blob.double_data, "<f8"
    if len(values) and isinstance(values[0], bytes):
        values = values[0] if len(values) == 1 else b"".join(values)
        whole = len(values) // np.dtype(dtype).itemsize
        array = np.frombuffer(values, dtype, count=whole)
    else:
        array = np.fromiter(values, dtype, count=len(values))
    fields = blob.DESCRIPTOR.fields_by_name
    if "shape" in fields and blob.HasField("shape"):
        shape = tuple(blob.shape.dim)
    else:
        axes = ("num", "channels", "length", "height", "width")
        shape = tuple(getattr(blob, axis) for axis in axes if axis in fields)
    if math.prod(shape) != array.size or min(shape, default=0) < 1:
        raise ValueError(
            f"{path}: {name} should hold {' x '.join(map(str, shape))} numbers, and the file has "
            f"{array.size} of them."
        )
    return array.reshape(shape).astype("float32", copy=False)


@functools.cache
def _messages(blob_fields):
    """Message classes by name, with the blob of `_BLOBS[blob_fields]`."""
    package = f"glimpse.caffe{blob_fields}"
    file = descriptor_pb2.FileDescriptorProto(name=package, package=package, syntax="proto2")
    for name, fields in (_NET | {"Blob": _BLOBS[blob_fields]}).items():
        described = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            repeated = field.endswith("*")
            added = described.field.add(
                name=field.rstrip("*"),
                number=number,
                label=_FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL,
            )
            if isinstance(kind, str):
                added.type, added.type_name = _FIELD.TYPE_MESSAGE, f".{package}.{kind}"
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in (*_NET, "Blob")
    }
