"""Trained models as files for serving. Nothing here imports TensorFlow until it is asked for."""

import importlib

_MODULES = {
    "ExportReport": "saved_model",
    "ParityError": "parity",
    "check_parity": "parity",
    "captioner_signatures": "signatures",
    "classifier_signatures": "signatures",
    "export_captioner": "saved_model",
    "export_classifier": "saved_model",
}

__all__ = [
    "ExportReport",
    "ParityError",
    "captioner_signatures",
    "check_parity",
    "classifier_signatures",
    "export_captioner",
    "export_classifier",
]


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module 'glimpse.exports' has no attribute {name!r}")
    return getattr(importlib.import_module(f"glimpse.exports.{_MODULES[name]}"), name)


def __dir__():
    return __all__
