"""Video files through `glimpse caption` and `glimpse explain`: sentences, counts and pictures."""

import json
import shutil

import cv2
import keras
import numpy as np
import pytest

from glimpse.models import CaptionVocabulary, VideoDescriber, create_backbone, create_model
from glimpse.pipelines import VideoReader
from glimpse.pipelines.caption_answer import VideoCaptionAnswerer
from glimpse.pipelines.segment import Segment
from glimpse.pipelines.video_error import VideoError
from tests.numbered_videos import write_video
from tests.run_command import run_command

WORDS = ["a", "dog", "cat", "runs", "sleeps", "<b>", "größer"]
# Of 12 frames in 4 parts: 0, 3, 6 and 9.
SAMPLING = {"num_frames": 4, "sampling_rule": "first_frames", "spread_over": 12}


def make_captioner(seed=0, **options):
    keras.utils.set_random_seed(seed)
    made = create_model(
        "captioner_small",
        vocabulary=CaptionVocabulary.from_captions([WORDS]),
        units=8,
        embedding_dim=4,
        attention_units=4,
        max_words=5,
        beam_width=3,
        sampling=SAMPLING,
        **options,
    )
    made.build((None, 4, 7, 7, 64))
    # Untrained, all captions are about as likely; enlarged, they differ from clip to clip.
    made.set_weights([6 * weight for weight in made.get_weights()])
    return made


@pytest.fixture(scope="module")
def describer():
    return VideoDescriber(create_backbone("small"), make_captioner())


@pytest.fixture(scope="module")
def model(describer, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "describer.keras"
    describer.build((None, 4, 112, 112, 3))
    describer.save(path)
    return path


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A clip of 14 frames, one of 7 and a file that is none."""
    folder = tmp_path_factory.mktemp("clips")
    write_video(folder / "long.mp4", num_frames=14, height=112, width=112)
    write_video(folder / "short.mp4", num_frames=7, height=112, width=112, first=100)
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


def frames_of(path, numbers):
    with VideoReader(path) as reader:
        frames = np.stack(list(reader))
    return np.stack([frames[n] if n >= 0 else np.zeros_like(frames[0]) for n in numbers])


@pytest.mark.parametrize(("name", "numbers"), [("long", [0, 3, 6, 9]), ("short", [0, 3, 6, -1])])
def test_answers_are_those_of_the_sampled_frames(describer, clips, name, numbers):
    path = clips / f"{name}.mp4"
    answer = VideoCaptionAnswerer(describer).answer(path)
    assert answer.frame_indices.tolist() == numbers and answer.black_frames == numbers.count(-1)
    (expected,) = describer.caption(frames_of(path, numbers)[None])
    assert [c.text for c in answer.captions] == [c.text for c in expected]
    scores = [caption.score for caption in answer.captions]
    np.testing.assert_allclose(scores, [c.score for c in expected], rtol=1e-4)
    assert scores == sorted(scores, reverse=True) and len(scores) == 3
    for mine, other in zip(answer.captions, expected, strict=True):
        np.testing.assert_allclose(mine.attention_weights, other.attention_weights, atol=1e-4)


def test_a_segment_is_described_by_its_own_frames(describer, clips):
    answerer = VideoCaptionAnswerer(describer.captioner, describer.backbone)
    part = answerer.answer(clips / "long.mp4", Segment(7, None, "frames"))
    (expected,) = describer.caption(frames_of(clips / "long.mp4", [7, 10, 13, -1])[None])
    assert part.num_frames == 7 and part.captions[0].text == expected[0].text
    np.testing.assert_allclose(part.captions[0].score, expected[0].score, rtol=1e-4)


def test_the_gaze_is_the_captions_with_black_frames_shown(describer, clips):
    answerer = VideoCaptionAnswerer(describer, min_words=1)
    truth = {
        "captions": ["a dog runs"],
        "figures": [{"role": "actor", "boxes": np.tile([0.0, 0.0, 56.0, 112.0], (7, 1)).tolist()}],
    }
    answer = answerer.answer(clips / "short.mp4")
    gaze = answerer.look(answer, truth, model_name="mine")
    assert gaze.words == answer.captions[0].words and gaze.references == ("a dog runs",)
    assert gaze.is_black.tolist() == [False, False, False, True] and not gaze.frames[3].any()
    np.testing.assert_allclose(gaze.attention.sum(axis=(1, 2, 3)), 1, atol=1e-5)
    mass, uniform = gaze.actor_shares()
    # Half of each frame but the black one.
    assert uniform == pytest.approx(3 / 8)
    halves = gaze.attention[:, :3, :, :3].sum(axis=(1, 2, 3)) + (
        gaze.attention[:, :3, :, 3].sum(axis=(1, 2)) / 2
    )
    np.testing.assert_allclose(mass, halves, atol=1e-6)
    assert answerer.look(answer, which=2).text == answer.captions[2].text


def test_sentences_scores_and_black_frames_are_printed(model, clips, capsys):
    paths = [clips / "long.mp4", clips / "short.mp4"]
    assert run_command("caption", f"--model={model}", "--num_captions=2", *paths) == 0
    long, short = capsys.readouterr().out.split(f"{paths[1]}\n")
    lines = long.splitlines()
    assert lines[0] == str(paths[0]) and len(lines) == 3
    assert float(lines[1].split()[0]) > float(lines[2].split()[0])
    assert "1 of the 4 steps of its windows are black" in short and "black" not in long


def test_a_broken_file_is_one_line_and_the_others_are_answered(model, clips, capsys):
    paths = [clips / name for name in ("broken.mp4", "none.mp4", "short.mp4")]
    assert run_command("caption", f"--model={model}", "--json", *paths) == 1
    done = capsys.readouterr()
    row = json.loads(done.out)
    assert row["path"] == str(paths[2]) and row["frames"] == 7
    assert row["frames_read"] == 4 and row["black_frames"] == 1
    assert len(row["captions"]) == 3
    for caption in row["captions"]:
        assert caption["text"] == " ".join(caption["words"])
        assert len(caption["gate"]) == len(caption["words"]) and caption["score"] < 0
    errors = done.err.splitlines()
    assert len(errors) == 3 and errors[-1] == "glimpse caption: 2 of 3 files failed."
    assert "broken.mp4" in errors[0] and "none.mp4" in errors[1]


def test_flags_of_the_search_reach_it(model, describer, clips, capsys):
    path = clips / "long.mp4"
    flags = ("--beam_width=5", "--length_penalty=0.7", "--min_words=3", "--max_words=4", "--json")
    assert run_command("caption", f"--model={model}", *flags, path) == 0
    (expected,) = describer.caption(
        frames_of(path, [0, 3, 6, 9])[None],
        beam_width=5,
        length_penalty=0.7,
        min_words=3,
        max_words=4,
    )
    found = json.loads(capsys.readouterr().out)["captions"]
    assert [caption["text"] for caption in found] == [caption.text for caption in expected]
    assert [caption["ended"] for caption in found] == [caption.ended for caption in expected]
    assert all(len(caption["words"]) >= 3 for caption in found)


def test_numbers_of_the_search_out_of_range_are_one_line(model, clips, capsys):
    for flag, words in (
        ("--min_words=9", "`min_words` must be an integer from 0 to `max_words` = 5, got 9"),
        ("--length_penalty=nan", "`length_penalty` must be a number of at least 0, got nan"),
    ):
        assert run_command("caption", f"--model={model}", flag, clips / "long.mp4") == 1
        assert capsys.readouterr().err == f"glimpse caption: {words}.\n"


def test_more_sentences_than_beams_are_refused(model, clips, capsys):
    path = clips / "long.mp4"
    assert run_command("caption", f"--model={model}", "--num_captions=9", path) == 1
    assert "--num_captions=9: the search keeps 3 sentences" in capsys.readouterr().err


def test_a_captioner_on_features_needs_its_backbone(clips, tmp_path, capsys):
    path = tmp_path / "captioner.keras"
    make_captioner().save(path)
    assert run_command("caption", f"--model={path}", clips / "long.mp4") == 1
    assert "`backbone` is needed (--backbone)" in capsys.readouterr().err
    assert run_command("caption", f"--model={path}", "--backbone=small", clips / "long.mp4") == 0


def test_commands_for_classifiers_and_captioners_tell_them_apart(model, clips, tmp_path, capsys):
    classifier = "soft_attention_small.tiny_actions"
    path, output = clips / "long.mp4", f"--output={tmp_path / 'out'}"
    for arguments, message in (
        (("predict", f"--model={model}"), "holds a VideoDescriber, not a classifier of glimpse"),
        (("caption", f"--model={classifier}"), "holds a VideoClassifier, not a captioner"),
        (("explain", f"--model={model}", f"--model={classifier}", output), "one kind at a time"),
        (("explain", f"--model={model}", output, "--start=1"), "--start=1: a captioner describes"),
    ):
        assert run_command(*arguments, path) == 1
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_explain_draws_a_strip_for_each_model_and_a_page(model, clips, tmp_path, capsys):
    other = tmp_path / "other.keras"
    shutil.copy(model, other)
    models = (f"--model={model}", f"--model={other}")
    output = tmp_path / "pictures"
    assert run_command("explain", *models, f"--output={output}", clips / "short.mp4") == 0
    printed = capsys.readouterr().out
    assert "1 of the 4 steps of its windows are black" in printed and "GT" in printed
    names = ["captions.html", "short_mp4_describer.png", "short_mp4_other.png"]
    assert sorted(path.name for path in output.iterdir()) == names
    assert all(str(output / name) in printed for name in names)
    assert cv2.imread(str(output / names[1])).shape[1] >= 1600


def test_damaged_weights_are_told_from_a_caption(describer, clips):
    damaged = make_captioner()
    damaged.set_weights([np.full_like(weight, np.nan) for weight in damaged.get_weights()])
    with pytest.raises(
        ValueError, match="long.mp4: the model gives no caption of clip 0 .* a score"
    ):
        VideoCaptionAnswerer(damaged, describer.backbone).answer(clips / "long.mp4")
    with pytest.raises(VideoError, match="broken.mp4"):
        VideoCaptionAnswerer(describer).answer(clips / "broken.mp4")
    with pytest.raises(ValueError, match="`backbone` must be None"):
        VideoCaptionAnswerer(describer, describer.backbone)
    unsaid = make_captioner()
    unsaid.sampling = None
    with pytest.raises(ValueError, match="`sampling` is needed"):
        VideoCaptionAnswerer(unsaid, describer.backbone)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
