"""Units of medicine: their names in a text, and their conversion.

Why not a library: pint 0.25.3 reads "c" as the speed of light, "u" as the atomic mass unit and
"unit" as micronit, and does not know IU, mEq or tablets. The conversion is one factor per unit.
"""

import functools
import re
from fractions import Fraction
from typing import NamedTuple

# dimension: name = patterns in a normalized text, @ factor to the first unit of the dimension
_TABLE = {
    "mercury": "mmhg = mm ?(?:of )?hg|mm(?: of|illimet(?:er|re)s of) mercury",
    "mass": """
        mg = mgs?|milligram(?:me)?s?
        kg = kgs?|kilos?|kilogram(?:me)?s? @ 1000000
        mcg = mcgs?|microgram(?:me)?s?|[uµμ]gs? @ 1/1000
        g = gms?|gram(?:me)?s?|g @ 1000
        ng = ng|nanograms? @ 1/1000000
        pg = pg|picograms? @ 1/1000000000""",
    "volume": """
        ml = mls?|millilit(?:er|re)s?|ccs?
        dl = dls?|decilit(?:er|re)s? @ 100
        ul = [uµμ]l|microlit(?:er|re)s?|mm3|mm\\^3|cu ?mm @ 1/1000
        fl = fl|femtolit(?:er|re)s? @ 1/1000000000000
        l = lit(?:er|re)s?|l @ 1000
        teaspoon = teaspoon(?:ful)?s?|tsps? @ 5
        tablespoon = tablespoon(?:ful)?s?|tbsps? @ 15""",
    "amount": """
        mmol = mmols?|millimol(?:es?|ar)?
        umol = [uµμ]mols?|micromol(?:es?|ar)? @ 1/1000
        nmol = nmols?|nanomol(?:es?|ar)? @ 1/1000000
        pmol = pmols?|picomol(?:es?|ar)? @ 1/1000000000""",
    "unit": """
        unit = (?:international )?units?|iu|u
        miu = m(?:illi)?-?(?:iu|units?) @ 1/1000
        uiu = (?:[uµμ]|micro)-?(?:iu|units?) @ 1/1000000""",
    "length": """
        cm = cms?|centimet(?:er|re)s?
        mm = mms?|millimet(?:er|re)s? @ 1/10
        m = met(?:er|re)s?|m @ 100""",
    "time": """
        day = days?|d(?! ?echo)
        week = weeks?|wks?|w @ 7
        hour = hours?|hrs?|h @ 1/24
        minute = minutes?|mins? @ 1/1440
        second = seconds?|secs? @ 1/86400""",
    "months": """
        month = months?|mos?|mths?
        year = years?|yrs?|y @ 12""",
    "charge": "meq = meqs?|milliequivalents?",
    "osmoles": "mosm = mosms?|milliosmoles?",
    "pound": "lb = lbs?|pounds?",
    "ounce": "oz = oz|ounces?",
    "inch": "inch = inch(?:es)?",
    "foot": "foot = feet|foot|ft",
    "tablet": "tablet = tablets?|tabs?|pills?",
    "capsule": "capsule = capsules?|caps?",
    "puff": "puff = puffs?|inhalations?",
    "drop": "drop = drops?|gtts?",
    "spray": "spray = sprays?",
    "patch": "patch = patch(?:es)?",
    "percent": "% = %|per ?cent",
    "pascal": "kpa = kpa|kilopascals?",
    "celsius": "c = (?:° ?|degrees? )c(?:elsius|entigrade)?|celsius|centigrade|c",
    "fahrenheit": "f = (?:° ?|degrees? )f(?:ahrenheit)?|fahrenheit|f",
    "degree": "degree = °|degrees?",
    "area": "m2 = m2|m\\^2|square met(?:er|re)s?",
    "field": "hpf = hpf",
    "energy": "kcal = kcals?",
}
DOSE = {"pg", "ng", "mcg", "mg", "g", "ml", "teaspoon", "tablespoon", "unit", "miu", "meq", "mmol"}
DOSE |= {"tablet", "capsule", "puff", "drop", "spray", "patch"}
TIME = {"second", "minute", "hour", "day", "week", "month", "year"}


class Unit(NamedTuple):
    """What a unit measures (the numerator, then the denominators) and its factor to base units."""

    dimensions: tuple[str, ...]
    factor: Fraction


def _read_table() -> tuple[dict[str, str], dict[str, Unit]]:
    patterns, units = {}, {}
    for dimension, lines in _TABLE.items():
        for line in lines.strip().splitlines():
            name, _, rest = line.strip().partition(" = ")
            patterns[name], _, factor = rest.partition(" @ ")
            units[name] = Unit((dimension,), Fraction(factor or 1))
    return patterns, units


_PATTERNS, _UNITS = _read_table()
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
