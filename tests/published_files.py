"""Writes weights in the formats of the published files, from each format's own description."""

import h5py
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "string": _FIELD.TYPE_STRING,
    "int32": _FIELD.TYPE_INT32,
    "int64": _FIELD.TYPE_INT64,
    "float": _FIELD.TYPE_FLOAT,
    "double": _FIELD.TYPE_DOUBLE,
    "bytes": _FIELD.TYPE_BYTES,
}
_CAFFE_BLOB = """
    optional int32 num = 1; optional int32 channels = 2;
    optional int32 height = 3; optional int32 width = 4;
    repeated float data = 5 packed; repeated float diff = 6 packed;
    optional BlobShape shape = 7; repeated double double_data = 8 packed;"""
_C3D_BLOB = """
    optional int32 num = 1; optional int32 channels = 2; optional int32 length = 3;
    optional int32 height = 4; optional int32 width = 5;
    repeated float data = 6 packed; repeated float diff = 7 packed;"""
_MESSAGES = {
    "BlobShape": "repeated int64 dim = 1 packed;",
    "NetParameter": """
        optional string name = 1; repeated string input = 3;
        repeated LayerParameter layer = 100; repeated V1LayerParameter layers = 2;""",
    "LayerParameter": """
        optional string name = 1; optional string type = 2; repeated string bottom = 3;
        repeated BlobProto blobs = 7;""",
    "V1LayerParameter": """
        repeated string bottom = 2; optional string name = 4; optional int32 type = 5;
        repeated BlobProto blobs = 6;""",
}


def caffe_messages(c3d=False, packed=True, as_bytes=False):
    """Returns message classes by name, made from the lines of a caffe.proto.

    `as_bytes` declares lists of numbers as bytes: large ones are then written at once.
    """
    package = f"caffe_{c3d}_{packed}_{as_bytes}".lower()
    file = descriptor_pb2.FileDescriptorProto(name=package, package=package, syntax="proto2")
    described = _MESSAGES | {"BlobProto": _C3D_BLOB if c3d else _CAFFE_BLOB}
    for name, text in described.items():
        added = file.message_type.add(name=name)
        for line in filter(None, map(str.strip, text.replace("\n", " ").split(";"))):
            label, kind, field, _, number, *options = line.split()
            numbers = label == "repeated" and kind in ("float", "double")
            kind = "bytes" if numbers and as_bytes else kind
            definition = added.field.add(name=field, number=int(number))
            definition.label = (
                _FIELD.LABEL_REPEATED if label == "repeated" else _FIELD.LABEL_OPTIONAL
            )
            if kind in _TYPES:
                definition.type = _TYPES[kind]
            else:
                definition.type = _FIELD.TYPE_MESSAGE
                definition.type_name = f".{package}.{kind}"
            if options and kind != "bytes":
                definition.options.packed = packed
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in described
    }


def write_caffemodel(path, weights, form="layers", packed=True, doubles=False, as_bytes=False):
    """Writes a .caffemodel from arrays called `layer[index]`.

    Args:
        form: "layer" (shapes as `shape`), "layers" (shapes padded with ones to four axes) or
            "c3d" (the same to five).
    """
    messages = caffe_messages(form == "c3d", packed, as_bytes)
    layers = {}
    for name, array in weights.items():
        layers.setdefault(name[: name.rindex("[")], []).append(array)
    with open(path, "wb") as file:
        file.write(messages["NetParameter"](name="net", input=["data"]).SerializeToString())
        for name, arrays in layers.items():
            net = messages["NetParameter"]()
            layer = (net.layer if form == "layer" else net.layers).add(name=name, bottom=["x"])
            for array in arrays:
                _fill_blob(layer.blobs.add(), array, form, doubles, as_bytes)
            # Messages written one after another read as one that holds the fields of all.
            file.write(net.SerializeToString())


def write_binaryproto(path, mean, form="layers"):
    """Writes a mean image or cube, `(3, [length,] height, width)`."""
    blob = caffe_messages(form == "c3d")["BlobProto"]()
    _fill_blob(blob, mean, form, False, False)
    with open(path, "wb") as file:
        file.write(blob.SerializeToString())


def _fill_blob(blob, array, form, doubles, as_bytes):
    if form == "layer":
        blob.shape.dim.extend(array.shape)
    else:
        axes = ["num", "channels", "height", "width"]
        if form == "c3d":
            axes.insert(2, "length")
        shape = (1,) * (len(axes) - array.ndim) + array.shape
        for axis, length in zip(axes, shape, strict=True):
            setattr(blob, axis, length)
    values = blob.double_data if doubles else blob.data
    flat = array.astype("<f8" if doubles else "<f4").ravel()
    values.extend([flat.tobytes()] if as_bytes else flat.tolist())


def write_slim_checkpoint(path, weights, version=2):
    """Writes a TensorFlow checkpoint: version 1 is a single file, version 2 several."""
    import tensorflow as tf

    names, tensors = list(weights), [tf.constant(value) for value in weights.values()]
    if version == 1:
        tf.raw_ops.Save(filename=str(path), tensor_names=names, data=tensors)
    else:
        tf.raw_ops.SaveV2(
            prefix=str(path),
            tensor_names=names,
            shape_and_slices=[""] * len(names),
            tensors=tensors,
        )


def write_keras_h5(path, weights, whole_model=False):
    """Writes Keras 2's layout: a group a layer, whose attribute lists its weights in order."""
    layers = {}
    for name in weights:
        layers.setdefault(name.partition("/")[0], []).append(name)
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if whole_model else file
        root.attrs["layer_names"] = np.array([b"input_1", *(name.encode() for name in layers)])
        root.create_group("input_1").attrs["weight_names"] = np.array([], "S1")
        for layer, names in layers.items():
            group = root.create_group(layer)
            # Files of 2016 name a weight `block1_conv1_W_1:0`, later ones `conv1_conv/kernel:0`.
            stored = [n.partition("/")[2] if "_1:" in n else n for n in names]
            group.attrs["weight_names"] = np.array([name.encode() for name in stored])
            for name, inside in zip(names, stored, strict=True):
                group.create_dataset(inside, data=weights[name])
