"""Tests of the doubly stochastic penalty against Eq. 7 and values worked out by hand."""

import numpy as np
import pytest
from keras import ops

from glimpse.layers import attention_penalty
from tests import references
from tests.gradients import assert_gradients_match_differences, float64

pytestmark = pytest.mark.backends


def _penalty(*args, **kwargs):
    return float(ops.convert_to_numpy(attention_penalty(*args, **kwargs)))


def _maps(*shape):
    maps = np.random.default_rng(0).random(shape)
    return maps / maps.sum(tuple(range(2, len(shape))), keepdims=True)


def test_uniform_maps():
    # 49 regions that each add up to 30/49 over 30 frames: 49 * (1 - 30/49)^2 = 361/49.
    maps = np.full((2, 30, 49), 1 / 49, "float32")
    assert _penalty(maps, 1.0) == pytest.approx(361 / 49, rel=1e-5)
    assert _penalty(maps, 10.0, reduction="mean") == pytest.approx(3610 / 49**2, rel=1e-5)


def test_zero_where_every_region_is_seen_once():
    assert _penalty(np.eye(6, dtype="float32")[None], 3.0) == pytest.approx(0)


def test_matches_the_equation():
    maps = _maps(3, 5, 4)
    expected = references.attention_penalty(maps, 2.5)
    assert _penalty(maps, 2.5) == pytest.approx(expected, rel=1e-5)
    assert _penalty(maps, 2.5, reduction="mean") == pytest.approx(expected / 4, rel=1e-5)
    assert _penalty(maps.reshape(3, 5, 2, 2), 2.5) == pytest.approx(expected, rel=1e-5)


def test_masked_steps_do_not_count():
    maps = _maps(2, 5, 4)
    mask = np.array([[True] * 5, [True, True, False, False, False]])
    expected = (
        references.attention_penalty(maps[:1], 1.0)
        + references.attention_penalty(maps[1:, :2], 1.0)
    ) / 2
    maps[1, 2:] = np.nan
    assert _penalty(maps, 1.0, mask=mask) == pytest.approx(expected, rel=1e-5)
    square = maps.reshape(2, 5, 2, 2)
    assert _penalty(square, 1.0, mask=mask) == pytest.approx(expected, rel=1e-5)


def test_masked_regions_do_not_count():
    maps = _maps(2, 5, 4)
    mask = np.array([[True] * 4, [True, False, True, False]])
    expected = [references.attention_penalty(maps[:1], 1.0)]
    expected.append(references.attention_penalty(maps[1:, :, [0, 2]], 1.0))
    maps[1, :, [1, 3]] = np.nan
    assert _penalty(maps, 1.0, region_mask=mask) == pytest.approx(sum(expected) / 2, rel=1e-5)
    square, square_mask = maps.reshape(2, 5, 2, 2), mask.reshape(2, 2, 2)
    found = _penalty(square, 1.0, "mean", region_mask=square_mask)
    assert found == pytest.approx((expected[0] / 4 + expected[1] / 2) / 2, rel=1e-5)
    assert _penalty(maps, 1.0, "mean", region_mask=np.zeros_like(mask)) == 0
    with pytest.raises(ValueError, match=r"region_mask.*\(2, 4\).*received shape \(2, 3\)"):
        _penalty(maps, 1.0, region_mask=mask[:, :3])


def test_gradient():
    with float64():
        assert_gradients_match_differences(
            lambda maps: attention_penalty(maps, 2.0), [_maps(2, 3, 4)], ["maps"]
        )


def test_bad_arguments():
    maps = np.zeros((1, 2, 3), "float32")
    with pytest.raises(ValueError, match="`coefficient` must be at least 0; received -1"):
        attention_penalty(maps, -1)
    with pytest.raises(ValueError, match="`reduction` .* received 'max'"):
        attention_penalty(maps, 1, reduction="max")
    with pytest.raises(ValueError, match=r"`attention_weights` .* received shape \(2, 3\)"):
        attention_penalty(maps[0], 1)
    with pytest.raises(ValueError, match=r"`mask` must be \(batch, steps\)"):
        attention_penalty(maps, 1, mask=maps > 0)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
