"""The properties that every layer has, whatever it computes."""

import inspect
import json

import keras
import numpy as np
from keras import ops, tree

from tests.gradients import compiled, gradients


def run_layer_checks(layer_class, arguments, inputs, num_weights, folder, unknown_axes=(0,)):
    """Checks configuration, shapes, graphs, half precision, gradients and files of a layer.

    Args:
        layer_class: The class.
        arguments: Its constructor's arguments.
        inputs: Its call's arguments by name, NumPy arrays or lists of them, the first one first.
        num_weights: How many trainable weights it has.
        folder: An empty folder to save a file in.
        unknown_axes: Axes of the first input whose size a model need not know.
    """
    layer = layer_class(**arguments)
    outputs = _call(layer, inputs)
    assert len(layer.trainable_weights) == num_weights
    paths = [weight.path for weight in layer.weights]
    assert len(set(paths)) == len(paths)
    _check_configuration(layer_class, layer)
    _check_graph(layer, inputs, outputs)
    _check_half_precision(layer_class, arguments, inputs)
    if num_weights:
        _check_every_weight_learns(layer, inputs)
    _check_file(layer_class, arguments, inputs, folder, unknown_axes)


def _call(layer, inputs):
    return tree.map_structure(ops.convert_to_numpy, layer(**inputs))


def _check_configuration(layer_class, layer):
    parameters = inspect.signature(layer_class.__init__).parameters
    names = {n for n in parameters if n not in ("self", "kwargs")}
    config = layer.get_config()
    assert set(config) - {"name", "trainable", "dtype"} == names
    assert keras.saving.get_registered_name(layer_class) == f"glimpse>{layer_class.__name__}"
    restored = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    restored = keras.saving.deserialize_keras_object(restored)
    assert isinstance(restored, layer_class)
    assert restored.get_config() == config


def _check_graph(layer, inputs, outputs):
    symbols = tree.map_structure(lambda x: keras.KerasTensor(x.shape, x.dtype.name), inputs)
    symbolic = layer(**symbols)
    tree.map_structure(lambda s, x: _assert_equal(tuple(s.shape), x.shape), symbolic, outputs)
    flat = [ops.convert_to_tensor(value) for value in tree.flatten(inputs)]
    traced = compiled(lambda *tensors: layer(**tree.pack_sequence_as(inputs, list(tensors))))
    tree.map_structure(
        lambda x, y: np.testing.assert_allclose(ops.convert_to_numpy(x), y, rtol=1e-5, atol=1e-6),
        traced(*flat),
        outputs,
    )


def _check_half_precision(layer_class, arguments, inputs):
    layer = layer_class(**arguments, dtype="mixed_float16")
    outputs = layer(**inputs)
    stateless, _ = layer.stateless_call(
        layer.trainable_variables, layer.non_trainable_variables, **inputs
    )
    for output in tree.flatten([outputs, stateless]):
        assert keras.backend.standardize_dtype(output.dtype) == "float16"
        assert np.isfinite(ops.convert_to_numpy(output)).all()
    assert {weight.dtype for weight in layer.trainable_weights} <= {"float32"}


def _check_every_weight_learns(layer, inputs):
    fixed = [ops.convert_to_numpy(v) for v in layer.non_trainable_variables]
    generator = np.random.default_rng(0)

    def loss(*weights):
        outputs, _ = layer.stateless_call(
            list(weights), [ops.convert_to_tensor(v) for v in fixed], **inputs
        )
        directions = np.random.default_rng(0)
        return sum(
            ops.sum(x * ops.convert_to_tensor(directions.normal(size=x.shape), x.dtype))
            for x in tree.flatten(outputs)
        )

    values = [generator.normal(size=v.shape).astype("float32") for v in layer.trainable_variables]
    found = gradients(loss, values)
    for variable, gradient in zip(layer.trainable_variables, found, strict=True):
        assert np.isfinite(gradient).all(), variable.path
        assert np.abs(gradient).max() > 0, variable.path


def _check_file(layer_class, arguments, inputs, folder, unknown_axes):
    first = next(iter(inputs))

    def symbol(path, value):
        shape = list(value.shape[1:])
        if path[0] == first:
            shape = [None if axis + 1 in unknown_axes else n for axis, n in enumerate(shape)]
        return keras.Input(shape, dtype=value.dtype.name, name="_".join(map(str, path)))

    symbols = {
        name: [symbol((name, i), v) for i, v in enumerate(value)]
        if isinstance(value, list)
        else symbol((name,), value)
        for name, value in inputs.items()
    }
    outputs = layer_class(**arguments)(**symbols)
    model = keras.Model(tree.flatten(symbols), tree.flatten(outputs))
    path = folder / "layer.keras"
    model.save(path)
    values = tree.flatten(inputs)
    restored = keras.models.load_model(path)
    for x, y in zip(model(values), restored(values), strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(x), ops.convert_to_numpy(y))


def _assert_equal(x, y):
    assert x == y
