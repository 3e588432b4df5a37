"""Extract written and spoken quantities in canonical form: "twenty M G b.i.d." is 20 mg, 2/day.

Why not a library: quantulum3 0.10 reads "M G" as metre gauss, "4/7" (four days) as 0.57 hours and
"120/80 mmHg" as 1.5. It does not know "q12h", and needs 0.7 ms per line, 24 MB and four packages.
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
VAGUE = "some"  # the number of "several weeks": matches any number
# The larger unit, used where the conversion gives a whole number.
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
    """A number of a kind (age, dose, duration, frequency, number); unit "" for none."""

    kind: str
    number: str
    unit: str
    start: int


def normalize_text(text: str) -> str:
    """Return the text in lower case, with digits for number words and expanded shorthand.

    >>> normalize_text("Cough 2/52. He hasn't had one hundred and one, just twenty-five b.i.d.")
    'cough 2 weeks. he has not had 101, just 25 bid'
    """
    text = text.lower()
    text = _RUN.sub(lambda match: _to_digits(match[0]), text)
    for pattern, replacement in _SHORTHAND:
        text = pattern.sub(replacement, text)
    return text


def _to_digits(words: str) -> str:
    """Convert number words to digits; words that do not form one number give several.

    >>> _to_digits("two hundred and five"), _to_digits("six seven"), _to_digits("one thirty-eight")
    ('205', '6 7', '138')
    """
    numbers, total, last = [], 0, 0
    for word in re.findall(r"[a-z]+", words.replace(" and ", " ")):
        value = _WORDS[word]
        if value >= 100:
            total = max(total, 1) * value
        elif not total or 20 <= last < 100 and value < 10 and value or last >= 100:
            total += value
        elif last < 10 <= value:  # "one thirty": a pressure or a weight
            total = total * 100 + value
        else:
            numbers.append(str(total))
            total = value
        last = value
    return " ".join([*numbers, str(total)])


def extract_quantities(text: str) -> Iterator[Quantity]:
    """Yield the quantities of a normalized text in canonical units; a range gives both its ends.

    >>> [(q.kind, q.number, q.unit) for q in extract_quantities("40 mg daily for 14 days")]
    [('frequency', '1', '/day'), ('dose', '40', 'mg'), ('duration', '2', 'week')]
    """
    patterns = ((_AGE, _age), (_FREQUENCY, _frequency), (_SOME, _some), (_QUANTITY, _quantity))
    for pattern, convert in patterns:
        for match in pattern.finditer(text):
            yield from convert(match)
        text = pattern.sub(lambda match: " " * len(match[0]), text)


def _age(match: re.Match) -> Iterator[Quantity]:
    yield Quantity("age", next(filter(None, match.groups())), "year", match.start())


def _frequency(match: re.Match) -> Iterator[Quantity]:
    per = match["per"] or match["once"] or match["adverb"] or "day"
    per = f"/{_DAILY.get(per, per)}"
    numbers = [match[1], match[2]] if match[1] else ["1"]
    if match["hours"]:
        numbers = [f"{24 / max(1, int(match['hours'])):g}"]
    elif match["code"]:
        numbers = [str(_CODES[match["code"]])]
    yield from (Quantity("frequency", n, per, match.start()) for n in numbers if n)


def _some(match: re.Match) -> Iterator[Quantity]:
    yield Quantity("duration", VAGUE, match["unit"], match.start())


def _quantity(match: re.Match) -> Iterator[Quantity]:
    group = match.lastgroup
    unit = list(_UNITS)[int(group[1:])] if group else ""
    for text in filter(None, (match[1], match[2])):
        number, canonical = _canonical(float(text), unit)
        kind = "dose" if unit in DOSE else "duration" if unit in TIME else "number"
        yield Quantity(kind, f"{number:.10g}", canonical, match.start())


def _canonical(number: float, unit: str) -> tuple[float, str]:
    if unit in _SMALLER:
        factor, unit = _SMALLER[unit]
        return number * factor, unit
    if unit in _LARGER and number and number % _LARGER[unit][0] == 0:
        factor, unit = _LARGER[unit]
        return number / factor, unit
    return number, unit
