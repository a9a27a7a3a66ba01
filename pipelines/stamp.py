"""What a number needs beside it to be compared with another: the stamp of every result."""

import importlib.metadata
import pathlib
import platform
import subprocess

import glimpse


def versions():
    """Returns the versions of everything that can change a number."""
    import cv2
    import keras
    import numpy
    import tensorflow

    return {
        "glimpse": glimpse.__version__,
        "python": platform.python_version(),
        "keras": keras.__version__,
        "tensorflow": tensorflow.__version__,
        "numpy": numpy.__version__,
        "opencv": cv2.__version__,
    }


def git_revision():
    """Returns the revision of the source tree with `+changes` if edited, or None outside git."""
    folder = pathlib.Path(glimpse.__file__).parent
    if importlib.metadata.packages_distributions().get("glimpse") and "site-packages" in str(
        folder
    ):
        return None
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+changes", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return described.stdout.strip() or None


def make_stamp(index, sampling, metric, pooling, seed, seen, attended=None, left_out=None):
    """Returns the stamp of a result measured on a feature index.

    Args:
        index: The `FeatureIndex`.
        sampling: A dict that says how frames were sampled.
        metric: Name of the metric with its unit, such as `"accuracy, fraction of videos"`.
        pooling: How steps and blocks became one answer.
        seed: The run's seed.
        seen: {split: number of clips used}.
        attended: {input name: `FeatureIndex`} of the attended frames, or None.
        left_out: {split: number of clips that were too short}, or None.
    """
    return {
        "dataset": index.dataset,
        "split_name": index.split_name,
        "split_hash": index.split_hash,
        "manifest_sha256": index.manifest_sha256,
        "limit": index.limit,
        "backbone": index.backbone,
        "backbone_options": dict(index.backbone_options),
        "backbone_fingerprint": index.backbone_fingerprint,
        "attended": {
            name: {
                "backbone": each.backbone,
                "backbone_options": dict(each.backbone_options),
                "backbone_fingerprint": each.backbone_fingerprint,
            }
            for name, each in (attended or {}).items()
        },
        "decoder": index.decoder,
        "sampling": sampling,
        "metric": metric,
        "pooling": pooling,
        "seed": seed,
        "seen": seen,
        "left_out": left_out or {},
        "expected": dict(index.expected_in),
        "missing": len(index.missing),
        "failed": len(index.failed),
        "versions": versions(),
        "git_revision": git_revision(),
    }
