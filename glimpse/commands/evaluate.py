"""Measure a trained model on a split: accuracy of windows and of videos, and where it looked.

Where the data set knows the boxes of its figures (--data), the table also says how much of the
attention lay on the actor, against the share of the area that its box takes; where it knows when
the action happens, how well the weights of temporal attention find its frames. Videos that may have
several labels are measured by average precision.

Example: glimpse evaluate --model=runs/soft --features=tiny_features --data=tiny --split=test
"""

from absl import flags
from tabulate import tabulate

from glimpse.feature_truth import read_feature_truth
from glimpse.models import VideoClassifier
from glimpse.pipelines.evaluation import evaluate
from glimpse.pipelines.feature_index import FeatureIndex
from glimpse.pipelines.feature_store import backbone_fingerprint
from glimpse.pipelines.partial_file import write_json
from glimpse.pipelines.window_sampling import SAMPLING_RULES, WindowSampling
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
    "rule", "mean", ["mean", "majority"], "How a video's windows become one answer."
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
    "block_stride": flags.DEFINE_integer(
        "block_stride", 1, "Video frames between the starts of windows.", lower_bound=1
    ),
    "sampling_rule": flags.DEFINE_enum(
        "sampling_rule", None, SAMPLING_RULES, "How windows are cut. Default: as trained."
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
_SEED = flags.DEFINE_integer("seed", 0, "Seed of random windows.", lower_bound=0)
_INTERPOLATED = flags.DEFINE_bool(
    "interpolated", False, "Take the precision's envelope, as PASCAL VOC 2011 and ActivityNet do."
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write the results to.")


def main(argv):
    """Evaluates and prints a table."""
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
    )
    if _OUTPUT.value:
        write_json(_OUTPUT.value, results)
    print(tabulate(_rows(results), headers=("measure", "value"), floatfmt=".4f", missingval="-"))
    seen = results["stamp"]["seen"][_SPLIT.value]
    print(
        f"{seen} videos of split {_SPLIT.value}, {results['stamp']['sampling']['windows']} windows."
    )
    if results["left_out"]:
        least = results["stamp"]["sampling"]["min_video_frames"]
        print(f"{len(results['left_out'])} videos of less than {least} frames were left out.")


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
        changes["step_stride"] = None
    return WindowSampling(**{**known, **changes})


def _rows(results):
    measures = {
        "step accuracy": results["step_accuracy"],
        "window accuracy": results["window_accuracy"],
        "video accuracy": results["video_accuracy"],
        "mean average precision": results["mean_average_precision"],
    }
    rows = [(name, value) for name, value in measures.items() if value is not None]
    for title in ("localisation", "highlighting"):
        for name, value in (results[title] or {}).items():
            if isinstance(value, float):
                kind = "attention" if title == "localisation" else "highlighted frames"
                rows.append((f"{kind}: {name}", value))
    rows += [(f"accuracy of {name}", value) for name, value in (results["per_class"] or {}).items()]
    if results["per_class"] is None:
        precisions = results["per_class_average_precision"]
        rows += [(f"average precision of {name}", value) for name, value in precisions.items()]
    return rows
