"""The one registry: from a name to a model, with or without trained weights."""

import difflib
import fnmatch
import os
import sys

from glimpse.models import (
    c3d_classifier,
    conv_attention_classifier,
    ensemble_classifier,
    hierarchical_conv_attention_classifier,
    lstm_classifier,
    pooled_lstm_classifier,
    soft_attention_classifier,
    softmax_regression_classifier,
    temporal_attention_classifier,
    video_captioner,
)
from glimpse.models.caption_training import CaptionTraining
from glimpse.models.keras_file import load_keras_file
from glimpse.models.weights_card import read_cards

_CLASSES = {
    c3d_classifier.C3DClassifier: c3d_classifier.VARIANTS,
    conv_attention_classifier.ConvAttentionClassifier: conv_attention_classifier.VARIANTS,
    ensemble_classifier.EnsembleClassifier: ensemble_classifier.VARIANTS,
    hierarchical_conv_attention_classifier.HierarchicalConvAttentionClassifier: (
        hierarchical_conv_attention_classifier.VARIANTS
    ),
    lstm_classifier.LSTMClassifier: lstm_classifier.VARIANTS,
    pooled_lstm_classifier.PooledLSTMClassifier: pooled_lstm_classifier.VARIANTS,
    soft_attention_classifier.SoftAttentionClassifier: soft_attention_classifier.VARIANTS,
    softmax_regression_classifier.SoftmaxRegressionClassifier: (
        softmax_regression_classifier.VARIANTS
    ),
    temporal_attention_classifier.TemporalAttentionClassifier: (
        temporal_attention_classifier.VARIANTS
    ),
    video_captioner.VideoCaptioner: video_captioner.VARIANTS,
}
_VARIANTS = {
    name: (model_class, sizes)
    for model_class, variants in _CLASSES.items()
    for name, sizes in variants.items()
}


def list_models(pattern="*", pretrained=False):
    """Returns the names of the zoo's models, sorted.

    Args:
        pattern: Shell-style pattern, such as `"soft*"`.
        pretrained: Whether to list trained weights (`variant.tag`) in place of variants.

    >>> "soft_attention_base" in list_models("soft*")
    True
    """
    names = _pretrained() if pretrained else _VARIANTS
    return sorted(fnmatch.filter(names, pattern))


def create_model(name, num_classes=None, **options):
    """Returns a new, untrained model.

    Args:
        name: A variant from `list_models()`.
        num_classes: Number of classes; left out for a captioner, which needs `vocabulary`.
        **options: Constructor arguments of the model's class, in place of the variant's. Those of
            an `"ensemble"` are its own and its members'; `members` may hold models and names of
            variants, which are created with all other options.

    Raises:
        ValueError: If the name is unknown, or what tells the model's outputs is missing or is
            another kind of model's.
    """
    if name not in _VARIANTS:
        raise ValueError(_unknown("model", name, _VARIANTS))
    model_class, sizes = _VARIANTS[name]
    if issubclass(model_class, CaptionTraining):
        if num_classes is not None:
            raise ValueError(
                f"`num_classes` must be left out: {name} is a captioner, not a "
                f"classifier; received {num_classes!r}."
            )
        if options.get("vocabulary") is None:
            raise ValueError(
                f"`vocabulary` is needed: {name} is a captioner. "
                "glimpse.models.CaptionVocabulary.from_captions makes one from captions."
            )
        return model_class(**{**sizes, **options})
    if num_classes is None:
        raise ValueError(f"`num_classes` is needed: {name} is a classifier.")
    if "vocabulary" in options:
        raise ValueError(f"`vocabulary` must be left out: {name} is a classifier, no captioner.")
    if model_class is ensemble_classifier.EnsembleClassifier:
        return _create_ensemble(model_class, num_classes, **options)
    return model_class(num_classes, **{**sizes, **options})


def load_model(name):
    """Returns a trained model: shipped weights by `variant.tag`, or a `.keras` file by its path.

    Shipped files are compared with their card's SHA-256 first, and their licence is printed.
    Files are read in Keras's safe mode: nothing in them is executed.

    Raises:
        FileNotFoundError: If a path does not exist.
        ValueError: If the name is unknown, or the file is not a readable `.keras` file.
    """
    path = os.fspath(name)
    if path.endswith(".keras") or os.path.exists(path):
        return load_keras_file(path)
    cards = _pretrained()
    if path not in cards:
        raise ValueError(_unknown("weights", path, cards) + " A path must end in .keras.")
    card = cards[path]
    model = load_keras_file(card.verified_path())
    print(f"{card.name}: weights under {card.license}.", file=sys.stderr)
    return model


def describe_models(pattern="*"):
    """Returns one dict a variant: its name, class and sizes, for tables."""
    return [
        {
            "name": name,
            "class": _VARIANTS[name][0].__name__,
            "sizes": ", ".join(f"{key}={value}" for key, value in _VARIANTS[name][1].items()),
        }
        for name in list_models(pattern)
    ]


def _create_ensemble(
    model_class, num_classes, members=(), member_names=None, member_inputs=None, **options
):
    created = []
    for member in members:
        if isinstance(member, str):
            created.append(create_model(member, num_classes, **options))
            continue
        for argument, value in {"num_classes": num_classes, **options}.items():
            if getattr(member, argument, None) != value:
                raise ValueError(
                    f"`{argument}` of the ensemble is {value!r}; its member {member.name} has "
                    f"{getattr(member, argument, None)!r}."
                )
        created.append(member)
    return model_class(created, member_names, member_inputs)


def _pretrained():
    return {name: card for name, card in read_cards().items() if "." in name}


def _unknown(what, name, known):
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or sorted(known)[:5]
    return f"Unknown {what} {name!r}. Nearest: {', '.join(near) or 'none'}."
