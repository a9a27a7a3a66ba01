"""Train a captioner on extracted features; an interrupted run goes on with --resume.

The features must be of a data set with captions, such as tiny_actions, msvd or your own captions
(--dataset=captions_csv of `glimpse extract`). The vocabulary is built from the training captions.
Flags may stand in a file, one a line: --flagfile=FILE. The recipes of pipelines/recipes/ are such
files.

Example: glimpse train-captioner --features=tiny_features --run=runs/captions
         --model=captioner_small --num_frames=8 --spread_over=32 --epochs=20
"""

from absl import flags

from glimpse.caption_flags import CaptionFlags
from glimpse.pipelines.caption_training import train_captioner

_FEATURES = flags.DEFINE_string("features", None, "Folder of features (required).", required=True)
_RUN = flags.DEFINE_string("run", None, "Folder of this run (required).", required=True)
_RESUME = flags.DEFINE_bool("resume", False, "Go on with the run in the folder, if there is one.")
_TRAINING = CaptionFlags(module_name=__name__)


def main(argv):
    """Trains and prints the best epoch's figures."""
    config = _TRAINING.read()
    results = train_captioner(_FEATURES.value, _RUN.value, config, resume=_RESUME.value)
    best = results["best"]
    print(
        f"{_RUN.value}: {results['model']}, {results['parameters']} parameters, "
        f"{results['vocabulary_size']} tokens, best epoch {results['best_epoch'] + 1} of "
        f"{results['epochs']}: "
        + ", ".join(f"{name} {best[name]:.4f}" for name in best if name.startswith("val_"))
    )
