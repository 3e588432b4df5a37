"""Edits: functions that change one sentence of a note, from patterns and tables of words.

An edit takes a sentence, the source in lower case, and a generator. It returns the changed
sentence, or "" if it cannot be applied. A new number never occurs in the source.
"""

import random
import re
from collections.abc import Callable, Sequence

from clinical_camel.note_synthesis import inventions

Edit = Callable[[str, str, random.Random], str]
Replacement = Callable[[re.Match, str, random.Random], str]

SPELLED = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    *("nineteen", "twenty"),
]
TENS = ["ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def change(pattern: str, replace: Replacement) -> Edit:
    """Return an edit that replaces one match of a pattern; without a replacement it gives ""."""
    compiled = re.compile(pattern, re.IGNORECASE)

    def edit(sentence: str, source: str, rng: random.Random) -> str:
        matches = list(compiled.finditer(sentence))
        if not matches:
            return ""
        match = rng.choice(matches)
        new = replace(match, source, rng)
        return sentence[: match.start()] + new + sentence[match.end() :] if new else ""

    return edit


def rewrite(*pairs: tuple[str, str]) -> Edit:
    """Return an edit that applies one of the (pattern, replacement) pairs that match."""
    compiled = [(re.compile(pattern), new) for pattern, new in pairs]

    def edit(sentence: str, source: str, rng: random.Random) -> str:
        fitting = [(pattern, new) for pattern, new in compiled if pattern.search(sentence)]
        if not fitting:
            return ""
        pattern, new = rng.choice(fitting)
        changed = pattern.sub(new, sentence, count=1).strip()
        return changed[:1].upper() + changed[1:] if re.search(r"\w{3}", changed) else ""

    return edit


def exchange(pattern: str) -> Edit:
    """Return an edit that exchanges two different matches of a pattern within the sentence."""
    compiled = re.compile(pattern, re.IGNORECASE)

    def edit(sentence: str, source: str, rng: random.Random) -> str:
        first, *others = list(compiled.finditer(sentence)) or [None]
        second = next((m for m in others if m[0].lower() != first[0].lower()), None)
        if not second:
            return ""
        between = sentence[first.end() : second.start()]
        return sentence[: first.start()] + second[0] + between + first[0] + sentence[second.end() :]

    return edit


def append(templates: Sequence[str], choose: Callable[[str, random.Random], str]) -> Edit:
    """Return an edit that adds something to the end of a sentence of three words or more."""

    def edit(sentence: str, source: str, rng: random.Random) -> str:
        stem = sentence.rstrip(" .")
        if len(stem.split()) < 3 or stem.endswith((":", "?")):
            return ""
        new = choose(source, rng)
        return rng.choice(templates).format(stem, new) if new else ""

    return edit


def name_from(names: Sequence[str]) -> Callable[[str, random.Random], str]:
    """Return a function that chooses a name of which the source has no word."""
    return lambda source, rng: inventions.choose_absent(names, source, rng)


def say_number(number: float) -> str:
    """Return a whole number below 100 in words, others as digits.

    >>> say_number(21), say_number(0.5)
    ('twenty-one', '0.5')
    """
    if number != int(number) or not 0 <= number < 100:
        return f"{number:g}"
    if number <= 20:
        return SPELLED[int(number)]
    ten, one = divmod(int(number), 10)
    return TENS[ten - 1] + (f"-{SPELLED[one]}" if one else "")


def is_absent(number: float, source: str) -> bool:
    """Return whether a source (in lower case) has the number neither in digits nor in words."""
    forms = {f"{number:g}", say_number(number), say_number(number).replace("-", " ")}
    return not any(re.search(rf"(?<![\w.]){re.escape(f)}(?![\w]|\.\d)", source) for f in forms)


def scale(*factors: float) -> Replacement:
    """Return a function that multiplies a number, to a value that the source does not have."""

    def make(old: float) -> list[float]:
        values = [round(old * factor, 4) for factor in factors]
        return [new for new in values if new and new != old and _is_plain(new, old)]

    return _replace_number(make)


def _is_plain(new: float, old: float) -> bool:
    return new == int(new) or old != int(old) or new in (0.5, 2.5, 7.5, 12.5)


def shift(*steps: int) -> Replacement:
    """Return a function that adds a step to a number, to a value that the source does not have."""
    return _replace_number(lambda old: [old + step for step in steps if old + step > 0])


def _replace_number(make: Callable[[float], list[float]]) -> Replacement:
    def replace(match: re.Match, source: str, rng: random.Random) -> str:
        text = match[0].lower()
        old = SPELLED.index(text) if text in SPELLED else float(text)
        new = [number for number in make(old) if is_absent(number, source)]
        if not new:
            return ""
        return say_number(rng.choice(new)) if text in SPELLED else f"{rng.choice(new):g}"

    return replace


def map_words(table: dict[str, Sequence[str]]) -> Replacement:
    """Return a function that replaces a word by one of its counterparts and keeps its capital."""

    def replace(match: re.Match, source: str, rng: random.Random) -> str:
        new = rng.choice(table[match[0].lower()])
        return new.capitalize() if match[0][0].isupper() else new

    return replace


def any_of(words: Sequence[str]) -> str:
    """Return a pattern for one of the words, the longest first."""
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
