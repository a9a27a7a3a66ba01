"""All metrics of a set of captions, and which of them this machine cannot give.

Chen et al., "Microsoft COCO Captions: Data Collection and Evaluation Server",
https://arxiv.org/abs/1504.00325, section 3; its code is coco-caption.
"""

from absl import logging

from glimpse.pipelines.bleu_score import bleu
from glimpse.pipelines.caption_tokens import tokenize_caption
from glimpse.pipelines.java_metrics import (
    cut_as_stanford,
    meteor,
    missing_for_java,
    missing_for_package,
)

TOKENIZERS = {
    "stanford": "Stanford's PTBTokenizer 3.4.1 with coco-caption's punctuation",
    "treebank": "glimpse's tokenize_caption",
}


def measure_captions(references, hypotheses, tokenizer=None):
    """Measures one caption of each clip against the clip's references, as coco-caption does.

    BLEU is `bleu`'s. METEOR 1.5 needs Java; ROUGE-L (beta 1.2; for each clip the largest precision
    and the largest recall over its references; mean over clips) and CIDEr (the form called CIDEr-D,
    times 10; document frequencies over these clips, so that one clip alone has 0) need
    `pycocoevalcap`, whose numbers they are. What is missing is left out and named: nothing else is
    given under these names.

    Args:
        references: For each clip its captions as written, strings, or lists of words. Captions
            without a word are left out and counted.
        hypotheses: For each clip the caption to judge, a string or a list of words; it may be
            empty.
        tokenizer: One of `TOKENIZERS`, which cuts both; None takes "stanford", coco-caption's,
            where Java is, and else "treebank". Numbers of different tokenizers are not comparable.

    Returns:
        A dict: `bleu1` to `bleu4`, `meteor` and `rouge_l`, fractions; `cider`; None for what was
        left out; `metrics_left_out`, {name: what to do to have it}; `tokenizer`; and
        `empty_references`, how many were left out.

    Raises:
        ValueError: If there is no clip, the lengths differ, a clip has no reference with a word,
            or `tokenizer` is unknown or cannot run here.
    """
    references, hypotheses = [list(captions) for captions in references], list(hypotheses)
    if not hypotheses or len(references) != len(hypotheses):
        raise ValueError(
            "references and hypotheses must hold one entry for each clip, at least one, got "
            f"{len(references)} and {len(hypotheses)}."
        )
    texts = [_text(caption) for captions in references for caption in captions]
    texts += [_text(hypothesis) for hypothesis in hypotheses]
    words, tokenizer = _cut(texts, tokenizer)
    each = iter(words)
    cut = [[next(each) for _ in captions] for captions in references]
    hypotheses = list(each)
    references = [[caption for caption in captions if caption] for captions in cut]
    for number, captions in enumerate(references):
        if not captions:
            raise ValueError(
                f"references[{number}] has no caption with a word: leave the clip out."
            )
    scores = bleu(references, hypotheses)
    found = {f"bleu{order}": score for order, score in enumerate(scores, start=1)}
    others, left_out = _others(references, hypotheses)
    return {
        **found,
        **others,
        "metrics_left_out": left_out,
        "tokenizer": tokenizer,
        "empty_references": sum(map(len, cut)) - sum(map(len, references)),
    }


def describe_left_out(measures):
    """Returns one line on the metrics that `measure_captions` left out, or None if it gave all."""
    reasons = {}
    for name, what_to_do in measures["metrics_left_out"].items():
        reasons.setdefault(what_to_do, []).append(name)
    if not reasons:
        return None
    parts = [f"{', '.join(names)} ({what_to_do})" for what_to_do, names in reasons.items()]
    return f"left out: {'; '.join(parts)}."


def _cut(texts, tokenizer):
    """The words of the texts, and the name of the tokenizer that cut them."""
    missing = missing_for_java()
    if tokenizer not in (None, *TOKENIZERS):
        raise ValueError(
            f"tokenizer must be one of {', '.join(TOKENIZERS)} or None, got {tokenizer!r}."
        )
    if tokenizer == "stanford" and missing:
        raise ValueError(f"tokenizer='stanford' cannot run here: {missing}.")
    if tokenizer != "treebank" and not missing:
        try:
            return cut_as_stanford(texts), "stanford"
        except ValueError as error:
            if tokenizer:
                raise
            # A broken Java must not cost the captions of a long evaluation.
            logging.warning("captions are cut by glimpse's own tokenizer: %s", error)
    return [tokenize_caption(text) for text in texts], "treebank"


def _others(references, hypotheses):
    found, left_out = dict.fromkeys(("meteor", "rouge_l", "cider")), {}
    missing = missing_for_java()
    if missing:
        left_out["meteor"] = missing
    else:
        try:
            found["meteor"], _ = meteor(references, hypotheses)
        except ValueError as error:
            left_out["meteor"] = f"failed: {error}"
    if missing := missing_for_package():
        left_out |= {"rouge_l": missing, "cider": missing}
        return found, left_out
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    known = {i: [" ".join(words) for words in captions] for i, captions in enumerate(references)}
    said = {number: [" ".join(words)] for number, words in enumerate(hypotheses)}
    for name, scorer in (("rouge_l", Rouge()), ("cider", Cider())):
        found[name] = float(scorer.compute_score(known, said)[0])
    return found, left_out


def _text(caption):
    return caption if isinstance(caption, str) else " ".join(caption)
