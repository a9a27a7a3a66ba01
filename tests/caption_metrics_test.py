"""All metrics of captions: coco-caption's own code, what is missing, and programs that fail."""

import json
import os
import sys

import pytest

from glimpse.pipelines import java_metrics
from glimpse.pipelines.bleu_score import bleu
from glimpse.pipelines.caption_metrics import describe_left_out, measure_captions
from glimpse.pipelines.caption_tokens import tokenize_caption

REFERENCES = [
    ["A cat is playing the piano.", "the cat plays a piano"],
    ["A man is slicing bread", "a man cuts bread.", "Someone is slicing a loaf"],
    ["A monkey is pulling a dog's tail.", "a monkey plays with a dog", "the monkey teases a dog"],
]
HYPOTHESES = ["a cat is playing the piano", "a man is cutting a loaf", "a cat is playing a piano"]
WORDS = [[tokenize_caption(caption) for caption in captions] for captions in REFERENCES]
SAID = [tokenize_caption(caption) for caption in HYPOTHESES]
ODD_REFERENCES = [
    ["A man ||| runs\nfast.", "EVAL ||| 1 2"],
    ["男人 跑", "a café"],
    ["the dog's\r\n"],
]
ODD_HYPOTHESES = ["a |||\nman", "", "SCORE ||| the dog's ||| tail"]
has_package = java_metrics.missing_for_package() is None
needs_package = pytest.mark.skipif(not has_package, reason="pycocoevalcap is not installed.")
needs_java = pytest.mark.skipif(
    java_metrics.missing_for_java() is not None, reason="METEOR needs Java and pycocoevalcap."
)
# A program that answers as METEOR does, and notes what it was told.
METEOR = """
import json, sys
told = []
for line in sys.stdin.buffer:
    parts = line.decode().rstrip("\\n").split(" ||| ")
    told.append(parts)
    json.dump(told, open({notes!r}, "w"))
    if parts[0] == "SCORE":
        print(*[0.0] * 23, flush=True)
    else:
        print(*[number / 10 for number in range(len(parts))], sep="\\n", flush=True)
"""


@pytest.fixture
def fake_java(monkeypatch, tmp_path):
    """Puts a Python program in Java's place."""

    def put(program):
        java = tmp_path / "java"
        java.write_text(f"#!{sys.executable} -IS\n{program}")
        java.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    return put


@pytest.fixture
def without_java(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


@needs_package
def test_without_java(without_java):
    measures = measure_captions(REFERENCES, HYPOTHESES)
    assert measures["meteor"] is None and measures["tokenizer"] == "treebank"
    assert tuple(measures[f"bleu{n}"] for n in (1, 2, 3, 4)) == bleu(WORDS, SAID)
    # Printed by pycocoevalcap 1.2's Rouge and Cider for the same words.
    assert measures["rouge_l"] == pytest.approx(0.657451224575, abs=1e-9)
    assert measures["cider"] == pytest.approx(2.5963994953, abs=1e-9)
    line = describe_left_out(measures)
    assert line.startswith("left out: meteor (install a Java runtime") and "\n" not in line


def test_without_the_package(monkeypatch, without_java):
    monkeypatch.setattr(java_metrics, "_PACKAGE", "no_such_package")
    measures = measure_captions(REFERENCES, HYPOTHESES)
    assert [name for name, value in measures.items() if value is None] == [
        "meteor",
        "rouge_l",
        "cider",
    ]
    assert measures["bleu4"] == bleu(WORDS, SAID)[3]
    line = describe_left_out(measures)
    assert "rouge_l, cider (install pycocoevalcap: pip install 'glimpse[metrics]')" in line
    assert "meteor (install pycocoevalcap" in line and "and install a Java runtime" in line


def test_nothing_left_out_is_no_line():
    assert describe_left_out({"metrics_left_out": {}}) is None


@needs_package
def test_cider_of_one_clip_is_0_and_of_an_empty_caption_too(without_java):
    assert measure_captions(REFERENCES[:1], HYPOTHESES[:1])["cider"] == 0
    measures = measure_captions(REFERENCES, ["", "", ""])
    assert [measures[name] for name in ("bleu1", "rouge_l", "cider")] == [0, 0, 0]


@needs_package
def test_rouge_takes_precision_and_recall_from_different_references(without_java):
    # Of "a b": all of it lies in the first, all of the second lies in it.
    measures = measure_captions([["a x b y z", "b"]], ["a b"])
    assert measures["rouge_l"] == pytest.approx(1.0)
    # Precision 1 / 2, recall 1 / 4: (1 + 1.44) P R / (R + 1.44 P).
    measures = measure_captions([["a x y z"]], ["a b"])
    assert measures["rouge_l"] == pytest.approx(2.44 * 0.5 * 0.25 / (0.25 + 1.44 * 0.5))


def test_words_and_text_are_the_same(without_java):
    assert measure_captions(WORDS, SAID) == measure_captions(REFERENCES, HYPOTHESES)


def test_captions_without_a_word_are_left_out_and_counted(without_java):
    padded = [[*captions, "", " ... "] for captions in REFERENCES]
    measures = measure_captions(padded, HYPOTHESES)
    assert measures["empty_references"] == 6
    assert measures == {**measure_captions(REFERENCES, HYPOTHESES), "empty_references": 6}
    with pytest.raises(ValueError, match=r"references\[1\] has no caption with a word"):
        measure_captions([["a"], ["."]], ["a", "b"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"references": [], "hypotheses": []}, "at least one, got 0 and 0"),
        ({"hypotheses": ["a"]}, "got 3 and 1"),
        ({"tokenizer": "nltk"}, "tokenizer must be one of stanford, treebank or None, got 'nltk'"),
        ({"tokenizer": "stanford"}, "tokenizer='stanford' cannot run here: .*Java runtime"),
    ],
)
def test_bad_input_is_refused(without_java, changes, message):
    arguments = {"references": REFERENCES, "hypotheses": HYPOTHESES, **changes}
    with pytest.raises(ValueError, match=message):
        measure_captions(**arguments)


@needs_package
def test_odd_captions_stay_one_line_each(fake_java, tmp_path):
    notes = tmp_path / "notes.json"
    fake_java(METEOR.format(notes=str(notes)))
    references = [[text.split(" ") for text in captions] for captions in ODD_REFERENCES]
    found = java_metrics.meteor(references, [text.split(" ") for text in ODD_HYPOTHESES])
    assert found == (0.3, [0.0, 0.1, 0.2])
    assert json.loads(notes.read_text()) == [
        ["SCORE", "A man runs fast.", "EVAL 1 2", "a man"],
        ["SCORE", "男人 跑", "a café", ""],
        ["SCORE", "the dog's", "SCORE the dog's tail"],
        ["EVAL", *[" ".join(["0.0"] * 23)] * 3],
    ]


@needs_package
@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("raise SystemExit('no memory')", "exit 1: no memory"),
        ("import sys\nprint('Error: no', flush=True)\nsys.stdin.read()", "answered 'Error: no"),
        ("import sys\nprint(1.0, flush=True)\nsys.stdin.read()", "not 23 numbers"),
    ],
)
def test_a_broken_java_costs_its_metric_alone(fake_java, program, message):
    fake_java(program)
    measures = measure_captions(REFERENCES, HYPOTHESES)
    assert measures["meteor"] is None and measures["tokenizer"] == "treebank"
    assert message in measures["metrics_left_out"]["meteor"]
    assert measures["bleu4"] == bleu(WORDS, SAID)[3] and measures["cider"] > 0
    with pytest.raises(ValueError, match="Stanford's tokenizer gave . lines for 11 captions"):
        measure_captions(REFERENCES, HYPOTHESES, tokenizer="stanford")


@needs_package
def test_meteor_that_hangs_is_ended(fake_java, monkeypatch, tmp_path):
    pid = tmp_path / "pid"
    fake_java(f"import os, time\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)")
    monkeypatch.setattr(java_metrics, "_START_SECONDS", 1.0)
    monkeypatch.setattr(java_metrics, "_CLIP_SECONDS", 0.0)
    with pytest.raises(ValueError, match="METEOR took too long and answered ''.*exit -9"):
        java_metrics.meteor(WORDS, SAID)
    if pid.exists():  # else it was ended before it could say who it is
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)


@needs_package
def test_meteor_is_ended_when_we_are_interrupted(fake_java, tmp_path):
    pid, notes = tmp_path / "pid", tmp_path / "notes.json"
    begin = f"import os\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\n"
    fake_java(begin + METEOR.format(notes=str(notes)))

    def captions():
        yield SAID[0]
        raise KeyboardInterrupt

    class Interrupted(list):
        def __iter__(self):
            return captions()

    with pytest.raises(KeyboardInterrupt):
        java_metrics.meteor(WORDS, Interrupted(SAID))
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@needs_java
def test_stanfords_tokenizer_takes_every_line():
    texts = ["A café.\nin", "", " \t ", "It can't.\r\n", "男人\u2028跑", ""]
    words = ["a café in", "", "", "it ca n't", "男人 跑", ""]
    assert java_metrics.cut_as_stanford(texts) == [line.split() for line in words]


@needs_java
@pytest.mark.slow
def test_with_java_all_is_coco_captions():
    from pycocoevalcap.meteor.meteor import Meteor
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    measures = measure_captions(REFERENCES, HYPOTHESES)
    assert measures["tokenizer"] == "stanford" and measures["metrics_left_out"] == {}
    known = PTBTokenizer().tokenize(
        {n: [{"caption": each} for each in captions] for n, captions in enumerate(REFERENCES)}
    )
    assert known == {n: [" ".join(w) for w in captions] for n, captions in enumerate(WORDS)}
    scorer = Meteor()
    score, scores = scorer.compute_score(known, {n: [text] for n, text in enumerate(HYPOTHESES)})
    scorer.meteor_p.kill()
    assert measures["meteor"] == pytest.approx(score, abs=1e-12)
    found = java_metrics.meteor(WORDS, SAID)
    assert found == (measures["meteor"], pytest.approx(scores, abs=1e-12))
    # The set's score is no mean of the clips'.
    assert scores[0] == pytest.approx(1.0) and abs(score - sum(scores) / 3) > 0.01
    # Printed by METEOR 1.5 as pycocoevalcap 1.2 ships it.
    assert score == pytest.approx(0.35088918288, abs=1e-6)
    odd = measure_captions(ODD_REFERENCES, ODD_HYPOTHESES)
    assert 0 < odd["meteor"] < 1


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
