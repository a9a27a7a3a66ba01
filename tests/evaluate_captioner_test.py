"""Evaluation of captioners against sentences made by hand, its command, and its comparison."""

import dataclasses
import json

import numpy as np
import pytest

from glimpse.models import VideoCaptioner
from glimpse.models.caption import Caption
from glimpse.pipelines import caption_metrics
from glimpse.pipelines.bleu_score import bleu
from glimpse.pipelines.caption_evaluation import evaluate_captioner
from glimpse.pipelines.caption_tokens import tokenize_caption
from glimpse.pipelines.result_comparison import compare, differences
from glimpse.pipelines.result_file import read_any_results, read_caption_results, read_results
from glimpse.pipelines.tiny_actions_captions import reference_captions
from glimpse.pipelines.window_sampling import WindowSampling
from tests.caption_features import make_caption_features
from tests.run_command import run_command
from tests.synthetic_features import SHAPE, spoil_stored

SAMPLING = WindowSampling(num_frames=3, sampling_rule="first_frames", spread_over=9)
ACTIONS = ("wave", "kick", "bow")
SIZE = (20, 30)


@pytest.fixture(autouse=True)
def _without_java(monkeypatch):
    """METEOR and Stanford's tokenizer take seconds to start, and have a test of their own."""
    monkeypatch.setattr(caption_metrics, "missing_for_java", lambda: "no Java in this test")


def grammar(clip, number, captions):
    near = [("blue", "ball")] if number % 2 else []
    return reference_captions("red", ACTIONS[clip.label], near)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    index = make_caption_features(tmp_path_factory.mktemp("features"), grammar)
    index = dataclasses.replace(index, dataset="tiny_actions")
    index.save()
    return index


class Speaker:
    """Says a sentence for each clip, by the clip's number in its features, looking at one region.

    Args:
        index: The `FeatureIndex`.
        change: Function (place in the split, reference) -> sentence.
    """

    name = "speaker"
    beam_width, max_words, length_penalty = 4, 30, 0.0
    search_settings = VideoCaptioner.search_settings

    def __init__(self, index, change=lambda place, text: text, score=-1.0):
        self.texts = {}
        for split in ("train", "val", "test"):
            for place, clip in enumerate(index.clips(split)):
                self.texts[index.entries.index(clip)] = change(place, (*clip.captions, "")[0])
        self.score = score
        self.asked = []

    def caption(self, batch, **options):
        self.asked.append(options)
        return [self._say(np.asarray(features)) for features in batch]

    def _say(self, features):
        words = tuple(self.texts[int(round(float(features[0, 0, 0, 0]) * 64))].split())
        maps = np.zeros((len(words), len(features), *SHAPE[:2]))
        # All of the gaze is on the first region of the first frame.
        maps[:, 0, 0, 0] = 1
        caption = Caption(" ".join(words), self.score, words, (), maps, np.ones(len(words)), True)
        return [caption, dataclasses.replace(caption, text="a dog", score=self.score - 1)]


def measure(index, *arguments, split="test", **options):
    model = Speaker(index, *arguments)
    return evaluate_captioner(model, index, split, SAMPLING, progress=False, **options)


def test_the_right_sentences_are_all_right(index):
    results = measure(index)
    assert results["headline"]["metric"] == "bleu4"
    assert results["headline"]["value"] == results["bleu4"] == pytest.approx(1)
    assert results["sentence_accuracy"] == 1 and results["words"]["action"]["accuracy"] == 1
    assert results["words"]["neighbour_colour"]["clips"] == 3
    assert results["colour_word"] is None and results["kind"] == "captions"
    assert results["counts"]["clips"] == len(results["clips"]) == 6
    clip = results["clips"][1]
    assert clip["clip_id"] == "test_1" and clip["caption"] == clip["references"][0]
    assert [each["text"] for each in clip["captions"]] == [clip["caption"], "a dog"]
    assert results["metrics_left_out"]["meteor"] == "no Java in this test"
    json.dumps(results)


def wrong_action(place, text):
    return text.replace("waves", "bows") if place < 3 else text


def test_wrong_words_are_counted_by_kind(index):
    results = measure(index, wrong_action)
    # Clips 0 and 3 of the split wave, and of these only 0 is changed.
    assert results["sentence_accuracy"] == pytest.approx(5 / 6)
    assert results["words"]["action"] == {"accuracy": pytest.approx(5 / 6), "clips": 6}
    assert results["words"]["colour"]["accuracy"] == 1
    said = [clip["caption"].split() for clip in results["clips"]]
    references = [
        [tokenize_caption(text) for text in clip["references"]] for clip in results["clips"]
    ]
    expected = bleu(references, said)
    found = [results[f"bleu{order}"] for order in (1, 2, 3, 4)]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert results["clips"][0]["words"]["action"] is False


def test_the_stamp_says_how_it_was_measured(index):
    stamp = measure(index, beam_width=2, min_words=3)["stamp"]
    assert stamp["search"] == {
        "beam_width": 2, "max_words": 30, "length_penalty": 0.0, "min_words": 3,
    }  # fmt: skip
    assert stamp["protocol"]["name"] == "captions" and stamp["tokenizer"] == "treebank"
    assert stamp["seen"] == {"test": 6} and stamp["left_out"] == {"test": 0}
    assert stamp["sampling"]["num_frames"] == 3 and not stamp["sampling"]["flips"]


def test_the_gaze_at_the_colour_word_is_held_to_the_actors_box(index):
    box = [0.0, 0.0, SIZE[1] / SHAPE[1], SIZE[0] / SHAPE[0]]
    truth = {
        clip.clip_id: {
            "figures": [{"role": "actor", "boxes": [box] * clip.num_frames}],
            "frame_size": SIZE,
        }
        for clip in index.clips("test")
    }
    found = measure(index, truth=truth)["colour_word"]
    assert found["mass"] == pytest.approx(1) and found["clips"] == 6
    assert found["uniform"] == pytest.approx(1 / 6)
    assert found["mass_over_uniform"] == pytest.approx(6)


def test_other_data_have_no_kinds_of_words(tmp_path):
    other = make_caption_features(tmp_path)
    results = measure(other, lambda place, text: "a red dog")
    assert results["words"] is None and results["sentence_accuracy"] is None
    assert 0 < results["bleu1"] < 1
    # An answer may be long or empty.
    assert measure(other, lambda place, text: "")["bleu1"] == pytest.approx(0, abs=1e-6)


def test_clips_without_captions_are_left_out_and_counted(tmp_path):
    def change(clip, number, captions):
        return () if clip.clip_id == "test_2" else (*captions, "")

    results = measure(make_caption_features(tmp_path, change))
    assert "test_2" not in {clip["clip_id"] for clip in results["clips"]}
    assert results["counts"]["clips_without_captions"] == 1
    assert results["counts"]["empty_captions"] == 5
    assert results["stamp"]["left_out"] == {"test": 1}


def test_answers_that_are_no_numbers_are_refused(index, tmp_path):
    with pytest.raises(ValueError, match="test_0.mp4 a score, though its features are finite"):
        measure(index, lambda place, text: text, float("nan"))
    spoilt = make_caption_features(tmp_path)
    spoil_stored(spoilt, "test_2", 3, np.nan)
    with pytest.raises(ValueError, match="test_2.mp4 .* hold NaN"):
        measure(spoilt)


def write(folder, **results):
    paths = []
    for name, result in results.items():
        paths.append(folder / f"{name}.json")
        paths[-1].write_text(json.dumps(result))
    return paths


def test_results_are_compared_where_they_were_measured_alike(index, tmp_path, capsys):
    right, wrong = measure(index), measure(index, wrong_action)
    first, second = compare({"wrong": wrong, "right": right})
    assert second["gain"] == pytest.approx(second["bleu4"] - first["bleu4"]) and second["gain"] > 0
    assert second["sentence_accuracy"] == 1 and "meteor" not in second
    paths = write(tmp_path, wrong=wrong, right=right)
    assert run_command("compare", *paths) == 0
    assert "headline: bleu4, tiny_actions, split test." in capsys.readouterr().out
    other = measure(index, beam_width=1)
    assert list(differences(right, other)) == ["search.beam_width"]
    assert run_command("compare", paths[0], *write(tmp_path, other=other)) == 1
    assert "search.beam_width is 4 and 1" in capsys.readouterr().err


def test_files_are_checked(index, tmp_path, capsys):
    results = measure(index)
    (path,) = write(tmp_path, good=results)
    assert read_any_results(path) == read_caption_results(path) == results
    with pytest.raises(ValueError, match="holds sentences, of `glimpse evaluate-captioner`"):
        read_results(path)
    assert run_command("ensemble", path, path) == 1
    bad = {**results, "bleu4": "high"}
    with pytest.raises(ValueError, match="bleu4 is 'high'"):
        read_any_results(*write(tmp_path, bad=bad))
    bad = {**results, "clips": [{"clip_id": "a", "caption": 3, "references": []}]}
    with pytest.raises(ValueError, match="clip 1: caption is missing or no str"):
        read_any_results(*write(tmp_path, bad=bad))
    with pytest.raises(ValueError, match="is no result of `glimpse evaluate-captioner`"):
        read_caption_results(*write(tmp_path, bad={"model": "x"}))


def test_the_command_measures_a_saved_captioner(index, tmp_path, capsys):
    vocabulary = ["<pad>", "<start>", "<end>", "<unk>", "a", "red", "figure", "waves"]
    sampling = dataclasses.asdict(SAMPLING)
    model = VideoCaptioner(
        vocabulary, 4, 3, attention="content", max_words=6, beam_width=2, sampling=sampling
    )
    model.build((None, 3, *SHAPE))
    model.save(tmp_path / "model.keras")
    output = tmp_path / "out.json"
    arguments = [
        f"--model={tmp_path / 'model.keras'}", f"--features={index.folder}", "--tokenizer=treebank",
        f"--output={output}",
    ]  # fmt: skip
    assert run_command("evaluate-captioner", *arguments, "--beam_width=3", "--min_words=2") == 0
    out = capsys.readouterr().out
    assert "bleu4 (headline)" in out and "accuracy of action (6 clips)" in out
    assert "6 clips of split test with 18 captions; left out 0 clips without one" in out
    assert "cut into words by glimpse's tokenize_caption" in out and "left out: meteor" in out
    results = read_caption_results(output)
    assert results["stamp"]["search"]["beam_width"] == 3
    assert all(len(clip["caption"].split()) >= 2 for clip in results["clips"])
    for flags, words in (
        (["--num_frames=12"], "spread_over must be at least num_frames"),
        (["--model=nowhere"], "no such run folder"),
        (["--split=exam"], "--split"),
    ):
        assert run_command("evaluate-captioner", *arguments, *flags) == 1
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
