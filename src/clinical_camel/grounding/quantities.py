"""Numbers as they are written and spoken, read into one form: "twenty M G b.i.d." is 20 mg, 2/day.

Own patterns, since what notes hold is no ordinary measurement: quantulum3 0.10 reads "M G" as metre
gauss, "4/7" (four days) as 0.57 hours and "120/80 mmHg" as 1.5, knows no "q12h", and needs 0.7 ms a
line, 24 MB and four packages.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
_ONES += " fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_WORDS = {word: i for i, word in enumerate(_ONES.split())}
_WORDS |= {word: 10 * i for i, word in enumerate(_TENS.split(), start=2)}
_WORDS |= {"hundred": 100, "thousand": 1000}
_WORD = rf"(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))})"
_RUN = re.compile(rf"\b{_WORD}(?:(?: and |[ -]){_WORD})*\b")

_UNITS = {
    "mg": r"mgs?|milligrams?",
    "mcg": r"mcg|micrograms?|ug|µg|μg",
    "g": r"g|gm|grams?",
    "ml": r"mls?|millilit(?:er|re)s?|cc",
    "l": r"l|lit(?:er|re)s?",
    "unit": r"units?|iu",
    "%": r"%|per ?cent",
    "kg": r"kgs?|kilos?|kilograms?",
    "lb": r"lbs?|pounds?",
    "cm": r"cms?|centimet(?:er|re)s?",
    "mm": r"mms?|millimet(?:er|re)s?",
    "inch": r"inch(?:es)?",
    "second": r"seconds?|secs?",
    "minute": r"minutes?|mins?",
    "hour": r"hours?|hrs?|h",
    "day": r"days?|d",
    "week": r"weeks?|wks?|w",
    "month": r"months?|mos?",
    "year": r"years?|yrs?|y",
}
DOSE = {"mg", "mcg", "g", "ml", "unit"}
TIME = {"second", "minute", "hour", "day", "week", "month", "year"}
QUANTITIES = ("age", "dose", "duration", "frequency", "number")
VAGUE = "some"  # the number of "several weeks": any number fits
# The larger unit that a number of smaller ones is, where it comes out even.
_LARGER = {"hour": (24, "day"), "day": (7, "week"), "month": (12, "year"), "mcg": (1000, "mg")}
_SMALLER = {"g": (1000, "mg"), "l": (1000, "ml")}

_NAMED = "|".join(f"(?P<u{i}>{pattern})" for i, pattern in enumerate(_UNITS.values()))
_VALUE = r"(?<![\w.])(\d+(?:\.\d+)?)"
_RANGE = r"(?:\s*(?:-|to|or)\s*(\d+(?:\.\d+)?))?"
_QUANTITY = re.compile(rf"{_VALUE}{_RANGE}[\s-]*(?:(?:{_NAMED})(?![a-z]))?")
_SOME = re.compile(
    r"\b(?:several|few|many|some|couple) (?P<unit>second|minute|hour|day|week|month|year)s\b"
)
_AGE = re.compile(
    rf"{_VALUE}[\s-]*(?:(?:year|yr|y)s?[\s-]*olds?|y/?o\b)|\b(?:age|aged)(?: of)? (\d+)|"
    r"\b(?:man|woman|male|female|boy|girl) of (\d+)"
)
_PER = r"(?P<per>day|daily|night|nightly|week|weekly|month|monthly|hour|year)"
_FREQUENCY = re.compile(
    rf"{_VALUE}{_RANGE}\s*(?:(?:x|times?)\s*(?:an? |per |each |every |/ ?)?|/ ?|an? |per ){_PER}\b"
    r"|\b(?:every|q)\.? ?(?P<hours>\d+)(?:(?: to |-)\d+)? ?(?:h|hr|hours?)\b"
    r"|\b(?P<code>qd|od|bid|bd|tid|tds|qid|qds|qhs)\b"
    r"|\b(?:once |an? |per |each |every )(?P<once>day|night|week|month)\b"
    r"|\b(?P<adverb>daily|nightly|weekly|monthly)\b(?! living| activit)"
)
_CODES = {"qd": 1, "od": 1, "qhs": 1, "bid": 2, "bd": 2, "tid": 3, "tds": 3, "qid": 4, "qds": 4}
_DAILY = {"daily": "day", "night": "day", "nightly": "day", "weekly": "week", "monthly": "month"}

_TIME = r"(second|minute|hour|day|week|month|year)\b"
_SHORTHAND = (
    (re.compile(r"[’`]"), "'"),
    (re.compile(r"\b([a-z])\.([a-z])\.(?:([a-z])\.)?"), r"\1\2\3"),  # b.i.d., q.d.
    (re.compile(r"\s*n't\b"), " not"),
    (re.compile(r"\bnon-?(?=smok|drink)"), "not "),
    (re.compile(r"\bdr\."), "dr"),
    (re.compile(r"(?m)^\s*\d+[.)]\s"), " "),  # the number of an item in a list
    (re.compile(r"\bm g\b"), "mg"),
    (re.compile(r"(?<=\d) point (?=\d)"), "."),
    (re.compile(r"\bonce\b"), "1 time"),
    (re.compile(r"\btwice\b"), "2 times"),
    (re.compile(r"\ba? ?couple(?: of)?\b"), "2"),
    (re.compile(rf"\b(for|in|of|over|about|around|within|almost|nearly) an? {_TIME}"), r"\1 1 \2"),
    (re.compile(rf"\b(?:last|past) {_TIME}"), r"1 \1"),
    (re.compile(rf"\ban? {_TIME}(?= ago| or so| now| before| later)"), r"1 \1"),
    (re.compile(r"(?<![\d/])(\d+)/7(?![\d/])"), r"\1 days"),
    (re.compile(r"(?<![\d/])(\d+)/52(?![\d/])"), r"\1 weeks"),
    (re.compile(r"(?<![\d/])(\d+)/12(?![\d/])"), r"\1 months"),
    (re.compile(r"\b[x×] ?(?=\d)"), ""),
    (re.compile(r"(?<=\d)[x×]/"), " times/"),
    (re.compile(r"\b(?:\d{1,2}/\d{1,2}/\d{2,4}|\d{1,2}/\d{4})\b"), "date"),
    (re.compile(r"(?<=\d),(?=\d{3}\b)"), ""),
)


class Quantity(NamedTuple):
    """A number with its kind (age, dose, duration, frequency, number), unit ("" if none), place."""

    kind: str
    number: str
    unit: str
    start: int


def plain(text: str) -> str:
    """The text in lower case, numbers in digits, shorthand of notes and contractions written out.

    >>> plain("Cough 2/52. He hasn't had one hundred and one degrees, just twenty-five b.i.d.")
    'cough 2 weeks. he has not had 101 degrees, just 25 bid'
    """
    text = text.lower()
    text = _RUN.sub(lambda found: _digits(found[0]), text)
    for pattern, plainly in _SHORTHAND:
        text = pattern.sub(plainly, text)
    return text


def _digits(words: str) -> str:
    """Number words as digits; words that do not make one number make several.

    >>> _digits("two hundred and five"), _digits("six seven"), _digits("one thirty-eight")
    ('205', '6 7', '138')
    """
    done, total, last = [], 0, 0
    for word in re.findall(r"[a-z]+", words.replace(" and ", " ")):
        value = _WORDS[word]
        if value >= 100:
            total = max(total, 1) * value
        elif not total or 20 <= last < 100 and value < 10 and value or last >= 100:
            total += value
        elif last < 10 <= value:  # "one thirty": a pressure or a weight
            total = total * 100 + value
        else:
            done.append(str(total))
            total = value
        last = value
    return " ".join([*done, str(total)])


def quantities(text: str) -> Iterator[Quantity]:
    """The quantities of a `plain` text, each end of a range, in canonical units.

    >>> [(q.kind, q.number, q.unit) for q in quantities("40 mg daily for 14 days")]
    [('frequency', '1', '/day'), ('dose', '40', 'mg'), ('duration', '2', 'week')]
    """
    patterns = ((_AGE, _age), (_FREQUENCY, _frequency), (_SOME, _some), (_QUANTITY, _quantity))
    for pattern, read in patterns:
        for found in pattern.finditer(text):
            yield from read(found)
        text = pattern.sub(lambda found: " " * len(found[0]), text)


def _age(found: re.Match) -> Iterator[Quantity]:
    yield Quantity("age", next(filter(None, found.groups())), "year", found.start())


def _frequency(found: re.Match) -> Iterator[Quantity]:
    per = found["per"] or found["once"] or found["adverb"] or "day"
    per = f"/{_DAILY.get(per, per)}"
    numbers = [found[1], found[2]] if found[1] else ["1"]
    if found["hours"]:
        numbers = [f"{24 / max(1, int(found['hours'])):g}"]
    elif found["code"]:
        numbers = [str(_CODES[found["code"]])]
    yield from (Quantity("frequency", n, per, found.start()) for n in numbers if n)


def _some(found: re.Match) -> Iterator[Quantity]:
    yield Quantity("duration", VAGUE, found["unit"], found.start())


def _quantity(found: re.Match) -> Iterator[Quantity]:
    named = found.lastgroup
    unit = list(_UNITS)[int(named[1:])] if named else ""
    for text in filter(None, (found[1], found[2])):
        number, canonical = _canonical(float(text), unit)
        kind = "dose" if unit in DOSE else "duration" if unit in TIME else "number"
        yield Quantity(kind, f"{number:.10g}", canonical, found.start())


def _canonical(number: float, unit: str) -> tuple[float, str]:
    if unit in _SMALLER:
        factor, unit = _SMALLER[unit]
        return number * factor, unit
    if unit in _LARGER and number and number % _LARGER[unit][0] == 0:
        factor, unit = _LARGER[unit]
        return number / factor, unit
    return number, unit
