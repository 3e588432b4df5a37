"""A PHI screen: find identifiers of persons before a text is sent or published.

This is not de-identification. It finds identifiers with a fixed format (numbers, dates, addresses,
a name after "Mr" or "my name is"). It misses bare names, rare jobs, small villages and events in
the news; each of these can identify a patient. An empty result is no permission to publish.
benchmarks/results/phi_screen.csv has the recall on planted identifiers, by kind.

Besides our patterns it uses the pattern recognizers of presidio-analyzer, if that is installed
(pip install -e .[phi]). It does not use those that need a language model.
"""

import functools
import importlib.util
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

_MONTH = (
    r"(?i:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_NAME = r"[A-Z][\w'’-]+(?:\s+(?:[A-Z][\w'’-]+|[A-Z]\b\.?)){0,3}"
_STREET = (
    r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Close|Crescent|Way"
    r"|Terrace|Place|Pl|Square|Gardens|Grove|Mews|Parkway|Highway)\b"
)
# Run time is linear in the text: repetitions are bounded or possessive ("*+").
PATTERNS: dict[str, tuple[str, ...]] = {
    "email": (r"[\w.+-]{1,64}\s?(?:@|\(at\)|\[at\])\s?[\w-]+(?:\.[\w-]+)+",),
    "url": (r"\bhttps?://\S+", r"\bwww\.[\w.-]+\.\w{2,}\S*"),
    "ip": (r"\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b",),
    "phone": (
        r"(?<![\w.])(?:\+?1[ .-]?)?(?:\(\d{3}\)\s?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])",
        r"(?<![\w.])(?:\+44\s?(?:\(0\)\s?)?|0)\d{2,4}[ -]?\d{3,4}[ -]?\d{3,4}(?![\w-])",
        r"(?<![\w.])\+\d{1,3}(?:[ .-]?\d){7,12}(?![\w-])",
    ),
    "ssn": (r"(?<![\d-])(?!000|666)\d{3}[- ]\d{2}[- ]\d{4}(?![\d-])",),
    "nhs": (r"(?<![\d-])\d{3}[- ]?\d{3}[- ]?\d{4}(?![\d-])",),
    "card": (r"(?<![\d.-])[2-6](?:[ -]?\d){12,18}(?![\d-])",),
    "record number": (
        r"(?i:\b(?:mrn|medical record|record|chart|account|acct|policy|member|insurance|hospital"
        r"|patient|case|encounter|accession|licen[sc]e|serial|passport|medicare|medicaid)"
        r"(?:\s*+(?:number|no\.?|id|identifier|#))?\s*+(?:is|:|#|=)?\s*+)[A-Z]{0,4}-?\d[\dA-Z-]{4,}",
    ),
    "date": (
        rf"\b{_DAY}[/.-](?:0?[1-9]|1[0-2])[/.-](?:19|20)?\d\d\b",
        rf"\b(?:0?[1-9]|1[0-2])[/.-]{_DAY}[/.-](?:19|20)?\d\d\b",
        rf"\b(?:19|20)\d\d[/.-](?:0?[1-9]|1[0-2])[/.-]{_DAY}\b",
        rf"\b{_DAY}(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH},?(?:\s+(?:19|20)\d\d)?\b",
        rf"\b{_MONTH}\s+{_DAY}(?:st|nd|rd|th)?\b(?:,?\s+(?:19|20)\d\d\b)?",
    ),
    "age over 89": (
        r"\b(?:9\d|1[01]\d)[- ]?(?:years?|yrs?|y/?o)(?:[- ]old| of age)?\b",
        r"(?i:\b(?:aged?|age of|man of|woman of)\s+)(?:9\d|1[01]\d)\b",
    ),
    "name": (
        rf"\b(?:Mr|Mrs|Ms|Miss|Mister|Dr|Doctor|Prof|Professor|Nurse|Sister)\.?\s+{_NAME}",
        r"\b(?i:patient)\s*:\s+[A-Z][\w'’-]+\s+[A-Z][\w'’-]+",  # not "Patient: Yes, ..."
        r"\b(?:mr|mrs|dr)\b\.?\s+[a-z][\w'’-]+",  # transcripts of speech recognition
        rf"(?i:\b(?:my name is|name\s*:|i am called|this is|signed by|dictated by|"
        rf"daughter|son|wife|husband|mother|father|brother|sister|friend)\s+){_NAME}",
    ),
    "address": (
        rf"\b\d{{1,5}}[A-Za-z]?,?\s+(?:[NSEW]\.?\s+)?(?:[A-Z][\w'’-]+\s+){{1,3}}{_STREET}",
        r"\b(?i:p\.?\s?o\.?\s+box)\s+\d+",
        r"\b(?:Flat|Apt\.?|Apartment|Suite|Unit)\s+\d+\w?\b",
    ),
    "postcode": (
        r"\b[A-Z]{1,2}\d[A-Z\d]?\s\d[A-Z]{2}\b",
        r"\b[A-Z]{2},?\s+\d{5}(?:-\d{4})?\b",
    ),
}  # fmt: skip
PRESIDIO = {  # recognizer: our kind; none needs a language model
    "CreditCardRecognizer": "card",
    "DateRecognizer": "date",
    "EmailRecognizer": "email",
    "IpRecognizer": "ip",
    "MedicalLicenseRecognizer": "record number",
    "NhsRecognizer": "nhs",
    "PhoneRecognizer": "phone",
    "UrlRecognizer": "url",
    "UsSsnRecognizer": "ssn",
}


@dataclass(frozen=True, slots=True)
class Identifier:
    """A possible identifier: its kind, and its place in the text."""

    kind: str
    start: int
    end: int


Recognizer = Callable[[str], Iterator[Identifier]]


def match_patterns(text: str) -> Iterator[Identifier]:
    """Yield the matches of our patterns; numbers with a check digit must have the right one."""
    for kind, patterns in _compiled().items():
        for pattern in patterns:
            for match in pattern.finditer(text):
                if _CHECK_DIGITS.get(kind, bool)(match[0]):
                    yield Identifier(kind, match.start(), match.end())


@functools.cache
def _compiled() -> dict[str, tuple[re.Pattern[str], ...]]:
    return {kind: tuple(map(re.compile, texts)) for kind, texts in PATTERNS.items()}


def has_card_check_digit(text: str) -> bool:
    """Return whether the check digit of a card number is right (Luhn; ISO/IEC 7812-1).

    >>> has_card_check_digit("4111 1111 1111 1111"), has_card_check_digit("4111 1111 1111 1112")
    (True, False)
    """
    digits = [int(c) for c in reversed(text) if c.isdigit()]
    doubled = [sum(divmod(2 * d, 10)) for d in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0 and any(digits)


def has_nhs_check_digit(text: str) -> bool:
    """Return whether an NHS number is valid (modulus 11; NHS Data Model and Dictionary).

    >>> has_nhs_check_digit("943 476 5919"), has_nhs_check_digit("943 476 5918")
    (True, False)
    """
    digits = [int(c) for c in text if c.isdigit()]
    check = -sum(d * w for d, w in zip(digits, range(10, 1, -1), strict=False)) % 11
    return check == digits[9]


_CHECK_DIGITS = {"card": has_card_check_digit, "nhs": has_nhs_check_digit}


@functools.cache
def load_presidio() -> Recognizer | None:
    """Return the recognizers in PRESIDIO as one; None if presidio-analyzer is not installed."""
    if not importlib.util.find_spec("presidio_analyzer"):
        return None
    import tldextract.tldextract
    from presidio_analyzer import predefined_recognizers

    # use the list of domains that it ships: it would download the newest one
    tldextract.tldextract.TLD_EXTRACTOR.suffix_list_urls = ()
    loaded = [(kind, getattr(predefined_recognizers, name)()) for name, kind in PRESIDIO.items()]

    def recognize(text: str) -> Iterator[Identifier]:
        for kind, recognizer in loaded:
            for hit in recognizer.analyze(text, recognizer.supported_entities, None) or ():
                yield Identifier(kind, hit.start, hit.end)

    return recognize


def load_recognizers() -> dict[str, Recognizer]:
    """Return the recognizers by name: ours, and presidio if it is installed."""
    presidio = load_presidio()
    return {"ours": match_patterns} | ({"presidio": presidio} if presidio else {})


def find_identifiers(
    text: str, recognizers: Mapping[str, Recognizer] | None = None
) -> list[Identifier]:
    """Return possible identifiers in order of the text, without those inside another one.

    `recognizers`: those of `load_recognizers` by default.

    >>> text = "Mr Bell, born 3 May 1961, 020 7946 0018"
    >>> [match.kind for match in find_identifiers(text, {"ours": match_patterns})]
    ['name', 'date', 'phone']
    """
    chosen = load_recognizers() if recognizers is None else recognizers
    matches = [match for recognize in chosen.values() for match in recognize(text)]
    matches.sort(key=lambda match: (match.start, -match.end))
    identifiers: list[Identifier] = []
    for match in matches:
        if not identifiers or match.end > identifiers[-1].end:  # the last one has the largest end
            identifiers.append(match)
    return identifiers


def count_identifiers(
    texts: Sequence[str], recognizers: Mapping[str, Recognizer] | None = None
) -> pd.DataFrame:
    """Return by kind how many identifiers there are, and in how many texts; never the words.

    Columns: kind, identifiers, texts, texts_screened. Without any identifier the table is one row
    of zeros.
    """
    kinds = [[match.kind for match in find_identifiers(text, recognizers)] for text in texts]
    total = Counter(kind for of_text in kinds for kind in of_text)
    rows = [
        (kind, total[kind], sum(kind in of_text for of_text in kinds)) for kind in sorted(total)
    ]
    table = pd.DataFrame(
        rows or [("none of the kinds", 0, 0)], columns=["kind", "identifiers", "texts"]
    )
    return table.assign(texts_screened=len(texts))
