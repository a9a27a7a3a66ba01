"""Measure a trained model on a split: accuracy of windows and of videos, and where it looked.

Where the data set knows the boxes of its figures (--data), the table also says how much of the
attention lay on the actor, against the share of the area that its box takes.

Example: glimpse evaluate --model=runs/soft --features=tiny_features --data=tiny --split=test
"""

from absl import flags
from tabulate import tabulate

from glimpse.models import VideoClassifier
from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.evaluation import evaluate
from glimpse.pipelines.feature_index import FeatureIndex
from glimpse.pipelines.feature_store import backbone_fingerprint
from glimpse.pipelines.feature_windows import WindowSampling
from glimpse.pipelines.partial_file import write_json
from glimpse.trained_model import MODEL_HELP, load_trained_model

_MODEL = flags.DEFINE_string("model", None, MODEL_HELP + " (required)", required=True)
_FEATURES = flags.DEFINE_string("features", None, "Folder of features (required).", required=True)
_DATA = flags.DEFINE_string("data", None, "Folder of the data set, for the boxes of its figures.")
_SPLIT = flags.DEFINE_enum("split", "test", ["train", "val", "test"], "Which clips.")
_RULE = flags.DEFINE_enum(
    "rule", "mean", ["mean", "majority"], "How a video's windows become one answer."
)
_NUM_FRAMES = flags.DEFINE_integer("num_frames", None, "Default: as trained.", lower_bound=1)
_RATE = flags.DEFINE_float("frames_per_second", None, "Default: as trained.", lower_bound=0.0)
_BLOCK_STRIDE = flags.DEFINE_integer(
    "block_stride", 1, "Video frames between the starts of windows.", lower_bound=1
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write the results to.")


def main(argv):
    """Evaluates and prints a table."""
    model, backbone = load_trained_model(_MODEL.value)
    if isinstance(model, VideoClassifier):
        model, backbone = model.classifier, model.backbone
    index = FeatureIndex.load(_FEATURES.value)
    if backbone is not None and backbone_fingerprint(backbone) != index.backbone_fingerprint:
        raise ValueError(
            f"--features={_FEATURES.value}: extracted with the backbone {index.backbone}, not with "
            "the model's own: its weights or settings differ. Extract with the model's backbone."
        )
    known = model.sampling or {}
    sampling = WindowSampling(
        _NUM_FRAMES.value or known.get("num_frames", 30),
        _RATE.value or known.get("frames_per_second"),
        _BLOCK_STRIDE.value,
    )
    truth = None
    if _DATA.value:
        truth = {clip.clip_id: clip.truth for clip in read_clips(_DATA.value).clips}
        if not all(truth.get(clip.clip_id) for clip in index.clips(_SPLIT.value)):
            raise ValueError(f"--data={_DATA.value}: knows no boxes for the clips of the features.")
    results = evaluate(model, index, _SPLIT.value, sampling, truth, rule=_RULE.value)
    if _OUTPUT.value:
        write_json(_OUTPUT.value, results)
    rows = [
        ("window accuracy", results["window_accuracy"]),
        ("video accuracy", results["video_accuracy"]),
        ("mean average precision", results["mean_average_precision"]),
        *((f"attention: {name}", value) for name, value in (results["localisation"] or {}).items()),
        *((f"accuracy of {name}", value) for name, value in results["per_class"].items()),
    ]
    print(tabulate(rows, headers=("measure", "value"), floatfmt=".4f"))
    seen = results["stamp"]["seen"][_SPLIT.value]
    print(
        f"{seen} videos of split {_SPLIT.value}, {results['stamp']['sampling']['windows']} windows."
    )
