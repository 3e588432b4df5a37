"""Units of medicine: their names in a text, and their conversion.

Why not a library: pint 0.25.3 reads "c" as the speed of light, "u" as the atomic mass unit and
"unit" as micronit, and does not know IU, mEq or tablets. The conversion is one factor per unit.
"""

import functools
import re
from fractions import Fraction
from typing import NamedTuple

from clinical_camel.grounding.tables import read_table

# Patterns in a normalized text; the factor converts to the first unit of the dimension.
_ROWS = read_table("units.csv")
DOSE = {row["name"] for row in _ROWS if row["kind"] == "dose"}
TIME = {row["name"] for row in _ROWS if row["kind"] == "time"}


class Unit(NamedTuple):
    """What a unit measures (the numerator, then the denominators) and its factor to base units."""

    dimensions: tuple[str, ...]
    factor: Fraction


_PATTERNS = {row["name"]: row["pattern"] for row in _ROWS}
_UNITS = {row["name"]: Unit((row["dimension"],), Fraction(row["factor"])) for row in _ROWS}
_ONE = "(?:" + "|".join(_PATTERNS.values()) + ")(?![a-z0-9])"
_PER = r"(?: ?/ ?| per | an? (?=kg|kilo|min|hour|hr|lit))"
_BELOW = rf"{_PER}(?:\d+(?:\.\d+)? ?)?{_ONE}"
_CELLS = r"(?:(?:cells|copies|beats|breaths) ?)?"
PATTERN = (
    rf"(?:10\^\d{{1,2}}(?!\d) ?{_CELLS}(?:{_BELOW})*|{_ONE}(?:{_BELOW})*|{_CELLS}(?:{_BELOW})+)"
)
_PART = re.compile(rf"({_PER})?(?:(10\^\d+) ?{_CELLS}|{_CELLS}(\d+(?:\.\d+)?)? ?({_ONE}))")
_NAMED = [(name, re.compile(pattern)) for name, pattern in _PATTERNS.items()]
_NAME = re.compile(r"(?:10\^(\d+))?([\d.]*)(.*)")


@functools.lru_cache(maxsize=4096)
def name_unit(text: str) -> str:
    """Return the name of a unit in a normalized text that matches PATTERN; its parts join by "/".

    >>> name_unit("milligrams per kilo"), name_unit("µg/ml"), name_unit("mg/5 ml"), name_unit("iu")
    ('mg/kg', 'mcg/ml', 'mg/5ml', 'unit')
    """
    parts = _PART.findall(text)
    return "".join(
        ("/" if slash else "") + power + count + (_name_one(unit) if unit else "")
        for slash, power, count, unit in parts
    )


def _name_one(text: str) -> str:
    return next(name for name, pattern in _NAMED if pattern.fullmatch(text))


@functools.lru_cache(maxsize=4096)
def parse_unit(name: str) -> Unit:
    """Return what a unit measures and its factor; two units of equal dimensions convert.

    >>> grams, litres = parse_unit("g/dl"), parse_unit("mg/ml")
    >>> grams.dimensions == litres.dimensions, grams.factor / litres.factor
    (True, Fraction(10, 1))
    """
    dimensions, factor = (), Fraction(1)
    for i, part in enumerate(name.split("/")):
        power, count, unit = _NAME.fullmatch(part).groups()
        one = _UNITS.get(unit) or Unit((unit or "count",), Fraction(1))
        size = one.factor * Fraction(10) ** int(power or 0) * Fraction(count or 1)
        dimensions += one.dimensions
        factor = factor / size if i else factor * size
    return Unit(dimensions, factor)
