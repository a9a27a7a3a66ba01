"""The parts of one step of the caption decoder, for one word of a clip or several at once.

Sharma, "Action Recognition and Video Description using Visual Attention", 2016, chapter 3. The
words lie along an axis of their own: those of a caption where they are known, the beams where
they are searched. So the regions of a clip are read where they lie, never once per word.
"""

import keras
from keras import ops

from glimpse.layers.attention_override import read_values
from glimpse.layers.masked_softmax import masked_softmax
from glimpse.layers.soft_attention_lstm_cell import project_regions
from glimpse.layers.soft_attention_recurrence import tanh


def cast_weight(decoder, name):
    """A weight in the compute dtype; `step` runs outside of Keras's autocast scope."""
    return ops.cast(getattr(decoder, name), decoder.compute_dtype)


def embed_tokens(decoder, token_ids):
    """E y, `(batch, words, embedding_dim)`; NaN for a number that is no token in a graph.

    Raises:
        ValueError: If a number that can be read is no token.
    """
    size = decoder.vocabulary_size
    values = read_values(token_ids)
    if values is not None:
        wrong = ~((values >= 0) & (values < size) & (values % 1 == 0))
        if wrong.any():
            raise ValueError(
                f"`token_ids` must be whole numbers from 0 to {size - 1}, for `vocabulary_size` "
                f"is {size}; received {values[wrong].flat[0]}."
            )
    token_ids = ops.cast(token_ids, "int32")
    known = ops.logical_and(token_ids >= 0, token_ids < size)
    found = ops.where(known, token_ids, ops.zeros_like(token_ids))
    words = ops.cast(ops.take(decoder.embedding, found, axis=0), decoder.compute_dtype)
    return ops.where(ops.expand_dims(known, -1), words, ops.full_like(words, float("nan")))


def attend(decoder, states, features, features_mask=None, projected=None, override=()):
    """Where the states look and what they see there, Eq. 3.2, 3.3 and 3.5.

    Args:
        decoder: The layer, with its weights.
        states: As the decoder's, each `(batch, words, ...)`.
        features: `(batch, regions, features)`, with 0 for what is masked.
        features_mask: `(batch, regions)`, bool.
        projected: What `project_values` returns.
        override: Nothing, or `own` and `given` as `split_attention_override` returns them.

    Returns:
        attention_weights: `(batch, words, regions)`.
        context: `(batch, words, features)`, gated.
        gate: `(batch, words, 1)`.
    """
    hidden_state = states[0]
    real = None if features_mask is None else ops.expand_dims(features_mask, 1)
    scores = _score(decoder, hidden_state, features, projected)
    weights = masked_softmax(scores, real)
    if override:
        own, given = override
        weights = ops.where(own, weights, given)
        if real is not None:
            weights = ops.where(real, weights, ops.zeros_like(weights))
    if decoder.context == "first_step":
        weights = ops.where(states[2] > 0, weights, ops.zeros_like(weights))
    hidden = project_regions(hidden_state, cast_weight(decoder, "gate_hidden_kernel"))
    hidden = tanh(hidden + cast_weight(decoder, "gate_hidden_bias"))
    gate = project_regions(hidden, cast_weight(decoder, "gate_kernel"))
    gate = ops.sigmoid(gate + cast_weight(decoder, "gate_bias"))
    return weights, gate * ops.matmul(weights, features), gate


def project_values(decoder, features):
    """V X[i] + b, `(batch, regions, attention_units)`: what attention by content reads, or None."""
    if decoder.scores_by != "content":
        return None
    values = project_regions(features, cast_weight(decoder, "value_kernel"))
    return values + cast_weight(decoder, "attention_bias")


def _score(decoder, hidden_state, features, projected):
    if decoder.scores_by == "state":
        return project_regions(hidden_state, cast_weight(decoder, "attention_kernel"))
    if decoder.scores_by is None:
        batch, words = ops.shape(hidden_state)[:2]
        return ops.zeros((batch, words, ops.shape(features)[1]), decoder.compute_dtype)
    query = project_regions(hidden_state, cast_weight(decoder, "query_kernel"))
    count = query.shape[1]
    # One after the other, or the hidden layer would take its memory once per word.
    queries = ops.split(query, count, axis=1) if count else [query]
    kernel = cast_weight(decoder, "score_kernel")
    scores = []
    for query in queries:
        hidden = tanh(ops.expand_dims(projected, 1) + ops.expand_dims(query, 2))
        scores.append(ops.squeeze(project_regions(hidden, kernel), axis=-1))
    return ops.concatenate(scores, axis=1) if count else scores[0]


def score_words(decoder, words, hidden_state, context, training=None, real=None):
    """The logits of the next words, Eq. 3.4, `(batch, words, vocabulary_size)`.

    Args:
        decoder: The layer, with its weights.
        words, hidden_state, context: E y, h and x, each `(batch, words, ...)`.
        training: Whether to drop.
        real: `(batch, words, 1)`, bool; the logits of the others are zero.
    """
    hidden_state = drop(decoder, hidden_state, training)
    hidden = words + project_regions(hidden_state, cast_weight(decoder, "hidden_output_kernel"))
    hidden = hidden + project_regions(context, cast_weight(decoder, "context_output_kernel"))
    if decoder.deep_output == "reference":
        hidden = tanh(hidden + cast_weight(decoder, "hidden_output_bias"))
        hidden = drop(decoder, hidden, training)
    if real is not None:  # here, where it is less work than on the logits
        hidden = ops.where(real, hidden, ops.zeros_like(hidden))
    logits = project_regions(hidden, cast_weight(decoder, "output_kernel"))
    if decoder.deep_output == "reference":
        bias = cast_weight(decoder, "output_bias")
        logits = logits + (bias if real is None else ops.where(real, bias, ops.zeros_like(bias)))
    return logits


def drop(decoder, values, training=None):
    """Values with a share of them dropped while training."""
    if not (decoder.dropout and training):
        return values
    return keras.random.dropout(values, decoder.dropout, seed=decoder.seed_generator)
