"""Measure a captioner's sentences on a split: BLEU-1 to -4 and, with Java, METEOR and CIDEr.

Each clip's best sentence is compared with all of its captions. Of tiny_actions the table also says
which kinds of words are right (the actor's colour, the action, the neighbour) and how many
sentences are right word for word and, with --data, how much of the attention lies on the actor at
the word of its colour. docs/evaluation.md defines the numbers.

Example: glimpse evaluate-captioner --model=runs/captions --features=tiny_features --data=tiny
"""

import dataclasses

from absl import flags
from tabulate import tabulate

from glimpse.feature_truth import read_feature_truth
from glimpse.models import VideoDescriber
from glimpse.pipelines.caption_config import SAMPLING_RULES
from glimpse.pipelines.caption_evaluation import evaluate_captioner
from glimpse.pipelines.caption_metrics import TOKENIZERS, describe_left_out
from glimpse.pipelines.evaluation_protocol import CAPTION_METRICS
from glimpse.pipelines.feature_index import FeatureIndex
from glimpse.pipelines.feature_store import backbone_fingerprint
from glimpse.pipelines.partial_file import write_json
from glimpse.pipelines.window_sampling import WindowSampling
from glimpse.trained_model import load_captioner, read_run

_MODEL = flags.DEFINE_string(
    "model",
    None,
    "A folder that `glimpse train-captioner` wrote, a .keras file, or trained weights by name "
    "(required).",
    required=True,
)
_FEATURES = flags.DEFINE_string("features", None, "Folder of features (required).", required=True)
_DATA = flags.DEFINE_string("data", None, "Folder of the data set, for the boxes of its figures.")
_SPLIT = flags.DEFINE_enum("split", "test", ["train", "val", "test"], "Which clips.")
_SEARCH = {
    "beam_width": flags.DEFINE_integer(
        "beam_width", None, "Sentences that the search keeps. Default: the model's.", lower_bound=1
    ),
    "max_words": flags.DEFINE_integer(
        "max_words", None, "Length at which a sentence is cut. Default: the model's.", lower_bound=1
    ),
    "length_penalty": flags.DEFINE_float(
        "length_penalty", None, "Exponent of the length. Default: the model's.", lower_bound=0.0
    ),
    "min_words": flags.DEFINE_integer("min_words", 0, "Fewest words of a sentence.", lower_bound=0),
}
_SAMPLING = {
    "sampling_rule": flags.DEFINE_enum(
        "sampling_rule", None, SAMPLING_RULES, "How frames are sampled. Default: as trained."
    ),
    "num_frames": flags.DEFINE_integer(
        "num_frames", None, "Frames that the model reads. Default: as trained.", lower_bound=1
    ),
    "spread_over": flags.DEFINE_integer(
        "spread_over",
        None,
        "Frames that --sampling_rule=first_frames spans. Default: as trained.",
        lower_bound=1,
    ),
    "frames_per_second": flags.DEFINE_float(
        "frames_per_second",
        None,
        "Rate of the frames to choose from. Default: as trained.",
        lower_bound=0.0,
    ),
}
_TOKENIZER = flags.DEFINE_enum(
    "tokenizer",
    None,
    sorted(TOKENIZERS),
    "What cuts sentences into words before they are measured. Default: stanford, where Java is.",
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 16, "Clips described at a time.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write the results to.")


def main(argv):
    """Evaluates and prints a table."""
    model, index = load_captioner(_MODEL.value), FeatureIndex.load(_FEATURES.value)
    made_with = read_run(_MODEL.value).get("features", {}).get("backbone_fingerprint")
    if isinstance(model, VideoDescriber):
        made_with, model = backbone_fingerprint(model.backbone), model.captioner
    if made_with is not None and made_with != index.backbone_fingerprint:
        raise ValueError(
            f"--features={index.folder}: extracted with the backbone {index.backbone}, not with "
            "the model's own: its weights or settings differ. Extract with the model's backbone."
        )
    results = evaluate_captioner(
        model,
        index,
        _SPLIT.value,
        _sampling(model.sampling or {}),
        read_feature_truth(_DATA.value, index, _SPLIT.value),
        _BATCH_SIZE.value,
        tokenizer=_TOKENIZER.value,
        **{name: flag.value for name, flag in _SEARCH.items()},
    )
    if _OUTPUT.value:
        write_json(_OUTPUT.value, results)
    print(tabulate(_rows(results), headers=("measure", "value"), floatfmt=".4f", missingval="-"))
    counts = results["counts"]
    print(
        f"{counts['clips']} clips of split {_SPLIT.value} with {counts['captions']} captions; left "
        f"out {counts['clips_without_captions']} clips without one, {counts['short_clips']} short "
        f"clips and {counts['empty_captions']} captions without a word."
    )
    if results["sampling_counts"]["black_clips"]:
        print(f"{results['sampling_counts']['black_clips']} clips are padded with black frames.")
    print(f"cut into words by {TOKENIZERS[results['tokenizer']]}.")
    left_out = describe_left_out(results)
    if left_out:
        print(left_out)


def _sampling(known):
    changes = {name: flag.value for name, flag in _SAMPLING.items() if flag.value is not None}
    rule = changes.get("sampling_rule", known.get("sampling_rule"))
    if rule != "first_frames" and "spread_over" not in changes:
        # It belongs to that rule alone.
        known = {name: value for name, value in known.items() if name != "spread_over"}
    try:
        return dataclasses.replace(WindowSampling(), **{**known, **changes})
    except ValueError as error:
        raise ValueError(f"--{error}") from error


def _rows(results):
    headline = results["headline"]
    rows = [(f"{headline['metric']} (headline)", headline["value"])]
    rows += [(name, results[name]) for name in CAPTION_METRICS if results.get(name) is not None]
    for kind, score in (results["words"] or {}).items():
        if kind != "sentence" and score["accuracy"] is not None:
            rows.append((f"accuracy of {kind.replace('_', ' ')} ({score['clips']} clips)",
                         score["accuracy"]))  # fmt: skip
    for name, value in (results["colour_word"] or {}).items():
        if name != "clips":
            rows.append((f"attention at the colour word: {name.replace('_', ' ')}", value))
    return rows
