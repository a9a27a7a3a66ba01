"""The released code's Adam, against its formulas."""

import keras
import numpy as np
import pytest
from keras import ops

from glimpse.models import ReferenceAdam
from tests.released_code_references import Adam

pytestmark = pytest.mark.backends

_GRADIENTS = [np.random.default_rng(n).normal(size=(2, 3)) * 3 ** (n % 3 - 1) for n in range(7)]


def descend(optimizer, gradients=_GRADIENTS):
    """The weights after every update, from 0."""
    weight = keras.Variable(np.zeros((2, 3), "float32"))
    optimizer.build([weight])
    found = []
    for gradient in gradients:
        optimizer.apply([ops.convert_to_tensor(gradient, "float32")])
        found.append(ops.convert_to_numpy(weight).copy())
    return np.array(found)


@pytest.mark.parametrize("rate", [0.0002, 0.05])
def test_every_update_is_the_released_codes(rate):
    reference, expected = Adam([np.zeros((2, 3))], lr0=rate), []
    for gradient in _GRADIENTS:
        reference.update([gradient])
        expected.append(reference.p[0])
    found = descend(ReferenceAdam(rate))
    np.testing.assert_allclose(found, np.array(expected), rtol=1e-4, atol=1e-7)


def test_the_first_step_is_longer_than_adams_by_the_missing_correction():
    ours, adams = descend(ReferenceAdam(0.01))[0], descend(keras.optimizers.Adam(0.01))[0]
    ratio = np.sqrt(0.999) / 0.9 * 0.1 / np.sqrt(0.001)
    np.testing.assert_allclose(ours / adams, ratio, rtol=1e-4)


def test_defaults_schedules_and_clipping_are_those_of_a_keras_optimizer():
    assert float(ReferenceAdam().learning_rate) == pytest.approx(0.0002)
    halving = keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.01, 0.005])
    steady, halved = descend(ReferenceAdam(0.01)), descend(ReferenceAdam(halving))
    np.testing.assert_allclose(halved[2], steady[2], rtol=1e-6)
    last = np.diff(halved[-2:], axis=0) / np.diff(steady[-2:], axis=0)
    np.testing.assert_allclose(last, 0.5, rtol=1e-3)
    small = [gradient * (0.1 / np.linalg.norm(gradient)) for gradient in _GRADIENTS]
    clipped = descend(ReferenceAdam(0.01, global_clipnorm=0.1))
    np.testing.assert_allclose(clipped, descend(ReferenceAdam(0.01), small), rtol=1e-4, atol=1e-7)


def test_it_goes_on_from_a_file_where_it_stopped(tmp_path):
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(8, 3)), generator.normal(size=(8, 1))
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(ReferenceAdam(0.01), "mse")
    model.fit(x, y, epochs=3, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(again.optimizer, ReferenceAdam)
    assert again.optimizer.get_config() == model.optimizer.get_config()
    for each in (model, again):
        each.fit(x, y, epochs=2, verbose=0)
    for ours, theirs in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_bad_betas_are_named():
    with pytest.raises(ValueError, match=r"`beta_2` must be in \(0, 1\); received 1"):
        ReferenceAdam(beta_2=1)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
