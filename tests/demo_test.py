"""The whole job through the command line, on a few clips, with real video files."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import cv2
import keras
import numpy as np
import pytest

from glimpse.models import create_backbone, load_model
from glimpse.pipelines.caption_answer import VideoCaptionAnswerer
from glimpse.pipelines.video_answer import VideoAnswerer

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parent.parent
COMMAND = [sys.executable, "-m", "glimpse"]


def glimpse(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A small demo that was killed in the middle and started again."""
    folder = tmp_path_factory.mktemp("demo") / "run"
    arguments = ["demo", "--small", f"--output={folder}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    state = folder / "runs" / "soft_attention_content" / "state.npz"
    while not state.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    assert state.exists(), "the demo ended or hung before its first epoch"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / "summary.json").exists()
    clips = {p: p.stat().st_mtime_ns for p in (folder / "clips" / "videos").rglob("*.mp4")}
    done = glimpse(*arguments)
    assert done.returncode == 0, done.stderr[-3000:]
    assert all(p.stat().st_mtime_ns == before for p, before in clips.items())
    return folder, done.stdout


def test_the_table_names_every_model(demo):
    _, printed = demo
    for title in ("soft attention, content", "average pooled LSTM", "softmax regression"):
        assert title in printed
    assert "attention in actor's box" in printed and "uniform share" in printed


def test_every_path_that_it_prints_exists(demo):
    folder, printed = demo
    summary = json.loads((folder / "summary.json").read_text())
    for path in summary["paths"].values():
        assert pathlib.Path(path).exists() and path in printed
    assert not list(folder.rglob("*.partial*"))


def test_figures_are_the_evaluations(demo):
    folder, _ = demo
    summary = json.loads((folder / "summary.json").read_text())
    for row in summary["rows"]:
        evaluation = summary["evaluations"][row["model"]]
        right = [video["label"] == video["predicted"] for video in evaluation["clips"]]
        assert row["accuracy of videos"] == pytest.approx(np.mean(right), abs=6e-4)
        assert evaluation["stamp"]["seen"] == {"test": 16}
        assert evaluation["stamp"]["failed"] == 0


def test_pictures_can_be_read(demo):
    folder, _ = demo
    strip = cv2.imread(str(folder / "pictures" / "film_strip.png"))
    assert strip is not None and strip.shape[1] >= 1600
    videos = list((folder / "pictures").glob("*.mp4"))
    assert videos
    for path in videos:
        capture = cv2.VideoCapture(str(path))
        good, frame = capture.read()
        assert good and frame.shape[0] >= 448
    page = (folder / "pictures" / "gaze.html").read_text(encoding="utf-8")
    assert "softmax regression" in page
    # The namespace of SVG is a name, not an address to fetch.
    assert "://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_the_saved_model_answered_without_glimpse_what_keras_answers(demo):
    """The SavedModel answers for the first window, and so does `gaze`."""
    folder, _ = demo
    answer = json.loads((folder / "saved_model_answer.json").read_text())
    assert answer["glimpse_importable"] is False
    gaze = VideoAnswerer(load_model(folder / "export" / "model.keras")).gaze(answer["video"])
    order = np.argsort(-gaze.probabilities)[: len(answer["labels"])]
    assert answer["labels"] == [gaze.label_names[i] for i in order]
    # The SavedModel was asked with frames that went through another reader.
    np.testing.assert_allclose(answer["scores"], gaze.probabilities[order], atol=1e-4)


def test_captions_are_measured_drawn_and_printed_beside_their_truth(demo):
    folder, printed = demo
    captions = json.loads((folder / "summary.json").read_text())["captions"]
    right = [clip["caption"] in clip["references"] for clip in captions["clips"]]
    assert len(right) == 16 and captions["sentence_accuracy"] == pytest.approx(np.mean(right))
    assert f"{np.mean(right):.3f} of the sentences on 16 test clips" in printed
    strips = sorted((folder / "caption_pictures").glob("*.png"))
    assert len(strips) == 3
    said = {clip["clip_id"]: clip for clip in captions["clips"]}
    for strip in strips:
        assert cv2.imread(str(strip)).shape[1] >= 1600
        clip = next(clip for name, clip in said.items() if name in strip.name)
        # From the video's own frames, where the evaluation read stored features.
        assert f"says   {clip['caption']}" in printed
        assert all(f"truth  {text}" in printed for text in clip["references"])
    page = (folder / "caption_pictures" / "captions.html").read_text(encoding="utf-8")
    assert "://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_the_captioners_saved_model_says_without_glimpse_what_keras_says(demo):
    folder, _ = demo
    answer = json.loads((folder / "saved_model_captions.json").read_text())
    assert answer["glimpse_importable"] is False
    captioner = VideoCaptionAnswerer(load_model("captioner_small.tiny_actions"))
    expected = captioner.answer(answer["video"]).captions
    assert answer["captions"][0] == expected[0].text
    np.testing.assert_allclose(answer["scores"][0], expected[0].score, rtol=1e-3)


def test_predict_goes_on_after_bad_files_and_fails_in_the_end(demo, tmp_path):
    folder, _ = demo
    good = next((folder / "clips" / "videos" / "test").glob("*.mp4"))
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("this is no video")
    truncated = tmp_path / "half.mp4"
    truncated.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    bad = [tmp_path / "none.mp4", tmp_path / "empty.mp4", tmp_path / "text.mp4", truncated]
    model = f"--model={folder}/runs/soft_attention_content"
    done = glimpse("predict", model, *bad, good)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for path in bad:
        assert path.name in done.stderr
    assert "4 of 5 files failed" in done.stderr
    assert good.name in done.stdout


def test_a_video_shorter_than_the_window_is_answered(demo, tmp_path):
    folder, _ = demo
    path = tmp_path / "short.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 15, (112, 112))
    for value in (0, 90, 200):
        writer.write(np.full((112, 112, 3), value, "uint8"))
    writer.release()
    done = glimpse("predict", f"--model={folder}/export/model.keras", "--json", path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["frames"] == 3


def test_explain_draws_a_file_of_ones_own(demo, tmp_path):
    folder, _ = demo
    video = next((folder / "clips" / "videos" / "test").glob("*.avi"))
    done = glimpse(
        "explain", f"--model={folder}/export/model.keras", f"--output={tmp_path}/p", video
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "p" / "film_strip.png").is_file()
    no_gaze = f"--model={folder}/runs/softmax_regression"
    done = glimpse("explain", no_gaze, f"--output={tmp_path}/q", video)
    assert done.returncode == 1 and "no gaze" in done.stderr and "Traceback" not in done.stderr


def test_features_of_another_backbone_are_refused(demo, tmp_path):
    folder, _ = demo
    keras.utils.set_random_seed(3)
    create_backbone("small", weights=None).save(tmp_path / "other.keras")
    features = tmp_path / "features"
    data, model = f"--data={folder}/clips", f"--model={folder}/runs/soft_attention_content"
    other = f"--backbone={tmp_path}/other.keras"
    done = glimpse("extract", data, f"--output={features}", other, "--limit=8")
    assert done.returncode == 0, done.stderr
    for arguments in (
        ("evaluate", model, f"--features={features}"),
        ("evaluate", f"--model={folder}/export/model.keras", f"--features={features}"),
        ("predict", model, other, next((folder / "clips" / "videos" / "test").glob("*.mp4"))),
    ):
        done = glimpse(*arguments)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert "weights or settings differ" in done.stderr, done.stderr


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
