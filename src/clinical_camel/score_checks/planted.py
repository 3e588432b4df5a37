"""The exercise: copies of an exam question, more and more changed. Which does the search find?"""

import random
import re
from collections.abc import Mapping, Sequence

from clinical_camel import data
from clinical_camel.data import Question
from clinical_camel.data.contamination import split_words

COPIES = {  # letter: how the copy was made
    "A": "question and correct option, unchanged",
    "B": "in capitals, without punctuation",
    "C": "one word in eight replaced",
    "D": "every second word replaced",
    "E": "the words in reverse order",
    "F": "the correct option alone",
}
CHOICES = ("yes", "no")


def plant_copies(question: Question, others: Sequence[Question], seed: int) -> dict[str, str]:
    """Return one copy of the question for each of COPIES.

    Replaced words come from `others`; `seed` fixes which.
    """
    answer = question.options[question.answer]
    text = f"{question.question} {answer}"
    pool = split_words(" ".join(other.question for other in others)) or ["word"]
    words, draw = text.split(), random.Random(f"{seed}:{question.id}")
    first = draw.randrange(min(8, len(words)))
    return {
        "A": text,
        "B": " ".join(re.findall(r"\w+", text)).upper(),
        "C": _replace(words, range(first, len(words), 8), pool, draw),
        "D": _replace(words, range(1, len(words), 2), pool, draw),
        "E": " ".join(words[::-1]),
        "F": answer,
    }


def _replace(
    words: Sequence[str], places: Sequence[int], pool: Sequence[str], draw: random.Random
) -> str:
    changed = list(words)
    for i in places:
        others = [word for word in pool if word.casefold() != words[i].strip(".,?").casefold()]
        changed[i] = draw.choice(others or ["word"])
    return " ".join(changed)


def format_copies(copies: Mapping[str, str]) -> str:
    """Return the copies as text, with how each was made."""
    return "\n".join(f"{name}  ({COPIES[name]})\n   {text}" for name, text in copies.items())


def grade_predictions(
    predictions: Mapping[str, str], copies: Mapping[str, str], question: Question
) -> None:
    """Search for the question in each copy, and print which predictions were right.

    `predictions`: "yes" (the search finds the copy), "no", or "" for each copy. Raises ValueError
    for another word or an unknown copy.
    """
    words = {name: str(text).strip().lower() for name, text in predictions.items()}
    for name, word in words.items():
        if name not in copies or word not in ("", *CHOICES):
            letters = ", ".join(copies)
            raise ValueError(f"predictions.{name}: {word!r}; write yes or no for {letters}")
    if not all(words.get(name) for name in copies):
        print('Write your predictions first: "yes" or "no" for each copy.')
        return
    overlaps = data.find_overlaps([question], copies.items())
    kinds = dict(zip(overlaps["source"], overlaps["kind"], strict=True))
    right = 0
    for name in copies:
        result = f"found as {kinds[name]}" if name in kinds else "not found"
        is_right = (words[name] == "yes") == (name in kinds)
        right += is_right
        print(f"{name}  {result}: {'right' if is_right else 'wrong'}")
    print(f"{right} of {len(copies)} right.")
