"""Trained models as files for serving. Nothing here imports TensorFlow until it is asked for."""

import importlib

_MODULES = {
    "ExportReport": "saved_model",
    "ParityError": "parity",
    "check_parity": "parity",
    "classifier_signatures": "signatures",
    "export_classifier": "saved_model",
}

__all__ = [
    "ExportReport",
    "ParityError",
    "check_parity",
    "classifier_signatures",
    "export_classifier",
]


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module 'glimpse.exports' has no attribute {name!r}")
    return getattr(importlib.import_module(f"glimpse.exports.{_MODULES[name]}"), name)


def __dir__():
    return __all__
