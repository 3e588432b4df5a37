"""Write every number of a text in digits: "two and a half" is 2.5, "0,25" is 0.25.

A comma between digits separates thousands if exactly three digits follow it and the number does not
begin with 0 (1,000), else it is a decimal mark (0,25); a raised point (0·25) is a decimal mark. A
thin or protected space and an apostrophe separate thousands. A plain space does so only before a
group that begins with 0, or before a unit: "1 500 mg", but not "1 500 mg tablet" (one tablet).
"""

import re
import unicodedata
from fractions import Fraction

_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
_ONES += " fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_LARGE = {"hundred": 100, "thousand": 1000, "million": 1000000}
_WORDS = {word: i for i, word in enumerate(_ONES.split())}
_WORDS |= {word: 10 * i for i, word in enumerate(_TENS.split(), start=2)}
_WORDS |= _LARGE | {"dozen": 12}

# ------------------------------------------------------------------------------------- characters

_CHARACTERS = str.maketrans(
    dict.fromkeys("‘’`´ʼ", "'")
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
    | dict.fromkeys("\u200b\u2060\ufeff\u00ad", "")
    | {"⁄": "/", "≤": "<=", "≥": ">=", "≈": "~", "µ": "u", "μ": "u", "º": "°"}
    | {"⩽": "<=", "⩾": ">=", "℃": "°c", "℉": "°f", "²": "2", "³": "3"}
)
_POWER = re.compile(r"(?<=10)[⁰¹²³⁴-⁹]+")
_POWERS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_OTHER = re.compile(r"[^\x00-\x7f]")
_VULGAR = re.compile(r"(?:(?<![\d.])(\d+)[ -]?)?([¼-¾⅐-⅞])")
_FRACTION = re.compile(r"(?<![\d/.])(?:(\d+)(?: |-| and ))?([13]/[48]|1/[23]|2/3)(?![\d/])")


def _plain(text: str) -> str:
    if text.isascii():
        return text
    text = _POWER.sub(lambda match: "^" + match[0].translate(_POWERS), text)
    text = _VULGAR.sub(lambda m: _add(m[1], Fraction(unicodedata.numeric(m[2]))), text)
    text = re.sub(" *× *", " x ", text).translate(_CHARACTERS)
    return _OTHER.sub(lambda m: str(unicodedata.digit(m[0])) if m[0].isdecimal() else m[0], text)


def _add(whole: str | None, part: Fraction) -> str:
    return f"{float(int(whole or 0) + part):.4g}"


# -------------------------------------------------------------------------------- separating marks

_START = r"(?<![\d.,])"
_TRIPLES = re.compile(rf"{_START}[1-9]\d{{0,2}}(?:,\d{{3}})+(?![\d,])")
_DOTTED = re.compile(rf"{_START}([1-9]\d{{0,2}}(?:\.\d{{3}})+),(\d+)(?![\d,])")
_MORE_DOTTED = re.compile(rf"{_START}[1-9]\d{{0,2}}(?:\.\d{{3}}){{2,}}(?![\d.])")
_UNIT = r" ?(?:mg|mcg|ug|g|gm|kg|ml|iu|units?|u|meq|mmol|kcal|mm3|ul|/)(?![a-z])"
_MARKS = (
    (re.compile(r"(?<=\d)[·∙•‧⋅٫⸱˙．․・](?=\d)"), "."),
    (re.compile(rf"(?<![\d.,])0(?: ?[.,] ?|')(?=\d+{_UNIT})"), "0."),  # "0. 25 mg" of a PDF
    (re.compile(r"(?<![\w·∙.])[.·∙](?=\d)"), "0."),
    (re.compile(r"(?<=\d)'(?=\d{3}(?!\d))"), ""),
    (re.compile(r"(?<![\d.])(\d+) \. (\d)(?![\d.])"), r"\1.\2"),  # a transcript's "7 . 5"
    (_DOTTED, lambda match: match[1].replace(".", "") + "." + match[2]),
    (_TRIPLES, lambda match: match[0].replace(",", "")),
    (_MORE_DOTTED, lambda match: match[0].replace(".", "")),
    (re.compile(r"(?<![\d.,\[])(\d+),(\d+)(?![\d,\]])"), r"\1.\2"),
    (re.compile(r"(?<![\d.,] )(?<![\d.,/])([1-9]\d{0,2})(?:[\u2009\u202f\u00a0]\d{3})+(?!\d)"),
     lambda match: re.sub(r"\s", "", match[0])),
    (re.compile(r"[\u2000-\u200a\u202f\u205f\u00a0]"), " "),
)  # fmt: skip
_SPACED = re.compile(
    r"(?<![\d.,/] )(?<![\d.,/x])[1-9]\d{0,2}(?:(?: 0\d\d)(?: \d{3})*"
    rf"|(?: \d{{3}})+(?={_UNIT}(?! ?(?:tab|pill|cap|vial|dose|patch|chew))))(?![\d.])"
)


def _join_thousands(text: str) -> str:
    for pattern, replacement in _MARKS:
        text = pattern.sub(replacement, text)
    return _SPACED.sub(lambda match: match[0].replace(" ", ""), text)


# ------------------------------------------------------------------------------------ number words

_WORD = rf"(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))})"
_AND = "|".join(f"(?<={large}) and " for large in _LARGE)
_RUN = re.compile(
    rf"(?:\ban? (?=hundred|thousand|million|dozen))?\b{_WORD}(?:(?:{_AND}|[ -]){_WORD}){{0,11}}\b"
)
_DIGIT = rf"(?:{_WORD}|oh|o|\d+)"
_POINT = re.compile(rf"\b(\d+|{_RUN.pattern}) point ({_DIGIT}(?:[ -]{_DIGIT}){{0,11}})\b")
_BARE_POINT = re.compile(
    rf"\bpoint ({_DIGIT}(?:[ -]{_DIGIT}){{0,11}})(?= ?(?:mg|mcg|ml|milli|micro|grams?|percent|%))"
)
_OH = re.compile(r"\b(one|two|three|four|five|six|seven|eight|nine|[1-9]) (?:oh|o) (\w+)\b")
_PARTS = {"half": "1/2", "quarter": "1/4", "third": "1/3", "three quarters": "3/4"}
_PARTS |= {"two thirds": "2/3", "thirds": "1/3", "quarters": "1/4"}
_MASSES = r"tab|pill|cap|cup|pack|hour|teaspoon|inch|gram|mg|milli|dose|year|month|mile|block|day"
_HALVES = (
    (re.compile(r"\ban? (\w+) and (?:a|one) half\b"), r"1.5 \1s"),  # an hour and a half
    (re.compile(r"\b(three quarter|two third)s\b"), lambda m: _PARTS[m[0]]),
    (re.compile(r"(?<=[\w]) and (?:a|one) (half|quarter|third)\b"), lambda m: " " + _PARTS[m[1]]),
    (re.compile(r"(?<=[\w]) and ([13]/[48]|1/[23]|2/3)\b"), r" \1"),
    (re.compile(r"\b(?:an? |one )?(half|quarter|third)(?: of)? an? (?=\w)"),
     lambda m: _PARTS[m[1]] + " "),
    (re.compile(rf"\b(?:an? |one[ -])?(half|quarter|third)[ -](?:of )?(?=(?:{_MASSES}))"),
     lambda m: _PARTS[m[1]] + " "),
    (re.compile(r"\bone[ -](half|quarter|third)\b"), lambda m: _PARTS[m[1]]),
)  # fmt: skip
_MILLIONS = re.compile(r"\b(\d+(?:\.\d+)?) (hundred|thousand|million)\b")
_TABLET = re.compile(r"[ -]?[a-z]+ (?:tab|pill|cap|vial|dose|patch|chew)")


def write_digits(text: str) -> str:
    """Return the lower-case text with all its numbers in digits.

    >>> write_digits("0,25 mg, 1,000 ml, ½ or two and a half tablets, one hundred and one")
    '0.25 mg, 1000 ml, 0.5 or 2.5 tablets, 101'
    """
    text = _plain(text)
    if any(map(str.isdigit, text)):
        text = _join_thousands(text)
    text = _OH.sub(_join_oh, text)
    for pattern, replacement in _HALVES:
        text = pattern.sub(replacement, text)
    text = _POINT.sub(lambda m: f"{_to_digits(m[1])}.{_to_decimals(m[2])}", text)
    text = _BARE_POINT.sub(lambda m: f"0.{_to_decimals(m[1])}", text)
    text = _MILLIONS.sub(lambda m: f"{float(m[1]) * _LARGE[m[2]]:.10g}", text)
    text = _RUN.sub(_replace_run, text)
    return _FRACTION.sub(lambda m: _add(m[1], Fraction(m[2])), text) if "/" in text else text


def _join_oh(match: re.Match) -> str:
    """Return 101 for "one oh one"; other words after "oh" remain."""
    first, last = match.groups()
    value = _WORDS.get(last, int(last) if last.isdigit() else 10)
    return f"{_to_digits(first)}0{value}" if value < 10 else match[0]


def _to_decimals(words: str) -> str:
    parts = re.split("[ -]", words)
    return "".join("0" if p in ("oh", "o") else p if p.isdigit() else str(_WORDS[p]) for p in parts)


def _replace_run(match: re.Match) -> str:
    """Return the digits of number words; in "one ten milligram tablet", two numbers."""
    first, *others = re.split("[ -]", match[0])
    is_count = others and _WORDS.get(first, 10) < 10 and others[0] not in _LARGE
    if is_count and _TABLET.match(match.string, match.end()):
        return f"{_WORDS[first]} {_to_digits(' '.join(others))}"
    return _to_digits(match[0])


def _to_digits(words: str) -> str:
    """Convert number words to digits; words that do not form one number give several.

    >>> _to_digits("two hundred and five"), _to_digits("six seven"), _to_digits("one thirty-eight")
    ('205', '6 7', '138')
    >>> _to_digits("two thousand five hundred"), _to_digits("nineteen ninety-nine")
    ('2500', '1999')
    """
    if words.isdigit():
        return words
    numbers: list[int] = []
    total = current = last = 0
    is_new = True
    for word in re.findall(r"[a-z]+", re.sub(r"\b(?:and|an?)\b", " ", words)):
        value = _WORDS[word]
        if word == "dozen":
            current = max(current, 1) * 12
        elif word == "hundred":
            current = max(current, 1) * 100
        elif value >= 1000:
            total, current = total + max(current, 1) * value, 0
        elif is_new or _continues(current, last, value):
            current += value
        elif (
            0 < current < 10 <= value or current in (19, 20) and value >= 10
        ):  # "one thirty", a year
            current = current * 100 + value
        else:
            numbers.append(total + current)
            total, current = 0, value
        last, is_new = value, False
    return " ".join(map(str, [*numbers, total + current]))


def _continues(current: int, last: int, value: int) -> bool:
    """Whether a word below 100 adds to the number so far: after "hundred" or after a ten."""
    return last >= 100 or 20 <= last < 100 and 0 < value < 10 and last % 10 == 0
