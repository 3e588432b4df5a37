"""Whether a text repeats itself: the commonest failure of a small language model."""

import re
from collections import Counter

from clinical_camel.grounding.verbatim import split_note

LOOP_WORDS, LOOP_SHARE = 24, 0.5  # 4-grams that occurred before
SENTENCE_TIMES, SENTENCE_SHARE = 3, 0.2  # sentences that occur for the third time or more
_RUN = re.compile(r"\b(\w+(?:\W+\w+){0,3}?)(?:\W+\1\b){3,}", re.IGNORECASE)


def is_looping(text: str) -> bool:
    """Return whether a text repeats itself, by one of three rules.

    - 24 words or more, and half of the 4-grams occurred before;
    - sentences that occur for the third time or later are 3 or more, and a fifth of all: a
      sentence 13 times in 28 is a loop, a note pasted twice is not;
    - one to four words occur four times in a row.

    None of the 1,703 reference notes of the three public corpora is looping.

    >>> is_looping("Take one tablet daily. " * 12), is_looping("Take one tablet daily.")
    (True, False)
    >>> is_looping("Start cream cream cream cream."), is_looping("Pain. Pain at night. No fever.")
    (True, False)
    """
    return _repeats_words(text) or _repeats_sentences(text) or bool(_RUN.search(text))


def _repeats_words(text: str) -> bool:
    words = text.split() if " " in text.strip() else list(text)  # Chinese has no spaces
    counts = Counter(zip(*(words[i:] for i in range(4)), strict=False))
    total = counts.total()
    return len(words) >= LOOP_WORDS and total - len(counts) >= LOOP_SHARE * total


def _repeats_sentences(text: str) -> bool:
    counts = Counter(line.casefold() for line in split_note(text))
    again = sum(max(0, count - 2) for count in counts.values())
    return again >= SENTENCE_TIMES and again >= SENTENCE_SHARE * counts.total()
