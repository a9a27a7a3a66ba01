"""Attention and recurrence layers. They use keras.ops alone and run on every Keras backend."""

from glimpse.layers.attention_penalty import attention_penalty
from glimpse.layers.soft_attention_lstm import SoftAttentionLSTM
from glimpse.layers.soft_attention_lstm_cell import SoftAttentionLSTMCell
from glimpse.layers.temporal_attention import TemporalAttention
from glimpse.layers.temporal_attention_lstm import TemporalAttentionLSTM
from glimpse.layers.temporal_attention_lstm_cell import TemporalAttentionLSTMCell

__all__ = [
    "SoftAttentionLSTM",
    "SoftAttentionLSTMCell",
    "TemporalAttention",
    "TemporalAttentionLSTM",
    "TemporalAttentionLSTMCell",
    "attention_penalty",
]
