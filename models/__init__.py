"""Keras models for video attention, their variants and their trained weights."""

from glimpse.models.application_backbone import ApplicationBackbone
from glimpse.models.backbones import create_backbone, list_backbones
from glimpse.models.beam_search import beam_search
from glimpse.models.c3d import C3D
from glimpse.models.c3d_classifier import C3DClassifier
from glimpse.models.caption import Caption
from glimpse.models.caption_vocabulary import CaptionVocabulary
from glimpse.models.clip_accuracy import ClipAccuracy
from glimpse.models.conv_attention_classifier import ConvAttentionClassifier
from glimpse.models.ensemble_classifier import EnsembleClassifier
from glimpse.models.googlenet import GoogLeNet
from glimpse.models.hierarchical_conv_attention_classifier import (
    HierarchicalConvAttentionClassifier,
)
from glimpse.models.hub_backbone import HubBackbone
from glimpse.models.lstm_classifier import LSTMClassifier
from glimpse.models.pixels_backbone import PixelsBackbone
from glimpse.models.pooled_lstm_classifier import PooledLSTMClassifier
from glimpse.models.reference_adam import ReferenceAdam
from glimpse.models.registry import create_model, list_models, load_model
from glimpse.models.resnet152 import ResNet152
from glimpse.models.small_backbone import SmallBackbone
from glimpse.models.soft_attention_classifier import SoftAttentionClassifier
from glimpse.models.softmax_regression_classifier import SoftmaxRegressionClassifier
from glimpse.models.step_decay import StepDecay
from glimpse.models.temporal_attention_classifier import TemporalAttentionClassifier
from glimpse.models.vgg19 import VGG19
from glimpse.models.video_captioner import VideoCaptioner
from glimpse.models.video_classifier import VideoClassifier
from glimpse.models.video_describer import VideoDescriber
from glimpse.models.word_accuracy import WordAccuracy

__all__ = [
    "ApplicationBackbone",
    "C3D",
    "C3DClassifier",
    "Caption",
    "CaptionVocabulary",
    "ClipAccuracy",
    "ConvAttentionClassifier",
    "EnsembleClassifier",
    "GoogLeNet",
    "HierarchicalConvAttentionClassifier",
    "HubBackbone",
    "LSTMClassifier",
    "PixelsBackbone",
    "PooledLSTMClassifier",
    "ReferenceAdam",
    "ResNet152",
    "SmallBackbone",
    "SoftAttentionClassifier",
    "SoftmaxRegressionClassifier",
    "StepDecay",
    "TemporalAttentionClassifier",
    "VGG19",
    "VideoCaptioner",
    "VideoClassifier",
    "VideoDescriber",
    "WordAccuracy",
    "beam_search",
    "create_backbone",
    "create_model",
    "list_backbones",
    "list_models",
    "load_model",
]
