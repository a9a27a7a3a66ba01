"""Beam search and exhaustive search as defined: lists of captions, float64, one clip at a time.

Of the decoder only `initial_state` and `step` without beams are called, each caption with its own
copy of the clip's features.
"""

import dataclasses
import math

import numpy as np
from keras import ops


@dataclasses.dataclass(frozen=True)
class FoundCaption:
    """A caption, or the beginning of one."""

    tokens: tuple
    sum: float
    attention_weights: tuple
    gate: tuple
    states: list

    def score(self, length_penalty):
        return self.sum / ((5 + len(self.tokens)) / 6) ** length_penalty


class CaptionLister:
    """Continues captions of one clip, by a decoder and the rules of what may be said."""

    def __init__(self, decoder, features, search, features_mask=None):
        self.decoder, self.search = decoder, search
        self.features = np.asarray(features)[None]
        self.mask = None if features_mask is None else np.asarray(features_mask)[None]
        self.never = {
            search.get("padding_token_id", 0),
            search["start_token_id"],
            search.get("unknown_token_id"),
        } - {search["end_token_id"]}

    def finished(self, caption):
        return caption.tokens[-1:] == (self.search["end_token_id"],)

    def beginning(self):
        states = self.decoder.initial_state(*self._clips(1))
        return FoundCaption((), 0.0, (), (), [ops.convert_to_numpy(state) for state in states])

    def continuations(self, captions):
        """For each unfinished caption, the list of what it may become, by token id."""
        if not captions:
            return []
        features, mask = self._clips(len(captions))
        last = [(self.search["start_token_id"], *caption.tokens)[-1] for caption in captions]
        states = zip(*(caption.states for caption in captions), strict=True)
        logits, states, attention_weights, gate = self.decoder.step(
            ops.convert_to_tensor(last, "int32"),
            [ops.convert_to_tensor(np.concatenate(rows)) for rows in states],
            features,
            features_mask=mask,
            projected=self.decoder.project(features),
        )
        logits, attention_weights, gate = (
            np.asarray(ops.convert_to_numpy(ops.cast(values, "float32")), "float64")
            for values in (logits, attention_weights, gate)
        )
        states = [ops.convert_to_numpy(values) for values in states]
        most = logits.max(axis=-1, keepdims=True)
        log_p = logits - most - np.log(np.exp(logits - most).sum(axis=-1, keepdims=True))
        return [
            [
                FoundCaption(
                    (*caption.tokens, token),
                    caption.sum + log_p[i, token],
                    (*caption.attention_weights, attention_weights[i]),
                    (*caption.gate, gate[i]),
                    [values[i : i + 1] for values in states],
                )
                for token in range(log_p.shape[1])
                if self._may_say(token, len(caption.tokens)) and log_p[i, token] > -math.inf
            ]
            for i, caption in enumerate(captions)
        ]

    def _clips(self, count):
        return [
            None if values is None else ops.convert_to_tensor(np.repeat(values, count, axis=0))
            for values in (self.features, self.mask)
        ]

    def _may_say(self, token, words):
        if token == self.search["end_token_id"]:
            return words >= self.search.get("min_words", 0)
        return token not in self.never

    def best_first(self, captions):
        penalty = self.search.get("length_penalty", 0.0)
        return sorted(captions, key=lambda caption: -caption.score(penalty))


def every_caption(decoder, features, search, features_mask=None):
    """All captions that exist, best first. `search`: `beam_search`'s arguments, a dict."""
    lister = CaptionLister(decoder, features, search, features_mask)
    done, beginnings = [], [lister.beginning()]
    for _ in range(search["max_words"]):
        longer = [c for captions in lister.continuations(beginnings) for c in captions]
        done += [c for c in longer if lister.finished(c)]
        beginnings = [c for c in longer if not lister.finished(c)]
    return lister.best_first(done + beginnings)


def beam_search_reference(decoder, features, search, features_mask=None):
    """The `beam_width` best captions by beam search, best first; fewer where fewer exist."""
    lister = CaptionLister(decoder, features, search, features_mask)
    beams = [lister.beginning()]
    for _ in range(search["max_words"]):
        longer = iter(lister.continuations([c for c in beams if not lister.finished(c)]))
        candidates = []
        for caption in beams:
            candidates += [caption] if lister.finished(caption) else next(longer)
        beams = lister.best_first(candidates)[: search["beam_width"]]
    return beams
