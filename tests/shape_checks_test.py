"""What a layer or model that is already built says of a call of another shape."""

import keras
import numpy as np
import pytest

from glimpse.layers import (
    ConvLSTM,
    ConvLSTMAttention,
    ConvLSTMAttentionCell,
    SoftAttentionLSTM,
    SoftAttentionLSTMCell,
    TemporalAttention,
    TemporalAttentionLSTM,
    TemporalAttentionLSTMCell,
)
from glimpse.layers.peephole_lstm_cell import PeepholeLSTMCell
from glimpse.layers.shape_checks import check_shape
from glimpse.models import (
    ConvAttentionClassifier,
    HierarchicalConvAttentionClassifier,
    LSTMClassifier,
    PooledLSTMClassifier,
    SoftAttentionClassifier,
    SoftmaxRegressionClassifier,
    TemporalAttentionClassifier,
    VideoClassifier,
)

_MAPS = {"features": (2, 3, 2, 2, 5)}
_CLIPS = {"inputs": (2, 3, 5)}
_PAIR = {"inputs": (2, 3, 5), "attended": (2, 4, 6)}
_STATES = [(2, 4), (2, 4)]
_STATE_MAPS = [(2, 3, 3, 4)] * 2
_BAD_MAPS = ((2, 3, 4, 5), (2, 3, 2, 2, 7), (2, 0, 2, 2, 5))
_BAD_CLIPS = ((2, 5), (2, 3, 7), (2, 0, 5), (2, 3, 1, 5))
# Each with a call that it takes, and the argument and shapes of calls that it must refuse.
_CASES = {
    "attention": (
        lambda: TemporalAttention(4),
        {"query": (2, 5), "values": (2, 3, 6)},
        {
            "query": ((2, 7), (2, 1, 5)),
            "values": ((2, 6), (2, 3, 7), (2, 0, 6), (1, 3, 6)),
        },
    ),
    "temporal_cell": (
        lambda: TemporalAttentionLSTMCell(4),
        {"inputs": (2, 5), "states": _STATES, "values": (2, 3, 6)},
        {
            "inputs": ((2, 7), (2, 1, 5)),
            "states": ([(2, 4)], [(2, 4)] * 3, [(2, 3), (2, 4)], [(2, 4), (1, 4)]),
            "values": ((2, 6), (2, 3, 7), (2, 0, 6), (1, 3, 6)),
        },
    ),
    "peephole_cell": (
        lambda: PeepholeLSTMCell(4),
        {"inputs": (2, 5), "states": _STATES},
        {
            "inputs": ((2, 7), (2, 1, 5)),
            "states": ([(2, 4)], [(2, 4)] * 3, [(2, 3), (2, 4)], [(2, 4), (1, 4)]),
        },
    ),
    "temporal_lstm": (
        lambda: TemporalAttentionLSTM(4),
        {"inputs": (2, 3, 5), "values": (2, 4, 6), "initial_state": _STATES},
        {
            "inputs": _BAD_CLIPS,
            "values": ((2, 6), (2, 4, 7), (2, 0, 6), (1, 4, 6)),
            "initial_state": ([(2, 4)], [(2, 4), (2, 3)], [(1, 4), (2, 4)]),
        },
    ),
    "conv_cell": (
        lambda: ConvLSTMAttentionCell(4),
        {"inputs": (2, 3, 3, 5), "states": _STATE_MAPS},
        {
            "inputs": ((2, 9, 5), (2, 3, 3, 7), (2, 0, 3, 5)),
            "states": ([(2, 3, 3, 4)], [(2, 3, 3, 5)] * 2, [(1, 3, 3, 4)] * 2, [(2, 3, 1, 4)] * 2),
        },
    ),
    "conv_lstm": (lambda: ConvLSTM(3), _MAPS, {"features": _BAD_MAPS}),
    "conv_attention_lstm": (lambda: ConvLSTMAttention(3), _MAPS, {"features": _BAD_MAPS}),
    "soft_cell": (
        lambda: SoftAttentionLSTMCell(4, depth=2),
        {"inputs": (2, 3, 5), "states": _STATES * 2},
        {
            "inputs": ((2, 5), (2, 3, 7), (2, 4, 5)),
            "states": (_STATES, [(2, 4)] * 5, [(2, 3)] * 4, [(1, 4)] * 4),
        },
    ),
    "soft_lstm": (
        lambda: SoftAttentionLSTM(4),
        {"features": (2, 3, 4, 5), "initial_state": _STATES},
        {
            "features": ((2, 4, 5), (2, 3, 4, 7), (2, 3, 6, 5), (2, 0, 4, 5)),
            "initial_state": ([(2, 4)], [(2, 3)] * 2, [(1, 4)] * 2),
        },
    ),
    "soft_attention": (
        lambda: SoftAttentionClassifier(3, units=4, depth=1),
        _MAPS,
        {"features": (*_BAD_MAPS, (2, 3, 2, 3, 5))},
    ),
    "pooled": (
        lambda: PooledLSTMClassifier(3, units=4, depth=1),
        _MAPS,
        {"features": _BAD_MAPS},
    ),
    "softmax": (
        lambda: SoftmaxRegressionClassifier(3),
        _MAPS,
        {"features": (*_BAD_MAPS, (2, 3, 4, 1, 5))},
    ),
    "conv": (lambda: ConvAttentionClassifier(3, filters=3), _MAPS, {"features": _BAD_MAPS}),
    "hierarchical": (
        lambda: HierarchicalConvAttentionClassifier(3, filters=3),
        _MAPS,
        {"features": _BAD_MAPS},
    ),
    "video": (
        lambda: VideoClassifier(
            keras.Sequential([keras.layers.AveragePooling2D(2)]), SoftmaxRegressionClassifier(3)
        ),
        {"frames": (2, 3, 4, 4, 3)},
        {"frames": ((2, 4, 4, 3), (2, 3, 4, 4, 1), (2, 0, 4, 4, 3))},
    ),
    "lstm": (lambda: LSTMClassifier(3, units=4), _CLIPS, {"inputs": _BAD_CLIPS}),
    "lstm_without_input_layer": (
        lambda: LSTMClassifier(3, units=4, input_units=0),
        _CLIPS,
        {"inputs": _BAD_CLIPS},
    ),
    "temporal": (
        lambda: TemporalAttentionClassifier(3, units=4, input_units=0),
        _PAIR,
        {"inputs": _BAD_CLIPS, "attended": ((2, 6), (2, 4, 7), (2, 0, 6), (1, 4, 6))},
    ),
    "temporal_with_input_layer": (
        lambda: TemporalAttentionClassifier(3, units=4),
        _PAIR,
        {"inputs": _BAD_CLIPS},
    ),
}


def _ones(shapes):
    return keras.tree.map_shape_structure(lambda shape: np.ones(shape, "float32"), shapes)


@pytest.mark.parametrize("name", _CASES)
def test_a_later_call_of_another_shape_is_refused_by_name(name):
    make, call, refused = _CASES[name]
    layer = make()
    layer(**_ones(call))
    for argument, shapes in refused.items():
        for shape in shapes:
            with pytest.raises(ValueError, match=f"`{argument}`.* must be ") as caught:
                layer(**_ones({**call, argument: shape}))
            assert "received" in str(caught.value), shape


def test_the_error_tells_what_was_expected_and_received():
    layer = TemporalAttention(4)
    layer(np.ones((2, 5), "float32"), np.ones((2, 3, 6), "float32"))
    with pytest.raises(
        ValueError, match=r"`values` must be \(2, frames, 6\), received shape \(2, 6\)\."
    ):
        layer(np.ones((2, 5), "float32"), np.ones((2, 6), "float32"))


def test_a_first_call_of_another_rank_is_refused_by_name():
    for model in (
        SoftAttentionClassifier(3, units=4),
        PooledLSTMClassifier(3, units=4),
        SoftmaxRegressionClassifier(3),
    ):
        with pytest.raises(ValueError, match=r"`features` must be \(batch, frames, height"):
            model(np.ones((2, 3, 5), "float32"))


def test_unknown_axes_fit():
    check_shape("values", (None, None, 4), "(batch, frames, features)", batch=2, features=4)
    check_shape("values", (2, None, None), "(batch, frames, features)", batch=None, features=4)
    with pytest.raises(ValueError, match=r"`values` must be \(batch, frames, 4\), received"):
        check_shape("values", (None, None, 5), "(batch, frames, features)", features=4)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
