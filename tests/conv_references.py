"""The equations of Yan et al., "CHAM", 2017, in NumPy, float64, with loops. No Keras here."""

import numpy as np

from tests.references import sigmoid


def convolve(X, W):
    """X (K, L, C) convolved with W (k, k, C, D); zeros around, so that the map keeps its size.

    As convolutions in networks, W is not turned. At even k there is more room after than before.
    """
    K, L, _ = X.shape
    k = W.shape[0]
    before = (k - 1) // 2
    Y = np.zeros((K, L, W.shape[-1]))
    for i in range(K):
        for j in range(L):
            for p in range(k):
                for q in range(k):
                    row, column = i + p - before, j + q - before
                    if 0 <= row < K and 0 <= column < L:
                        Y[i, j] += X[row, column] @ W[p, q]
    return Y


def attention_map(W_xa, W_ha, b_a, W_z, F_t, h):
    """Eq. 8, with F_t for x_t under the tanh, and the softmax over all places."""
    scores = convolve(np.tanh(convolve(h, W_ha) + convolve(F_t, W_xa) + b_a), W_z)
    e = np.exp(scores[:, :, 0])
    return e / e.sum()


def weighed_map(l_t, F_t):
    """Eq. 7."""
    x_t = np.zeros(F_t.shape)
    for i in range(len(l_t)):
        for j in range(len(l_t[i])):
            x_t[i, j] = l_t[i, j] * F_t[i, j]
    return x_t


def conv_lstm_step(W_x, W_h, b, x_t, h, c, candidate=np.tanh):
    """Eq. 1-6, the four gates' kernels side by side in the order i, f, g, o."""
    d = h.shape[-1]
    z = convolve(x_t, W_x) + convolve(h, W_h) + b
    i_t = sigmoid(z[..., :d])
    f_t = sigmoid(z[..., d : 2 * d])
    g_t = candidate(z[..., 2 * d : 3 * d])
    o_t = sigmoid(z[..., 3 * d :])
    c_t = f_t * c + i_t * g_t
    return o_t * np.tanh(c_t), c_t


def conv_lstm(lstm, X, attention=None, start=None, real=None, given=None, candidate=np.tanh):
    """Eq. 1-8 over a batch of clips; without `attention`, Eq. 1-6 on the maps themselves.

    Args:
        lstm: The triple W_x, W_h, b.
        X: (batch, T, K, L, D).
        attention: The tuple W_xa, W_ha, b_a, W_z, or None.
        start: The first h and c, each (batch, K, L, d), or None for zeros.
        real: (batch, T), False where a frame is padding, or None.
        given: (batch, T, K, L), the map to use unless it is NaN, or None.

    Returns:
        hidden_states (batch, T, K, L, d), attention (batch, T, K, L), the last h and c.
    """
    batch, T, K, L, _ = X.shape
    d = lstm[1].shape[2]
    hidden_states, maps = np.zeros((batch, T, K, L, d)), np.zeros((batch, T, K, L))
    last = np.zeros((2, batch, K, L, d)) if start is None else np.array(start, "float64")
    for n in range(batch):
        h, c = last[:, n]
        for t in range(T):
            if real is None or real[n, t]:
                x_t = X[n, t]
                if attention is not None:
                    l_t = attention_map(*attention, X[n, t], h)
                    if given is not None and not np.isnan(given[n, t]).any():
                        l_t = given[n, t]
                    maps[n, t] = l_t
                    x_t = weighed_map(l_t, X[n, t])
                h, c = conv_lstm_step(*lstm, x_t, h, c, candidate)
            hidden_states[n, t] = h
        last[:, n] = h, c
    return hidden_states, maps, last


def pool(M, pooling):
    """The values that a pooling keeps of a map M (K, L, d), as one vector."""
    K, L, _ = M.shape
    if pooling == "average":
        return M.mean((0, 1))
    if pooling == "flatten":
        return np.concatenate([M[i, j] for i in range(K) for j in range(L)])
    blocks = [(i, j) for i in range(0, K, 2) for j in range(0, L, 2)]
    return np.concatenate([M[i : i + 2, j : j + 2].mean((0, 1)) for i, j in blocks])


def map_logits(hidden_layers, classes, M, pooling, order, activation=np.tanh):
    """Section 2.2: from a map M to logits by dense layers (W, b), a pooling and the classes'."""

    def dense(X):
        for W, b in hidden_layers:
            X = activation(X @ W + b)
        return X

    features = pool(dense(M), pooling) if order == "dense_first" else dense(pool(M, pooling))
    return features @ classes[0] + classes[1]


def slow_maps(lstm, fast, real, skip):
    """The second layer on the maps `fast` (T, K, L, d) of a clip: its map h2 at each frame.

    It makes a step at the real frames number 0, skip, 2 skip, ... and keeps its state at all
    others. Returns the maps (T, K, L, d) and the frames at which it made a step.
    """
    h = c = np.zeros((*fast.shape[1:3], lstm[1].shape[2]))
    held, read, number = [], [], 0
    for t in range(len(fast)):
        if real[t]:
            if number % skip == 0:
                h, c = conv_lstm_step(*lstm, fast[t], h, c)
                read.append(t)
            number += 1
        held.append(h)
    return np.array(held), read


def joined_maps(fast, slow, read, skip, join):
    """The maps of both layers of a clip as steps; along time, zeros where none is left to read."""
    if join == "time":
        missing = -(-len(fast) // skip) - len(read)
        return np.array([*fast, *slow[read], *[np.zeros(fast[0].shape)] * missing])
    return np.concatenate([fast, slow], -1)
