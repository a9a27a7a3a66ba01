"""Our SavedModels answer in TensorFlow 2.15 as they do in the one that wrote them."""

import numpy as np
import pytest
import tensorflow as tf
from written_cases import MODELS, read_answers, saved_model_path


def load_with_signatures(path):
    loaded = tf.saved_model.load(path)

    def answer(signature, inputs):
        tensors = {name: tf.constant(array) for name, array in inputs.items()}
        outputs = loaded.signatures[signature](**tensors)
        return {name: values.numpy() for name, values in outputs.items()}

    return answer


def load_in_a_session(path):
    """As TensorFlow Serving loads them, by the loader of TensorFlow 1."""
    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        definitions = tf.compat.v1.saved_model.load(session, ["serve"], path).signature_def

    def answer(signature, inputs):
        definition = definitions[signature]
        fed = {definition.inputs[name].name: array for name, array in inputs.items()}
        outputs = {name: info.name for name, info in definition.outputs.items()}
        return session.run(outputs, fed)

    return answer


@pytest.mark.parametrize("load", [load_with_signatures, load_in_a_session])
@pytest.mark.parametrize("name", MODELS)
def test_answers_are_the_same(name, load):
    answer = load(saved_model_path(name))
    compared = 0
    for signature, (inputs, expected) in read_answers(name).items():
        outputs = answer(signature, inputs)
        assert set(outputs) == set(expected)
        for output, values in expected.items():
            if values.dtype.kind == "f":
                np.testing.assert_allclose(outputs[output], values, rtol=1e-4, atol=1e-5)
            else:
                np.testing.assert_array_equal(outputs[output].astype(values.dtype), values)
            compared += 1
    print(f"{name}: {compared} outputs compared in TensorFlow {tf.__version__}")
    assert compared


def test_all_kinds_of_models_are_here():
    signatures = {signature for name in MODELS for signature in read_answers(name)}
    assert {"classify_jpegs", "classify_frames", "classify_features"} <= signatures
    assert {"caption_jpegs", "caption_frames", "caption_features"} <= signatures
    assert {"decode_start", "decode_step"} <= signatures
    assert tf.__version__ == "2.15.1"
