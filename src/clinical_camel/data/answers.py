"""What an answer names: a letter, a text, an index; whether a file counts from 0.

MedMCQA's authors count `cop` from 1, the copy on the hub from 0. Read with the wrong base, every
answer is the option after the right one, and no single row shows it.
"""

import re
from collections.abc import Sequence
from math import prod
from typing import Any

from clinical_camel.data.fields import Raw
from clinical_camel.data.texts import fold_option

_LETTER_AND_TEXT = re.compile(r"(?s)(\(?[A-Ja-j]\s*[.):])\s*(\S.*)")
CHANCE = 0.05  # that no answer is the first option, below which that is no accident


def read_letter(answer: Any) -> Any:
    """Return the index of an answer letter, A to J in either case; any other value as it is.

    >>> read_letter("b"), read_letter("(C)"), read_letter(2), read_letter("2")
    (1, 2, 2, '2')
    """
    letter = answer.strip().strip("().").upper() if isinstance(answer, str) else ""
    return ord(letter) - ord("A") if len(letter) == 1 and "A" <= letter <= "J" else answer


def read_answer(answer: Any, options: Sequence[Any]) -> Any:
    """Return the index of the option that a user's answer names; any other value as it is.

    Named is an option by its letter, its text, or both. Raises ValueError if these differ.

    >>> [read_answer(answer, ["rest", "ice"]) for answer in ("B", "Ice ", "B. ice", 1, "heat")]
    [1, 1, 1, 1, 'heat']
    """
    texts = [fold_option(option) for option in options if isinstance(option, str)]
    if not isinstance(answer, str) or len(texts) < len(options):
        return answer
    both = _LETTER_AND_TEXT.fullmatch(answer.strip())
    letter, text = both.groups() if both and fold_option(both[2]) in texts else (answer, answer)
    named = {i for i, option in enumerate(texts) if option == fold_option(text)}
    if isinstance(index := read_letter(letter), int):
        named.add(index)
    if len(named) > 1 and len(set(texts)) == len(texts):
        raise ValueError(f"answer {answer!r} is a letter and the text of another option; use 0, 1")
    return named.pop() if len(named) == 1 else answer


def list_options(by_letter: dict[str, Any]) -> list[Any]:
    """Return options by letter as a list. Raises ValueError if they are not named A, B, ..."""
    options = {name.strip().upper(): text for name, text in by_letter.items() if text is not None}
    letters = sorted(options)
    if "".join(letters) != "ABCDEFGHIJ"[: len(letters)]:
        raise ValueError(f"options should be named A, B, ..., are {', '.join(options)}")
    return [options[letter] for letter in letters]


def check_index_base(rows: Sequence[Raw]) -> str:
    """Return why the answers of a file seem to count from 1; "" if they do not, or are letters.

    No answer is 0, and one of these holds: an answer is the number of options; so many without a 0
    happen by chance in fewer than 1 file in 20; the answers differ and every other index occurs;
    they are `cop` of MedMCQA, which is published with both bases.

    >>> check_index_base([{"options": ["x", "y"], "answer": n} for n in (1, 2)])
    'no answer is 0, and one is 2 of 2 options: the file counts from 1; subtract 1 from each answer'
    """
    pairs = [pair for pair in map(_find_index, rows) if pair]
    answers = {answer for answer, _ in pairs}
    if not answers or min(answers) <= 0:
        return ""
    remedy = "the file counts from 1; subtract 1 from each answer"
    if last := [count for answer, count in pairs if answer == count]:
        return f"no answer is 0, and one is {last[0]} of {last[0]} options: {remedy}"
    is_cop = any("cop" in row for row in rows)
    most = max(count for _, count in pairs)
    chance = prod(1 - 1 / count for _, count in pairs)
    is_rare = chance < CHANCE and (len(answers) > 1 or most > 2)  # an exam may be all "no"
    if is_cop or is_rare or (len(answers) > 1 and answers == set(range(1, most))):
        letters = "If it counts from 0, write letters: A for the first option"
        return f"no answer of {len(pairs)} rows is 0: {remedy}. {letters}"
    return ""


def _find_index(row: Raw) -> tuple[int, int] | None:
    """Return the answer index of a raw row and its number of options; None for letters."""
    if "cop" in row:
        answer, count = row["cop"], 4
    else:
        options = row.get("choices", row.get("options"))
        answer, count = row.get("answer"), len(options) if isinstance(options, list | dict) else 0
    return (answer, count) if type(answer) is int and count else None
