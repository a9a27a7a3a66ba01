"""Keras models for video attention, their variants and their trained weights."""

from glimpse.models.backbones import create_backbone, list_backbones
from glimpse.models.conv_attention_classifier import ConvAttentionClassifier
from glimpse.models.ensemble_classifier import EnsembleClassifier
from glimpse.models.hierarchical_conv_attention_classifier import (
    HierarchicalConvAttentionClassifier,
)
from glimpse.models.lstm_classifier import LSTMClassifier
from glimpse.models.pooled_lstm_classifier import PooledLSTMClassifier
from glimpse.models.registry import create_model, list_models, load_model
from glimpse.models.small_backbone import SmallBackbone
from glimpse.models.soft_attention_classifier import SoftAttentionClassifier
from glimpse.models.softmax_regression_classifier import SoftmaxRegressionClassifier
from glimpse.models.temporal_attention_classifier import TemporalAttentionClassifier
from glimpse.models.video_classifier import VideoClassifier

__all__ = [
    "ConvAttentionClassifier",
    "EnsembleClassifier",
    "HierarchicalConvAttentionClassifier",
    "LSTMClassifier",
    "PooledLSTMClassifier",
    "SmallBackbone",
    "SoftAttentionClassifier",
    "SoftmaxRegressionClassifier",
    "TemporalAttentionClassifier",
    "VideoClassifier",
    "create_backbone",
    "create_model",
    "list_backbones",
    "list_models",
    "load_model",
]
