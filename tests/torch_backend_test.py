"""The layers and models on Keras's torch backend, in a file that can run beside the others."""

import pytest

from tests.run_on_backend import run_on_backend


@pytest.mark.slow
def test_layers_and_models_pass():
    run_on_backend("torch")


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
