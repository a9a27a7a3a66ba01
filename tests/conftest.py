"""Settings for the whole suite, made before Keras and TensorFlow are imported."""

import gc
import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
_BACKEND = os.environ["KERAS_BACKEND"]
# For an environment of its own: `make test-addons`.
collect_ignore = ["addons"]
_LONGEST = ("_backend_test.py", "reproduction_test.py", "distributed_training_test.py")


def pytest_ignore_collect(collection_path):
    """On another backend than TensorFlow only files that say they run there are imported."""
    if _BACKEND == "tensorflow" or not collection_path.name.endswith("_test.py"):
        return None
    return True if "pytest.mark.backends" not in collection_path.read_text() else None


def pytest_collection_modifyitems(items):
    """What takes longest begins first, so that the other files run beside it."""
    items.sort(key=lambda item: not item.path.name.endswith(_LONGEST))


def pytest_report_header():
    return f"Keras backend: {_BACKEND}"


@pytest.fixture(autouse=True, scope="module")
def _free_what_a_file_compiled():
    """JAX keeps every function that it has compiled: gigabytes over the whole suite."""
    yield
    if _BACKEND == "jax":
        import jax

        jax.clear_caches()
    gc.collect()
