"""Beam search by its definition in NumPy, with glimpse's rule of length and with tfa's."""

import numpy as np


def search(captioner, width, length_penalty, as_addons=False):
    """Searches all clips of a `WrittenCaptioner`.

    A caption's length counts its end. tfa counts it as well, but not at the one step that says it:
    there it ranks the caption as one word shorter than from the next step on. `as_addons` does so.

    Returns:
        token_ids: `(clips, width, max_words)`, the end token also after the end.
        closest: `(clips,)`, the smallest difference of scores that decided about a place.
    """
    settings = captioner.settings
    end, max_words = settings["end"], settings["max_words"]
    clips = len(captioner.first_states[0])
    rows = np.arange(clips)[:, None]
    states = [np.repeat(s.numpy()[:, None], width, axis=1) for s in captioner.first_states]
    token_ids = np.full((clips, width, max_words), end)
    sums = np.where(np.arange(width) == 0, 0.0, -np.inf) * np.ones((clips, 1))
    lengths = np.zeros((clips, width))
    finished = np.zeros((clips, width), bool)
    last = np.full((clips, width), settings["start"])
    closest = np.full(clips, np.inf)
    for t in range(max_words):
        log_p, states = captioner.log_probabilities(last, states)
        log_p = log_p.numpy()
        log_p[:, :, settings["never_said"]] = -np.inf
        log_p[finished] = -np.inf
        log_p[finished, end] = 0.0
        totals = sums[:, :, None] + log_p
        longer = np.where(finished, 0, 1)[:, :, None] * np.ones(log_p.shape[2])
        if as_addons:
            longer[:, :, end] = 0
        scores = totals / ((5 + lengths[:, :, None] + longer) / 6) ** length_penalty
        flat = scores.reshape(clips, -1)
        order = np.argsort(-flat, axis=1, kind="stable")[:, : width + 1]
        gaps = -np.diff(np.take_along_axis(flat, order, axis=1), axis=1)
        closest = np.minimum(closest, gaps.min(axis=1))
        parents, last = np.divmod(order[:, :width], log_p.shape[2])
        sums = totals[rows, parents, last]
        lengths = lengths[rows, parents] + ~finished[rows, parents]
        finished = finished[rows, parents] | (last == end)
        states = [s.numpy()[rows, parents] for s in states]
        token_ids = token_ids[rows, parents]
        token_ids[:, :, t] = last
        if finished.all():
            break
    return token_ids, closest
