"""The captions' part of the demo, on few clips and with a captioner that was not trained."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

import glimpse
from glimpse.caption_demonstration import CaptionDemonstration
from glimpse.demonstration import Demonstration
from glimpse.models import (
    CaptionVocabulary,
    VideoDescriber,
    create_backbone,
    create_model,
    load_model,
)
from glimpse.pipelines.caption_answer import VideoCaptionAnswerer
from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.extraction import extract_features
from glimpse.pipelines.tiny_actions import render_tiny_actions
from glimpse.pipelines.tiny_actions_config import TinyActionsConfig


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    config = TinyActionsConfig(train_clips=8, val_clips=8, test_clips=8)
    render_tiny_actions(folder / "clips", config)
    clip_set, backbone = read_clips(folder / "clips"), create_backbone("small")
    extract_features(clip_set, backbone, folder / "features", backbone_name="small")
    keras.utils.set_random_seed(2)
    captioner = create_model(
        "captioner_small",
        vocabulary=CaptionVocabulary.from_captions(
            text.split() for clip in clip_set.clips for text in clip.truth["captions"]
        ),
        units=8,
        max_words=4,
        beam_width=2,
        sampling={"num_frames": 4, "sampling_rule": "first_frames", "spread_over": 32},
    )
    describer = VideoDescriber(backbone, captioner)
    describer.build((None, 4, 112, 112, 3))
    describer.save(folder / "untrained.keras")
    weights = str(folder / "untrained.keras")
    shown = clip_set.in_split("test")[:2]
    return CaptionDemonstration(folder, folder / "features", clip_set, shown, weights)


def test_sentences_are_measured_once_for_the_same_weights(demonstration, capsys):
    demonstration.measure()
    printed = capsys.readouterr().out
    results = demonstration.results
    right = [clip["caption"] in clip["references"] for clip in results["clips"]]
    assert len(right) == 8 and results["sentence_accuracy"] == np.mean(right)
    assert f"untrained: {np.mean(right):.3f} of the sentences on 8 test clips" in printed
    path = demonstration.paths()["captions"]
    before = path.stat().st_mtime_ns
    demonstration.measure()
    assert path.stat().st_mtime_ns == before and capsys.readouterr().out == printed
    path.write_text(json.dumps({**results, "weights_sha256": "another file's"}))
    demonstration.measure()
    assert demonstration.results["weights_sha256"] == results["weights_sha256"]


def test_shown_clips_are_printed_beside_their_truth_and_drawn(demonstration, capsys):
    demonstration.describe()
    printed = capsys.readouterr().out
    for clip in demonstration.shown:
        after = printed.split(f"{clip.path}\n")[1].splitlines()
        assert after[0].startswith("  says   ")
        assert after[1:4] == [f"  truth  {text}" for text in clip.truth["captions"]]
    pictures = [path for path in demonstration.paths().values() if path.suffix in (".png", ".html")]
    assert len(pictures) == 3 and all(path.stat().st_size > 1000 for path in pictures)


@pytest.mark.slow
def test_the_saved_model_is_written_once_and_answers_without_glimpse(demonstration, capsys):
    demonstration.write_export()
    assert "differs from the Keras model" in capsys.readouterr().out
    demonstration.write_export()
    assert "already exported" in capsys.readouterr().out
    script = f"{glimpse.exports.__path__[0]}/answer_saved_model.py"
    clip = demonstration.shown[0].path
    command = [sys.executable, "-I", script, str(demonstration.saved_model), clip]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    expected = VideoCaptionAnswerer(load_model(demonstration.weights)).answer(clip).captions
    assert answer["captions"] == [caption.text for caption in expected]
    np.testing.assert_allclose(answer["scores"], [c.score for c in expected], rtol=1e-3)
    assert answer["glimpse_importable"] is False


def test_another_models_weights_are_refused(demonstration):
    other = CaptionDemonstration(
        demonstration.pictures.parent / "other",
        demonstration.features,
        demonstration.clip_set,
        (),
        "soft_attention_small.tiny_actions",
    )
    with pytest.raises(ValueError, match="VideoClassifier, no VideoDescriber"):
        other.measure()


def test_captions_come_after_the_rest_of_the_demo(tmp_path):
    titles = [title for title, _ in Demonstration(tmp_path, small=True).steps()]
    assert titles[-4:] == [
        "Describing the test clips in words",
        "Drawing where the captioner looked, word by word",
        "Exporting the captioner",
        "Asking its SavedModel in a process that cannot import glimpse",
    ]


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
