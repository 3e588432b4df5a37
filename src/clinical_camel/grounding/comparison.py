"""Compare two quantities, stated as text: number, then unit. Units convert; nothing is rounded."""

import functools
import re
from fractions import Fraction
from typing import NamedTuple

from clinical_camel.grounding.normalization import MONTHS
from clinical_camel.grounding.units import DOSE, parse_unit

VAGUE = "some"  # the number of "several weeks": fits any number

_N = r"\d+(?:\.\d+)?"
_VALUE = re.compile(rf"([<>]?)(-?{_N})(?:(-|→|x|/|:|±)({_N}))?(?:x({_N}))? ?([a-z%/].*|10\^.*)?")
_DATE = re.compile(rf"(?:(\d+) )?({'|'.join(MONTHS)})(?: (\d+))?")
_CLOCK = re.compile(r"(\d+):(\d\d)(?: ([ap])m)?")
_RATES = {"/hour", "/day", "/week", "/month", "/year"}
_LENGTH = {"mm", "cm", "m", "inch"}


class Measure(NamedTuple):
    """A quantity in parts: "<", ">" or ""; the sign between its numbers; the numbers; the unit."""

    relation: str
    operator: str
    numbers: tuple[Fraction, ...]
    unit: str


def is_same_quantity(one: str, other: str) -> bool:
    """Whether two quantities, as in `Quantity.value`, state the same.

    A missing unit fits any unit except that of a frequency; "some" fits any number; a number fits a
    range that begins or ends with it, unless it is a dose; "from 10 to 20 mg" fits both its doses;
    pain of "6/10" is pain of "6".

    >>> is_same_quantity("0.25 mg", "250 mcg"), is_same_quantity("0.25 mg", "25 mg")
    (True, False)
    >>> is_same_quantity("14 day", "2 week"), is_same_quantity("2x500 mg", "1 g")
    (True, True)
    """
    if one == other:
        return True
    first, second = _parse(one), _parse(other)
    if isinstance(first, Measure) and isinstance(second, Measure):
        return {first.relation, second.relation} != {"<", ">"} and _is_same(first, second)
    if isinstance(first, tuple) and isinstance(second, tuple):
        return len(first) == len(second) and all(
            a == b or "" in (a, b) for a, b in zip(first, second, strict=True)
        )
    vague = [m for m in (first, second) if isinstance(m, str)]
    measures = [m.unit for m in (first, second) if isinstance(m, Measure)]
    return bool(vague and measures) and vague[0] == f"{VAGUE} {measures[0]}"


@functools.lru_cache(maxsize=8192)
def _parse(value: str) -> Measure | tuple[str, ...] | str:
    """Return a measure; the parts of a date or clock time; or the text, as for "some week"."""
    if date := _DATE.fullmatch(value):
        return tuple(part or "" for part in date.groups())
    if clock := _CLOCK.fullmatch(value):
        return str(int(clock[1]) % 12), clock[2], clock[3] or ""
    match = _VALUE.fullmatch(value)
    if not match:
        return value
    relation, first, operator, second, third, unit = match.groups()
    numbers = tuple(Fraction(number) for number in (first, second, third) if number)
    if operator == "x" and (unit or "").split("/")[0] not in _LENGTH | {""}:
        numbers, operator = (numbers[0] * numbers[1],), None  # two tablets of 500 mg: 1000 mg
    return Measure(relation, operator or "", numbers, unit or "")


def _is_same(one: Measure, other: Measure) -> bool:
    pair = _convert(one, other)
    if not pair:
        return False
    ours, theirs = pair
    if one.operator == other.operator:
        return ours == theirs
    if len(ours) == len(theirs):
        return ours == theirs and {one.operator, other.operator} == {"-", "→"}
    short, long = sorted(pair, key=len)
    operator = one.operator or other.operator
    unit = (one.unit or other.unit).split("/")[0]
    if len(short) > 1 or operator in ("x", ":") or operator == "-" and unit in DOSE:
        return False
    if operator == "/":
        return long == (short[0], 10)  # a score of ten
    return short[0] == long[0] or operator != "±" and short[0] in long


def _convert(one: Measure, other: Measure) -> tuple[tuple, tuple] | None:
    """Return the numbers of both in one unit, or None if their units measure other things."""
    if one.unit == other.unit:
        return one.numbers, other.numbers
    missing = [unit for unit in (one.unit, other.unit) if unit in ("", "degree")]
    if missing:
        stated = one.unit if other.unit in missing else other.unit
        fits = stated not in _RATES and (missing[0] == "" or stated in ("", "c", "f"))
        return (one.numbers, other.numbers) if fits else None
    if {one.unit, other.unit} == {"c", "f"}:
        return _to_celsius(one), _to_celsius(other)
    ours, theirs = parse_unit(one.unit), parse_unit(other.unit)
    if ours.dimensions != theirs.dimensions:
        return None
    return (
        tuple(number * ours.factor for number in one.numbers),
        tuple(number * theirs.factor for number in other.numbers),
    )


def _to_celsius(measure: Measure) -> tuple:
    """Return degrees Celsius, rounded to one decimal as thermometers do."""
    if measure.unit == "c":
        return measure.numbers
    return tuple(round((number - 32) * Fraction(5, 9), 1) for number in measure.numbers)
