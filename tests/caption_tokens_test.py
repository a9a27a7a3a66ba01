"""Captions cut into words: the rules, odd text, and Stanford's tokenizer where Java is."""

import random
import re
import shutil
import unicodedata

import pytest

from glimpse.pipelines.caption_tokens import DROPPED, tokenize_caption

# Text and its words: coco-caption's PTBTokenizer (Stanford CoreNLP 3.4.1) gives the same.
SAME = [
    ("A man can't cook.", "a man ca n't cook"),
    ("The dog's tail wags.", "the dog 's tail wags"),
    ("A man will cook/eat pasta", "a man will cook/eat pasta"),
    ("A man (in red) runs.", "a man -lrb- in red -rrb- runs"),
    ("a man -lrb- in red -rrb- runs", "a man -lrb- in red -rrb- runs"),
    ("[man] {dog}", "-lsb- man -rsb- -lcb- dog -rcb-"),
    ("A man runs. (He falls.)", "a man runs -lrb- he falls -rrb-"),
    ('She said "hello" to him.', "she said hello to him"),
    ("She said 'hello' to him.", "she said hello to him"),
    ('He said, "run."', "he said run"),
    ("`man` and ``dog''", "man and dog"),
    ("a “curly” quote and ‘single’", "a curly quote and single"),
    ("«quote» him", "quote him"),
    ("it’s a dog’s life", "it 's a dog 's life"),
    ("he says, 'i don't'", "he says i do n't"),
    ("the dogs' tails", "the dogs tails"),
    ('a "man', "a man"),
    ("they're we've she'll I'd I'm", "they 're we 've she 'll i 'd i 'm"),
    ("isn't won't shouldn't've he'd've", "is n't wo n't should n't 've he 'd 've"),
    ("I'm gonna wanna cannot gimme", "i 'm gon na wan na can not gim me"),
    ("it 's what they do n't", "it 's what they do n't"),
    ("o'clock ma'am l'homme", "o'clock ma'am l'homme"),
    ("He runs. He jumps! Does he fall?", "he runs he jumps does he fall"),
    ("he runs. he jumps.", "he runs he jumps"),
    ("a man runs.he falls", "a man runs.he falls"),
    ("Mr. Smith and Dr. No meet", "mr. smith and dr. no meet"),
    ("the U.S. army of the U.S.", "the u.s. army of the u.s."),
    ("J. Smith at 5 p.m. etc.", "j. smith at 5 p.m. etc."),
    ("a man... runs…", "a man runs"),
    ("a man -- tall — runs – or - runs", "a man tall runs or runs"),
    ("a well-known two-year-old", "a well-known two-year-old"),
    ("a man; a dog: a cat, a cow,and,,a hen", "a man a dog a cat a cow and a hen"),
    ("It costs $5.50, or 10%", "it costs $ 5.50 or 10 %"),
    ("3,000 people at 12:30, #1", "3,000 people at 12:30 # 1"),
    ("1/2 of a & b", "1/2 of a & b"),
    ("A café, señor; a NAÏVE Straße", "a café señor a naïve straße"),
    ("ΑΒΓ ΣΑΣ", "αβγ σας"),
    ("一个 男人 在 跑步", "一个 男人 在 跑步"),
    ("رجل يركض.", "رجل يركض"),
    ("\u200fאיש רץ.", "איש רץ"),
    ("\ufeffa\u200bman\tand\u00a0a\ndog\x00runs\x07", "a man and a dog runs"),
    ("co\u00adoperate", "cooperate"),
    ("...", ""),
    ("''", ""),
    ("- -", ""),
]
# Text, our words, Stanford's words: the differences that the docstring lists.
DIFFERENT = [
    ("a man says hi!!!", "a man says hi", "a man says hi !!!"),
    ("what?! a ?? b", "what a b", "what ?! a ?? b"),
    ("a ----- b", "a b", "a ----- b"),
    ("x@y.com writes", "x @ y.com writes", "x@y.com writes"),
    ("http://a.com/b?c=d", "http //a.com/b c=d", "http://a.com/b?c=d"),
    ("#tag @user", "# tag @ user", "#tag @user"),
    ("<man>", "< man >", "<man>"),
    ("man's-best-friend", "man's-best-friend", "man 's best-friend"),
    ("y'all", "y'all", "y' all"),
    ("rock'n'roll", "rock'n'roll", "rock 'n' roll"),
    ("5'10\" man", "5'10 man", "5 10 man"),
    ("a man w/ a dog", "a man w/ a dog", "a man w / a dog"),
    ("'tis", "tis", "'t is"),
    ("d'ye", "d ye", "d'ye"),
    ("a '97 car", "a 97 car", "a '97 car"),
    ("'em 'cause", "em cause", "'em 'cause"),
    ("5+5=10", "5+5=10", "5 +5 = 10"),
    ("~man~ a^b a|b a\\b", "~man~ a^b a|b a\\b", "~ man ~ a ^ b a | b a \\ b"),
    ("20 °C", "20 °c", "20 ° c"),
    ("£5 €5 ½", "£5 €5 ½", "# 5 $ 5 1/2"),
    ("R&B runs", "r & b runs", "r&b runs"),
    ("a dog 🐶 runs🐶", "a dog 🐶 runs🐶", "a dog runs"),
    ("人在跑步。", "人在跑步。", "人在跑步 。"),
    ("می\u200cدود", "می\u200cدود", "می دود"),
    ("a\u2060b", "ab", "a b"),
    ("itʼs", "it 's", "itʼs"),
    ("cafe\u0301", "caf\u00e9", "cafe\u0301"),
    ("no. 5 a..b", "no 5 a b", "no. 5 a. b"),
]


@pytest.mark.parametrize(("text", "words"), SAME + [case[:2] for case in DIFFERENT])
def test_words(text, words):
    assert tokenize_caption(text) == words.split()


def test_words_joined_by_blanks_are_cut_into_themselves():
    marks = (
        "aabs tnd'dve  .,:;!?\"`'-()[]{}<>/&|$%#@+=n’“”…—\n\t\x00é🐶م\u200d\u200e\u0301\u2060\ufeff"
    )
    generator = random.Random(0)
    texts = [text for text, *_ in SAME + DIFFERENT]
    texts += ["cafe\ufeff\u0301", "\ufeffa\ufeff\u0301's\u200d-"]
    texts += ["".join(generator.choices(marks, k=generator.randrange(25))) for _ in range(400)]
    for text in texts:
        words = tokenize_caption(text)
        assert tokenize_caption(" ".join(words)) == words, repr(text)
        assert not DROPPED.intersection(words), repr(text)
        assert " ".join(words).split() == words, repr(text)
        assert all(unicodedata.is_normalized("NFC", word) for word in words), repr(text)


def test_no_caption_holds_a_special_token():
    for token in ("<pad>", "<start>", "<end>", "<unk>"):
        assert token not in tokenize_caption(f"a {token} man {token}")


def test_broken_surrogates_are_blanks():
    assert tokenize_caption("a\ud83dman") == ["a", "man"]


@pytest.mark.parametrize("text", [None, 5, b"a man", ["a", "man"]])
def test_what_is_no_string_is_refused(text):
    with pytest.raises(ValueError, match="text must be a string, got"):
        tokenize_caption(text)


def test_the_dropped_punctuation_is_coco_captions():
    tokenizer = pytest.importorskip("pycocoevalcap.tokenizer.ptbtokenizer")
    upper = {mark for mark in tokenizer.PUNCTUATIONS if mark != mark.lower()}
    assert upper == {"-LRB-", "-RRB-", "-LCB-", "-RCB-"}
    assert DROPPED == set(tokenizer.PUNCTUATIONS) - upper


@pytest.mark.skipif(shutil.which("java") is None, reason="Stanford's tokenizer needs Java.")
def test_differences_from_stanfords_tokenizer_are_exactly_those_listed():
    tokenizer = pytest.importorskip("pycocoevalcap.tokenizer.ptbtokenizer").PTBTokenizer()
    expected = dict(SAME) | {text: stanfords for text, _, stanfords in DIFFERENT}
    # Its wrapper takes lines, and cannot take an empty one.
    texts = [text for text in expected if not re.search("[\r\x0b\x0c\u2028]", text)]
    found = tokenizer.tokenize({text: [{"caption": text}] for text in texts})
    assert {text: words for text, (words,) in found.items()} == {t: expected[t] for t in texts}


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
