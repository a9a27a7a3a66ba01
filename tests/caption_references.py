"""Sharma's thesis 2016, chapter 3, in NumPy, float64, with loops and its letters. No Keras here."""

import numpy as np

from tests.references import content_softmax, initial_state, location_softmax, lstm_step, sigmoid


def gate(F, f, G, g, h):
    """Eq. 3.5: f_beta is a perceptron of one tanh layer."""
    return float(sigmoid(np.tanh(h @ F + f) @ G[:, 0] + g[0]))


def deep_output(W_p, W_h, W_x, Ey, h, x, biases=None):
    """Eq. 3.4 before the softmax; with `biases` (inner, outer) also the released code's tanh."""
    if biases is None:
        return (Ey + h @ W_h + x @ W_x) @ W_p
    return np.tanh(Ey + h @ W_h + x @ W_x + biases[0]) @ W_p + biases[1]


def caption(w, X, y, context="attention", real_words=None, real_regions=None, given=None):
    """Eq. 3.1-3.5 for one clip.

    Args:
        w: The weights by letter: E, M_y, M_x, M_h, M_b, F, f, G, g, W_p, W_h, W_x, `biases` or
            None, `start_h` and `start_c` (pairs of hidden and output layer), and W of Eq. 3.2 or
            `content`, the V, U, b, w of the released code's form.
        X: (NK^2, D). y: the words' numbers, (C,).
        context: "attention", "average" or "first_step".
        real_words, real_regions: False where there is padding, or None.
        given: (C, NK^2), the weights l to use unless a row is NaN, or None.

    Returns:
        logits (C, V), l (C, NK^2), beta (C,), and the last h and c.
    """
    NK2, C = len(X), len(y)
    real = [i for i in range(NK2) if real_regions is None or real_regions[i]]
    h, c = (initial_state(*w[name], X[real][None]) for name in ("start_h", "start_c"))
    logits, maps, betas = np.zeros((C, w["W_p"].shape[1])), np.zeros((C, NK2)), np.zeros(C)
    first = True
    for t in range(C):
        if real_words is not None and not real_words[t]:
            continue
        l_t = np.zeros(NK2)
        if context == "average":
            l_t[real] = 1 / len(real)
        elif "content" in w:
            l_t[real] = content_softmax(*w["content"], X[real], h)
        else:
            l_t[real] = location_softmax(w["W"][:, real], h)
        if given is not None and not np.isnan(given[t]).any():
            l_t[real] = given[t][real]
        if context == "first_step" and not first:
            l_t[:] = 0
        betas[t] = gate(w["F"], w["f"], w["G"], w["g"], h)
        x = betas[t] * sum(l_t[i] * X[i] for i in real)
        Ey = w["E"][y[t]]
        M_in = np.concatenate([w["M_y"], w["M_x"]])
        h, c = lstm_step(M_in, w["M_h"], w["M_b"], np.concatenate([Ey, x]), h, c)
        logits[t] = deep_output(w["W_p"], w["W_h"], w["W_x"], Ey, h, x, w["biases"])
        maps[t] = l_t
        first = False
    return logits, maps, betas, h, c
