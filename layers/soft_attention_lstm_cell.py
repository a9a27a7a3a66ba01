"""One step of a deep LSTM that looks at the regions of a frame through soft attention.

Sharma, Kiros, Salakhutdinov, "Action Recognition using Visual Attention", 2015,
https://arxiv.org/abs/1511.04119.
"""

import numbers

import keras
from keras import ops

from glimpse.layers.attention_override import apply_attention_override
from glimpse.layers.shape_checks import check_shape, check_states
from glimpse.layers.soft_attention_recurrence import tanh


@keras.saving.register_keras_serializable(package="glimpse")
class SoftAttentionLSTMCell(keras.layers.Layer):
    """Looks at one frame where the top state of the last step says, then steps every layer.

    For the regions X[i] of a frame, top state h and layers 1..depth (Eq. 1-5 of the paper):

        l[i]       = exp(W[i] . h) / sum_j exp(W[j] . h)               attention="state", Eq. 4
        l          = softmax_i(w . tanh(V X[i] + b + U h))             attention="content"
        x          = sum_i l[i] X[i]                                   Eq. 5
        i, f, g, o = sigmoid, sigmoid, tanh, sigmoid (M [h_layer, x])  Eq. 1
        c_layer    = f * c_layer + i * g                               Eq. 2
        h_layer    = o * tanh(c_layer)                                 Eq. 3; the next layer's x

    `attention_kernel` is W. `value_kernel`, `query_kernel`, `attention_bias` and `score_kernel`
    are V, U, b and w. M of each layer is `kernels[layer]`, `recurrent_kernels[layer]` and
    `biases[layer]`, bottom layer first, gates in the order i, f, g, o.

    With `attention_depth` n the released code reads the regions through n linear layers, and
    V X[i] + b becomes v[n] of

        v[1] = V X[i] + b,  v[2] = A[2] v[1] + a[2],  v[k] = A[k] tanh(v[k - 1]) + a[k]  for k > 2

    where A is `deep_value_kernels` and a is `deep_value_biases`.

    Args:
        units: Size of every layer's state.
        depth: Number of LSTM layers.
        attention: "state" scores the places of the grid from the state alone, as the paper
            prints; "content" also reads the features there, as the released code does.
        attention_units: Size of the scoring layer of "content". Default: `units`.
        dropout: Share dropped of each layer's input (the context, and the state below on its
            way up), in [0, 1). States and pre-activations are never dropped. Inside
            `keras.layers.RNN` on JAX it needs `unroll=True`, since each step draws anew.
        attention_depth: Linear layers between the features and the scoring layer of "content";
            the released code's 1, or 3 on HMDB-51. The paper's form has none.
        value_initializer: Of `value_kernel`. Default: `kernel_initializer`.
        kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias,
        kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint,
        recurrent_constraint, bias_constraint: As in `keras.layers.LSTMCell`. Those of the kernel
            and bias serve the attention's weights too.
        seed: Seed of the dropout.

    Call arguments:
        inputs: One frame, `(batch, regions, features)`, float.
        states: `[h_1, c_1, ..., h_depth, c_depth]`, each `(batch, units)`.
        attention_override: `(batch, regions)`; see `apply_attention_override`.

    Returns:
        hidden_state: The top layer's, `(batch, units)`.
        states: As the argument `states`, after this step.

    Raises:
        ValueError: If an argument is out of its range.

    Differs from the paper: Eq. 4 reads h of the last step, and the paper does not say of which
    layer; here it is the top one's, as in its Fig. 2b. Biases of the gates start at 0, the forget
    gate's at 1 (`unit_forget_bias`); the paper does not say, the released code starts all at 0.
    """

    def __init__(
        self,
        units,
        depth=1,
        attention="state",
        attention_units=None,
        dropout=0.0,
        attention_depth=1,
        value_initializer=None,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        unit_forget_bias=True,
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value in (
            ("units", units), ("depth", depth), ("attention_depth", attention_depth)
        ):  # fmt: skip
            check_positive_integer(name, value)
        if attention_units is not None:
            check_positive_integer("attention_units", attention_units)
        if attention not in ("state", "content"):
            raise ValueError(f'`attention` must be "state" or "content"; received {attention!r}.')
        if attention == "state" and attention_depth > 1:
            raise ValueError(
                '`attention_depth` must be 1 with attention="state", which has no layers; '
                f"received {attention_depth}."
            )
        check_dropout_rate("dropout", dropout)
        self.units = units
        self.depth = depth
        self.attention = attention
        self.attention_units = attention_units
        self.dropout = dropout
        self.attention_depth = attention_depth
        self.value_initializer = keras.initializers.get(value_initializer)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.unit_forget_bias = unit_forget_bias
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = keras.regularizers.get(recurrent_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.recurrent_constraint = keras.constraints.get(recurrent_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if dropout else None
        self.state_size = [units] * (2 * depth)
        self.output_size = units

    def build(self, inputs_shape, states_shape=None, attention_override_shape=None):
        if len(inputs_shape) != 3 or None in inputs_shape[1:]:
            raise ValueError(
                "`inputs` must be (batch, regions, features) with the last two known; "
                f"received shape {tuple(inputs_shape)}."
            )
        _, regions, features = inputs_shape
        if self.attention == "state":
            self.attention_kernel = self._add_kernel("attention_kernel", (self.units, regions))
        else:
            size = self.attention_units or self.units
            self.value_kernel = self._add_kernel(
                "value_kernel", (features, size), self.value_initializer
            )
            self.query_kernel = self._add_kernel("query_kernel", (self.units, size))
            self.attention_bias = self._add_bias("attention_bias", size, self.bias_initializer)
            self.score_kernel = self._add_kernel("score_kernel", (size, 1))
            deeper = range(2, self.attention_depth + 1)
            self.deep_value_kernels = [
                self._add_kernel(f"deep_value_kernel_{number}", (size, size)) for number in deeper
            ]
            self.deep_value_biases = [
                self._add_bias(f"deep_value_bias_{number}", size, self.bias_initializer)
                for number in deeper
            ]
        kernels, recurrent_kernels, biases = [], [], []
        for layer in range(self.depth):
            sizes = (self.units if layer else features, 4 * self.units)
            kernels.append(self._add_kernel(f"kernel_{layer}", sizes))
            recurrent_kernels.append(
                self.add_weight(
                    name=f"recurrent_kernel_{layer}",
                    shape=(self.units, 4 * self.units),
                    initializer=copy_initializer(self.recurrent_initializer),
                    regularizer=self.recurrent_regularizer,
                    constraint=self.recurrent_constraint,
                )
            )
            biases.append(
                self._add_bias(f"bias_{layer}", 4 * self.units, self._initialize_gate_bias)
            )
        self.kernels = kernels
        self.recurrent_kernels = recurrent_kernels
        self.biases = biases

    def call(self, inputs, states, training=None, attention_override=None):
        layer_input, _ = self.attend(inputs, states, attention_override)
        states = [ops.convert_to_tensor(state, self.compute_dtype) for state in states]
        new_states = []
        for layer in range(self.depth):
            if self.dropout and training:
                layer_input = keras.random.dropout(
                    layer_input, self.dropout, seed=self.seed_generator
                )
            hidden_state, cell_state = states[2 * layer], states[2 * layer + 1]
            gates = (
                ops.matmul(layer_input, self._cast(self.kernels[layer]))
                + ops.matmul(hidden_state, self._cast(self.recurrent_kernels[layer]))
                + self._cast(self.biases[layer])
            )
            i, f, g, o = ops.split(gates, 4, axis=-1)
            cell_state = ops.sigmoid(f) * cell_state + ops.sigmoid(i) * tanh(g)
            layer_input = ops.sigmoid(o) * tanh(cell_state)
            new_states += [layer_input, cell_state]
        return layer_input, new_states

    def attend(self, inputs, states, attention_override=None):
        """Where the next step looks, and what it sees there.

        Returns:
            context: `(batch, features)`.
            attention_weights: `(batch, regions)`; each row sums to 1 unless overridden.
        """
        if not self.built:
            self.build(inputs.shape)
        inputs = ops.convert_to_tensor(inputs, self.compute_dtype)
        sizes = {"regions": self.regions, "features": self.kernels[0].shape[0]}
        check_shape("inputs", inputs.shape, "(batch, regions, features)", **sizes)
        sizes = {"batch": inputs.shape[0], "units": self.units}
        check_states("states", states, self.state_names, "(batch, units)", **sizes)
        weights = ops.softmax(
            self._score(inputs, ops.convert_to_tensor(states[-2], self.compute_dtype))
        )
        weights = apply_attention_override(weights, attention_override)
        context = ops.squeeze(ops.matmul(ops.expand_dims(weights, 1), inputs), axis=1)
        return context, weights

    @property
    def regions(self):
        """How many regions a built cell scores; None where that is any number."""
        return self.attention_kernel.shape[1] if self.attention == "state" else None

    @property
    def state_names(self):
        """What the states are, in their order."""
        return [f"{name}_{layer + 1}" for layer in range(self.depth) for name in "hc"]

    def _score(self, inputs, query):
        if self.attention == "state":
            return ops.matmul(query, self._cast(self.attention_kernel))
        values = self.project_values(inputs)
        query = ops.matmul(query, self._cast(self.query_kernel))
        hidden = tanh(values + ops.expand_dims(query, 1))  # (batch, regions, attention_units)
        return ops.squeeze(project_regions(hidden, self._cast(self.score_kernel)), axis=-1)

    def project_values(self, features):
        """What the scoring layer of "content" reads of the regions, before the state is added.

        Args:
            features: `(..., regions, features)`, in the compute dtype.

        Returns:
            `(..., regions, attention_units)`.
        """
        values = project_regions(features, self._cast(self.value_kernel))
        values = values + self._cast(self.attention_bias)
        deeper = zip(self.deep_value_kernels, self.deep_value_biases, strict=True)
        for number, (kernel, bias) in enumerate(deeper):
            values = tanh(values) if number else values
            values = project_regions(values, self._cast(kernel)) + self._cast(bias)
        return values

    def _cast(self, variable):
        # `attend` and `stateless_call` run outside of Keras's autocast scope.
        return ops.cast(variable, self.compute_dtype)

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, size), self.compute_dtype) for size in self.state_size]

    def _add_kernel(self, name, shape, initializer=None):
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=copy_initializer(initializer or self.kernel_initializer),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )

    def _add_bias(self, name, size, initializer):
        return self.add_weight(
            name=name,
            shape=(size,),
            initializer=initializer,
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
        )

    def _initialize_gate_bias(self, shape, dtype=None):
        if not self.unit_forget_bias:
            return self.bias_initializer(shape, dtype=dtype)
        return ops.concatenate(
            [
                self.bias_initializer((self.units,), dtype=dtype),
                ops.ones((self.units,), dtype=dtype),
                self.bias_initializer((2 * self.units,), dtype=dtype),
            ]
        )

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "depth": self.depth,
            "attention": self.attention,
            "attention_units": self.attention_units,
            "dropout": self.dropout,
            "attention_depth": self.attention_depth,
            "value_initializer": keras.initializers.serialize(self.value_initializer),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "unit_forget_bias": self.unit_forget_bias,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "recurrent_regularizer": keras.regularizers.serialize(self.recurrent_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "recurrent_constraint": keras.constraints.serialize(self.recurrent_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
            "seed": self.seed,
        }


def project_regions(values, kernel):
    """`values @ kernel` over the last axis, as one product of two matrices.

    TensorFlow runs a product of a 4-D and a 2-D tensor as many small ones, several times slower.
    """
    leading = ops.shape(values)[:-1]
    values = ops.matmul(ops.reshape(values, (-1, values.shape[-1])), kernel)
    return ops.reshape(values, (*leading, kernel.shape[-1]))


def copy_initializer(initializer):
    """A copy for one more weight: one instance gives the same numbers every time it is called."""
    return initializer.clone() if hasattr(initializer, "clone") else initializer


def check_dropout_rate(name, rate):
    """Raises a ValueError that names the argument unless its value is a rate in [0, 1)."""
    if isinstance(rate, bool) or not isinstance(rate, numbers.Real) or not 0 <= rate < 1:
        raise ValueError(f"`{name}` must be in [0, 1); received {rate!r}.")


def check_positive_integer(name, value):
    """Raises a ValueError that names the argument unless its value is 1, 2, ..."""
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_whole or value < 1:
        raise ValueError(f"`{name}` must be an integer of at least 1; received {value!r}.")
