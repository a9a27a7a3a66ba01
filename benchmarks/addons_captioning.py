"""The caption decoder under `tfa.seq2seq.BeamSearchDecoder`, timed in an environment of its own.

tensorflow-addons does not run beside the TensorFlow of this project (`make test-addons` makes its
environment), so `benchmarks.captioning` starts this file with that environment's Python. It reads
sizes as JSON from its first argument, then answers every line with a search's seconds.
"""

import json
import sys
import time


def build_search(size):
    """A search as a call without arguments, on tiled features, as the library wants them."""
    import tensorflow as tf
    import tensorflow_addons as tfa

    batch, beams, units = size["batch"], size["beam_width"], size["units"]
    words, features_size = size["embedding_dim"], size["features"]
    features = tf.random.uniform((batch, size["regions"], features_size))
    start = [
        tf.keras.Sequential([tf.keras.layers.Dense(units, "tanh") for _ in range(2)])
        for _ in range(2)
    ]
    embedding = tf.Variable(tf.random.uniform((size["vocabulary_size"], words), -0.05, 0.05))

    class CaptionCell(tf.keras.layers.Layer):
        """Eq. 3.1-3.5 of Sharma's thesis up to what W_p reads."""

        state_size = [tf.TensorShape([units]), tf.TensorShape([units])]
        output_size = tf.TensorShape([words])

        def __init__(self, tiled):
            super().__init__()
            self.tiled = tiled
            self.attention = tf.keras.layers.Dense(size["regions"], "softmax", use_bias=False)
            self.gate = tf.keras.Sequential(
                [tf.keras.layers.Dense(units, "tanh"), tf.keras.layers.Dense(1, "sigmoid")]
            )
            self.cell = tf.keras.layers.LSTMCell(units, recurrent_initializer="glorot_uniform")
            self.hidden_output = tf.keras.layers.Dense(words, use_bias=False)
            self.context_output = tf.keras.layers.Dense(words, use_bias=False)

        def get_initial_state(self, inputs=None, batch_size=None, dtype=None):
            return [tf.zeros((batch_size, units), dtype)] * 2

        def call(self, word, states):
            weights = self.attention(states[0])
            context = tf.matmul(weights[:, None], self.tiled)[:, 0]
            context = self.gate(states[0]) * context
            h, states = self.cell(tf.concat([word, context], -1), states)
            return word + self.hidden_output(h) + self.context_output(context), states

    cell = CaptionCell(tfa.seq2seq.tile_batch(features, beams))
    decoder = tfa.seq2seq.BeamSearchDecoder(
        cell,
        beams,
        embedding_fn=lambda token_ids: tf.gather(embedding, token_ids),
        output_layer=tf.keras.layers.Dense(size["vocabulary_size"], use_bias=False),
        maximum_iterations=size["max_words"],
    )

    @tf.function
    def search():
        mean = tf.reduce_mean(features, 1)
        states = [tfa.seq2seq.tile_batch(layers(mean), beams) for layers in start]
        outputs, _, _ = decoder(
            None,
            start_tokens=tf.fill([batch], size["start_token_id"]),
            end_token=size["end_token_id"],
            initial_state=states,
        )
        return outputs.predicted_ids

    return search


def main(size):
    """Answers each line of the input with the seconds of one search, and how many words it had."""
    search = build_search(size)
    for _ in sys.stdin:
        start = time.perf_counter()
        token_ids = search().numpy()
        print(json.dumps([time.perf_counter() - start, token_ids.shape[1]]), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
