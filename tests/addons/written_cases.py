"""What `tests/addons_cases.py` wrote with glimpse, read without it."""

import json
import os
import pathlib

import numpy as np
import tensorflow as tf

FOLDER = pathlib.Path(os.environ["ADDONS_CASES"])
MODELS = sorted(path.parent.name for path in FOLDER.glob("*/answers.npz"))
CAPTIONERS = sorted(path.parent.name for path in FOLDER.glob("*/searches.npz"))


def saved_model_path(name):
    return str(FOLDER / name / "model" / "1")


def read_answers(name):
    """Returns {signature: (inputs, outputs)}, both {name: array}."""
    answers = {}
    with np.load(FOLDER / name / "answers.npz") as arrays:
        for key in arrays:
            signature, role, tensor = key.split(" ")
            inputs_and_outputs = answers.setdefault(signature, ({}, {}))
            inputs_and_outputs[role == "answers"][tensor] = arrays[key]
    return answers


class WrittenCaptioner:
    """An exported captioner, what it was asked and what glimpse found.

    Its states are a list of tensors, in the order of `state_names`.
    """

    def __init__(self, name):
        self.settings = json.loads((FOLDER / name / "settings.json").read_text())
        with np.load(FOLDER / name / "searches.npz") as arrays:
            self.searches = {key: arrays[key] for key in arrays}
        loaded = tf.saved_model.load(saved_model_path(name))
        self._keep = loaded  # its variables live as long as it does
        self._step = loaded.signatures["decode_step"]
        start = loaded.signatures["decode_start"](features=tf.constant(self.searches["features"]))
        asked = set(self._step.structured_input_signature[1]) - {"token_ids"}
        answered = set(self._step.structured_outputs)
        self.state_names = sorted(asked & answered)
        self._clip = {key: start[key] for key in asked - answered}
        self.first_states = [start[key] for key in self.state_names]
        self.vocabulary_size = self._step.structured_outputs["logits"].shape[-1]

    def expected(self, what, width, length_penalty):
        return self.searches[f"{what} {width} {length_penalty}"]

    def log_probabilities(self, token_ids, states):
        """One step of all clips: token_ids (clips, beams), states (clips, beams, ...)."""
        states = {name: states[i] for i, name in enumerate(self.state_names)}
        answer = self._step(token_ids=tf.cast(token_ids, tf.int32), **self._clip, **states)
        log_p = tf.nn.log_softmax(tf.cast(answer["logits"], tf.float64))
        return log_p, [answer[name] for name in self.state_names]
