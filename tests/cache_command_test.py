"""`glimpse cache`: what is stored, what is damaged, and what may go."""

import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import tensorflow as tf

import glimpse_command
from glimpse.pipelines.feature_cache import FeatureCache
from glimpse.pipelines.feature_index import FEATURES_FOLDER, FeatureIndex
from glimpse.pipelines.feature_windows import FeatureWindows, WindowSampling
from glimpse.pipelines.feature_writer import host_name
from tests.run_command import run_command
from tests.synthetic_features import make_features

COUNTS = (3, 1, 1)
RECORD_BYTES = 2 * 2 * 3 * 4 + 16


def key_of(name):
    return hashlib.sha256(name.encode()).hexdigest()


@pytest.fixture
def index(tmp_path):
    """Made features under keys as an extraction's."""
    made = make_features(tmp_path / "out", counts=COUNTS)
    for clip in made.entries:
        for path_of in (made.store.path, made.store.metadata_path):
            os.rename(path_of(clip.key), path_of(key_of(clip.key)))
    entries = tuple(dataclasses.replace(clip, key=key_of(clip.key)) for clip in made.entries)
    dataclasses.replace(made, entries=entries).save()
    return FeatureIndex.load(made.folder)


def run_json(capsys, *arguments):
    status = run_command("cache", *arguments, "--json")
    return status, json.loads(capsys.readouterr().out)


def flip(path, place):
    content = bytearray(pathlib.Path(path).read_bytes())
    content[place] ^= 1
    pathlib.Path(path).write_bytes(content)


def make_old(path, hours):
    then = os.stat(path).st_mtime - hours * 3600
    os.utime(path, (then, then))


def files_of(name):
    return {f"{key_of(name)}.tfrecord", f"{key_of(name)}.json"}


def names(index):
    return sorted(os.listdir(index.store.folder))


def test_list_says_what_is_stored_and_who_refers_to_it(index, capsys):
    index.store.write(key_of("black"), index.store.read(key_of("val_0"))[:1])
    assert run_command("cache", "list", f"--cache={index.store.folder}") == 0
    text = capsys.readouterr().out
    assert "6 entries" in text and "not referred to" not in text and "2x3x4" in text
    assert run_command("cache", "list", f"--index={index.folder}") == 0
    assert "1 (0.0 MB) not referred to" in capsys.readouterr().out
    status, found = run_json(capsys, "list", f"--index={index.folder}")
    assert status == 0
    entries = {entry["key"]: entry for entry in found["entries"]}
    clips = {clip.key: clip for clip in index.entries}
    assert set(entries) == set(clips) | {key_of("black")}
    for key, clip in clips.items():
        assert entries[key]["shape"] == [clip.num_frames, 2, 3, 4]
        assert entries[key]["dtype"] == "float16" and entries[key]["damage"] is None
        assert entries[key]["indices"] == [index.folder]
        sizes = [
            os.path.getsize(p) for p in (index.store.path(key), index.store.metadata_path(key))
        ]
        assert entries[key]["num_bytes"] == sum(sizes)
    assert entries[key_of("black")]["indices"] == []
    assert found["num_bytes"] == sum(entry["num_bytes"] for entry in found["entries"])
    assert found["steps"] == sum(clip.num_frames for clip in index.entries) + 1
    assert found["damaged"] == 0 and found["absent"] == {}


def test_verify_names_what_is_damaged_or_missing(index, capsys):
    arguments = ("verify", f"--index={index.folder}")
    assert run_command("cache", *arguments) == 0
    assert "5 entries" in capsys.readouterr().out
    flip(index.store.path(key_of("train_1")), 2 * RECORD_BYTES + 30)
    os.truncate(index.store.path(key_of("train_2")), 100)
    os.unlink(index.store.path(key_of("val_0")))
    assert run_command("cache", *arguments) == 1
    text = capsys.readouterr().out
    assert "2 damaged" in text and "1 keys that an index refers to are not stored" in text
    path = index.store.path(key_of("train_1"))
    words = r"that of step 2 of [0-9]+: corrupted record at [0-9]+$"
    assert re.search(rf"damaged {path}: a record is damaged, {words}", text, re.MULTILINE)
    assert f"damaged {index.store.path(key_of('train_2'))}: 100 bytes, not" in text
    assert f"{key_of('val_0')} of {index.folder}" in text and key_of("test_0") not in text
    assert "prune --check_hashes` removes what is damaged" in text
    status, found = run_json(capsys, *arguments)
    assert status == 1 and found["damaged"] == 2
    assert found["absent"] == {key_of("val_0"): [index.folder]}
    for name in ("train_1", "train_2"):
        index.store.write(key_of(name), index.store.read(key_of("train_0")))
    assert run_command("cache", *arguments) == 1
    text = capsys.readouterr().out
    assert "1 keys that an index refers to are not stored; extract again" in text
    assert "prune" not in text


def test_prune_removes_damage_and_leaves_the_rest(index, capsys):
    flip(index.store.path(key_of("train_1")), 30)
    os.truncate(index.store.path(key_of("train_2")), 100)
    before = names(index)
    arguments = ("prune", f"--cache={index.store.folder}")
    # Between the two renames of a writer, what it writes looks damaged.
    for name in ("train_1", "train_2"):
        make_old(index.store.path(key_of(name)), 25)
    assert run_command("cache", *arguments, "--check_hashes") == 0
    text = capsys.readouterr().out
    assert "0 damaged" in text and names(index) == before
    assert "Kept 2 damaged, younger than 24 hours" in text
    for name in ("train_1", "train_2"):
        make_old(index.store.metadata_path(key_of(name)), 25)
    assert run_command("cache", *arguments, "--check_hashes", "--dry_run") == 0
    text = capsys.readouterr().out
    assert "would remove 0 left over (0.0 MB), 2 damaged (0.0 MB), 0 not referred to" in text
    assert "there is no --index" in text and names(index) == before
    status, found = run_json(capsys, *arguments)
    assert status == 0 and not found["dry_run"]
    assert [removed["reason"] for removed in found["removed"]] == ["damaged"]
    assert found["damaged_kept"] == 0 and found["foreign"] == 0
    gone = files_of("train_2")
    assert set(before) - set(names(index)) == gone
    assert run_command("cache", *arguments, "--check_hashes") == 0
    assert f"damaged: {index.store.path(key_of('train_1'))}" in capsys.readouterr().out
    gone |= files_of("train_1")
    assert set(before) - set(names(index)) == gone


def test_prune_removes_what_no_index_refers_to_if_it_is_old(index, tmp_path, capsys):
    features = index.store.read(key_of("val_0"))
    for name in ("new", "old", "black"):
        index.store.write(key_of(name), features[:1])
    for name in ("old", "black"):
        make_old(index.store.path(key_of(name)), 25)
        make_old(index.store.metadata_path(key_of(name)), 25)
    before = names(index)
    # Two indices of one folder: what either refers to stays.
    shutil.copytree(index.folder, tmp_path / "other")
    shutil.rmtree(tmp_path / "other" / FEATURES_FOLDER)
    path = tmp_path / "other" / "index.json"
    values = json.loads(path.read_text())
    path.write_text(
        json.dumps({**values, "cache": index.store.folder, "black_key": key_of("black")})
    )
    both = f"--index={index.folder},{tmp_path / 'other'}"
    assert run_command("cache", "prune", both) == 0
    assert "1 not referred to" in capsys.readouterr().out
    assert set(before) - set(names(index)) == files_of("old")
    assert run_command("cache", "prune", f"--cache={index.store.folder}", "--older_than=0") == 0
    assert "0 not referred to" in capsys.readouterr().out
    assert run_command("cache", "prune", f"--index={index.folder}", "--older_than=0") == 0
    left = {name.split(".")[0] for name in names(index)}
    assert left == {clip.key for clip in index.entries}


WRITER = """
import sys
import numpy as np
from glimpse.pipelines.feature_store import FeatureStore
with FeatureStore(sys.argv[1]).writer("0" * 64, "float16") as writer:
    writer.append(np.ones((3, 2), np.float16))
    print("writing", flush=True)
    sys.stdin.read()
"""


def test_prune_removes_what_dead_writers_left_and_nothing_of_the_living(index, capsys):
    folder = pathlib.Path(index.store.folder)
    before = names(index)
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert writer.stdout.readline()
        (live,) = set(names(index)) - set(before)
        make_old(folder / live, 100)
        dead = [f".{'0' * 32}@{host_name()}.partial", f".{'1' * 32}@elsewhere.partial"]
        young = [f".{'2' * 32}@{host_name()}.partial", f".{'3' * 32}@elsewhere.partial"]
        for name in dead + young:
            (folder / name).write_bytes(b"part")
        # Metadata whose features never came, and a file that is not ours.
        lost, foreign = f"{key_of('lost')}.json", f"{key_of('foreign')}.json"
        shutil.copy(index.store.metadata_path(key_of("val_0")), folder / lost)
        (folder / foreign).write_text("{}")
        for name in (lost, foreign, dead[1]):
            make_old(folder / name, 25)
        make_old(folder / dead[0], 0.1)
        make_old(folder / young[1], 23)
        status, found = run_json(capsys, "prune", f"--cache={folder}")
        assert status == 0
        assert {os.path.basename(removed["paths"][0]) for removed in found["removed"]} == {
            *dead,
            lost,
        }
        assert set(names(index)) == {*before, live, *young, foreign}
        assert found["num_bytes"] == 8 + os.path.getsize(index.store.metadata_path(key_of("val_0")))
        writer.stdin.close()
        assert writer.wait() == 0
        assert index.store.read("0" * 64).tolist() == [[1, 1]] * 3
    finally:
        writer.kill()
        writer.wait()


def test_a_killed_writers_file_is_left_over(index):
    folder = pathlib.Path(index.store.folder)
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert writer.stdout.readline()
    (left,) = folder.glob(".*.partial")
    make_old(left, 0.1)
    cache = FeatureCache(folder)
    assert cache.removals(cache.entries()) == []
    writer.kill()
    writer.communicate()
    (removal,) = cache.removals(cache.entries())
    assert removal.paths == (str(left),) and removal.reason == "left over"


def test_files_of_others_are_left_alone(index, tmp_path, capsys):
    folder = pathlib.Path(index.store.folder)
    own = names(index)
    foreign = [
        "train-00000.tfrecord",
        "train-00000.json",
        f"{'0' * 63}.tfrecord",
        f"{'0' * 65}.tfrecord",
        f"{'A' * 64}.tfrecord",
        f"x{'0' * 64}.tfrecord",
        f"{'0' * 64}.tfrecord.gz",
        "download.partial",
        f".x{'0' * 32}@{host_name()}.partial",
        ".hidden.tfrecord",
    ]
    shutil.copy(index.store.metadata_path(key_of("val_0")), folder / "train-00000.json")
    for name in foreign:
        if name != "train-00000.json":
            (folder / name).write_bytes(b"x")
        make_old(folder / name, 1000)
    (folder / "folder.tfrecord").mkdir()
    arguments = ("--older_than=0", "--check_hashes", f"--index={index.folder}")
    assert run_command("cache", "prune", *arguments) == 0
    text = capsys.readouterr().out
    assert "removed 0 left over (0.0 MB), 0 damaged (0.0 MB), 0 not referred to" in text
    assert f"Left alone {len(foreign) + 1} files" in text
    assert set(names(index)) == {*own, *foreign, "folder.tfrecord"}
    _, found = run_json(capsys, "list", f"--cache={folder}")
    assert len(found["entries"]) == sum(COUNTS)
    # A folder of nothing but such files is none of features.
    for name in own:
        shutil.move(folder / name, tmp_path / name)
    for action in ("list", "verify", "prune"):
        assert run_command("cache", action, f"--cache={folder}", "--older_than=0") == 1
        assert f"{folder}: holds no features of glimpse" in capsys.readouterr().err
    assert set(names(index)) == {*foreign, "folder.tfrecord"}
    # Unless an index says that they belong here.
    status, found = run_json(capsys, "verify", f"--index={index.folder}")
    assert status == 1 and set(found["absent"]) == {clip.key for clip in index.entries}


def test_a_damaged_record_met_in_reading_says_what_to_do(index):
    flip(index.store.path(key_of("test_0")), 30)
    windows = FeatureWindows(index, "test", WindowSampling(4), memory_bytes=0)
    with pytest.raises(tf.errors.DataLossError) as error:
        list(windows.in_order(1))
    words = "`glimpse cache verify --index=FOLDER` says which."
    assert words in glimpse_command._one_line(error.value)


def test_wrong_arguments_are_named(index, tmp_path, capsys):
    for arguments, words in [
        ((), "give one of list, verify, prune"),
        (("lost",), "got 'lost'"),
        (("list", "verify"), "got 'list' 'verify'"),
        (("list",), "--cache"),
        (("list", f"--cache={tmp_path / 'none'}"), "no such folder of stored features"),
        (("list", f"--cache={tmp_path}"), "holds no features of glimpse"),
        (("list", f"--cache={tmp_path}", f"--index={index.folder}"), "not to .*: leave it out"),
        (("list", f"--index={tmp_path / 'none'}"), "no such file; extract"),
    ]:
        assert run_command("cache", *arguments) == 1
        error = capsys.readouterr().err
        assert error.startswith("glimpse cache: ") and "Traceback" not in error
        assert re.search(words, error), error


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
