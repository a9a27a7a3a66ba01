"""Beam search in the graph: the best captions that a decoder can say, word by word."""

import math
import numbers

from keras import ops

from glimpse.layers.soft_attention_lstm_cell import check_positive_integer


def beam_search(
    decoder,
    features,
    beam_width,
    max_words,
    start_token_id,
    end_token_id,
    length_penalty=0.0,
    min_words=0,
    padding_token_id=0,
    unknown_token_id=3,
    features_mask=None,
):
    """Returns the `beam_width` best captions that were found for each clip, best first.

        score = sum_t log p(y_t | y_1 ... y_{t-1}, X) / ((5 + length) / 6)^length_penalty

    Beam search as in Sharma 2016, section 3.1.2, with the length penalty of Wu et al. 2016
    (arXiv:1609.08144, Eq. 14, without its coverage term). At every word each unfinished caption is
    continued by every permitted token, and the `beam_width` best of these and of the finished
    captions stay, ranked by their score so far. `length` counts the words and the end token.

    - A finished caption keeps its slot and score until better ones take it; the search of a batch
      ends when all slots of all clips are finished, or at `max_words`. A caption that is cut there
      keeps its sum.
    - Padding, start and unknown are never said, nor is the end before `min_words`; they keep their
      probabilities, so that the others' do not change. The end token may have any id.
    - No caption appears twice. Where fewer than `beam_width` captions exist (a vocabulary that is
      smaller than the beam, words of probability 0), the slots left over hold padding alone, with
      score -inf and no attention.
    - Of equal scores the better-ranked beginning goes first, then the smaller token id; PyTorch
      leaves the second open.

    It is one loop of `keras.ops`, eagerly and in `tf.function`, XLA or `jax.jit`, for any batch.
    The beams of a clip read the same features; memory grows with the width by their states and
    maps alone. Width 1 is greedy decoding.

    Args:
        decoder: A built `GatedCaptionDecoder`, or what has its `initial_state`, `project`, `step`.
        features: `(batch, regions, features)`.
        beam_width: Number of captions per clip, at least 1.
        max_words: Length at which a caption is cut, the end token included.
        start_token_id: The token that the first step reads.
        end_token_id: The token that finishes a caption.
        length_penalty: At least 0; 0 compares sums of log-probabilities, which favours short
            captions, 1 nearly means per word.
        min_words: Captions of fewer words, the end not counted, are not ended.
        padding_token_id: What fills `token_ids` after the end.
        unknown_token_id: The token of unknown words, which `CaptionVocabulary` gives the id 3, or
            None where there is none.
        features_mask: `(batch, regions)`, bool, True = real; passed on to the decoder.

    Returns:
        A dict of
            `token_ids`: `(batch, beams, words)`, int32, end token included, `max_words` words;
            `scores`: `(batch, beams)`, float32;
            `attention_weights`: `(batch, beams, words, regions)`, float32, and
            `gate`: `(batch, beams, words)`, float32: those of the step that said the word, the
                end's included; 0 after it.

    Raises:
        ValueError: If an argument is out of its range.
    """
    check_search(beam_width, max_words, min_words, length_penalty)
    tokens = {
        "start_token_id": start_token_id,
        "padding_token_id": padding_token_id,
        "unknown_token_id": unknown_token_id,
    }
    never = _never_said(tokens, end_token_id)
    features = ops.convert_to_tensor(features)
    if len(features.shape) != 3:
        raise ValueError(
            f"`features` must be (batch, regions, features), got shape {tuple(features.shape)}."
        )
    batch, regions, _ = ops.shape(features)
    projected = decoder.project(features)
    first_row = ops.expand_dims(ops.arange(batch, dtype="int32") * beam_width, 1)
    positions = ops.arange(max_words, dtype="int32")

    def unfinished(t, last, beams, states, maps):
        return ops.logical_and(t < max_words, ops.logical_not(ops.all(beams["finished"])))

    def say_word(t, last, beams, states, maps):
        logits, states, attention_weights, gate = decoder.step(
            last,
            states,
            features,
            features_mask=features_mask,
            projected=projected,
            training=False,
        )
        if end_token_id >= logits.shape[-1]:
            raise ValueError(
                f"`end_token_id` must be below {logits.shape[-1]}, the number of the decoder's "
                f"tokens, got {end_token_id}."
            )
        maps = {
            "attention_weights": _put(maps["attention_weights"], t, attention_weights),
            "gate": _put(maps["gate"], t, gate),
        }
        count = min(logits.shape[-1], beam_width + len(never) + 1)
        token_ids, log_probabilities = _best_tokens(logits, count)
        barred = ops.logical_and(token_ids == end_token_id, t < min_words)
        for token_id in never:
            barred = ops.logical_or(barred, token_ids == token_id)
        log_probabilities = ops.where(barred, -math.inf, log_probabilities)
        # A finished caption has one continuation: itself.
        stay = ops.convert_to_tensor([0.0] + [-math.inf] * (count - 1), "float32")
        finished = ops.expand_dims(beams["finished"], 2)
        sums = ops.expand_dims(beams["sums"], 2) + ops.where(finished, stay, log_probabilities)
        lengths = ops.where(beams["finished"], beams["lengths"], t + 1)
        ranking = _penalise(sums, ops.expand_dims(lengths, 2), length_penalty)
        _, chosen = ops.top_k(ops.reshape(ranking, (-1, beam_width * count)), beam_width)
        chosen = ops.cast(chosen, "int32")  # (batch, beams)
        slots = chosen // count
        rows = first_row + slots
        candidates = first_row * count + chosen

        beams = {name: _pick(values, rows) for name, values in beams.items()}
        states = [_pick(values, rows) for values in states]
        finished = beams["finished"]
        last = ops.where(finished, padding_token_id, _pick_flat(token_ids, candidates))
        sums = _pick_flat(sums, candidates)
        now = positions == t
        beams = {
            "token_ids": ops.where(now, ops.expand_dims(last, 2), beams["token_ids"]),
            "slots": ops.where(now, ops.expand_dims(slots, 2), beams["slots"]),
            "sums": sums,
            "lengths": ops.where(finished, beams["lengths"], t + 1),
            "finished": ops.logical_or(
                ops.logical_or(finished, last == end_token_id), sums == -math.inf
            ),
        }
        return t + 1, last, beams, states, maps

    def filled(value, dtype, *more):
        return ops.full((batch, beam_width, *more), value, dtype)

    # One beginning, not `beam_width` equal ones.
    at_first = ops.convert_to_tensor([0.0] + [-math.inf] * (beam_width - 1), "float32")
    beams = {
        "token_ids": filled(padding_token_id, "int32", max_words),
        # The slot, of each step, at which a caption's beginning stood.
        "slots": filled(0, "int32", max_words),
        "sums": filled(0.0, "float32") + at_first,
        "lengths": filled(0, "int32"),
        "finished": filled(False, "bool"),
    }
    states = [
        ops.stack([values] * beam_width, axis=1)
        for values in decoder.initial_state(features, features_mask)
    ]
    maps = {
        "attention_weights": ops.zeros((max_words, batch, beam_width, regions), "float32"),
        "gate": ops.zeros((max_words, batch, beam_width), "float32"),
    }
    start = (
        ops.convert_to_tensor(0, "int32"),
        filled(start_token_id, "int32"),
        beams,
        states,
        maps,
    )
    _, _, beams, _, maps = ops.while_loop(unfinished, say_word, start)

    exists = beams["sums"] > -math.inf
    lengths = ops.where(exists, beams["lengths"], 0)
    said = positions < ops.expand_dims(lengths, 2)  # (batch, beams, words)
    rows = (positions * batch) * beam_width + ops.expand_dims(first_row, 2) + beams["slots"]
    flat_maps = ops.reshape(maps["attention_weights"], (-1, regions))
    attention_weights = ops.take(flat_maps, rows, axis=0)  # (batch, beams, words, regions)
    return {
        "token_ids": ops.where(said, beams["token_ids"], padding_token_id),
        "scores": _penalise(beams["sums"], beams["lengths"], length_penalty),
        "attention_weights": ops.where(ops.expand_dims(said, 3), attention_weights, 0.0),
        "gate": ops.where(said, _pick_flat(maps["gate"], rows), 0.0),
    }


def _best_tokens(logits, count):
    """The `count` best tokens of every beam and their log-probabilities `(batch, beams, count)`."""
    logits = ops.cast(logits, "float32")
    batch, beams, vocabulary = ops.shape(logits)
    logits = ops.reshape(logits, (-1, vocabulary))
    best, token_ids = ops.top_k(logits, count)
    best = best - ops.logsumexp(logits, axis=-1, keepdims=True)
    shape = (batch, beams, count)
    return ops.cast(ops.reshape(token_ids, shape), "int32"), ops.reshape(best, shape)


def _penalise(sums, lengths, length_penalty):
    if length_penalty == 0:
        return sums
    return sums / ops.power((5.0 + ops.cast(lengths, "float32")) / 6.0, length_penalty)


def _put(sequence, t, values):
    """Writes step t of `(steps, ...)`."""
    values = ops.cast(ops.expand_dims(values, 0), sequence.dtype)
    return ops.scatter_update(sequence, ops.reshape(t, (1, 1)), values)


def _pick(values, rows):
    """Reorders `(batch, beams, ...)`; rows count through the whole batch."""
    shape = ops.shape(values)
    flat = ops.reshape(values, (-1, *shape[2:]))
    return ops.reshape(ops.take(flat, ops.reshape(rows, (-1,)), axis=0), shape)


def _pick_flat(values, places):
    return ops.take(ops.reshape(values, (-1,)), places, axis=0)


def check_search(beam_width, max_words, min_words, length_penalty):
    """Raises ValueError unless these are numbers that `beam_search` can take."""
    check_positive_integer("beam_width", beam_width)
    check_positive_integer("max_words", max_words)
    is_whole = isinstance(min_words, numbers.Integral) and not isinstance(min_words, bool)
    if not is_whole or not 0 <= min_words <= max_words:
        raise ValueError(
            f"`min_words` must be an integer from 0 to `max_words` = {max_words}, "
            f"got {min_words!r}."
        )
    if not isinstance(length_penalty, numbers.Real) or not 0 <= length_penalty < math.inf:
        raise ValueError(
            f"`length_penalty` must be a number of at least 0, got {length_penalty!r}."
        )


def _never_said(tokens, end_token_id):
    """The ids among `tokens` (argument name -> id or None) that are not the end's."""
    for name, token_id in (*tokens.items(), ("end_token_id", end_token_id)):
        optional = name == "unknown_token_id" and token_id is None
        if not optional and (not isinstance(token_id, int) or token_id < 0):
            raise ValueError(f"`{name}` must be a token id, at least 0, got {token_id!r}.")
    return sorted(set(tokens.values()) - {None, end_token_id})
