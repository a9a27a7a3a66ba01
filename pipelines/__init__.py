"""Video files to clips, features, training, evaluation and pictures of the attention.

Names are imported when they are asked for, so that `import glimpse.pipelines` needs
neither OpenCV nor TensorFlow.
"""

import importlib

_MODULES = {
    "FeatureIndex": "feature_index",
    "FeatureStore": "feature_store",
    "VideoError": "video_reader",
    "VideoReader": "video_reader",
    "extract_features": "extraction",
    "read_clips": "clips",
    "sample_blocks": "sampling",
}

__all__ = [
    "FeatureIndex",
    "FeatureStore",
    "VideoError",
    "VideoReader",
    "extract_features",
    "read_clips",
    "sample_blocks",
]


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module 'glimpse.pipelines' has no attribute {name!r}")
    return getattr(importlib.import_module(f"glimpse.pipelines.{_MODULES[name]}"), name)


def __dir__():
    return __all__
