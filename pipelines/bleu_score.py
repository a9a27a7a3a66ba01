"""BLEU of captions as coco-caption defines it.

Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation", ACL 2002,
https://aclanthology.org/P02-1040; Chen et al., "Microsoft COCO Captions",
https://arxiv.org/abs/1504.00325, section 3.3.
"""

import collections
import math

ORDERS = (1, 2, 3, 4)
# coco-caption's, which keep a precision without matches or words from being 0 or 0 / 0.
_TINY, _SMALL = 1e-15, 1e-9


def bleu(references, hypotheses):
    """BLEU-1 to BLEU-4 of a set of captions, each clip with one caption to judge.

    With correct[n] the n-grams of all hypotheses that occur in a reference of their clip, each
    counted at most as often as in the reference that has most of it, and guessed[n] all n-grams:

        p[n]    = (correct[n] + 1e-15) / (guessed[n] + 1e-9)
        ratio   = (words of the hypotheses + 1e-15) / (r + 1e-9)
        penalty = 1 if ratio >= 1 else exp(1 - 1 / ratio)
        BLEU-n  = penalty * (p[1] * ... * p[n])^(1 / n)

    where r sums, over clips, the length of the reference closest in length to the hypothesis, the
    shorter one of two equally close. The counts are summed over clips before the division: this is
    no mean over sentences. A set without a match of some order is not 0 but tiny.

    Differs from the paper: the two small numbers. `nltk`'s `corpus_bleu` is the same where every
    hypothesis has at least four words and every order a match; a shorter hypothesis counts there
    as one guessed n-gram, here as none.

    Args:
        references: For each clip its captions, at least one; a caption is a list of words, or a
            string of words with blanks between. Strings are not tokenised further: pass them
            through `tokenize_caption`.
        hypotheses: For each clip the caption to judge, in the same order; it may be empty.

    Returns:
        (BLEU-1, BLEU-2, BLEU-3, BLEU-4), fractions.

    Raises:
        ValueError: If there is no clip, the lengths differ, or a clip has no reference.
    """
    if isinstance(references, str) or isinstance(hypotheses, str):
        raise ValueError("references and hypotheses must be lists over clips, got a string.")
    references, hypotheses = list(references), list(hypotheses)
    if not hypotheses or len(references) != len(hypotheses):
        raise ValueError(
            "references and hypotheses must hold one entry for each clip, at least one, got "
            f"{len(references)} and {len(hypotheses)}."
        )
    correct, guessed = collections.Counter(), collections.Counter()
    hypothesis_length = reference_length = 0
    for number, (captions, hypothesis) in enumerate(zip(references, hypotheses, strict=True)):
        if isinstance(captions, str) or not len(captions):
            raise ValueError(
                f"references[{number}] must be a list of at least one caption, got {captions!r}."
            )
        captions = [_words(f"references[{number}]", caption) for caption in captions]
        words = _words(f"hypotheses[{number}]", hypothesis)
        hypothesis_length += len(words)
        reference_length += min((abs(len(c) - len(words)), len(c)) for c in captions)[1]
        for order in ORDERS:
            counts = _ngrams(words, order)
            most = collections.Counter()
            for caption in captions:
                most |= _ngrams(caption, order)
            guessed[order] += counts.total()
            correct[order] += (counts & most).total()
    ratio = (hypothesis_length + _TINY) / (reference_length + _SMALL)
    penalty = 1.0 if ratio >= 1 else math.exp(1 - 1 / ratio)
    scores, product = [], 1.0
    for order in ORDERS:
        product *= (correct[order] + _TINY) / (guessed[order] + _SMALL)
        scores.append(penalty * product ** (1 / order))
    return tuple(scores)


def _words(name, caption):
    words = caption.split() if isinstance(caption, str) else list(caption)
    odd = next((word for word in words if not isinstance(word, str)), None)
    if odd is not None:
        raise ValueError(
            f"{name} must hold captions of words, got {odd!r}: decode token ids to words first."
        )
    return words


def _ngrams(words, order):
    return collections.Counter(zip(*(words[start:] for start in range(order)), strict=False))
