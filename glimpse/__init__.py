"""Video attention models for Keras 3.

`import glimpse` registers every layer and model with Keras, so that
`keras.models.load_model` can read the files this project writes. OpenCV, the
pipelines and the exports are imported only when they are asked for.
"""

import importlib
import os
import pathlib

# A wheel holds layers/, models/, ... inside this folder; a source tree (and a
# Bazel runfiles tree) holds them beside it. Look there too when they are absent.
_FOLDER = pathlib.Path(__file__).parent
if not (_FOLDER / "layers").is_dir():
    __path__.append(str(_FOLDER.parent))

# Processes that only draw clips (`pipelines/rendering_processes.py`) set this: they start in a
# tenth of the time without Keras and what is registered with it.
if "GLIMPSE_WITHOUT_KERAS" not in os.environ:
    from glimpse import layers, models
    from glimpse.models import (
        create_backbone,
        create_model,
        list_backbones,
        list_models,
        load_model,
    )

__all__ = [
    "create_backbone",
    "create_model",
    "exports",
    "layers",
    "list_backbones",
    "list_models",
    "load_model",
    "models",
    "pipelines",
]
__version__ = "0.1.0"


def __getattr__(name):
    if name in ("exports", "pipelines"):
        return importlib.import_module(f"glimpse.{name}")
    raise AttributeError(f"module 'glimpse' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
