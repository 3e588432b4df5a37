"""Write a text in the form that the readers of facts expect: lower case, digits, no shorthand."""

import re

from clinical_camel.grounding.numerals import write_digits
from clinical_camel.grounding.shorthand import expand_shorthand

_MONTHS = "january february march april may june july august september october november december"
MONTHS = tuple(_MONTHS.split())
_MONTH = r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
_MONTH += r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_ORDINALS += (
    " thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)
_ORDINAL = {word: i for i, word in enumerate(_ORDINALS.split(), start=1)} | {"thirtieth": 30}
_DAY = r"(\d{1,2}(?:st|nd|rd|th)?)"
_SPOKEN_DAY = rf"(?:([23]0)[ -])?\b({'|'.join(_ORDINAL)})"
_YEAR = r"(?:,? (?:of )?((?:19|20)\d\d)(?!\d))"
_NO_UNIT = (
    r"(?! ?(?:mg|mcg|ml|g|units?|days?|weeks?|months?|years?|hours?|times?|%|/|\.\d)(?![a-z]))"
)
_TIME = r"(second|minute|hour|day|week|month|year)\b"


def _name_date(day: str | None, month: str, year: str | None) -> str:
    """Return "5 march 2021"; day or year may be missing."""
    number = str(int(day.rstrip("stndrh"))) if day else ""
    name = MONTHS[int(month) - 1] if month.isdigit() else _full_month(month)
    return " ".join(filter(None, (number, name, year)))


def _number_day(ten: str | None, ordinal: str) -> int:
    return int(ten or 0) + _ORDINAL[ordinal]


def _full_month(month: str) -> str:
    return next(name for name in MONTHS if name.startswith(month[:3]))


def _numeric_date(match: re.Match) -> str:
    """Read month/day/year, or day/month/year if the first is above 12; else leave it."""
    month, _, day, year = match.groups()
    if int(month) > 12:
        month, day = day, month
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return match[0]
    return _name_date(
        day, month, year if len(year) == 4 else f"20{year}" if int(year) < 50 else f"19{year}"
    )


def _judge_temperature(match: re.Match) -> str:
    """Add whether it is a fever: from 38 °C or 100.4 °F on."""
    value = float(match[2])
    celsius, fahrenheit = 34 <= value <= 43, 93 <= value <= 110
    if not (celsius or fahrenheit) or "fever" in match[1]:
        return match[0]
    is_fever = value >= 38 if celsius else value >= 100.4
    return f"{'fever' if is_fever else 'no fever'}; {match[0]}"


_WORD_FORMS = (
    (re.compile(rf"\b{_SPOKEN_DAY}(?= (?:of )?{_MONTH}\b)"),
     lambda m: f"{_number_day(m[1], m[2])}th"),
    (re.compile(rf"\b({_MONTH} (?:the )?){_SPOKEN_DAY}\b"),
     lambda m: f"{m[1]}{_number_day(m[3], m[4])}th"),
    (re.compile(r"\s*n't\b"), " not"),
    (re.compile(r"\bcannot\b"), "can not"),
    (re.compile(r"\bnon-?(?=smok|drink|tender|disten)"), "not "),
    (re.compile(r"\bdr\."), "dr"),
    (re.compile(r"\bm g\b"), "mg"),
    (re.compile(r"\bbpm\b"), "beats per min"),
    (re.compile(r"\bppd\b"), "packs per day"),
    (re.compile(r"\bcovid[ -]?19\b"), "covid"),
    (re.compile(r"\bonce(?= (?:an?|per|each|every|in|daily|weekly|monthly|nightly|at|or twice"
                r"|yesterday|last|today|before|more)\b| ?[.,;]|$)"), "1 time"),
    (re.compile(r"\btwice\b"), "2 times"),
    (re.compile(r"\b(?:an? |1 )?fortnight\b"), "2 weeks"),
    (re.compile(r"\bthrice\b"), "3 times"),
    (re.compile(rf"\b(?:an?|1) {_TIME} and a half"), r"1.5 \1"),
    (re.compile(r"\b(?:a )?couple(?: of)?\b"), "2"),
    (re.compile(rf"\b(for|in|of|over|about|around|within|almost|nearly|another) an? {_TIME}"),
     r"\1 1 \2"),
    (re.compile(rf"\b(?:last|past) {_TIME}"), r"1 \1"),
    (re.compile(rf"\ban? {_TIME}(?= ago| or so| now| before| later| prior| earlier)"), r"1 \1"),
)  # fmt: skip
_NUMBER_FORMS = (
    # dates
    (re.compile(r"(?<![\d/-])(\d{1,2})([/-])(\d{1,2})\2(\d{4}|\d{2})(?![\d/-])"), _numeric_date),
    (re.compile(r"(?<![\d/-])((?:19|20)\d\d)-(\d\d)-(\d\d)(?![\d/-])"),
     lambda m: _name_date(m[3], m[2], m[1]) if 1 <= int(m[2]) <= 12 else m[0]),
    (re.compile(r"(?<![\d/-])(0?[1-9]|1[0-2])[/-]((?:19|20)\d\d)(?![\d/-])"),
     lambda m: _name_date(None, m[1], m[2])),
    (re.compile(rf"\b(?:the )?{_DAY}[ -](?:of )?{_MONTH}(?: |-)((?:19|20)\d\d)\b"),
     lambda m: _name_date(m[1], m[2], m[3])),
    (re.compile(rf"\b{_MONTH} (?:the )?{_DAY}{_YEAR}?{_NO_UNIT}\b"),
     lambda m: m[0] if m[1] == "may" and m[2].isdigit() and not m[3]  # "may 5 mg be given"
     else _name_date(m[2], m[1], m[3])),
    (re.compile(rf"\b(?:the )?{_DAY} (?:of )?{_MONTH}\b{_YEAR}?"),
     lambda m: _name_date(m[1], m[2], m[3]) if m[2] != "may" or not m[1].isdigit() else m[0]),
    (re.compile(rf"\b{_MONTH}{_YEAR}"), lambda m: _name_date(None, m[1], m[2])),
    (re.compile(r"\b(?:1st|2nd|3rd|[4-9]th|1\dth|20th)\b"),
     lambda m: _ORDINALS.split()[int(m[0][:-2]) - 1]),
    (re.compile(r"\bq\. ?(?=\d)"), "q"),
    (re.compile(r"(?<!\w)x(?=\d)"), "x "),
    # "a hundred . four", "point five centimeters"
    (re.compile(r"(?<![\d.])(\d+) \. (\d)(?![\d.]| ?(?:days?|weeks?|months?|years?|hours?|mg)\b)"),
     r"\1.\2"),
    (re.compile(r"(?<!\d )(?<!this )(?<!that )\bpoint (?=\d+ ?(?:[cm]m|centi|milli|%|percent|mg))"),
     "0."),
    (re.compile(r"\b(tak(?:e|es|ing)|took) (\d+) of (?=the|my|his|her|th)"), r"\1 \2 tablets of "),
    (re.compile(r"\btemp(?:erature)?\b([^\d.;?!]{0,25})(\d\d\d?(?:\.\d+)?)(?! ?(?:over|/|\d))"),
     _judge_temperature),
    (re.compile(r"(?<=[\d%]) (?:up|down|back) to (?=\d)"), " to "),
    (re.compile(r"\bbetween (\d[\d.]*(?: ?[a-z]+)?) and (?=\d)"), r"\1 to "),
    (re.compile(r"(?<=\d) (?:over )+(?=\d)"), "/"),
    (re.compile(r"(?<=\d) out of (?:a possible )?(?=(?:5|6|10|15|30|100)\b)"), "/"),
    (re.compile(r"(?<![\d/])(?!24/)(\d{1,2})/7(?![\d/])"), r"\1 days"),
    (re.compile(r"(?<![\d/])(\d{1,2})/52(?![\d/])"), r"\1 weeks"),
    (re.compile(r"(?<![\d/])(\d{1,2})/12(?![\d/])"), r"\1 months"),
    (re.compile(r"(?<=\d) ?x ?10 ?(?:\^|\*\*?|\(|e)? ?(\d{1,2})\)?(?= ?(?:/|cells|per))"),
     r" 10^\1"),
    (re.compile(r"(?<=\d) ?x ?10(?:\^|\*\*)(\d{1,2})"), r" 10^\1"),
    (re.compile(r"(?<=\d) ?(?:k|thousand)(?=/(?:ul|mm3|cumm|l)\b)"), " 10^3"),
    (re.compile(r"(?<=\d) ?(?:m|million)(?=/(?:ul|mm3|cumm)\b)"), " 10^6"),
    (re.compile(r"(?<![a-z])(mg|mcg|ug|g|gm|ml|kg|iu|units?|u|meq|mmol|kcal|tabs?|tablets?|puffs?)"
                r" ?/ ?(day|d|week|wk|month)(?![a-z])"),
     lambda m: f"{m[1]} per {dict(d='day', wk='week').get(m[2], m[2])}"),
    (re.compile(r"(?<=\d)[x×] ?/"), " times/"),
)  # fmt: skip
_ITEM_NUMBER = re.compile(r"(?m)^\s*(?:1\d|[1-9])[.)]\s")  # in a list; "58. I feel fine" is an age


def normalize_text(text: str) -> str:
    """Return the text in lower case, with digits for number words and shorthand spelled out.

    >>> normalize_text("Cough 2/52. He hasn't had one hundred and one, just twenty-five b.i.d.")
    'cough 2 weeks. he has not had 101, just 25 bid'
    """
    text = write_digits(_ITEM_NUMBER.sub(" ", expand_shorthand(text)).lower())
    for pattern, replacement in _WORD_FORMS:
        text = pattern.sub(replacement, text)
    if any(map(str.isdigit, text)):
        for pattern, replacement in _NUMBER_FORMS:
            text = pattern.sub(replacement, text)
    return text
