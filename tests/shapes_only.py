"""Models of full size for their shapes alone."""

import contextlib

import keras
from keras.src.backend.common import global_state


@contextlib.contextmanager
def shapes_only():
    """Weights made inside have shapes but no values: no memory, no time."""
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        # Else Keras fills them all when the next scope of this kind ends, wherever that is.
        global_state.set_global_attribute("uninitialized_variables", [])
