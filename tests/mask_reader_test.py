"""The masks that Keras carries along, read where a layer or model has two inputs."""

import keras
import numpy as np
import pytest
from keras import ops

from glimpse.layers import TemporalAttention, TemporalAttentionLSTM
from glimpse.layers.mask_reader import MaskReader
from glimpse.models import TemporalAttentionClassifier

pytestmark = pytest.mark.backends

_REAL = np.array([[True] * 4, [True, True, False, False]])
_FRAMES = np.array([[True, False, False], [True] * 3])


def _clips():
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(2, 4, 5)).astype("float32")
    values = generator.normal(size=(2, 3, 6)).astype("float32")
    return np.where(_REAL[..., None], inputs, 0), np.where(_FRAMES[..., None], values, 0)


def test_a_reader_returns_the_mask_or_none():
    inputs, _ = _clips()
    reader = MaskReader()
    found = reader(keras.layers.Masking()(ops.convert_to_tensor(inputs)))
    np.testing.assert_array_equal(ops.convert_to_numpy(found), _REAL)
    assert reader(ops.convert_to_tensor(inputs)) is None
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(reader))
    assert restored.get_config() == reader.get_config()


@pytest.mark.parametrize(
    ("layer", "masks", "output"),
    [
        (TemporalAttention(4), {"mask": _FRAMES}, 1),
        (TemporalAttentionLSTM(4), {"mask": _REAL, "values_mask": _FRAMES}, 1),
        (
            TemporalAttentionClassifier(3, units=4),
            {"mask": _REAL, "attended_mask": _FRAMES},
            "logits",
        ),
    ],
)
def test_predict_reads_the_mask_that_keras_carries(layer, masks, output):
    inputs, values = _clips()
    if isinstance(layer, TemporalAttention):
        inputs = inputs[:, 0]
    expected, unmasked = (
        ops.convert_to_numpy(layer(inputs, values, **m)[output]) for m in (masks, {})
    )
    assert np.abs(expected - unmasked).max() > 1e-3
    symbols = [keras.Input(x.shape[1:]) for x in (inputs, values)]
    masked = [x if len(x.shape) == 2 else keras.layers.Masking()(x) for x in symbols]
    model = keras.Model(symbols, layer(*masked)[output])
    found = model.predict([inputs, values], verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
