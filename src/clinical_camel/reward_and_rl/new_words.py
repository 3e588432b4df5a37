"""Replies with a new word: one that no prompt and no reference of the study has.

What a small model writes beyond these words is mostly no word at all. A large model knows more
words than the study has, so its new words may be right.
"""

from collections.abc import Iterable

from clinical_camel.reward_and_rl.rule import split_words
from clinical_camel.reward_and_rl.shapes import Prompt


def collect_words(prompts: Iterable[Prompt]) -> frozenset[str]:
    """Return the words of prompts and references, as stems in lower case."""
    texts = {prompt.reference for prompt in prompts}
    texts |= {message["content"] for prompt in prompts for message in prompt.messages}
    return frozenset(word for text in texts for word in split_words(text))


def count_new_words(text: str, words: frozenset[str]) -> int:
    """Return how many words of a text are not in `words`.

    >>> count_new_words("Gout causes seessel pain", frozenset({"gout", "caus", "pain"}))
    1
    """
    return sum(word not in words for word in split_words(text))
