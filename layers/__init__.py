"""Attention and recurrence layers. They use keras.ops alone and run on every Keras backend."""

from glimpse.layers.attention_penalty import attention_penalty
from glimpse.layers.clip_encoder import ClipEncoder
from glimpse.layers.conv_lstm import ConvLSTM
from glimpse.layers.conv_lstm_attention import ConvLSTMAttention
from glimpse.layers.conv_lstm_attention_cell import ConvLSTMAttentionCell
from glimpse.layers.gated_caption_decoder import GatedCaptionDecoder
from glimpse.layers.local_response_normalization import LocalResponseNormalization
from glimpse.layers.soft_attention_lstm import SoftAttentionLSTM
from glimpse.layers.soft_attention_lstm_cell import SoftAttentionLSTMCell
from glimpse.layers.temporal_attention import TemporalAttention
from glimpse.layers.temporal_attention_lstm import TemporalAttentionLSTM
from glimpse.layers.temporal_attention_lstm_cell import TemporalAttentionLSTMCell

__all__ = [
    "ClipEncoder",
    "ConvLSTM",
    "ConvLSTMAttention",
    "ConvLSTMAttentionCell",
    "GatedCaptionDecoder",
    "LocalResponseNormalization",
    "SoftAttentionLSTM",
    "SoftAttentionLSTMCell",
    "TemporalAttention",
    "TemporalAttentionLSTM",
    "TemporalAttentionLSTMCell",
    "attention_penalty",
]
