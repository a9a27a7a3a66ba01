"""Tests of the convolutions in front of a decoder, against their equation in NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from glimpse.layers import ClipEncoder
from tests.conv_references import convolve
from tests.gradients import gradients
from tests.layer_checks import run_layer_checks

_ON_ALL = pytest.mark.backends

_SHAPE = (2, 5, 3, 4, 6)  # batch, frames, height, width, features
_MASK = np.array([[True] * 5, [True, True, True, False, False]])
_CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def _numpy(tensor):
    return ops.convert_to_numpy(tensor)


def _features():
    return np.random.default_rng(0).normal(size=_SHAPE).astype("float32")


def _random_encoder(**kwargs):
    encoder = ClipEncoder(7, **kwargs)
    encoder.build(_SHAPE)
    generator = np.random.default_rng(1)
    for weight in encoder.trainable_weights:
        weight.assign(generator.normal(size=weight.shape) * 0.3)
    return encoder


def _relu(x):
    return np.maximum(x, 0)


def _convolve_frames(y, T):
    """y (N, K, L, C) convolved with T (k, C, D) along its first axis, zeros before and after."""
    N, k = len(y), len(T)
    z = np.zeros((*y.shape[:3], T.shape[-1]))
    for t in range(N):
        for j in range(k):
            if 0 <= t + j - k // 2 < N:
                z[t] += y[t + j - k // 2] @ T[j]
    return z


def _reference(encoder, clip):
    """The docstring's equations for one clip (N, K, L, C) without padding, in float64."""
    A, a = (_numpy(weight).astype("float64") for weight in encoder.projection.weights)
    x = clip.astype("float64") @ A + a
    for space, time in zip(encoder.space, encoder.time, strict=True):
        S, s = (_numpy(weight).astype("float64") for weight in space.weights)
        T, t = (_numpy(weight).astype("float64") for weight in time.weights)
        y = _relu(np.stack([convolve(frame, S) for frame in x]) + s)
        x = x + _relu(_convolve_frames(y, T[:, 0]) + t)
    return x


@_ON_ALL
@pytest.mark.parametrize("sizes", [(3, 3), (1, 5), (5, 1)])
def test_equals_its_equations_in_numpy(sizes):
    encoder = _random_encoder(kernel_size=sizes[0], frame_kernel_size=sizes[1])
    features = _features()
    found = _numpy(encoder(features))
    for clip, expected in zip(features, found, strict=True):
        np.testing.assert_allclose(expected, _reference(encoder, clip), **_CLOSE)


@_ON_ALL
def test_padding_changes_nothing_whatever_it_holds():
    encoder, features = _random_encoder(), _features()
    padded = np.where(_MASK[..., None, None, None], features, np.nan).astype("float32")
    found = _numpy(encoder(padded, mask=_MASK))
    np.testing.assert_allclose(found[1, :3], _reference(encoder, features[1, :3]), **_CLOSE)
    np.testing.assert_allclose(found[0], _reference(encoder, features[0]), **_CLOSE)
    assert (found[1, 3:] == 0).all()


@_ON_ALL
def test_no_gradient_reaches_padding():
    encoder, features = _random_encoder(), _features()

    def loss(features):
        return ops.sum(ops.square(encoder(features, mask=_MASK)))

    (gradient,) = gradients(loss, [features])
    assert (gradient[1, 3:] == 0).all()
    assert np.abs(gradient[1, :3]).min() > 0 and np.abs(gradient[0]).min() > 0


def test_reads_a_mask_that_keras_carries():
    encoder, features = _random_encoder(), _features()
    features[1, 3:] = 0
    masked = keras.layers.Lambda(lambda x: x, mask=lambda x, mask: ops.convert_to_tensor(_MASK))
    found = encoder(masked(features))
    np.testing.assert_array_equal(_numpy(found), _numpy(encoder(features, mask=_MASK)))


@_ON_ALL
def test_a_region_sees_its_surroundings_in_space_and_time():
    """Depth 2 of 3 x 3 x 3 reaches two regions and two frames, and no further."""
    keras.utils.set_random_seed(0)
    encoder = ClipEncoder(16)  # wide enough that some filter is open everywhere
    shape = (1, 7, 7, 7, 3)
    encoder.build(shape)
    features = np.random.default_rng(2).normal(size=shape).astype("float32")

    def loss(features):
        return ops.sum(encoder(features)[0, 3, 3, 3])

    (gradient,) = gradients(loss, [features])
    seen = np.abs(gradient[0]).max(axis=-1) > 0
    expected = np.zeros((7, 7, 7), bool)
    expected[1:6, 1:6, 1:6] = True
    assert not (seen & ~expected).any()
    assert seen[1:6, 3, 3].sum() > 3 and seen[3, 1:6, 1:6].sum() > 12


def test_dropout_drops_what_the_convolutions_add_alone():
    encoder, features = _random_encoder(dropout=0.5, seed=0), _features()
    without = _random_encoder(depth=1, dropout=0.0)
    kept = _numpy(encoder(features, training=False))
    np.testing.assert_allclose(kept, _numpy(_random_encoder()(features)), **_CLOSE)
    dropped = _numpy(encoder(features, training=True))
    assert (dropped != kept).mean() > 0.2
    once = _random_encoder(depth=1, dropout=0.5, seed=0)
    projected = _reference_projection(once, features)
    added, full = _numpy(once(features, training=True)) - projected, without(features) - projected
    whole = np.abs(added) > 1e-4
    np.testing.assert_allclose(added[whole], 2 * _numpy(full)[whole], rtol=1e-3, atol=1e-3)
    assert 0.4 < 1 - whole[np.abs(_numpy(full)) > 1e-3].mean() < 0.6


def _reference_projection(encoder, features):
    A, a = map(_numpy, encoder.projection.weights)
    return features @ A + a


@_ON_ALL
def test_is_a_layer_like_any_other(tmp_path):
    arguments = {"filters": 4, "depth": 1, "kernel_size": 1, "dropout": 0.1, "seed": 3}
    inputs = {"features": _features(), "mask": _MASK}
    run_layer_checks(ClipEncoder, arguments, inputs, 6, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "filters"),
        ({"filters": 4, "depth": -1}, "depth"),
        ({"filters": 4, "kernel_size": 2}, "`kernel_size` must be odd, got 2"),
        ({"filters": 4, "frame_kernel_size": 4}, "`frame_kernel_size` must be odd, got 4"),
        ({"filters": 4, "dropout": 1.0}, "dropout"),
    ],
)
def test_refuses_sizes_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        ClipEncoder(**arguments)


def test_refuses_features_of_another_shape():
    encoder = _random_encoder()
    with pytest.raises(ValueError, match=r"`features` must be \(batch, frames, height, width, 6\)"):
        encoder(np.zeros((2, 5, 12, 6), "float32"))
    with pytest.raises(ValueError, match="features"):
        encoder(np.zeros((2, 5, 3, 4, 5), "float32"))
    with pytest.raises(ValueError, match="mask"):
        encoder(_features(), mask=np.ones((2, 4), bool))
