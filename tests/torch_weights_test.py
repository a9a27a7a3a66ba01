"""torch's files: both formats, damage, and files that would run code."""

import collections
import os
import pickle

import numpy as np
import pytest

from glimpse.pipelines.torch_weights import read_torch_weights

torch = pytest.importorskip("torch", reason="torch is not installed, so .pth files were not tried")


class _Command:
    """Runs a shell command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def tensors():
    return collections.OrderedDict(
        kernel=torch.arange(600, dtype=torch.float32).reshape(20, 30),
        half=torch.tensor([1.0, 0.5], dtype=torch.float16),
        num_batches_tracked=torch.tensor(7),
    )


@pytest.mark.parametrize("new_format", [True, False])
def test_both_formats_are_read(tmp_path, new_format):
    torch.save(tensors(), tmp_path / "x.pth", _use_new_zipfile_serialization=new_format)
    read = read_torch_weights(tmp_path / "x.pth")
    assert list(read) == list(tensors())
    for name, tensor in tensors().items():
        np.testing.assert_array_equal(read[name], tensor.numpy())
    assert read["kernel"].dtype == read["half"].dtype == np.float32
    assert read["num_batches_tracked"] == 7


@pytest.mark.parametrize("new_format", [True, False])
def test_code_in_a_file_is_refused_and_does_not_run(tmp_path, new_format):
    held = {**tensors(), "x": _Command(tmp_path / "ran")}
    torch.save(held, tmp_path / "x.pth", _use_new_zipfile_serialization=new_format)
    with pytest.raises(ValueError, match=r"x\.pth: refused.*it names (posix|nt)\.system") as raised:
        read_torch_weights(tmp_path / "x.pth")
    assert "weights_only" not in str(raised.value)
    with open(tmp_path / "plain.pth", "wb") as file:
        pickle.dump(_Command(tmp_path / "ran"), file, protocol=2)
    with pytest.raises(ValueError, match="plain.pth: refused"):
        read_torch_weights(tmp_path / "plain.pth")
    assert not (tmp_path / "ran").exists()
    # The file would have run the command.
    with open(tmp_path / "plain.pth", "rb") as file:
        pickle.load(file)
    assert (tmp_path / "ran").exists()


def test_a_whole_module_is_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "x.pth")
    with pytest.raises(ValueError, match=r"refused.*torch\.nn\.modules\.linear\.Linear"):
        read_torch_weights(tmp_path / "x.pth")


@pytest.mark.parametrize("new_format", [True, False])
def test_a_file_cut_anywhere_is_refused(tmp_path, new_format):
    path = tmp_path / "cut.pth"
    torch.save(tensors(), path, _use_new_zipfile_serialization=new_format)
    data = path.read_bytes()
    for length in (*range(0, len(data), len(data) // 25), len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"cut\.pth: (truncated|refused)"):
            read_torch_weights(path)


@pytest.mark.parametrize("data", [b"\x89HDF\r\n\x1a\n" + bytes(64), b"text\n" * 20])
def test_another_file_is_refused(tmp_path, data):
    (tmp_path / "other.pth").write_bytes(data)
    with pytest.raises(ValueError, match=r"other\.pth: (truncated|refused)"):
        read_torch_weights(tmp_path / "other.pth")


@pytest.mark.parametrize(
    "held, message", [([1, 2], "list"), ({}, "dict"), ({"a": 3}, "a is a int")]
)
def test_what_is_no_dict_of_tensors_is_refused(tmp_path, held, message):
    torch.save(held, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=message):
        read_torch_weights(tmp_path / "x.pth")


def test_an_unsafe_version_of_torch_is_not_used(tmp_path, monkeypatch):
    torch.save(tensors(), tmp_path / "x.pth")
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    with pytest.raises(ImportError, match=r"x\.pth needs torch >= 2\.6, found 2\.5\.1"):
        read_torch_weights(tmp_path / "x.pth")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone.pth"):
        read_torch_weights(tmp_path / "gone.pth")


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
