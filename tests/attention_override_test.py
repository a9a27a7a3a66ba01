"""Tests of attention maps set by hand."""

import numpy as np
import pytest
from keras import ops

from glimpse.layers.attention_override import apply_attention_override
from tests.gradients import compiled, gradients

pytestmark = pytest.mark.backends

_OWN = np.array([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]], "float32")


def _apply(override, **kwargs):
    return ops.convert_to_numpy(
        apply_attention_override(
            ops.convert_to_tensor(_OWN), np.array(override, "float32"), **kwargs
        )
    )


def test_rows_of_nan_are_the_models_own_and_others_are_used_as_given():
    nan = np.nan
    found = _apply([[nan, nan], [3.0, -1.0], [0.0, 0.0]])
    np.testing.assert_array_equal(found, np.array([[0.2, 0.8], [3, -1], [0, 0]], "float32"))


def test_none_changes_nothing():
    assert apply_attention_override(_OWN, None) is _OWN


def test_masked_places_stay_zero():
    found = _apply(np.full((3, 2), 0.5), mask=np.array([[True], [False], [True]]))
    np.testing.assert_array_equal(found, [[0.5, 0.5], [0, 0], [0.5, 0.5]])


def test_a_row_may_be_a_map_of_two_axes():
    own = np.full((2, 2, 2), 0.25, "float32")
    override = np.full((2, 2, 2), np.nan, "float32")
    override[1] = [[1, 0], [0, 0]]
    found = ops.convert_to_numpy(apply_attention_override(own, override, axis=(1, 2)))
    np.testing.assert_array_equal(found, [own[0], override[1]])
    override[0, 0] = 0.5  # one line of a map, the other line NaN
    with pytest.raises(ValueError, match="1 of 2 rows in which only some values are NaN"):
        apply_attention_override(own, override, axis=(1, 2))


def test_a_row_with_only_some_nan_is_refused():
    with pytest.raises(ValueError, match="`attention_override` has 1 of 3 rows"):
        _apply([[np.nan, 0.5], [0.5, 0.5], [np.nan, np.nan]])


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(3, 2\); received shape \(3, 3\)"):
        _apply(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="`attention_override` must have the shape"):
        _apply(np.zeros((3,)))


def test_gradient_reaches_given_rows_alone_and_own_rows_alone():
    override = np.array([[np.nan, np.nan], [0.3, 0.7], [0.1, 0.1]], "float32")
    probe = ops.convert_to_tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    own, given = gradients(
        lambda own, given: ops.sum(apply_attention_override(own, given) * probe), [_OWN, override]
    )
    np.testing.assert_array_equal(own, [[1, 2], [0, 0], [0, 0]])
    np.testing.assert_array_equal(given, [[0, 0], [3, 4], [5, 6]])


def test_in_a_graph_a_bad_row_never_passes_for_a_good_one():
    bad = np.array([[np.nan, 0.5], [0.5, 0.5], [0.5, 0.5]], "float32")
    run = compiled(lambda override: apply_attention_override(ops.convert_to_tensor(_OWN), override))
    try:
        found = ops.convert_to_numpy(run(ops.convert_to_tensor(bad)))
    except Exception as error:  # each backend has a class of its own
        assert "only_some_NaN" in str(error) or "only some values are NaN" in str(error)
    else:
        assert np.isnan(found[0, 0])  # no number was put in its place


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
