"""Captions cut into words, as the Penn Treebank and coco-caption do, without Java."""

import re
import unicodedata

from nltk.tokenize import NLTKWordTokenizer

# What coco-caption's `PUNCTUATIONS` drops after lower-casing. Its -LRB-, -RRB-, -LCB-, -RCB- are
# not among them: the text is lower-cased before, so that they stay.
DROPPED = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])
# Words whose period belongs to them, of those that Stanford's tokenizer knows.
_ABBREVIATIONS = "dept dr etc ft inc jr mr mrs ms mt prof sgt sr st vs".split()
_SAME_AS_ASCII = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201b\u02bc", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2012\u2013\u2014\u2015\u2026\u200b", " "),
    }
)
# Marks without width: soft hyphen, direction of writing, word joiner, byte order mark.
_INVISIBLE = re.compile("[\u00ad\u200e\u200f\u061c\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
# Control characters and halves of broken surrogate pairs.
_BLANK_CATEGORIES = frozenset(["Cc", "Cs"])
_RUN_OF_PUNCTUATION = re.compile(r"\.{2,}|-{2,}|[,:;]{2,}")
# A period at the end of a word, where closing marks may follow.
_WORD_WITH_PERIOD = re.compile(r"""(\S+)\.(?=["')\]}]*(?:\s|$))""")
_SINGLE_LETTERS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]|ph\.d")
_TREEBANK = NLTKWordTokenizer()


def tokenize_caption(text):
    """Cuts a caption into words, in lower case and without punctuation.

    The words are nltk's `NLTKWordTokenizer`'s, which needs no corpus. Before it:

    1. The text is lower-cased and brought to Unicode's form NFC. Control characters, such as line
       breaks and tabs, and zero-width spaces are blanks; marks without width, such as the direction
       of writing, are dropped.
    2. Curly and angled quotes become `'` and `"`; en and em dashes, an ellipsis, and runs of
       `.`, of `-` and of `, : ;` are blanks.
    3. A period that ends a word ends a sentence, wherever it stands, except after a single letter,
       letters with periods ("u.s.") and the abbreviations of `_ABBREVIATIONS`. A period inside a
       word stays ("3.5", "runs.he").

    After it, brackets are `-lrb- -rrb- -lsb- -rsb- -lcb- -rcb-`, and coco-caption's punctuation is
    dropped: quotes, `. ? ! , : ; - -- ...`. What is left is cut again until nothing changes, so
    that the words joined by blanks are cut into themselves. So "can't" is `ca n't`, "dog's"
    `dog 's`, "cook/eat" one word, `$ % # &` words of their own. Scripts without blanks between
    words are not cut.

    Differs from Stanford's PTBTokenizer 3.4.1 with coco-caption's list, which:

    - keeps runs of `!` and `?` ("!!!") and of five dashes or more as words; here they are dropped;
    - keeps web and mail addresses, "@name", "#name" and "<tag>" whole;
    - cuts after "'s" inside a word ("man's-best-friend"), in "y'all", "rock'n'roll", "5'10" and
      at a word's last slash, and writes "'t is"; does not cut "d'ye"; keeps the apostrophe of
      "'97", "'em" and "'cause";
    - cuts the symbols `= + ~ ^ | \\` and the degree sign off words, and writes other currencies
      and fractions in ASCII;
    - drops emoji, cuts other scripts' punctuation off words and words at joiners without width,
      knows fewer quotes, and does not bring letters to NFC;
    - knows more abbreviations, some only before a number ("no. 5").

    Args:
        text: The caption, a string; several sentences are one list.

    Returns:
        The words, a list; empty if there are none.

    Raises:
        ValueError: If `text` is no string.

    >>> tokenize_caption("The dog's tail (it can't wag).")
    ['the', 'dog', "'s", 'tail', '-lrb-', 'it', 'ca', "n't", 'wag', '-rrb-']
    """
    if not isinstance(text, str):
        raise ValueError(f"text must be a string, got {type(text).__name__}: {text!r}.")
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", text.lower()))
    text = text.translate(_SAME_AS_ASCII)
    text = "".join(" " if unicodedata.category(c) in _BLANK_CATEGORIES else c for c in text)
    words = _cut(text)
    # Only words with marks in them may still be cut.
    while not all(map(str.isalnum, words)) and (again := _cut(" ".join(words))) != words:
        words = again
    return words


def _cut(text):
    text = _WORD_WITH_PERIOD.sub(_without_final_period, _RUN_OF_PUNCTUATION.sub(" ", text))
    # nltk cuts the last period of a text off, which here ends no abbreviation.
    words = _TREEBANK.tokenize(f"{text} .", convert_parentheses=True)
    return [word.lower() for word in words if word not in DROPPED]


def _without_final_period(match):
    word = match[1].lstrip("\"'([{")
    return match[0] if word in _ABBREVIATIONS or _SINGLE_LETTERS.fullmatch(word) else f"{match[1]} "
