"""Reads torch's files of weights without running code that they may hold."""

import pickle
import re

_SAFE_VERSION = (2, 6)


def read_torch_weights(path):
    """Returns the tensors of a `.pth` file, a dict by name, as NumPy arrays.

    Only tensors and plain containers are unpickled (`torch.load(weights_only=True)`), in both of
    torch's file formats. Floats become float32.

    Raises:
        ImportError: If torch is not installed, or so old that its safe loading is not safe.
        ValueError: If the file holds anything but tensors by name, or is damaged.
    """
    torch = _import_torch(path)
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except pickle.UnpicklingError as error:
        # torch's own words advise to load the file unsafely, and are not passed on.
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"it names {found[1]}, which loading would call" if found else "it is not one"
        raise ValueError(
            f"{path}: refused: only torch files of tensors alone are read, and {what}."
        ) from error
    except Exception as error:
        # A file that breaks off ends, by where it does, in errors of many types.
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise ValueError(
            f"{path}: truncated, damaged or not a torch file, so that none of its tensors can be "
            f"read ({reason})."
        ) from error
    if not isinstance(values, dict) or not values:
        raise ValueError(f"{path}: must hold tensors by name, got {type(values).__name__}.")
    weights = {}
    for name, tensor in values.items():
        if not isinstance(tensor, torch.Tensor):
            raise ValueError(f"{path}: {name} is a {type(tensor).__name__}, not a tensor.")
        tensor = tensor.detach()
        weights[str(name)] = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    return weights


def _import_torch(path):
    try:
        import torch
    except ImportError as error:
        raise ImportError(f"Reading {path} needs torch: pip install torch.") from error
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < _SAFE_VERSION:
        # CVE-2025-32434: before 2.6 a crafted file ran code even with weights_only=True.
        raise ImportError(
            f"Reading {path} needs torch >= 2.6, found {torch.__version__}: pip install -U torch."
        )
    return torch
