"""From a finished run to a file of weights and its card, as the zoo ships them."""

import json
import pathlib

from glimpse.models import VideoCaptioner, VideoClassifier, VideoDescriber, load_model
from glimpse.models.weights_card import file_sha256
from glimpse.pipelines.partial_file import partial_file, write_json

LICENSE = "Apache-2.0"
_CLASSIFIER_SCORES = ("window_accuracy", "video_accuracy", "localisation")
_CAPTIONER_SCORES = (
    "headline", "bleu1", "bleu2", "bleu3", "bleu4", "meteor", "rouge_l", "cider",
    "metrics_left_out", "tokenizer", "sentence_accuracy", "words", "colour_word",
)  # fmt: skip


def publish(run, backbone, evaluation, name, command, folder):
    """Writes `NAME.keras`, backbone inside and without optimizer, and `NAME.json`, its card.

    Args:
        run: Folder of the run; its `best.keras` is published.
        backbone: The backbone that the run's features were extracted with.
        evaluation: Results of `evaluate`, or of `evaluate_captioner`, for the run's best model.
        name: `variant.tag`, such as `soft_attention_small.tiny_actions`.
        command: The command that made the run, for whoever wants to make it again.
        folder: Where to write.

    Returns:
        The paths of the two files.

    Raises:
        ValueError: If the name has no tag or is not that of the run's variant.
    """
    run, folder = pathlib.Path(run), pathlib.Path(folder)
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    variant, _, tag = name.partition(".")
    if variant != results["model"] or not tag:
        raise ValueError(f"--name={name}: must be {results['model']}.TAG, as the run's variant.")
    model, scores = _with_backbone(load_model(str(run / "best.keras")), backbone, evaluation)
    folder.mkdir(parents=True, exist_ok=True)
    weights, card = folder / f"{name}.keras", folder / f"{name}.json"
    with partial_file(weights) as partial:
        model.save(partial)
    stamp = evaluation["stamp"]
    described = {
        "name": name,
        "file": weights.name,
        "sha256": file_sha256(weights),
        "license": LICENSE,
        "command": command,
        "dataset": stamp["dataset"],
        "split": evaluation["split"],
        "split_hash": stamp["split_hash"],
        "sampling": stamp["sampling"],
        "metric": stamp["metric"],
        "pooling": stamp["pooling"],
        **scores,
        "parameters": model.count_params(),
        "seed": results["config"]["seed"],
        "best_epoch": results["best_epoch"],
        "seen": {**results["stamp"]["seen"], **stamp["seen"]},
        "expected": stamp["expected"],
        "failed": stamp["failed"],
        "decoder": stamp["decoder"],
        "versions": stamp["versions"],
        "git_revision": stamp["git_revision"],
        "config": results["config"],
    }
    write_json(card, described)
    return weights, card


def _with_backbone(trained, backbone, evaluation):
    """A new model of backbone and trained model, without optimizer, and what the card tells."""
    copy = type(trained).from_config(trained.get_config())
    is_captioner = isinstance(trained, VideoCaptioner)
    model = (VideoDescriber if is_captioner else VideoClassifier)(backbone, copy)
    model.build((None, trained.sampling["num_frames"], *backbone.input_size, 3))
    copy.set_weights(trained.get_weights())
    if not is_captioner:
        return model, {name: evaluation[name] for name in _CLASSIFIER_SCORES}
    return model, {
        "vocabulary_size": len(trained.vocabulary),
        "search": evaluation["stamp"]["search"],
        **{name: evaluation[name] for name in _CAPTIONER_SCORES},
    }
