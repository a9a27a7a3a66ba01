"""TensorFlow checkpoints of both versions, whole and damaged."""

import numpy as np
import pytest

from glimpse.pipelines.slim_weights import checkpoint_files, read_slim_weights
from tests.published_files import write_slim_checkpoint


def variables():
    random = np.random.default_rng(0)
    return {
        "InceptionV1/Conv2d_1a_7x7/weights": random.standard_normal((7, 7, 3, 64), "float32"),
        "InceptionV1/Conv2d_1a_7x7/BatchNorm/beta": random.standard_normal(64, "float32"),
        "global_step": np.array(5, "int64"),
    }


@pytest.mark.parametrize("version", [1, 2])
def test_both_versions_are_read(tmp_path, version):
    path = tmp_path / "inception_v1.ckpt"
    write_slim_checkpoint(path, variables(), version)
    read = read_slim_weights(path)
    assert set(read) == set(variables())
    for name, value in variables().items():
        np.testing.assert_array_equal(read[name], value)
    files = [file.name for file in checkpoint_files(path)]
    assert (
        files
        == {
            1: ["inception_v1.ckpt"],
            2: ["inception_v1.ckpt.index", "inception_v1.ckpt.data-00000-of-00001"],
        }[version]
    )
    if version == 2:
        assert set(read_slim_weights(f"{path}.index")) == set(read)


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_cut_anywhere_is_refused(tmp_path, version):
    path = tmp_path / "inception_v1.ckpt"
    write_slim_checkpoint(path, variables(), version)
    for file in checkpoint_files(path):
        data = file.read_bytes()
        for length in (0, 1, len(data) // 3, len(data) // 2, len(data) - 10, len(data) - 1):
            file.write_bytes(data[:length])
            with pytest.raises(ValueError, match=r"inception_v1\.ckpt: "):
                read_slim_weights(path)
        file.write_bytes(data)
    assert len(read_slim_weights(path)) == 3


def test_a_damaged_variable_is_named(tmp_path):
    path = tmp_path / "inception_v1.ckpt"
    write_slim_checkpoint(path, variables())
    data_file = checkpoint_files(path)[1]
    data_file.write_bytes(data_file.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"cannot read InceptionV1/Conv2d_1a_7x7/"):
        read_slim_weights(path)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04" + bytes(40), b"text\n" * 40])
def test_another_file_is_refused(tmp_path, data):
    (tmp_path / "other.ckpt").write_bytes(data)
    with pytest.raises(ValueError, match=r"other\.ckpt: not a TensorFlow checkpoint"):
        read_slim_weights(tmp_path / "other.ckpt")


def test_a_missing_file_is_named(tmp_path):
    write_slim_checkpoint(tmp_path / "x.ckpt", variables())
    (tmp_path / "x.ckpt.index").unlink()
    for name in ("gone.ckpt", "x.ckpt", "folder/x.ckpt"):
        with pytest.raises(FileNotFoundError, match=name):
            read_slim_weights(tmp_path / name)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
