"""Extract the quantities of a text: "twenty M G b.i.d." is 20 mg, 2/day.

`extract_quantities` gives each quantity as written, with the names of its units; a range, a pair or
a product is one quantity. `is_same_quantity` converts units: 0.25 mg is 250 mcg, never 25 mg.

Why not a library: quantulum3 0.10 reads "M G" as metre gauss, "4/7" (four days) as 0.57 hours and
"120/80 mmHg" as 1.5, and does not know "q12h".
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from clinical_camel.grounding.comparison import VAGUE, is_same_quantity
from clinical_camel.grounding.normalization import MONTHS, normalize_text
from clinical_camel.grounding.units import DOSE, PATTERN, TIME, name_unit, parse_unit

__all__ = [
    "QUANTITIES",
    "VAGUE",
    "Quantity",
    "extract_quantities",
    "is_same_quantity",
    "normalize_text",
]

QUANTITIES = ("age", "dose", "duration", "frequency", "number", "date", "time")

_N = r"\d+(?:\.\d+)?"
_START = r"(?<![\w.])"
_TO = r"(?P<to> ?- ?| to | or | ?± ?| ?\+/- ?)"
_PERIOD = r"second|minute|hour|day|week|month|year"
_PILL = r"(?:tablet|tab|pill|capsule|cap|vial|patch|caplet|lozenge)s?\b"
_MORE = "more than|greater than|over|above|at least|no less than|not less than|minimum of|exceeding"
_LESS = "less than|fewer than|under|below|at most|no more than|not more than|up to|maximum of"

_DATE = re.compile(
    rf"(?<![\w.])(?:\d{{1,2}} (?:{'|'.join(MONTHS)})(?: \d{{4}})?|(?:{'|'.join(MONTHS)}) \d{{4}})\b"
)
_CLOCK = re.compile(
    rf"{_START}(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?![\d:])(?: ?(?P<half>[ap])m\b)?"
    rf"|{_START}(?P<full>1?\d)(?: ?(?P<side>[ap])m\b| ?o'? ?clock)"
)
_PARTS_OF_DAY = {
    "morning": r"mornings?|qam|breakfast",
    "noon": r"noon|midday|lunch(?:time)?",
    "afternoon": r"afternoons?",
    "evening": r"evenings?|qpm|dinner(?:time)?|supper",
    "night": r"(?:to)?nights?|nightly|overnight|bed ?time|qhs|(?:before|going to) (?:bed|sleep)",
}
_PART_OF_DAY = re.compile("|".join(rf"\b(?P<{k}>{v})\b" for k, v in _PARTS_OF_DAY.items()))
_NAMED_DAY = re.compile(
    r"\b((?:mon|tues|wednes|thurs|fri|satur|sun)day)s?\b"
    rf"|\b(?:in|since|last|until|from|by) ({'|'.join(MONTHS)})\b(?! \d)"
)
_AGE = re.compile(
    rf"{_START}({_N})[\s-]*(year|yr|y|month|week|day)s?(?:[\s-]*olds?\b|/?o\b)"
    r"|\b(?:age|aged)(?: of)? (\d+)\b|\b(?:man|woman|male|female|boy|girl) of (\d+)\b(?! ?[a-z]*\d)"
)
_PAIR = re.compile(rf"{_START}({_N})([/:])({_N})(?![\d/:])(?:[ -]?(?P<unit>{PATTERN}))?")
_PER = r"(?P<per>hour(?:ly)?|day|daily|night(?:ly)?|week(?:ly)?|month(?:ly)?|year(?:ly)?)"
_FREQUENCY = re.compile(
    rf"{_START}({_N})(?:(?: ?- ?| to | or )({_N}))? ?"
    rf"(?:(?:x|times?) ?(?:an? |per |each |every |/ ?)?|/ ?|an? |per ){_PER}\b"
    rf"|\b(?:every|q|per|each) ?(?P<each>{_N})(?:(?: to | ?- ?| or )(?P<each2>{_N}))?"
    r" ?(?P<unit>h|d|w|hrs?|hours?|days?|wks?|weeks?|months?|years?|mins?|minutes?)\b"
    r"|\b(?:every|q) ?(?P<other>other|second|alternate) (?P<span>day|night|week|month|year)s?\b"
    r"|\b(?P<code>qd|od|bid|bd|tid|tds|qid|qds|qhs|qam|qpm|qod)\b"
    r"|\b(?:1 time |an? |per |each |every |q)(?P<once>day|morning|evening|night|week|month)\b"
    r"|\b(?:per |each |every |q)(?P<hourly>hour)\b"
    r"|\b(?P<adverb>daily|nightly|hourly|weekly|monthly|yearly|annually)\b(?! living| activit)"
)
_CODES = {"bid": "2", "bd": "2", "tid": "3", "tds": "3", "qid": "4", "qds": "4", "qod": "0.5"}
_ADVERBS = {"dai": "day", "nig": "day", "mor": "day", "eve": "day", "ann": "year"}
_HOURS = {"m": 1 / 60, "h": 1, "d": 24, "w": 168}
_SOME = re.compile(rf"\b(?:several|few|many|some|couple) (?P<unit>{_PERIOD})s\b")
_PRODUCT = re.compile(
    rf"{_START}(?P<count>{_N}) x (?P<dose>{_N})[ -]?(?P<unit>{PATTERN})"
    rf"|{_START}(?P<count2>{_N}) (?P<dose2>{_N})[ -]?(?P<unit2>{PATTERN})"
    rf"(?=[ -](?:[a-z]+ )?{_PILL})"
    rf"|{_START}(?P<count3>{_N}) {_PILL} of (?:[a-z]+ )?(?P<dose3>{_N})[ -]?(?P<unit3>{PATTERN})"
    rf"|{_START}(?P<dose4>{_N})[ -]?(?P<unit4>{PATTERN})(?: {_PILL})? x (?P<count4>\d+)"
    rf"(?![\d.]|[ -]?(?:/|x|times|per|a|dai|dose|{_PERIOD}|hr|wk|{PATTERN}))"
)
_SIZE = re.compile(rf"{_START}({_N}) x ({_N})(?: x ({_N}))?(?:[ -]?(?P<unit>{PATTERN}))?")
_QUANTITY = re.compile(
    rf"(?:\b(?P<more>{_MORE}) |(?P<gt>>=?) ?|\b(?P<less>{_LESS}) |(?P<lt><=?) ?)?"
    rf"(?P<sign>minus |(?<![\d%] )(?<=[ (=:,])-)?{_START}(?P<n1>{_N})"
    rf"(?:(?:[ -]?(?P<u1>{PATTERN}))?{_TO}(?P<n2>{_N}))?"
    rf"(?!(?:st|nd|rd|th)\b)(?:[ -]?(?P<u2>{PATTERN}))?"
)
_CHANGES = re.compile(
    r"(?<!range )(?<!ranges )(?<!ranged )(?<!ranging )(?<!anywhere )(?<!scale )(?<!var[iy]es )"
    r"(?<!ates )from $"
    r"|\b(?:increas|decreas|reduc|taper|titrat|rais|lower|chang|switch|went|go|going|bump|drop)\w*"
    r"(?: \w+){0,4} $"
)


class Quantity(NamedTuple):
    """A quantity in a normalized text: its kind (one of QUANTITIES), number and unit, its place.

    `number` may be a range ("10-20"), a change ("10→20"), a pair ("120/80"), a product ("2x500"), a
    date or a time of day, with "<" or ">" in front; `unit` is "" if the text has none.
    """

    kind: str
    number: str
    unit: str
    start: int
    end: int = -1

    @property
    def value(self) -> str:
        """Number and unit as one text, for `is_same_quantity`."""
        return f"{self.number}{'' if self.unit[:1] in ('/', '%', '') else ' '}{self.unit}"


def extract_quantities(text: str) -> Iterator[Quantity]:
    """Yield the quantities of a normalized text; those of one kind in their order.

    >>> [(q.kind, q.value) for q in extract_quantities("40 mg daily for 14 days")]
    [('frequency', '1/day'), ('dose', '40 mg'), ('duration', '14 day')]
    """
    for match in _PART_OF_DAY.finditer(text):
        yield Quantity("time", match.lastgroup or "", "", *match.span())
    for match in _NAMED_DAY.finditer(text):
        yield Quantity("date", match[1] or match[2], "", *match.span())
    for pattern, read in _READERS if any(map(str.isdigit, text)) else _WITHOUT_DIGITS:
        spans = []
        for match in pattern.finditer(text):
            if quantities := list(read(match)):
                yield from quantities
                spans.append(match.span())
        for start, end in spans:
            text = text[:start] + " " * (end - start) + text[end:]


def _date(match: re.Match) -> Iterator[Quantity]:
    yield Quantity("date", match[0], "", *match.span())


def _clock(match: re.Match) -> Iterator[Quantity]:
    hour, half = int(match["hour"] or match["full"]), match["half"] or match["side"]
    half = half or ("p" if hour > 12 else "")
    text = f"{hour - 12 if hour > 12 else hour}:{match['minute'] or '00'}"
    yield Quantity("time", text + (f" {half}m" if half else ""), "", *match.span())


def _age(match: re.Match) -> Iterator[Quantity]:
    number, unit = match[1] or match[3] or match[4], match[2] or "year"
    yield Quantity("age", number, name_unit(unit), *match.span())


def _pair(match: re.Match) -> Iterator[Quantity]:
    unit = name_unit(match["unit"] or "")
    yield Quantity(_kind(unit), "".join(match.groups()[:3]), unit, *match.span())


def _frequency(match: re.Match) -> Iterator[Quantity]:
    numbers, per = [match[1], match[2]], match["per"] or match["once"] or match["adverb"] or "day"
    per = match["hourly"] or per
    if match["each"]:
        numbers, per = [match["each2"], match["each"]], match["unit"]
        hours = _HOURS.get("" if per.startswith("mo") else per[0])
        per = "day" if hours and hours < 168 else per
        base = 24 / hours if per == "day" and hours else 1
        numbers = [f"{base / float(n):.4g}" if n and float(n) else None for n in numbers]
    elif match["other"]:
        numbers, per = ["0.5"], match["span"]
    elif match["code"]:
        numbers = [_CODES.get(match["code"], "1")]
    elif not match[1]:
        numbers = ["1"]
    per = _ADVERBS.get(
        per[:3], {"h": "hour", "w": "week", "m": "month", "y": "year"}.get(per[0], "day")
    )
    if any(numbers):
        yield Quantity("frequency", "-".join(filter(None, numbers)), f"/{per}", *match.span())


def _some(match: re.Match) -> Iterator[Quantity]:
    yield Quantity("duration", VAGUE, match["unit"], *match.span())


def _product(match: re.Match) -> Iterator[Quantity]:
    groups = match.groupdict()
    count, dose, unit = (
        next(groups[name + i] for i in ("", "2", "3", "4") if groups.get(name + i))
        for name in ("count", "dose", "unit")
    )
    unit = name_unit(unit)
    if unit.split("/")[0] in DOSE:
        number = dose if float(count) == 1 else f"{count}x{dose}"
        yield Quantity("dose", number, unit, *match.span())


def _size(match: re.Match) -> Iterator[Quantity]:
    number = "x".join(filter(None, match.groups()[:3]))
    yield Quantity("number", number, name_unit(match["unit"] or ""), *match.span())


def _quantity(match: re.Match) -> Iterator[Quantity]:
    first, unit = _measure(match["n1"], match["u1"] or "" if match["n2"] else match["u2"] or "")
    relation = ">" if match["more"] or match["gt"] else "<" if match["less"] or match["lt"] else ""
    if match["n2"]:
        second, last_unit = _measure(match["n2"], match["u2"] or "")
        if joined := _join(match, first, unit or last_unit, second, last_unit):
            yield Quantity(_kind(last_unit), relation + joined, last_unit, *match.span())
            return
        yield Quantity(_kind(last_unit), second, last_unit, match.start("n2"), match.end())
    sign = "-" if match["sign"] and _kind(unit) == "number" else ""
    yield Quantity(_kind(unit), relation + sign + first, unit, match.start("n1"), match.end())


def _join(match: re.Match, first: str, unit: str, second: str, last_unit: str) -> str:
    """Return "10-20" for a range, "10→20" for a change, "5±2"; "" for two quantities."""
    ours, theirs = parse_unit(unit), parse_unit(last_unit)
    if ours.dimensions != theirs.dimensions:
        return ""
    if ours != theirs:
        first = f"{float(Fraction(first) * ours.factor / theirs.factor):.10g}"
    before = match.string[max(0, match.start() - 60) : match.start()]
    if "±" in match["to"] or "+" in match["to"]:
        return f"{first}±{second}"
    if match["to"] == " to " and (float(first) > float(second) or _CHANGES.search(before)):
        return f"{first}→{second}"
    return f"{first}-{second}" if float(first) < float(second) else ""


def _measure(number: str, text: str) -> tuple[str, str]:
    """Return number and unit; a letter that cannot be a unit there is none ("100 m", "5 f")."""
    unit, value = name_unit(text), float(number)
    if power := re.fullmatch(r"10\^(\d+)", unit):
        return f"{value * 10 ** int(power[1]):.10g}", ""
    is_age = text == "f" and "." not in number and not 80 <= value <= 115  # 38 F: female
    if is_age or (text == "c" and value < 20) or (text == "m" and "." not in number):
        return number, ""
    return number, unit


def _kind(unit: str) -> str:
    first, *below = unit.split("/")
    if first in DOSE and not any(part.lstrip("0123456789.") in _FLUID for part in below):
        return "dose"
    return "duration" if first in TIME else "number"


_FLUID = {"ml", "dl", "l", "ul"}  # an amount per volume is a strength or a laboratory value
_READERS = (
    (_DATE, _date),
    (_CLOCK, _clock),
    (_AGE, _age),
    (_PAIR, _pair),
    (_FREQUENCY, _frequency),
    (_SOME, _some),
    (_PRODUCT, _product),
    (_SIZE, _size),
    (_QUANTITY, _quantity),
)
_WITHOUT_DIGITS = ((_FREQUENCY, _frequency), (_SOME, _some))
