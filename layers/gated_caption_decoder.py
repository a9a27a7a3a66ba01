"""The decoder of captions: an LSTM that looks at a clip's regions before it says each word.

Sharma, "Action Recognition and Video Description using Visual Attention", 2016, chapter 3.
"""

import keras
from keras import ops

from glimpse.layers.attention_override import check_override_shape, split_attention_override
from glimpse.layers.caption_step import (
    attend,
    cast_weight,
    drop,
    embed_tokens,
    project_values,
    score_words,
)
from glimpse.layers.caption_weights import CaptionWeights
from glimpse.layers.peephole_lstm_cell import step_lstm
from glimpse.layers.shape_checks import check_fits, check_shape, check_states
from glimpse.layers.soft_attention_lstm_cell import project_regions
from glimpse.layers.step_loop import iterate_steps
from glimpse.layers.temporal_attention import clear_padding


@keras.saving.register_keras_serializable(package="glimpse")
class GatedCaptionDecoder(CaptionWeights):
    """Scores the next word of a caption from the words before it and where it looks in the clip.

    For the regions X[i] of all frames of a clip, the word y and the state h of the last step
    (Eq. 3.1-3.5 of the thesis):

        l[i]       = exp(W[i] . h) / sum_j exp(W[j] . h)               attention="state", Eq. 3.2
        l          = softmax_i(w . tanh(V X[i] + b + U h))             attention="content"
        beta       = sigmoid(G tanh(F h + f) + g)                      Eq. 3.5
        x          = beta sum_i l[i] X[i]                              Eq. 3.3
        i, f, g, o = sigmoid, sigmoid, tanh, sigmoid (M [E y, h, x])   Eq. 3.1
        c          = f * c + i * g
        h          = o * tanh(c)
        logits     = W_p (E y + W_h h + W_x x)                         Eq. 3.4
        logits     = W_p tanh(E y + W_h h + W_x x + a) + p             deep_output="reference"

    h and c start at perceptrons of the mean region, Eq. 2.6, in the sub-layer `first_states`.

    E is `embedding`. W is `attention_kernel`; V, b, U, w are `value_kernel`, `attention_bias`,
    `query_kernel`, `score_kernel`. F, f, G, g are `gate_hidden_kernel`, `gate_hidden_bias`,
    `gate_kernel`, `gate_bias`. M is `kernel` (the rows of the word before those of x),
    `recurrent_kernel` and `bias`, gates in the order i, f, g, o. W_h, W_x, W_p, a, p are
    `hidden_output_kernel`, `context_output_kernel`, `output_kernel`, `hidden_output_bias`,
    `output_bias`.

    `step` runs one word, from `initial_state`, and equals the call on all.

    Args:
        vocabulary_size: Number of tokens.
        units: Size of the state.
        embedding_dim: Size of a word's vector, and of what W_p reads.
        attention: "state" scores the places of the clip from the state alone, as the thesis
            prints; "content" also reads the features there, as the released code does.
        context: "attention", or a baseline of the thesis: with "average" each region weighs the
            same, beta still applied; with "first_step" context and weights are zero after the
            first real word.
        dropout: Share dropped, in [0, 1), of whatever enters the LSTM or the output layer from
            without: E y and x, each drawn once for both of them, h on its way to W_h, and the
            tanh of "reference". States and pre-activations are never dropped.
        attention_units: Size of the scoring layer of "content". Default: `units`.
        deep_output: "paper", or "reference" with tanh and biases, as in the released code.
        initial_state_units: Size of the inner tanh layer of Eq. 2.6. Default: `units`; 0 leaves
            it out, as the released code does.
        gate_units: Size of the tanh layer of Eq. 3.5. Default: `units`.
        initial_gate_bias: What `gate_bias` starts from; default: `bias_initializer`. A gate of
            many units may close for good within a few steps of training, while nothing is yet
            seen in the context; one of few units that starts open (such as 4) has not the means.
        embedding_initializer, embedding_regularizer, embedding_constraint: Of E.
        kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias,
        kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint,
        recurrent_constraint, bias_constraint: As in `keras.layers.LSTMCell`. Those of the kernel
            and bias serve all other weights too.
        seed: Seed of the dropout.

    Call arguments:
        features: `(batch, regions, features)`, float; the regions of all frames.
        token_ids: `(batch, words)`, what each step reads, the start token first. A number that is
            no token raises ValueError where values can be read (eagerly); in a graph the logits
            from there on are NaN.
        mask: `(batch, words)`, True where the word is real. A masked word leaves the state as it
            is and has logits, weights and a gate of zero, whatever it holds.
        features_mask: `(batch, regions)`, True where the region is real. The others have a weight
            of zero, whatever they hold, and no part in the start.
        attention_override: `(batch, words, regions)`; see `apply_attention_override`. Words that
            do not attend keep their zeros.

    Returns:
        A dict of `logits (batch, words, vocabulary_size)`, of the word after each;
        `attention_weights (batch, words, regions)`, l, which sum to 1; `gate (batch, words)`, beta.

    Raises:
        ValueError: If an argument is out of its range or a shape does not fit.

    Differs from the paper: Eq. 3.2 prints a sum over K^2 regions; it must be all N K^2. The
    perceptron of Eq. 3.5 has no sizes; here it is one tanh layer and a sigmoid. Where the released
    code has a bias for W_h and another for W_x, which add up, a is one.
    """

    def call(
        self,
        features,
        token_ids,
        mask=None,
        features_mask=None,
        training=None,
        attention_override=None,
    ):
        if mask is None:  # Keras fills `mask` in for layers of one tensor alone.
            mask = self.mask_reader(token_ids)
        features, features_mask = self._read_features(features, features_mask)
        batch, words = features.shape[0], token_ids.shape[-1]
        check_shape("token_ids", token_ids.shape, "(batch, words)", batch=batch)
        sequences = {}
        if mask is not None:
            mask = ops.cast(mask, "bool")
            check_fits("mask", mask.shape, "`token_ids`", token_ids.shape)
            token_ids = ops.where(mask, token_ids, ops.zeros_like(token_ids))
            sequences["real"] = ops.expand_dims(ops.expand_dims(mask, -1), -1)
        if attention_override is not None:
            shape = (batch, words, features.shape[1])
            own, given = split_attention_override(attention_override, shape, self.compute_dtype)
            sequences["override"] = [ops.expand_dims(own, 2), ops.expand_dims(given, 2)]
        words = drop(self, embed_tokens(self, token_ids), training)
        states, contexts, weights, gate = self._iterate(
            features, features_mask, words, sequences, training
        )
        real = None if mask is None else ops.expand_dims(mask, -1)
        logits = score_words(self, words, states, contexts, training, real)
        return {
            "logits": logits,
            "attention_weights": weights,
            "gate": ops.squeeze(gate, axis=-1),
        }

    def _iterate(self, features, features_mask, words, sequences, training):
        """Every word's state, context, weights and gate, each `(batch, words, ...)`."""
        (batch, count, _), regions = ops.shape(words), ops.shape(features)[1]
        # All that no state changes is computed for all words at once.
        kernel, split = cast_weight(self, "kernel"), self.embedding_dim
        gates = project_regions(words, kernel[:split]) + cast_weight(self, "bias")
        sequences["gates"] = ops.expand_dims(gates, 2)
        if training and self.dropout:
            ones = ops.ones((batch, count, 1, features.shape[-1]), self.compute_dtype)
            sequences["kept"] = drop(self, ones, training)
        projected = self.project(features)
        context_kernel = kernel[split:]

        def step(previous, t, now):
            states = previous["states"]
            weights, context, gate = attend(
                self, states, features, features_mask, projected, now.get("override", ())
            )
            if "kept" in now:
                context = context * now["kept"]
            gates = now["gates"] + project_regions(context, context_kernel)
            new = self._advance(gates, states)
            seen = [context, weights, gate]
            if "real" in now:
                new = [ops.where(now["real"], x, y) for x, y in zip(new, states, strict=True)]
                seen = [ops.where(now["real"], x, ops.zeros_like(x)) for x in seen]
            return {"states": new, "seen": seen}

        sizes = (features.shape[-1], regions, 1)
        blank = [ops.zeros((batch, 1, size), self.compute_dtype) for size in sizes]
        states = [ops.expand_dims(state, 1) for state in self._first(features, features_mask)]
        start = {"states": states, "seen": blank}
        _, trace = iterate_steps(step, start, count, differentiable=True, sequences=sequences)
        sequences = [trace["states"][0], *trace["seen"]]  # each (words, batch, 1, ...)
        return [ops.transpose(ops.squeeze(s, axis=2), (1, 0, 2)) for s in sequences]

    def initial_state(self, features, features_mask=None):
        """The states before the first word, Eq. 2.6.

        Returns:
            `[h, c]`, each `(batch, units)`; with `context="first_step"` then `(batch, 1)`, which
            is 1 until the first word was read.
        """
        return self._first(*self._read_features(features, features_mask))

    def _first(self, features, features_mask):
        states = self.first_states(ops.expand_dims(features, 2), mask=features_mask)
        states = [ops.cast(state, self.compute_dtype) for state in states]
        return states + [ops.ones_like(states[0][:, :1])] * (self.context == "first_step")

    def project(self, features):
        """What no word changes: V X + b, `(batch, regions, attention_units)`; None by state."""
        return project_values(self, ops.convert_to_tensor(features, self.compute_dtype))

    def step(
        self,
        token_ids,
        states,
        features,
        features_mask=None,
        attention_override=None,
        training=None,
        projected=None,
    ):
        """Reads one word of every caption.

        Args:
            token_ids: `(batch,)`, or `(batch, beams)` for several captions of each clip.
            states: As `initial_state` or a step returned them, with an axis of beams after the
                first where `token_ids` has one.
            features, features_mask: As in the call; a clip's beams share them.
            attention_override: `(batch, regions)` or `(batch, beams, regions)`.
            training: Whether to drop.
            projected: `project(features)`, where it is at hand.

        Returns:
            logits: `(batch, vocabulary_size)`, with beams `(batch, beams, vocabulary_size)`.
            states: After the word.
            attention_weights: `(batch, regions)` or `(batch, beams, regions)`.
            gate: `(batch,)` or `(batch, beams)`.
        """
        features, features_mask = self._read_features(features, features_mask)
        token_ids = ops.convert_to_tensor(token_ids)
        axes = ("batch", "beams")[: max(len(token_ids.shape), 1)]
        sizes = {"batch": features.shape[0]}
        check_shape("token_ids", token_ids.shape, f"({', '.join(axes)})", **sizes)
        sizes["beams"] = token_ids.shape[-1]
        self._check_states(states, axes, sizes)
        states = [ops.convert_to_tensor(state, self.compute_dtype) for state in states]
        override = ()
        if attention_override is not None:
            shape = (*token_ids.shape, features.shape[1])
            override = split_attention_override(attention_override, shape, self.compute_dtype)
        if len(axes) == 1:
            token_ids, states, override = keras.tree.map_structure(
                lambda x: ops.expand_dims(x, 1), (token_ids, states, override)
            )
        if projected is None:
            projected = self.project(features)
        words = drop(self, embed_tokens(self, token_ids), training)
        weights, context, gate = attend(self, states, features, features_mask, projected, override)
        context = drop(self, context, training)
        entering = ops.concatenate([words, context], axis=-1)
        gates = project_regions(entering, cast_weight(self, "kernel")) + cast_weight(self, "bias")
        states = self._advance(gates, states)
        logits = score_words(self, words, states[0], context, training)
        answer = logits, states, weights, ops.squeeze(gate, axis=-1)
        if len(axes) == 2:
            return answer
        return keras.tree.map_structure(lambda x: ops.squeeze(x, axis=1), answer)

    def _advance(self, gates, states):
        gates = gates + project_regions(states[0], cast_weight(self, "recurrent_kernel"))
        return step_lstm(self, gates, states[1]) + [ops.zeros_like(x) for x in states[2:]]

    def _read_features(self, features, features_mask):
        if not self.built:
            self.build(features.shape)
        features = ops.convert_to_tensor(features, self.compute_dtype)
        sizes = {"features": self.context_output_kernel.shape[0]}
        if self.scores_by == "state":
            sizes["regions"] = self.attention_kernel.shape[1]
        check_shape("features", features.shape, "(batch, regions, features)", **sizes)
        if features_mask is None:
            return features, None
        features_mask = ops.cast(features_mask, "bool")
        what = "the features' (batch, regions)"
        check_fits("features_mask", features_mask.shape, what, features.shape[:2])
        return clear_padding(features, features_mask), features_mask

    def _check_states(self, states, axes, sizes):
        names = self.state_names
        if not isinstance(states, (list, tuple)) or len(states) != len(names):
            check_states("states", states, names, "", **sizes)
        for name, state, size in zip(names, states, (self.units, self.units, 1), strict=False):
            described = f"({', '.join(axes)}, size)"
            check_shape(f"states`'s `{name}", state.shape, described, **sizes, size=size)

    @property
    def state_names(self):
        """What the states are, in their order."""
        return ["h", "c"] + ["is_first_step"] * (self.context == "first_step")

    def compute_mask(self, features, previous_mask=None):
        """None: here Keras does not tell a mask of the words from one of the regions."""
        return None

    def compute_output_shape(
        self,
        features_shape,
        token_ids_shape,
        mask_shape=None,
        features_mask_shape=None,
        attention_override_shape=None,
    ):
        batch, words = token_ids_shape
        if attention_override_shape is not None:
            check_override_shape(attention_override_shape, (batch, words, features_shape[1]))
        return {
            "logits": (batch, words, self.vocabulary_size),
            "attention_weights": (batch, words, features_shape[1]),
            "gate": (batch, words),
        }
