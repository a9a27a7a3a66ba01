"""Torabi and Sigal 2017 in NumPy, float64, with loops and the paper's letters. No Keras here."""

import numpy as np

from tests.references import sigmoid


def attend(V, U, b, z, h, A, real=None):
    """Eq. 3-5 for one clip: h (d,), A (T, d_a); the weights w (T,) and the context k (d_a,).

    Frames where `real` is False are left out; without a frame w and k are 0.
    """
    T = len(A)
    frames = [i for i in range(T) if real is None or real[i]]
    m = {i: np.tanh(A[i] @ V + h @ U + b) @ z[:, 0] for i in frames}
    w, k = np.zeros(T), np.zeros(A.shape[1])
    for i in frames:
        w[i] = np.exp(m[i]) / sum(np.exp(m[j]) for j in frames)
        k = k + w[i] * A[i]
    return w, k


def lstm_step(W, K, U, b, v, k, h, c, peepholes=None):
    """Eq. 7-12, the context k joined through K; `peepholes` (p_i, p_f, p_o) as Graves has them."""
    p_i, p_f, p_o = (0, 0, 0) if peepholes is None else peepholes
    i, f, g, o = np.split(v @ W + k @ K + h @ U + b, 4)
    i, f = sigmoid(i + p_i * c), sigmoid(f + p_f * c)
    c = f * c + i * np.tanh(g)
    return sigmoid(o + p_o * c) * np.tanh(c), c


def attention_lstm(attention, lstm, v, A, h, c, steps=None, frames=None, given=None, last=False):
    """The whole model's recurrence over a batch of clips.

    Args:
        attention: V, U, b, z of Eq. 3.
        lstm: W, K, U, b of Eq. 7-10 and the peepholes or None.
        v: (batch, N, d_v). A: (batch, T, d_a). h, c: (batch, d).
        steps, frames: (batch, N) and (batch, T), False where there is padding, or None.
        given: (batch, N, T), the weights to use unless a row is NaN, or None.
        last: Whether only the last real step attends, Fig. 4 (b).

    Returns:
        hidden states (batch, N, d), weights (batch, N, T), the last h and c.
    """
    (batch, N, _), T = v.shape, A.shape[1]
    W, K, U, b, peepholes = lstm
    hidden_states, weights = np.zeros((batch, N, h.shape[1])), np.zeros((batch, N, T))
    h, c = np.array(h, "float64"), np.array(c, "float64")
    for n in range(batch):
        real_steps = [t for t in range(N) if steps is None or steps[n, t]]
        real = None if frames is None else frames[n]
        for t in range(N):
            if t in real_steps:
                w, k = attend(*attention, h[n], A[n], real)
                if given is not None and not np.isnan(given[n, t]).any():
                    w = np.array([given[n, t, i] * (real is None or real[i]) for i in range(T)])
                    k = sum((w[i] * A[n, i] for i in range(T) if w[i]), np.zeros(A.shape[2]))
                if last and t != real_steps[-1]:
                    w, k = np.zeros(T), np.zeros(A.shape[2])
                weights[n, t] = w
                h[n], c[n] = lstm_step(W, K, U, b, v[n, t], k, h[n], c[n], peepholes)
            hidden_states[n, t] = h[n]
    return hidden_states, weights, h, c
