"""Extraction for backbones that read chunks or give vectors, and of mirrored frames."""

import dataclasses
import os

import numpy as np
import pytest
import tensorflow as tf

from glimpse.pipelines.clips import Clip, ClipSet
from glimpse.pipelines.extraction import extract_features
from glimpse.pipelines.feature_index import FeatureIndex
from glimpse.pipelines.feature_store import feature_key
from glimpse.pipelines.frame_reader import FrameReader
from glimpse.pipelines.video_error import VideoError
from glimpse.trained_model import load_backbone, read_backbone_options
from tests.bits_backbone import BitsBackbone, numbers_in
from tests.numbered_videos import BITS, write_video

CHUNK = 4


class ChunkBackbone:
    """One vector a chunk of four frames: the bits that each of them shows."""

    name = "chunks"
    fingerprint = "chunks 1"
    frames_per_input = CHUNK

    def __init__(self):
        self.calls = []

    def __call__(self, frames):
        tf.numpy_function(lambda shape: self.calls.append(tuple(shape)), [tf.shape(frames)], [])
        _, chunk, height, width, _ = frames.shape
        rows = tf.cast(frames[:, :, height // 3, :, 1], tf.float32)
        bits = tf.reduce_mean(tf.reshape(rows, (-1, chunk, BITS, width // BITS)), axis=3)
        return tf.reshape(bits, (-1, chunk * BITS))


class SideBackbone:
    """The mean colour of a frame's lower left and lower right corner."""

    name = "sides"
    fingerprint = "sides 1"

    def __call__(self, frames):
        lower = tf.cast(frames[:, -8:], tf.float32)
        left, right = tf.split(lower, 2, axis=2)
        return tf.reduce_mean(tf.stack([left, right], axis=1), axis=(2, 3))[:, None]


def make_clips(folder, lengths):
    clips = []
    for number, length in enumerate(lengths):
        path = write_video(
            folder / f"{number}.mp4", num_frames=length, first=20 * number, rate=24.0
        )
        clips.append(Clip(path.name, str(path), 0, "train"))
    return ClipSet("set", ("a",), tuple(clips))


def frames_of(chunks):
    """The frame numbers that features of ChunkBackbone show, `(chunks, CHUNK)`."""
    bits = chunks.reshape((-1, CHUNK, BITS)) > 127
    return (bits * 2 ** np.arange(BITS - 1, -1, -1)).sum(axis=2).tolist()


@pytest.mark.parametrize("batch_size", [1, 12, 64])
def test_chunks_follow_each_other_and_do_not_overlap(tmp_path, batch_size):
    """Decoding gives 16 frames at a time, the clips' lengths are no multiples of the chunk's."""
    lengths = [18, 4, 39]
    backbone = ChunkBackbone()
    index = extract_features(
        make_clips(tmp_path, lengths), backbone, tmp_path / "out", batch_size=batch_size,
        progress=False,
    )  # fmt: skip
    assert index.feature_shape == (CHUNK * BITS,) and index.frames_per_input == CHUNK
    for number, (clip, length) in enumerate(zip(index.entries, lengths, strict=True)):
        whole = length // CHUNK
        expected = 20 * number + np.arange(whole * CHUNK).reshape((-1, CHUNK))
        assert frames_of(index.read(clip)) == expected.tolist()
        assert (clip.num_frames, clip.num_video_frames) == (whole, length)
        assert clip.frames_per_second == pytest.approx(24.0 / CHUNK)
    assert index.dropped_frames == 2 + 0 + 3
    assert {shape[:2] for shape in backbone.calls} == {(max(1, batch_size // CHUNK), CHUNK)}
    assert FeatureIndex.load(tmp_path / "out") == index
    # From the store, the same.
    calls = len(backbone.calls)
    again = extract_features(
        make_clips(tmp_path, lengths), backbone, tmp_path / "out", batch_size=batch_size,
        progress=False,
    )  # fmt: skip
    assert again == index and len(backbone.calls) == calls


def test_a_clip_shorter_than_a_chunk_has_failed(tmp_path):
    clips = make_clips(tmp_path, [9, 3])
    with pytest.raises(VideoError, match=r"1\.mp4: not enough frames: it has 3, .* reads 4"):
        extract_features(clips, ChunkBackbone(), tmp_path / "out", progress=False)
    index = extract_features(
        clips, ChunkBackbone(), tmp_path / "out", progress=False, on_error="report"
    )
    assert (index.expected, index.seen, index.dropped_frames) == (2, 1, 1)
    assert "not enough frames" in index.failed[0]["reason"]
    assert not list((tmp_path / "out").rglob("*.partial"))


@pytest.mark.parametrize("threads", [1, 2])
def test_mirrored_frames_have_features_of_their_own(tmp_path, threads):
    clips = make_clips(tmp_path, [5, 9])
    plain = extract_features(clips, SideBackbone(), tmp_path / "plain", progress=False)
    index = extract_features(
        clips, SideBackbone(), tmp_path / "out", progress=False, flips=True, decode_threads=threads
    )
    assert [clip.flipped_key for clip in plain.entries] == [None, None]
    assert [dataclasses.replace(c, flipped_key=None) for c in index.entries] == list(plain.entries)
    for clip in index.entries:
        features, mirrored = index.read(clip), index.store.read(clip.flipped_key)
        # Red is left and blue is right, so the mirrored frame's corners are exchanged.
        assert features[:, 0, 0, 0].min() > 150 > 100 > features[:, 0, 1, 0].max()
        np.testing.assert_array_equal(mirrored, features[:, :, ::-1])
        np.testing.assert_array_equal(features, plain.read(clip))
    assert FeatureIndex.load(tmp_path / "out") == index


def test_mirrored_chunks_hold_mirrored_frames(tmp_path):
    clips = make_clips(tmp_path, [11])
    index = extract_features(
        clips, ChunkBackbone(), tmp_path / "out", "float32", progress=False, flips=True
    )
    (clip,) = index.entries
    features = index.read(clip).reshape((2, CHUNK, BITS))
    mirrored = index.store.read(clip.flipped_key).reshape((2, CHUNK, BITS))
    np.testing.assert_array_equal(mirrored > 127, features[..., ::-1] > 127)


def test_only_what_is_missing_is_extracted(tmp_path, monkeypatch):
    clips = make_clips(tmp_path, [5, 9])
    out = tmp_path / "out"
    plain = extract_features(clips, BitsBackbone(), out, progress=False)
    backbone, decoded = BitsBackbone(), []

    def counting(self):
        decoded.append(self.path)
        return real(self)

    real = FrameReader.__iter__
    monkeypatch.setattr(FrameReader, "__iter__", counting)
    index = extract_features(clips, backbone, out, batch_size=1, progress=False, flips=True)
    assert len(backbone.calls) == 14 and len(decoded) == 2
    assert [clip.key for clip in index.entries] == [clip.key for clip in plain.entries]
    os.unlink(index.path(index.entries[1]))
    again = extract_features(clips, backbone, out, batch_size=1, progress=False, flips=True)
    assert again == index and len(backbone.calls) == 14 + 9 and len(decoded) == 3
    assert numbers_in(again.read(again.entries[1])) == list(range(20, 29))
    # Nothing is left to do, mirrored frames asked for or not.
    extract_features(clips, backbone, out, batch_size=1, progress=False, flips=True)
    assert extract_features(clips, backbone, out, progress=False) == plain
    assert len(decoded) == 3


def test_mirrored_features_have_a_key_of_their_own():
    parts = ["video", "backbone", "float16", "decoder"]
    assert feature_key(*parts, mirrored=True) != feature_key(*parts)
    assert feature_key(*parts, mirrored=False) == feature_key(*parts)


def test_several_labels_and_none_are_kept(tmp_path):
    clips = make_clips(tmp_path, [3, 3, 3])
    labels = [(0, 2), (), (1,)]
    clips = ClipSet(
        "multi",
        ("a", "b", "c"),
        tuple(dataclasses.replace(c, label=n) for c, n in zip(clips.clips, labels, strict=True)),
    )
    index = extract_features(clips, BitsBackbone(), tmp_path / "out", progress=False)
    loaded = FeatureIndex.load(tmp_path / "out")
    assert loaded == index and loaded.multi_label
    assert [clip.label for clip in loaded.entries] == labels
    assert index.split_hash == clips.split_hash
    other = dataclasses.replace(clips, clips=clips.clips[::-1])
    assert other.split_hash == clips.split_hash
    fewer = (dataclasses.replace(clips.clips[0], label=(0,)), *clips.clips[1:])
    assert dataclasses.replace(clips, clips=fewer).split_hash != clips.split_hash


def test_backbone_options_are_kept_in_the_index(tmp_path):
    clips = make_clips(tmp_path, [3])
    options = {"output": "fc6"}
    index = extract_features(
        clips, BitsBackbone(), tmp_path / "out", progress=False, backbone_options=options
    )
    assert FeatureIndex.load(tmp_path / "out").backbone_options == index.backbone_options == options


def test_options_on_the_command_line(tmp_path, monkeypatch):
    assert read_backbone_options("{}") == {}
    for text, message in (("{", "not JSON"), ("[1]", "must be a JSON object")):
        with pytest.raises(ValueError, match=message):
            read_backbone_options(text)
    (tmp_path / "weights.keras").touch()
    monkeypatch.chdir(tmp_path)
    found = read_backbone_options('{"weights": "weights.keras", "output": "fc6"}')
    assert found == {"weights": str(tmp_path.resolve() / "weights.keras"), "output": "fc6"}
    with pytest.raises(ValueError, match="--backbone_options: small refuses .*no option layer"):
        load_backbone("small", {"layer": "fc6"})
    with pytest.raises(ValueError, match="no backbone of the zoo"):
        load_backbone("some.keras", {"output": "fc6"})


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
