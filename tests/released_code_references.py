"""The released code of Sharma et al. 2015 in NumPy, float64, with its letters. No Keras here.

What kracwarlock/action-recognition-visual-attention, src/actrec.py, computes, written anew: its
build_model, the cost that its train minimises, and its adam.
"""

import numpy as np

from tests.references import sigmoid


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def attention(P, x, h):
    """lstm_cond_layer's alpha for one clip and step: x (49, D), h (d,)."""
    pstate = h @ P["Wd_att"]
    alpha = []
    for annotation in x:
        pctx = annotation @ P["Wc_att"] + P["b_att"]
        deeper = P["W_att"]
        for lidx in range(1, len(deeper) + 1):
            pctx = pctx @ deeper[lidx - 1] + P["b_att_deeper"][lidx - 1]
            if lidx < len(deeper):
                pctx = np.tanh(pctx)
        alpha.append(np.tanh(pctx + pstate) @ P["U_att"][:, 0])
    return softmax(np.array(alpha))


def run_clip(P, x):
    """probs (T, classes) and alphas (T, 49) of one clip x (T, 49, D), without dropout."""
    mean = x.mean(0).mean(0)
    h = np.tanh(mean @ P["ff_state_W"] + P["ff_state_b"])
    c = np.tanh(mean @ P["ff_memory_W"] + P["ff_memory_b"])
    dim = len(h)
    probs, alphas = [], []
    for x_t in x:
        alpha = attention(P, x_t, h)
        ctx = (x_t * alpha[:, None]).sum(0)
        preact = h @ P["U"] + ctx @ P["W"] + P["b"]
        i, f, o, a = (preact[n * dim : (n + 1) * dim] for n in range(4))
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(a)
        h = sigmoid(o) * np.tanh(c)
        hidden = np.tanh(h @ P["ff_logit_lstm_W"] + P["ff_logit_lstm_b"])
        probs.append(hidden @ P["ff_logit_W"] + P["ff_logit_b"])
        alphas.append(alpha)
    return np.array(probs), np.array(alphas)


def scores(logits, last_n):
    """preds before the argmax, for one clip's logits (T, classes): the sum over the last steps."""
    total = 0.0
    for t in range(max(0, len(logits) - last_n), len(logits)):
        total = total + softmax(logits[t])
    return total


def cost(P, x, y, decay_c, alpha_c, binary=False):
    """The cost of a batch x (n, T, 49, D) with labels y (n,), or (n, classes) where `binary`."""
    total, alpha_reg = 0.0, 0.0
    regions = x.shape[2]
    for clip, label in zip(x, y, strict=True):
        logits, alphas = run_clip(P, clip)
        for z in logits:
            if binary:
                p = sigmoid(z)
                total += sum(-label * np.log(p) - (1 - label) * np.log(1 - p))
            else:
                total -= np.log(softmax(z)[label])
        # ((1 - alphas.sum(0)) ** 2).sum(0).mean(): summed over clips, the mean over regions.
        for i in range(regions):
            alpha_reg += (1 - alphas[:, i].sum()) ** 2 / regions
    decay = sum((np.asarray(weight) ** 2).sum() for weight in leaves(P))
    return total + alpha_c * alpha_reg + decay_c * decay


def leaves(P):
    for value in P.values():
        yield from value if isinstance(value, list) else [value]


class Adam:
    """adam's updates of a list of weights, with its magic numbers."""

    def __init__(self, p, lr0=0.0002, b1=0.1, b2=0.001, e=1e-8):
        self.p = [np.array(each, "float64") for each in p]
        self.m = [np.zeros_like(each) for each in self.p]
        self.v = [np.zeros_like(each) for each in self.p]
        self.i = 0
        self.numbers = lr0, b1, b2, e

    def update(self, gradients):
        lr0, b1, b2, e = self.numbers
        self.i += 1
        fix1 = 1 - b1**self.i
        fix2 = 1 - b2**self.i
        lr_t = lr0 * (np.sqrt(fix2) / fix1)
        for n, g in enumerate(gradients):
            self.m[n] = b1 * g + (1 - b1) * self.m[n]
            self.v[n] = b2 * g**2 + (1 - b2) * self.v[n]
            self.p[n] = self.p[n] - lr_t * (self.m[n] / (np.sqrt(self.v[n]) + e))
