"""The loop over a clip's frames behind `SoftAttentionLSTM`, with its backward pass written out.

Automatic differentiation would make one small product per weight and frame, and add them up. Here
the backward loop only keeps what each product needs, and after it every weight's gradient is one
large product over all frames (Sharma et al. 2015, Eq. 1-5, differentiated by hand).
"""

from keras import ops, tree

from glimpse.layers.step_loop import iterate_steps


def soft_attention_recurrence(arguments):
    """Runs a soft attention LSTM over the frames of a clip.

    All tensors are float and of one dtype. Gradients reach every one of them except `mask`,
    `own` and `dropout`.

    Args:
        arguments: A dict of
            `features`: `(batch, frames, regions, features)`;
            `states`: `[h_1, c_1, ..., h_depth, c_depth]`, each `(batch, units)`;
            `kernels`, `recurrent_kernels`, `biases`: lists, bottom layer first;
            `attention_kernel` for attention by state; or, for attention by content, `values`, the
            projected features with the bias, `(batch, frames, regions, attention_units)`, with
            `query_kernel` and `score_kernel`;
            and, where there are such, `mask` `(batch, frames)`, 1 = real; `own`
            `(batch, frames, 1)`, 1 where the map is the model's, and `given`
            `(batch, frames, regions)`, the map elsewhere; `dropout`, what each layer's input
            is multiplied with, a list of `(frames, batch, size)`.

    Returns:
        hidden_states: `(batch, frames, units)`.
        attention_weights: `(batch, frames, regions)`.
        states: As in the arguments, after the last frame.
    """

    @ops.custom_gradient
    def run(*flat):
        inside = tree.pack_sequence_as(arguments, list(flat))
        last, trace = _run_forward(inside)

        def gradient(*args, upstream=None):
            if upstream is None:  # TensorFlow and JAX; PyTorch passes it by name
                (upstream,) = args
            return tuple(tree.flatten(_run_backward(inside, trace, upstream)))

        return _pack(trace["h"][-1], trace["attention"], last), gradient

    packed = run(*tree.flatten(arguments))
    return _unpack(packed, arguments)


def _run_forward(a):
    """Returns the last step, and every step stacked along a new first axis."""
    real = _as_condition(a.get("mask"))
    own = _as_condition(a.get("own"))

    def step(previous, t):
        current = {"h": [], "c": [], "i": [], "f": [], "g": [], "o": []}
        if "attention_kernel" in a:
            scores = ops.matmul(previous["h"][-1], a["attention_kernel"])
        else:
            current["query"] = ops.matmul(previous["h"][-1], a["query_kernel"])
            hidden = tanh(a["values"][:, t] + ops.expand_dims(current["query"], 1))
            scores = _score(hidden, a["score_kernel"])
        weights = ops.softmax(scores)
        if own is not None:
            weights = ops.where(own[:, t], weights, a["given"][:, t])
        if real is not None:
            weights = _keep(real[:, t], weights)
        x = ops.squeeze(ops.matmul(ops.expand_dims(weights, 1), a["features"][:, t]), axis=1)
        if real is not None:
            x = _keep(real[:, t], x)
        current["attention"] = weights
        for layer, bias in enumerate(a["biases"]):
            if "dropout" in a:
                x = x * a["dropout"][layer][t]
            if layer == 0:
                current["context"] = x
            h, c = previous["h"][layer], previous["c"][layer]
            gates = ops.matmul(x, a["kernels"][layer])
            gates = gates + ops.matmul(h, a["recurrent_kernels"][layer]) + bias
            i, f, g, o = ops.split(gates, 4, axis=-1)
            i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), tanh(g), ops.sigmoid(o)
            new_c = f * c + i * g
            new_h = o * tanh(new_c)
            if real is not None:
                new_h = ops.where(real[:, t], new_h, h)
                new_c = ops.where(real[:, t], new_c, c)
            for name, value in (
                ("h", new_h), ("c", new_c), ("i", i), ("f", f), ("g", g), ("o", o)
            ):  # fmt: skip
                current[name].append(value)
            x = new_h
        return current

    h, c = a["states"][::2], a["states"][1::2]
    blank = [ops.zeros_like(state) for state in h]
    batch, frames, regions, features = ops.shape(a["features"])
    dtype = a["features"].dtype
    start = {"h": h, "c": c, "i": blank, "f": blank, "g": blank, "o": blank}
    start["attention"] = ops.zeros((batch, regions), dtype)
    start["context"] = ops.zeros((batch, features), dtype)
    if "query_kernel" in a:
        start["query"] = ops.zeros((batch, a["query_kernel"].shape[-1]), dtype)
    return iterate_steps(step, start, frames)


def _run_backward(a, trace, upstream):
    """Returns the gradient of every argument, in a dict of the same structure."""
    depth = len(a["biases"])
    real = _as_condition(a.get("mask"))
    own = _as_condition(a.get("own"))
    d_hidden, d_attention, d_states = _unpack(upstream, a)
    # What each step started from: the state after the step before it.
    before = {
        name: [
            ops.concatenate([ops.expand_dims(first, 0), states[:-1]], axis=0)
            for first, states in zip(a["states"][offset::2], trace[name], strict=True)
        ]
        for offset, name in enumerate("hc")
    }
    kernels = [ops.transpose(kernel) for kernel in a["kernels"]]
    recurrent_kernels = [ops.transpose(kernel) for kernel in a["recurrent_kernels"]]
    attend_kernel = ops.transpose(a.get("attention_kernel", a.get("query_kernel")))

    def step(following, t):
        current = {"h": [None] * depth, "c": [None] * depth, "gates": [None] * depth}
        dx = d_hidden[:, t]
        for layer in reversed(range(depth)):
            i, f, g, o = (trace[gate][layer][t] for gate in "ifgo")
            dh, dc = following["h"][layer] + dx, following["c"][layer]
            if real is not None:
                passed_h = _keep(ops.logical_not(real[:, t]), dh)
                passed_c = _keep(ops.logical_not(real[:, t]), dc)
                dh, dc = _keep(real[:, t], dh), _keep(real[:, t], dc)
            tanh_c = tanh(trace["c"][layer][t])
            dc = dc + dh * o * (1 - ops.square(tanh_c))
            gates = ops.concatenate(
                [
                    dc * g * i * (1 - i),
                    dc * before["c"][layer][t] * f * (1 - f),
                    dc * i * (1 - ops.square(g)),
                    dh * tanh_c * o * (1 - o),
                ],
                axis=-1,
            )
            current["gates"][layer] = gates
            current["c"][layer] = dc * f
            current["h"][layer] = ops.matmul(gates, recurrent_kernels[layer])
            if real is not None:
                current["h"][layer] = current["h"][layer] + passed_h
                current["c"][layer] = current["c"][layer] + passed_c
            dx = ops.matmul(gates, kernels[layer])
            if "dropout" in a:
                dx = dx * a["dropout"][layer][t]
        weights = trace["attention"][t]
        d_weights = ops.squeeze(ops.matmul(a["features"][:, t], ops.expand_dims(dx, -1)), axis=-1)
        d_weights = d_weights + d_attention[:, t]
        if real is not None:
            d_weights = _keep(real[:, t], d_weights)
        scores = weights * (d_weights - ops.sum(weights * d_weights, axis=-1, keepdims=True))
        if own is not None:
            scores = _keep(own[:, t], scores)
        if "attention_kernel" in a:
            query = scores
        else:
            query = ops.sum(_hidden_gradient(a, scores, trace["query"][t], t), axis=1)
        current["h"][-1] = current["h"][-1] + ops.matmul(query, attend_kernel)
        return {**current, "context": dx, "weights": d_weights, "scores": scores, "query": query}

    start = {
        "h": d_states[::2],
        "c": d_states[1::2],
        "gates": [ops.concatenate([ops.zeros_like(h)] * 4, axis=-1) for h in d_states[::2]],
        "context": ops.zeros_like(trace["context"][0]),
        "weights": ops.zeros_like(trace["attention"][0]),
        "scores": ops.zeros_like(trace["attention"][0]),
        "query": ops.zeros_like(trace["query" if "query" in trace else "attention"][0]),
    }
    first, steps = iterate_steps(step, start, ops.shape(a["features"])[1], reverse=True)
    return _assemble_gradients(a, trace, before, first, steps)


def _assemble_gradients(a, trace, before, first, steps):
    depth = len(a["biases"])
    gradients = {
        name: tree.map_structure(ops.zeros_like, a[name])
        for name in ("mask", "own", "dropout")
        if name in a
    }
    gradients["states"] = [first[name][layer] for layer in range(depth) for name in "hc"]
    inputs = [trace["context"], *trace["h"][:-1]]
    if "dropout" in a:
        inputs[1:] = [x * kept for x, kept in zip(inputs[1:], a["dropout"][1:], strict=True)]
    gates = steps["gates"]
    gradients["kernels"] = [_large_product(*pair) for pair in zip(inputs, gates, strict=True)]
    gradients["recurrent_kernels"] = [
        _large_product(*pair) for pair in zip(before["h"], gates, strict=True)
    ]
    gradients["biases"] = [ops.sum(gate, axis=(0, 1)) for gate in gates]
    weights, scores = _batch_major(trace["attention"]), _batch_major(steps["scores"])
    query_gradient = _large_product(before["h"][-1], steps["query"])
    if "attention_kernel" in a:
        gradients["attention_kernel"] = query_gradient
    else:
        gradients["query_kernel"] = query_gradient
        query = ops.expand_dims(_batch_major(trace["query"]), 2)
        hidden = tanh(a["values"] + query)
        scored = ops.expand_dims(scores, -1)
        gradients["score_kernel"] = ops.reshape(
            _large_product(hidden, scored), a["score_kernel"].shape
        )
        gradients["values"] = (
            scored * ops.reshape(a["score_kernel"], (-1,)) * (1 - ops.square(hidden))
        )
    if "own" in a:
        d_weights = _batch_major(steps["weights"])
        gradients["given"] = _keep(ops.logical_not(_as_condition(a["own"])), d_weights)
    if getattr(a["features"], "requires_grad", True):
        context = ops.expand_dims(_batch_major(steps["context"]), 2)
        gradients["features"] = ops.expand_dims(weights, -1) * context
    else:  # PyTorch says when it will not be asked for; the others leave it out of the graph.
        gradients["features"] = None
    return gradients


def tanh(values):
    """`ops.tanh` in the dtype of `values`; on JAX Keras would turn float64 into float32."""
    return ops.cast(ops.tanh(values), values.dtype)


def _hidden_gradient(a, scores, query, t):
    hidden = tanh(a["values"][:, t] + ops.expand_dims(query, 1))
    slope = ops.reshape(a["score_kernel"], (-1,)) * (1 - ops.square(hidden))
    return ops.expand_dims(scores, -1) * slope  # (batch, regions, attention_units)


def _pack(hidden_states, attention_weights, last):
    """One tensor `(batch, any)` of all results: Keras's custom gradients for PyTorch return one."""
    states = [last[name][layer] for layer in range(len(last["h"])) for name in "hc"]
    batch = ops.shape(states[0])[0]
    sequences = [
        ops.reshape(_batch_major(s), (batch, -1)) for s in (hidden_states, attention_weights)
    ]
    return ops.concatenate(sequences + states, axis=1)


def _unpack(packed, a):
    batch, frames, regions, _ = ops.shape(a["features"])
    units = a["states"][0].shape[-1]
    sizes = [frames * units, frames * regions] + [units] * len(a["states"])
    parts, end = [], 0
    for size in sizes:
        start, end = end, end + size
        parts.append(packed[:, start:end])
    hidden_states = ops.reshape(parts[0], (batch, frames, units))
    attention_weights = ops.reshape(parts[1], (batch, frames, regions))
    return hidden_states, attention_weights, parts[2:]


def _batch_major(sequence):
    return ops.transpose(sequence, (1, 0, *range(2, len(sequence.shape))))


def _large_product(inputs, gradients):
    """The sum over all rows of `outer(input, gradient)`, as one product of two matrices."""
    inputs = ops.reshape(inputs, (-1, inputs.shape[-1]))
    gradients = ops.reshape(gradients, (-1, gradients.shape[-1]))
    return ops.matmul(ops.transpose(inputs), gradients)


def _score(hidden, kernel):
    batch, regions, _ = ops.shape(hidden)
    scores = ops.matmul(ops.reshape(hidden, (-1, hidden.shape[-1])), kernel)
    return ops.reshape(scores, (batch, regions))


def _as_condition(flags):
    """0/1 flags as bool with a last axis of 1, or None."""
    if flags is None:
        return None
    return ops.reshape(flags > 0, (*ops.shape(flags)[:2], 1))


def _keep(condition, values):
    return ops.where(condition, values, ops.zeros_like(values))
