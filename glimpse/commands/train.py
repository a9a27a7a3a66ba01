"""Train a model of the zoo on features that `glimpse extract` wrote.

The defaults are those of Sharma et al. 2015, section 4.2. A run can be stopped at any time and
goes on with --resume, to the same bits as if it had not been stopped. Flags may stand in a file,
one a line: --flagfile=my.flags.

A model with temporal attention may attend to other features than it steps through:
--features=chunks --attended_features=frames.

On all GPUs of a machine: --strategy=mirrored. On several machines, each of which runs this command
with its own TF_CONFIG: --strategy=multi_worker.

Example: glimpse train --features=tiny_features --run=runs/soft --model=soft_attention_small
         --num_frames=15 --frames_per_second=7.5 --windows_per_clip=1 --epochs=20
"""

from absl import flags

from glimpse.pipelines.training import train
from glimpse.pipelines.training_devices import STRATEGIES
from glimpse.training_flags import TrainingFlags

_FEATURES = flags.DEFINE_string("features", None, "Folder of features (required).", required=True)
_ATTENDED = flags.DEFINE_string(
    "attended_features",
    None,
    "Folder of the features that a model with temporal attention attends to; default: --features.",
)
_RUN = flags.DEFINE_string("run", None, "Folder of this run (required).", required=True)
_RESUME = flags.DEFINE_bool("resume", False, "Go on with the run in the folder, if there is one.")
_STRATEGY = flags.DEFINE_enum(
    "strategy",
    "none",
    STRATEGIES,
    "Where to compute: none (one device), mirrored (all GPUs of this machine) or multi_worker (the "
    "machines listed by the environment variable TF_CONFIG).",
)
_NUM_DEVICES = flags.DEFINE_integer(
    "num_devices",
    None,
    "GPUs to use with --strategy=mirrored; without any GPU, parts to split the CPU in.",
)
_TRAINING = TrainingFlags(module_name=__name__)


def main(argv):
    """Trains and prints the best epoch's figures."""
    config = _TRAINING.read()
    results = train(
        _FEATURES.value,
        _RUN.value,
        config,
        resume=_RESUME.value,
        attended_features=_ATTENDED.value,
        strategy=_STRATEGY.value,
        num_devices=_NUM_DEVICES.value,
    )
    best = results["best"]
    print(
        f"{_RUN.value}: {results['model']}, {results['parameters']} parameters, best epoch "
        f"{results['best_epoch'] + 1} of {results['epochs']}: "
        + ", ".join(f"{name} {best[name]:.4f}" for name in best if name.startswith("val_"))
    )
