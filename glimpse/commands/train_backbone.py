"""Train the small backbone on rendered frames, from nothing, and write its card.

Example: glimpse train-backbone --output=small.keras --num_clips=4000 --epochs=10
"""

from absl import flags

from glimpse.pipelines.small_backbone_training import train_small_backbone, write_backbone_card

_OUTPUT = flags.DEFINE_string("output", None, "The .keras file to write.", required=True)
_CARD = flags.DEFINE_string("card", None, "JSON file for the weights' card; none by default.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of clips, order and first weights.", lower_bound=0)
_NUM_CLIPS = flags.DEFINE_integer("num_clips", 4000, "Clips of six frames each.", lower_bound=1)
_NUM_VAL_CLIPS = flags.DEFINE_integer(
    "num_val_clips", 200, "Clips of six frames each to measure on.", lower_bound=1
)
_EPOCHS = flags.DEFINE_integer("epochs", 10, "Passes over the frames.", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Frames in a step.", lower_bound=1)
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 3e-3, "Start of the cosine schedule.")
_WORKERS = flags.DEFINE_integer(
    "workers", None, "Rendering processes; one per processor by default.", lower_bound=1
)


def main(argv):
    """Trains, writes the weights and the card, and prints the validation figures."""
    if len(argv) > 1:
        raise ValueError(f"train-backbone takes flags alone, got {argv[1:]!r}.")
    results = train_small_backbone(
        _OUTPUT.value,
        seed=_SEED.value,
        num_clips=_NUM_CLIPS.value,
        num_val_clips=_NUM_VAL_CLIPS.value,
        epochs=_EPOCHS.value,
        batch_size=_BATCH_SIZE.value,
        learning_rate=_LEARNING_RATE.value,
        workers=_WORKERS.value,
    )
    if _CARD.value:
        write_backbone_card(_CARD.value, _OUTPUT.value, results)
    for name, value in results["validation"].items():
        print(f"{name}: {value}")
