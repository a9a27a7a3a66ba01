"""Caffe's files, written from the lines of its caffe.proto, whole and damaged."""

import itertools

import numpy as np
import pytest

from glimpse.pipelines.caffe_weights import read_caffe_mean, read_caffe_weights
from tests.published_files import caffe_messages, write_binaryproto, write_caffemodel


def weights(axes=2):
    random = np.random.default_rng(0)
    shapes = {
        "conv1/7x7[0]": (4, 3, *(3, 5, 7)[-axes:]),
        "conv1/7x7[1]": (4,),
        "fc8-1[0]": (6, 10),
        "fc8-1[1]": (6,),
    }
    return {name: random.standard_normal(shape, "float32") for name, shape in shapes.items()}


def assert_equal(read, expected):
    assert list(read) == list(expected)
    for name, array in expected.items():
        assert read[name].dtype == np.float32
        assert read[name].shape[-array.ndim :] == array.shape
        np.testing.assert_array_equal(read[name].reshape(array.shape), array)


@pytest.mark.parametrize("form", ["layer", "layers", "c3d"])
@pytest.mark.parametrize("packed", [True, False])
def test_every_form_is_read(tmp_path, form, packed):
    written = weights(3 if form == "c3d" else 2)
    write_caffemodel(tmp_path / "net.caffemodel", written, form, packed)
    read = read_caffe_weights(tmp_path / "net.caffemodel")
    assert_equal(read, written)
    axes = {"layer": 1, "layers": 4, "c3d": 5}[form]
    assert read["fc8-1[1]"].shape == (1,) * (axes - 1) + (6,)


@pytest.mark.parametrize("packed", [True, False])
def test_doubles_become_floats(tmp_path, packed):
    write_caffemodel(tmp_path / "net.caffemodel", weights(), "layer", packed, doubles=True)
    assert_equal(read_caffe_weights(tmp_path / "net.caffemodel"), weights())


def test_a_list_in_several_pieces_is_joined(tmp_path):
    messages = caffe_messages(as_bytes=True)
    net = messages["NetParameter"]()
    blob = net.layer.add(name="conv").blobs.add()
    blob.shape.dim.extend([5])
    blob.data.extend([np.float32([1, 2]).tobytes(), np.float32([3, 4, 5]).tobytes()])
    (tmp_path / "net").write_bytes(net.SerializeToString())
    np.testing.assert_array_equal(
        read_caffe_weights(tmp_path / "net")["conv[0]"], [1.0, 2.0, 3.0, 4.0, 5.0]
    )


def test_gradients_beside_the_weights_are_left_alone(tmp_path):
    messages = caffe_messages()
    net = messages["NetParameter"]()
    blob = net.layers.add(name="conv").blobs.add(num=1, channels=1, height=1, width=2)
    blob.data.extend([1.0, 2.0])
    blob.diff.extend([3.0, 4.0])
    (tmp_path / "net").write_bytes(net.SerializeToString())
    np.testing.assert_array_equal(
        read_caffe_weights(tmp_path / "net")["conv[0]"].ravel(), [1.0, 2.0]
    )


@pytest.mark.parametrize("form", ["layer", "layers", "c3d"])
def test_a_file_cut_anywhere_is_refused_or_lacks_whole_layers(tmp_path, form):
    path = tmp_path / "net.caffemodel"
    write_caffemodel(path, weights(3 if form == "c3d" else 2), form)
    data = path.read_bytes()
    whole = read_caffe_weights(path)
    refused = 0
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        try:
            read = read_caffe_weights(path)
        except ValueError as error:
            refused += 1
            assert "net.caffemodel" in str(error)
        else:
            assert list(read) == list(whole)[:2] and length < len(data)
    assert refused > len(data) // 7 - 3


def test_a_cut_file_names_the_place(tmp_path):
    path = tmp_path / "net.caffemodel"
    write_caffemodel(path, weights())
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"net\.caffemodel: trunc.*layer 2.*follows 'conv1/7x7'"):
        read_caffe_weights(path)


@pytest.mark.parametrize(
    "data", [b"", b"\x89HDF\r\n\x1a\n" + bytes(64), b"PK\x03\x04" + bytes(40), b"text\n" * 20]
)
def test_another_file_is_refused(tmp_path, data):
    (tmp_path / "other.caffemodel").write_bytes(data)
    with pytest.raises(ValueError, match=r"other\.caffemodel: .*\.caffemodel"):
        read_caffe_weights(tmp_path / "other.caffemodel")


def test_a_blob_whose_shape_and_numbers_disagree_is_named(tmp_path):
    for count, shape in itertools.product((5, 0), ((2, 3), (2, -3))):
        net = caffe_messages()["NetParameter"]()
        net.layer.add(name="first").blobs.add(num=1, channels=1, height=1, width=1).data.append(1)
        blob = net.layer.add(name="conv2").blobs.add()
        blob.shape.dim.extend(shape)
        blob.data.extend(range(count))
        (tmp_path / "net").write_bytes(net.SerializeToString())
        with pytest.raises(ValueError, match=rf"conv2\[0\] should hold 2 x -?3 .*has {count}"):
            read_caffe_weights(tmp_path / "net")


def test_a_layer_without_a_name_or_with_anothers_is_refused(tmp_path):
    for name, message in (("", "upgrade_net_proto_binary"), ("conv", "two layers.*'conv'")):
        net = caffe_messages()["NetParameter"]()
        for called in ("conv", name):
            blob = net.layers.add(name=called).blobs.add(num=1, channels=1, height=1, width=1)
            blob.data.append(1.0)
        (tmp_path / "net").write_bytes(net.SerializeToString())
        with pytest.raises(ValueError, match=message):
            read_caffe_weights(tmp_path / "net")


@pytest.mark.parametrize("form, shape", [("layers", (3, 5, 4)), ("c3d", (3, 2, 5, 4))])
def test_a_mean_is_read(tmp_path, form, shape):
    mean = np.random.default_rng(0).standard_normal(shape, "float32")
    path = tmp_path / "mean.binaryproto"
    write_binaryproto(path, mean, form)
    read = read_caffe_mean(path)
    assert read.shape == shape
    np.testing.assert_array_equal(read, mean)
    data = path.read_bytes()
    for length in (0, 3, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"mean\.binaryproto"):
            read_caffe_mean(path)


def test_a_mean_of_other_axes_is_refused(tmp_path):
    write_binaryproto(tmp_path / "mean.binaryproto", np.ones((1, 5, 4), "float32"))
    with pytest.raises(ValueError, match=r"mean has the shape \(3.*got"):
        read_caffe_mean(tmp_path / "mean.binaryproto")


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
