"""Keras's legacy .h5 files, whole and damaged."""

import h5py
import keras
import numpy as np
import pytest

from glimpse.pipelines.keras_h5_weights import read_keras_h5_weights
from tests.published_files import write_keras_h5


def weights():
    random = np.random.default_rng(0)
    shapes = {
        "block1_conv1/block1_conv1_W_1:0": (3, 3, 3, 8),
        "block1_conv1/block1_conv1_b_1:0": (8,),
        "conv1_bn/gamma:0": (8,),
    }
    return {name: random.standard_normal(shape, "float32") for name, shape in shapes.items()}


@pytest.mark.parametrize("whole_model", [True, False])
def test_old_and_new_names_are_read(tmp_path, whole_model):
    write_keras_h5(tmp_path / "x.h5", weights(), whole_model)
    read = read_keras_h5_weights(tmp_path / "x.h5")
    assert list(read) == list(weights())
    for name, value in weights().items():
        np.testing.assert_array_equal(read[name], value)


def test_a_file_cut_anywhere_is_refused(tmp_path):
    path = tmp_path / "cut.h5"
    write_keras_h5(path, weights())
    data = path.read_bytes()
    for length in (*range(0, len(data), len(data) // 20), len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"cut\.h5: (truncated|none)"):
            read_keras_h5_weights(path)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04" + bytes(40), b"text\n" * 20])
def test_another_file_is_refused(tmp_path, data):
    (tmp_path / "other.h5").write_bytes(data)
    with pytest.raises(ValueError, match=r"other\.h5: .*not an HDF5 file"):
        read_keras_h5_weights(tmp_path / "other.h5")


def test_the_layout_of_keras_3_is_refused(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.save_weights(tmp_path / "x.weights.h5")
    with pytest.raises(ValueError, match="layer_names"):
        read_keras_h5_weights(tmp_path / "x.weights.h5")


def test_what_is_listed_and_missing_is_named(tmp_path):
    path = tmp_path / "x.h5"
    write_keras_h5(path, weights())
    with h5py.File(path, "a") as file:
        del file["block1_conv1"]["block1_conv1_b_1:0"]
    with pytest.raises(ValueError, match=r"block1_conv1_b_1:0 is listed but missing"):
        read_keras_h5_weights(path)
    with h5py.File(path, "a") as file:
        del file["block1_conv1"]
    with pytest.raises(ValueError, match=r"layer block1_conv1 is listed but missing"):
        read_keras_h5_weights(path)


def test_a_weight_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "x.h5"
    write_keras_h5(path, weights())
    with h5py.File(path, "a") as file:
        group = file["conv1_bn"]["conv1_bn"]
        del group["gamma:0"]
        group["gamma:0"] = "not numbers"
    with pytest.raises(ValueError, match=r"cannot read conv1_bn/gamma:0"):
        read_keras_h5_weights(path)


def test_a_file_without_weights_is_refused(tmp_path):
    write_keras_h5(tmp_path / "x.h5", {})
    with pytest.raises(ValueError, match=r"x\.h5: none of its layers has weights"):
        read_keras_h5_weights(tmp_path / "x.h5")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.h5"):
        read_keras_h5_weights(tmp_path / "gone.h5")


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
