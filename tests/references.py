"""The papers' equations in NumPy, float64, with loops and the papers' letters. No Keras here."""

import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def location_softmax(W, h):
    """Sharma et al. 2015, Eq. 4, for one clip: h (d,), W (d, K^2), column i is W_i."""
    K2 = W.shape[1]
    e = np.array([np.exp(W[:, i] @ h) for i in range(K2)])
    return e / e.sum()


def content_softmax(V, U, b, w, X_t, h):
    """The released code's form: a tanh layer on each slice of the cube and the state."""
    e = np.array([np.exp(np.tanh(x @ V + h @ U + b) @ w[:, 0]) for x in X_t])
    return e / e.sum()


def expected_slice(l_t, X_t):
    """Eq. 5: the slices X_t (K^2, D) weighted by l_t (K^2,)."""
    return sum(l_t[i] * X_t[i] for i in range(len(l_t)))


def lstm_step(M_x, M_h, M_b, x, h, c):
    """Eq. 1-3, the affine map M as its part for x, its part for h, and its constant."""
    d = len(h)
    z = x @ M_x + h @ M_h + M_b
    i, f, g, o = (
        sigmoid(z[:d]),
        sigmoid(z[d : 2 * d]),
        np.tanh(z[2 * d : 3 * d]),
        sigmoid(z[3 * d :]),
    )
    c = f * c + i * g
    return o * np.tanh(c), c


def initial_state(hidden_layer, output_layer, X, real=None):
    """Eq. 6 for one clip X (T, K^2, D): a perceptron on the mean over real frames and slices.

    Each layer is a pair of kernel and bias; `hidden_layer` may be None.
    """
    frames = [t for t in range(len(X)) if real is None or real[t]]
    mean = np.zeros(X.shape[-1])
    for t in frames:
        for x in X[t]:
            mean = mean + x / (len(frames) * len(X[t]))
    for layer in (hidden_layer, output_layer):
        if layer is not None:
            mean = np.tanh(mean @ layer[0] + layer[1])
    return mean


def soft_attention_lstm(attend, layers, X, states, real=None, given=None):
    """Eq. 1-5 over a batch of clips.

    Args:
        attend: Takes X_t (K^2, D) and the top h, returns l_t.
        layers: A triple (M_x, M_h, M_b) for each layer, bottom first.
        X: (batch, T, K^2, D).
        states: [h_1, c_1, ...], each (batch, d).
        real: (batch, T), False where a frame is padding, or None.
        given: (batch, T, K^2), the map to use unless its row is NaN, or None.

    Returns:
        hidden_states (batch, T, d), attention (batch, T, K^2), the list of last states.
    """
    batch, T, K2, _ = X.shape
    hidden_states = np.zeros((batch, T, states[0].shape[1]))
    attention = np.zeros((batch, T, K2))
    last = [np.array(state, "float64") for state in states]
    for n in range(batch):
        state = [s[n] for s in last]
        for t in range(T):
            if real is None or real[n, t]:
                l_t = attend(X[n, t], state[-2])
                if given is not None and not np.isnan(given[n, t]).any():
                    l_t = given[n, t]
                attention[n, t] = l_t
                x = expected_slice(l_t, X[n, t])
                for k, (M_x, M_h, M_b) in enumerate(layers):
                    h, c = lstm_step(M_x, M_h, M_b, x, state[2 * k], state[2 * k + 1])
                    state[2 * k], state[2 * k + 1], x = h, c, h
            hidden_states[n, t] = state[-2]
        for k, s in enumerate(state):
            last[k][n] = s
    return hidden_states, attention, last


def attention_penalty(l, coefficient):
    """Eq. 7's second term: l (batch, T, K^2), the mean over clips."""
    total = 0.0
    for clip in l:
        for i in range(clip.shape[1]):
            total += coefficient * (1 - sum(clip[t, i] for t in range(len(clip)))) ** 2
    return total / len(l)
