"""Make weights and their card from a finished run: one .keras file that reads frames, one JSON.

The card says what the weights were trained on, by which command, what they score and how to check
the file. Both together are what the zoo ships.

Example: glimpse publish --run=runs/soft --features=features --data=tiny
         --name=soft_attention_small.tiny_actions --output=published
         --command='glimpse train --flagfile=soft.flags'
"""

from absl import flags

from glimpse.feature_truth import read_feature_truth
from glimpse.models import VideoCaptioner
from glimpse.pipelines.caption_evaluation import evaluate_captioner
from glimpse.pipelines.evaluation import evaluate
from glimpse.pipelines.feature_index import FeatureIndex
from glimpse.pipelines.feature_windows import WindowSampling
from glimpse.pipelines.publication import publish
from glimpse.trained_model import load_trained_model

_RUN = flags.DEFINE_string("run", None, "Folder that `glimpse train` wrote (required).")
_FEATURES = flags.DEFINE_string("features", None, "Folder of features to measure on (required).")
_DATA = flags.DEFINE_string("data", None, "Folder of the data set, for the boxes of its figures.")
_NAME = flags.DEFINE_string("name", None, "VARIANT.TAG, the name of the weights (required).")
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write to (required).")
_COMMAND = flags.DEFINE_string("command", None, "What made the run, for the card (required).")
flags.mark_flags_as_required(["run", "features", "name", "output", "command"])


def main(argv):
    """Measures the run on the test split, writes both files and prints their paths."""
    if len(argv) > 1:
        raise ValueError(f"{argv[1]!r} is not a flag; flags are written --name=value.")
    model, backbone = load_trained_model(_RUN.value, kinds=("classifier", "captioner"))
    index = FeatureIndex.load(_FEATURES.value)
    truth = read_feature_truth(_DATA.value, index, "test")
    measure = evaluate_captioner if isinstance(model, VideoCaptioner) else evaluate
    results = measure(model, index, "test", WindowSampling(**model.sampling), truth)
    for path in publish(_RUN.value, backbone, results, _NAME.value, _COMMAND.value, _OUTPUT.value):
        print(path)
