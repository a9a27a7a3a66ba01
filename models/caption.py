"""A caption as a captioner answers with it: its words, and where it looked for each."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Caption:
    """One sentence for one clip.

    Args:
        text: The words, a space between them.
        score: Sum of the log-probabilities of the words and of the end, divided by the length
            penalty; above -inf.
        words: The words, without the end token.
        token_ids: Their ids.
        attention_weights: `(words, frames, height, width)`, the map that each word was said from.
        gate: `(words,)`, beta of Eq. 3.5: how much of what it saw the model used.
        ended: Whether the end was said; else the caption was cut at the most words allowed.
    """

    text: str
    score: float
    words: tuple
    token_ids: tuple
    attention_weights: np.ndarray
    gate: np.ndarray
    ended: bool


def read_captions(found, vocabulary):
    """Returns the captions that `beam_search` found as a list, best first, for each clip.

    A slot of the search that no caption took, with the score -inf, gives none.

    Args:
        found: The search's dict, as NumPy arrays.
        vocabulary: The `CaptionVocabulary`.

    Raises:
        ValueError: If a score is NaN: what the model looks at, or its weights, are not finite.
    """
    captions = []
    for clip, scores in enumerate(found["scores"]):
        if np.isnan(scores).any():
            raise ValueError(
                f"the model gives no caption of clip {clip} of the batch a score: what it looks at "
                "is NaN or infinite, or its weights are; then train it anew."
            )
        captions.append([])
        for beam, score in enumerate(scores):
            if np.isneginf(score):
                continue
            ids = [int(token_id) for token_id in found["token_ids"][clip, beam]]
            words = tuple(vocabulary.decode(ids))
            captions[-1].append(
                Caption(
                    text=" ".join(words),
                    score=float(score),
                    words=words,
                    token_ids=tuple(ids[: len(words)]),
                    attention_weights=found["attention_weights"][clip, beam, : len(words)],
                    gate=found["gate"][clip, beam, : len(words)],
                    ended=vocabulary.end_token_id in ids,
                )
            )
    return captions
