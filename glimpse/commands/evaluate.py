"""Measure a trained model on a split: accuracy of windows and of clips, and where it looked.

Where the data set knows the boxes of its figures (--data), the table also says how much of the
attention lay on the actor, against the share of the area that its box takes; where it knows when
the action happens, how well the weights of temporal attention find its frames. Clips that may have
several labels are measured by average precision.

The rule, the level and the kind of average precision are by default those of the data set's papers
(docs/evaluation.md), and so is the headline, the first row. --plots draws the confusion matrix and
each class's average precision.

Example: glimpse evaluate --model=runs/soft --features=tiny_features --data=tiny --split=test
"""

import pathlib

from absl import flags
from tabulate import tabulate

from glimpse.feature_truth import read_feature_truth
from glimpse.models import VideoClassifier
from glimpse.pipelines.activitynet_results import write_activitynet_results
from glimpse.pipelines.evaluation import evaluate
from glimpse.pipelines.evaluation_plots import draw_class_precision, draw_confusion_matrix
from glimpse.pipelines.evaluation_protocol import LEVELS, RULES
from glimpse.pipelines.feature_index import FeatureIndex
from glimpse.pipelines.feature_store import backbone_fingerprint
from glimpse.pipelines.partial_file import write_json
from glimpse.pipelines.window_sampling import RATE_RULES, SAMPLING_RULES, WindowSampling
from glimpse.trained_model import MODEL_HELP, load_classifier, read_run

_MODEL = flags.DEFINE_string("model", None, MODEL_HELP + " (required)", required=True)
_FEATURES = flags.DEFINE_string("features", None, "Folder of features (required).", required=True)
_DATA = flags.DEFINE_string("data", None, "Folder of the data set, for the boxes of its figures.")
_ATTENDED = flags.DEFINE_string(
    "attended_features",
    None,
    "Folder of the features that a temporal attention model attends to; default: --features.",
)
_SPLIT = flags.DEFINE_enum("split", "test", ["train", "val", "test"], "Which clips.")
_RULE = flags.DEFINE_enum(
    "rule", None, RULES, "How a clip's windows become one answer. Default: the data set's."
)
_LEVEL = flags.DEFINE_enum(
    "level",
    None,
    LEVELS,
    "What average precision and the confusion matrix count. Default: the data set's.",
)
# How the windows are cut. What is not given is as the model was trained, but for block_stride:
# every block is measured, however few of them the training took.
_SAMPLING = {
    "num_frames": flags.DEFINE_integer(
        "num_frames", None, "Steps in a window. Default: as trained.", lower_bound=1
    ),
    "frames_per_second": flags.DEFINE_float(
        "frames_per_second", None, "Rate of a window's steps. Default: as trained.", lower_bound=0.0
    ),
    "rate_rule": flags.DEFINE_enum(
        "rate_rule",
        None,
        RATE_RULES,
        "How that rate is kept: by the clock, or by every int(video's rate / rate)-th frame. "
        "Default: as trained.",
    ),
    "block_stride": flags.DEFINE_integer(
        "block_stride", 1, "Video frames between the starts of windows.", lower_bound=1
    ),
    "sampling_rule": flags.DEFINE_enum(
        "sampling_rule", None, SAMPLING_RULES, "How windows are cut. Default: as trained."
    ),
    "spread_over": flags.DEFINE_integer(
        "spread_over",
        None,
        "Steps that --sampling_rule=first_frames spans. Default: as trained.",
        lower_bound=1,
    ),
    "eval_windows": flags.DEFINE_integer(
        "eval_windows",
        None,
        "Windows a video; all that there are where it has fewer. Default: as trained.",
        lower_bound=1,
    ),
    "flips": flags.DEFINE_bool(
        "flips", None, "Whether to add the mirrored copy of each window. Default: as trained."
    ),
}
_OF_RULE = ("eval_windows", "spread_over")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of random windows.", lower_bound=0)
_INTERPOLATED = flags.DEFINE_bool(
    "interpolated",
    None,
    "Take the precision's envelope, as PASCAL VOC 2011 and ActivityNet do. Default: the data set's",
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write the results to.")
_PLOTS = flags.DEFINE_string(
    "plots", None, "Folder for confusion_matrix.png and class_precision.png."
)
_ACTIVITYNET = flags.DEFINE_string(
    "activitynet_results", None, "JSON file to write for ActivityNet's own evaluation code."
)
_VERSION = flags.DEFINE_string(
    "activitynet_version", None, "The release's version in that file, such as 'VERSION 1.3'."
)
_EXTERNAL = flags.DEFINE_string(
    "external_data", None, "What else the model was trained on, for that file."
)


def main(argv):
    """Evaluates and prints a table."""
    _check_activitynet()
    model, index = load_classifier(_MODEL.value), FeatureIndex.load(_FEATURES.value)
    attended = FeatureIndex.load(_ATTENDED.value) if _ATTENDED.value else None
    recorded = read_run(_MODEL.value)
    made_with = recorded.get("features", {}).get("backbone_fingerprint")
    if isinstance(model, VideoClassifier):
        model, made_with = model.classifier, backbone_fingerprint(model.backbone)
    _check_backbone("features", index, made_with)
    made_with = (recorded.get("attended_features") or {}).get("backbone_fingerprint")
    _check_backbone("attended_features", attended or index, made_with)
    results = evaluate(
        model,
        index,
        _SPLIT.value,
        _sampling(model.sampling or {}),
        read_feature_truth(_DATA.value, index, _SPLIT.value),
        rule=_RULE.value,
        attended_index=attended,
        interpolated=_INTERPOLATED.value,
        seed=_SEED.value,
        level=_LEVEL.value,
    )
    if _OUTPUT.value:
        write_json(_OUTPUT.value, results)
    if _ACTIVITYNET.value:
        write_activitynet_results(
            results, _ACTIVITYNET.value, _VERSION.value, _EXTERNAL.value or ""
        )
    print(tabulate(_rows(results), headers=("measure", "value"), floatfmt=".4f", missingval="-"))
    seen, windows = results["stamp"]["seen"][_SPLIT.value], results["stamp"]["sampling"]["windows"]
    print(f"{seen} clips of split {_SPLIT.value}, {windows} windows.")
    if results["left_out"]:
        least = results["stamp"]["sampling"]["min_video_frames"]
        print(f"{len(results['left_out'])} clips of less than {least} frames were left out.")
    for path in _draw(results):
        print(path)


def _check_activitynet():
    if _ACTIVITYNET.value and not _VERSION.value:
        raise ValueError("--activitynet_results needs --activitynet_version='VERSION ...'.")
    for name, flag in (("activitynet_version", _VERSION), ("external_data", _EXTERNAL)):
        if flag.value and not _ACTIVITYNET.value:
            raise ValueError(f"--{name} belongs to --activitynet_results; leave it out.")


def _draw(results):
    """Draws what the results hold; returns the paths of the pictures."""
    if not _PLOTS.value:
        return []
    folder = pathlib.Path(_PLOTS.value)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    if results["confusion"] is None:
        print("no confusion matrix: with several labels no answer is taken for another.")
    else:
        paths.append(folder / "confusion_matrix.png")
        draw_confusion_matrix(results, paths[-1])
    paths.append(folder / "class_precision.png")
    draw_class_precision(results, paths[-1])
    return paths


def _check_backbone(flag, index, made_with):
    if made_with is not None and made_with != index.backbone_fingerprint:
        raise ValueError(
            f"--{flag}={index.folder}: extracted with the backbone {index.backbone}, not with the "
            "model's own: its weights or settings differ. Extract with the model's backbone."
        )


def _sampling(known):
    changes = {name: flag.value for name, flag in _SAMPLING.items() if flag.value is not None}
    if "frames_per_second" in changes:
        # Two ways to say the same.
        known = {**known, "step_stride": None}
    trained_by = known.get("sampling_rule", "blocks")
    if changes.get("sampling_rule", trained_by) != trained_by:
        # What belongs to the rule that the model was trained by.
        known = {name: value for name, value in known.items() if name not in _OF_RULE}
    try:
        sampling = WindowSampling(**{**known, **changes})
    except ValueError as error:
        raise ValueError(f"--{error}") from error
    if sampling.sampling_rule != "blocks" and sampling.block_stride != 1:
        raise ValueError(
            f"--block_stride must be left out unless --sampling_rule is blocks, got "
            f"{sampling.block_stride}."
        )
    return sampling


def _rows(results):
    headline = results["headline"]
    title = headline["metric"].replace("_", " ")
    plain, interpolated = results["average_precisions"].values()
    hits = results["hit_at_3"] or {}
    measures = {
        f"{title} (headline)": headline["value"],
        "step accuracy": results["step_accuracy"],
        "window accuracy": results["window_accuracy"],
        "clip accuracy": results["clip_accuracy"],
        "video accuracy": results["video_accuracy"],
        "mean average precision, plain": plain,
        "mean average precision, interpolated": interpolated,
        "hit@3": hits.get("any"),
    }
    rows = [(name, value) for name, value in measures.items() if value is not None]
    for title in ("localisation", "highlighting"):
        for name, value in (results[title] or {}).items():
            if isinstance(value, float):
                kind = "attention" if title == "localisation" else "highlighted frames"
                rows.append((f"{kind}: {name}", value))
    rows += [(f"accuracy of {name}", value) for name, value in (results["per_class"] or {}).items()]
    if results["headline"]["metric"] == "mean_average_precision":
        precisions = results["per_class_average_precision"]
        rows += [(f"average precision of {name}", value) for name, value in precisions.items()]
    return rows
