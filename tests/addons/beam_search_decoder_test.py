"""tfa's beam search, driving the exported `decode_start` and `decode_step`, finds our captions."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_addons as tfa
from search_rules import search
from written_cases import CAPTIONERS, WrittenCaptioner

# tfa may say every token. Those that glimpse never says keep their probability, spread over so
# many tokens of no meaning that none of them comes near a beam.
SPREAD = 20000
# Two versions of TensorFlow may order scores differently that are closer than this.
TOO_CLOSE = 1e-4


class ExportedCell(tf.keras.layers.Layer):
    """A recurrent cell whose step is the exported one; its output is log-probabilities."""

    def __init__(self, captioner, width):
        super().__init__()
        self._captioner = captioner
        self._width = width
        self.output_size = tf.TensorShape([captioner.vocabulary_size + SPREAD])
        self.state_size = [state.shape[1:] for state in captioner.first_states]

    def get_initial_state(self, inputs=None, batch_size=None, dtype=None):
        raise NotImplementedError("the search is given its first states")

    def call(self, inputs, states):
        captioner, width = self._captioner, self._width
        beams = [tf.reshape(s, [-1, width, s.shape[-1]]) for s in states]
        token_ids = tf.reshape(tf.cast(inputs, tf.int32), [-1, width])
        log_p, beams = captioner.log_probabilities(token_ids, beams)
        log_p = log_p.numpy()
        never = captioner.settings["never_said"]
        rest = np.log(np.exp(log_p[:, :, never]).sum(axis=-1) / SPREAD)
        log_p[:, :, never] = -np.inf
        log_p = np.concatenate([log_p, np.repeat(rest[:, :, None], SPREAD, axis=2)], axis=2)
        flat = [tf.reshape(s, [-1, s.shape[-1]]) for s in beams]
        return tf.constant(log_p.reshape(-1, log_p.shape[-1]), tf.float32), flat


def search_with_addons(captioner, width, length_penalty):
    """Returns token ids as `search` does: what tfa finds for all clips, in one batch."""
    settings = captioner.settings
    vocabulary = captioner.vocabulary_size + SPREAD
    decoder = tfa.seq2seq.BeamSearchDecoder(
        ExportedCell(captioner, width),
        beam_width=width,
        length_penalty_weight=length_penalty,
        maximum_iterations=settings["max_words"],
    )
    clips = len(captioner.first_states[0])
    output, _, _ = decoder(
        tf.range(vocabulary, dtype=tf.float32)[:, None],  # the cell is told the token's number
        start_tokens=tf.fill([clips], settings["start"]),
        end_token=settings["end"],
        initial_state=tfa.seq2seq.tile_batch(captioner.first_states, multiplier=width),
    )
    said = np.moveaxis(output.predicted_ids.numpy(), 1, 2)
    assert said.max() < captioner.vocabulary_size
    missing = settings["max_words"] - said.shape[2]
    return np.pad(said, ((0, 0), (0, 0), (0, missing)), constant_values=settings["end"])


@pytest.fixture(scope="module")
def captioners():
    return [WrittenCaptioner(name) for name in CAPTIONERS]


def searches(captioners, length_penalty):
    """Yields a captioner, a width, and what glimpse found, with the end repeated as tfa does."""
    for captioner in captioners:
        assert length_penalty in captioner.settings["length_penalties"]
        end = captioner.settings["end"]
        for width in captioner.settings["widths"]:
            found = captioner.expected("token_ids", width, length_penalty)
            assert np.isfinite(captioner.expected("scores", width, length_penalty)).all()
            after = np.cumsum(found == end, axis=2) > 0
            yield captioner, width, np.where(after, end, found)


def same(a, b):
    """Whether all beams of a clip hold the same tokens, `(clips,)`."""
    return (a == b).all(axis=(1, 2))


def test_equal_without_length_penalty(captioners):
    compared, too_close, finished, beams = 0, 0, 0, 0
    for captioner, width, found in searches(captioners, 0.0):
        theirs = search_with_addons(captioner, width, 0.0)
        by_definition, closest = search(captioner, width, 0.0)
        clear = closest > TOO_CLOSE
        np.testing.assert_array_equal(theirs[clear], found[clear])
        np.testing.assert_array_equal(by_definition[clear], found[clear])
        compared += clear.sum()
        too_close += (~clear).sum()
        finished += (found[:, :, -1] == captioner.settings["end"]).sum()
        beams += found.shape[0] * found.shape[1]
    print(
        f"length penalty 0: {compared} clips compared token for token with tfa; {too_close} left "
        f"out, whose scores are too close; {finished} of {beams} captions end by themselves"
    )
    assert compared >= 200
    assert 0.1 < finished / beams < 0.95


def test_equal_with_length_penalty_where_the_end_is_counted_alike(captioners):
    compared, too_close, other_rule = 0, 0, 0
    for captioner, width, found in searches(captioners, 0.6):
        ours, our_closest = search(captioner, width, 0.6)
        as_addons, closest = search(captioner, width, 0.6, as_addons=True)
        clear = np.minimum(our_closest, closest) > TOO_CLOSE
        np.testing.assert_array_equal(ours[clear], found[clear])
        theirs = search_with_addons(captioner, width, 0.6)
        np.testing.assert_array_equal(theirs[clear], as_addons[clear])
        alike = same(ours, as_addons)
        np.testing.assert_array_equal(theirs[clear & alike], found[clear & alike])
        compared += (clear & alike).sum()
        other_rule += (clear & ~alike).sum()
        too_close += (~clear).sum()
    print(
        f"length penalty 0.6: {compared} clips compared token for token with tfa; in {other_rule} "
        "more tfa's count of the end changes the ranking, and each agrees with its own rule; "
        f"{too_close} left out, whose scores are too close"
    )
    assert compared >= 100
    assert other_rule > 0
