"""Which kinds of words of a caption of `tiny_actions` are right, and where its colour word looks.

Each kind needs something else of the clip: the actor's colour needs the actor among the others, the
action its movement, the neighbour's colour and kind what stands beside it.
"""

import math

from glimpse.pipelines.caption_tokens import tokenize_caption
from glimpse.pipelines.gaze_measures import word_masses
from glimpse.pipelines.tiny_actions_captions import VERBS
from glimpse.pipelines.tiny_actions_scene import COLOURS, OBJECT_KINDS

KINDS = ("colour", "action", "neighbour_colour", "neighbour_kind")
_PHRASES = {action: verb.split() for action, verb in VERBS.items()}
_BESIDE = (["next", "to", "a"], ["beside", "a"])


def read_words(words):
    """Reads what a caption says, in whatever order it says it.

    The actor's colour is the one before "figure", the neighbour's the one after "next to a" or
    "beside a"; the neighbour's kind is a box or a ball wherever it stands, the action one of the
    grammar's verbs with all of its words.

    Args:
        words: The caption's words, as `tokenize_caption` cuts them.

    Returns:
        A dict of `KINDS`; None where the caption says nothing of the kind, or two things.
    """
    words = list(words)
    colours, neighbours, actions = set(), set(), set()
    for place, word in enumerate(words):
        if word in COLOURS and words[place + 1 : place + 2] == ["figure"]:
            colours.add(word)
        elif word in COLOURS and any(words[:place][-len(each) :] == each for each in _BESIDE):
            neighbours.add(word)
        for action, phrase in _PHRASES.items():
            if words[place : place + len(phrase)] == phrase:
                actions.add(action)
    found = (colours, actions, neighbours, {word for word in words if word in OBJECT_KINDS})
    return {kind: _only(each) for kind, each in zip(KINDS, found, strict=True)}


def score_words(words, references):
    """Says which kinds of words of one caption are right.

    Args:
        words: The words of the caption to judge.
        references: The clip's captions as written, by the grammar of `tiny_actions`.

    Returns:
        A dict: for each of `KINDS` whether it is right, None for the neighbour's where there is
        none; `neighbour`, whether the caption names a neighbour where there is one and none where
        there is none; and `sentence`, whether the caption is one of the references, word for word.

    Raises:
        ValueError: If there are no references, or they are not the grammar's.
    """
    references = [tokenize_caption(reference) for reference in references]
    truths = [read_words(reference) for reference in references]
    truth = truths[0] if truths else {"colour": None}
    if truth["colour"] is None or truth["action"] is None or truths != [truth] * len(truths):
        shown = [" ".join(reference) for reference in references]
        raise ValueError(f"references must be captions of one clip of tiny_actions, got {shown}.")
    said, has_neighbour = read_words(words), truth["neighbour_kind"] is not None
    right = {kind: said[kind] == truth[kind] for kind in KINDS}
    if not has_neighbour:
        right |= {"neighbour_colour": None, "neighbour_kind": None}
    names_one = any(word in OBJECT_KINDS for word in words)
    return {**right, "neighbour": names_one == has_neighbour, "sentence": list(words) in references}


def summarise_words(scores):
    """Means over clips of what `score_words` found.

    Args:
        scores: Dicts of `score_words`, at least one.

    Returns:
        {kind: {"accuracy": fraction, "clips": number of clips it was judged on}}, the accuracy None
        where no clip has it.
    """
    scores = list(scores)
    if not scores:
        raise ValueError("scores must hold at least one clip, got none.")
    summary = {}
    for kind in scores[0]:
        judged = [score[kind] for score in scores if score[kind] is not None]
        accuracy = sum(judged) / len(judged) if judged else None
        summary[kind] = {"accuracy": accuracy, "clips": len(judged)}
    return summary


def colour_word_mass(words, attention, boxes, frame_size):
    """The share of the attention that lies on the actor while its colour is said.

    Args:
        words: The words of the caption that the model said.
        attention: `(words, frames, height, width)`, each word's weights summing to 1 over all of
            its places, or to 0 where it reads no features.
        boxes: `(frames, 4)`, the actor's, pixels; empty in a black frame.
        frame_size: Height and width of the frame, in pixels.

    Returns:
        None if no colour stands before "figure" or the word reads no features; else a dict:
        `word`, `mass`, and `uniform`, what weights equal everywhere put there. The first such word
        counts.
    """
    words = list(words)
    if len(words) != len(attention):
        raise ValueError(f"attention has maps for {len(attention)} words, words has {len(words)}.")
    for place, word in enumerate(words):
        if word in COLOURS and words[place + 1 : place + 2] == ["figure"]:
            masses, uniform = word_masses(attention, boxes, frame_size)
            if math.isnan(masses[place]):
                return None
            return {"word": word, "mass": float(masses[place]), "uniform": uniform}
    return None


def _only(found):
    return next(iter(found)) if len(found) == 1 else None
