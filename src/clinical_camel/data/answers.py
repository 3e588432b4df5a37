"""Whether the answers of an exam file count from 0: judged over the whole file.

MedMCQA's authors count `cop` from 1, the copy on the hub from 0. Read with the wrong base, every
answer is the option after the right one, and no single row shows it.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

from clinical_camel.data.fields import Raw

CHANCE = 0.05  # that no answer is the first option, below which that is no accident


def read_letter(answer: Any) -> Any:
    """Return the index of an answer letter, A to J in either case; any other value as it is.

    >>> read_letter("b"), read_letter("(C)"), read_letter(2), read_letter("2")
    (1, 2, 2, '2')
    """
    letter = answer.strip().strip("().").upper() if isinstance(answer, str) else ""
    return ord(letter) - ord("A") if len(letter) == 1 and "A" <= letter <= "J" else answer


def check_index_base(rows: Sequence[Raw]) -> str:
    """Return why the answers of a file seem to count from 1; "" if they do not, or are letters.

    No answer is 0, and one of these holds: an answer is the number of options; the answers differ
    and every other index occurs, or so many without a 0 happen by chance in fewer than 1 file in
    20; they are `cop` of MedMCQA, which is published with both bases.

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
    if is_cop or (len(answers) > 1 and (chance < CHANCE or answers == set(range(1, most)))):
        letters = "" if is_cop else ". If it counts from 0, write letters: A for the first option"
        return f"no answer of {len(pairs)} rows is 0: {remedy}{letters}"
    return ""


def _find_index(row: Raw) -> tuple[int, int] | None:
    """Return the answer index of a raw row and its number of options; None for letters."""
    if "cop" in row:
        answer, count = row["cop"], 4
    else:
        options = row.get("choices", row.get("options"))
        answer, count = row.get("answer"), len(options) if isinstance(options, list) else 0
    return (answer, count) if type(answer) is int and count else None
