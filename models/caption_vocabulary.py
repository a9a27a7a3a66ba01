"""The words that a captioner knows, and the numbers that stand for them."""

import collections
import collections.abc
import numbers

SPECIAL_TOKENS = ("<pad>", "<start>", "<end>", "<unk>")


class CaptionVocabulary(collections.abc.Sequence):
    """The tokens of a captioner; a token's place is its id.

    The first four are `<pad>` (fills captions up to one length), `<start>` (what the first word
    follows), `<end>` and `<unk>` (a word that is not in the vocabulary). It is a sequence of the
    tokens.

    Args:
        tokens: Different texts without white space, the special ones first; `from_captions` makes
            them from captions.

    Raises:
        ValueError: If the special tokens are not the first four, no word follows them, or a token
            is no text, empty, contains white space or stands twice.

    >>> vocabulary = CaptionVocabulary.from_captions([["a", "dog", "runs"], ["a", "cat", "runs"]])
    >>> vocabulary.tokens[4:]
    ('a', 'runs', 'cat', 'dog')
    >>> vocabulary.sentence(vocabulary.encode(["a", "bird", "runs"]))
    'a <unk> runs'
    """

    padding_token_id, start_token_id, end_token_id, unknown_token_id = range(len(SPECIAL_TOKENS))

    def __init__(self, tokens):
        if isinstance(tokens, str):
            raise ValueError(
                f"`vocabulary` must be a list of tokens; received the text {tokens!r}."
            )
        tokens = tuple(tokens)
        for place, token in enumerate(tokens):
            if not isinstance(token, str) or token.split() != [token]:
                raise ValueError(
                    "`vocabulary` must hold texts without white space, none of them empty; "
                    f"token {place} is {token!r}."
                )
        if tokens[: len(SPECIAL_TOKENS)] != SPECIAL_TOKENS:
            raise ValueError(
                f"`vocabulary` must begin with {', '.join(SPECIAL_TOKENS)}; received "
                f"{', '.join(tokens[: len(SPECIAL_TOKENS)]) or 'no token'}. "
                "CaptionVocabulary.from_captions makes it from captions."
            )
        if len(tokens) == len(SPECIAL_TOKENS):
            raise ValueError("`vocabulary` holds no word beside the special tokens.")
        twice = [token for token, count in collections.Counter(tokens).items() if count > 1]
        if twice:
            raise ValueError(
                f"`vocabulary` must hold different tokens; {len(twice)} stand more than once: "
                f"{', '.join(map(repr, twice[:5]))}."
            )
        self.tokens = tokens
        self._ids = {token: token_id for token_id, token in enumerate(tokens)}

    @classmethod
    def from_captions(cls, token_lists, min_count=1):
        """Returns the vocabulary of captions: words by falling frequency, then by alphabet.

        Args:
            token_lists: The words of each caption.
            min_count: How often a word must stand in them all, at least 1; a rarer one is unknown.

        Raises:
            ValueError: If `min_count` is below 1, no word is left, a word is a special token, or a
                caption is no list of words.
        """
        if not (isinstance(min_count, int) and min_count >= 1):
            raise ValueError(f"`min_count` must be an integer of at least 1; got {min_count!r}.")
        counts = collections.Counter(word for words in token_lists for word in _words_of(words))
        special = [token for token in SPECIAL_TOKENS if token in counts]
        if special:
            raise ValueError(f"captions must not hold the special token {special[0]} as a word.")
        kept = [word for word, count in counts.items() if count >= min_count]
        if not kept:
            raise ValueError(
                f"no word stands {min_count} times or more in the captions (`min_count`), which "
                f"hold {len(counts)} different words."
            )
        return cls((*SPECIAL_TOKENS, *sorted(kept, key=lambda word: (-counts[word], word))))

    def encode(self, words):
        """Returns the ids of a caption's words, that of `<unk>` for each word that is unknown.

        Start and end are not added.

        Raises:
            ValueError: If the words are no list of texts, or one of them is `<pad>`, `<start>` or
                `<end>`.
        """
        words = _words_of(words)
        for word in words:
            if word in SPECIAL_TOKENS[: self.unknown_token_id]:
                raise ValueError(f"`words` must not hold {word}: it is no word of a caption.")
        return [self._ids.get(word, self.unknown_token_id) for word in words]

    def decode(self, ids):
        """Returns the words up to the end token; start and padding tokens are no words.

        Args:
            ids: The integers of one caption.

        Raises:
            ValueError: If an id is out of range or no integer.
        """
        words = []
        for token_id in ids:
            if not isinstance(token_id, numbers.Integral) or not 0 <= token_id < len(self.tokens):
                raise ValueError(
                    f"token ids must be integers from 0 to {len(self.tokens) - 1}, for the "
                    f"vocabulary holds {len(self.tokens)} tokens; received {token_id!r}."
                )
            if token_id == self.end_token_id:
                break
            if token_id not in (self.padding_token_id, self.start_token_id):
                words.append(self.tokens[int(token_id)])
        return words

    def sentence(self, ids):
        """Returns what `decode` does as one text, a space between words."""
        return " ".join(self.decode(ids))

    def __len__(self):
        return len(self.tokens)

    def __getitem__(self, token_id):
        return self.tokens[token_id]

    def __eq__(self, other):
        return isinstance(other, CaptionVocabulary) and self.tokens == other.tokens

    def __hash__(self):
        return hash(self.tokens)


def _words_of(caption):
    """The words of a caption as a list; a text would be taken for a list of letters."""
    words = caption if isinstance(caption, str) else list(caption)
    if isinstance(words, str) or not all(isinstance(word, str) for word in words):
        raise ValueError(
            f"a caption must be a list of words; received {words!r}. "
            "glimpse.pipelines.caption_tokens.tokenize_caption cuts a text into words."
        )
    return words
