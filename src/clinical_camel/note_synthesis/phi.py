"""A screen for what may identify a person, before a text leaves the machine or is published.

A screen, not de-identification: it finds what has a form (numbers, dates, addresses, a name behind
"Mr" or "my name is") and it misses what has none. A bare name, a rare job, a small village, an
event in the news stay, and each can identify a patient. An empty result is no permission.
How much is found of what was planted, kind by kind, is in benchmarks/results/phi_screen.csv.

Beside our patterns it asks the single recognizers of presidio-analyzer where that is installed
(pip install -e .[phi]). They need no language model; the ones that do are not used.
"""

import functools
import importlib.util
import re
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
# Time grows with the text and not with its square: what may repeat is bounded or possessive ("*+").
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
        r"\b(?:mr|mrs|dr)\b\.?\s+[a-z][\w'’-]+",  # speech recognition writes no capitals
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
PRESIDIO = {  # our kind by its recognizer; each works on the text alone
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
class Finding:
    """A place in a text, by its characters, and who found it: ours or presidio."""

    kind: str
    start: int
    end: int
    by: str


Recognizer = Callable[[str], Iterator[Finding]]


def ours(text: str) -> Iterator[Finding]:
    """What our patterns find; numbers that carry a check digit must have the right one."""
    for kind, patterns in _compiled().items():
        for pattern in patterns:
            for match in pattern.finditer(text):
                if _CHECKS.get(kind, bool)(match[0]):
                    yield Finding(kind, match.start(), match.end(), "ours")


@functools.cache
def _compiled() -> dict[str, tuple[re.Pattern[str], ...]]:
    return {kind: tuple(map(re.compile, texts)) for kind, texts in PATTERNS.items()}


def _luhn(text: str) -> bool:
    """The check digit of card numbers (Luhn; ISO/IEC 7812-1).

    >>> _luhn("4111 1111 1111 1111"), _luhn("4111 1111 1111 1112")
    (True, False)
    """
    digits = [int(c) for c in reversed(text) if c.isdigit()]
    doubled = [sum(divmod(2 * d, 10)) for d in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0 and any(digits)


def _nhs(text: str) -> bool:
    """The check digit of NHS numbers (modulus 11; NHS Data Model and Dictionary).

    >>> _nhs("943 476 5919"), _nhs("943 476 5918")
    (True, False)
    """
    digits = [int(c) for c in text if c.isdigit()]
    check = -sum(d * w for d, w in zip(digits, range(10, 1, -1), strict=False)) % 11
    return check == digits[9]


_CHECKS: dict[str, Callable[[str], bool]] = {"card": _luhn, "nhs": _nhs}


@functools.cache
def presidio() -> Recognizer | None:
    """The single recognizers of presidio-analyzer as one, or None where it is not installed."""
    if not importlib.util.find_spec("presidio_analyzer"):
        return None
    import tldextract.tldextract
    from presidio_analyzer import predefined_recognizers

    # it would fetch the newest list of domains; the one it ships is enough, and nothing leaves here
    tldextract.tldextract.TLD_EXTRACTOR.suffix_list_urls = ()
    made = [(kind, getattr(predefined_recognizers, name)()) for name, kind in PRESIDIO.items()]

    def find(text: str) -> Iterator[Finding]:
        for kind, recognizer in made:
            for hit in recognizer.analyze(text, recognizer.supported_entities, None) or ():
                yield Finding(kind, hit.start, hit.end, "presidio")

    return find


def recognizers() -> dict[str, Recognizer]:
    """Who screens here, by name: ours, and presidio where it is installed."""
    return {"ours": ours} | ({"presidio": found} if (found := presidio()) else {})


def screen(text: str, by: Mapping[str, Recognizer] | None = None) -> list[Finding]:
    """What may identify a person, in the order of the text; one that lies in another is left out.

    >>> [f.kind for f in screen("Mr Bell, born 3 May 1961, 020 7946 0018", {"ours": ours})]
    ['name', 'date', 'phone']
    """
    chosen = recognizers() if by is None else by
    found = [finding for find in chosen.values() for finding in find(text)]
    found.sort(key=lambda f: (f.start, -f.end, f.by))
    kept: list[Finding] = []
    for finding in found:
        if not kept or finding.end > kept[-1].end:  # the last one kept reaches furthest
            kept.append(finding)
    return kept


def screen_texts(
    texts: Mapping[str, str], by: Mapping[str, Recognizer] | None = None
) -> pd.DataFrame:
    """How often each kind occurs in each text: id, kind, count; never the words themselves."""
    rows = [
        {"id": name, "kind": finding.kind}
        for name, text in texts.items()
        for finding in screen(text, by)
    ]
    table = pd.DataFrame(rows, columns=["id", "kind"])
    return table.groupby(["id", "kind"], sort=False).size().reset_index(name="count")


def summarise_screen(found: pd.DataFrame, texts: Sequence[str]) -> pd.DataFrame:
    """By kind: how many places, and in how many of the texts; a row of zeros where nothing is.

    `found` is the table of `screen_texts`. Columns: kind, places, texts, of (texts screened).
    """
    rows = [
        {"kind": kind, "places": int(rows["count"].sum()), "texts": len(rows), "of": len(texts)}
        for kind, rows in found.groupby("kind")
    ]
    nothing = [{"kind": "none of the kinds", "places": 0, "texts": 0, "of": len(texts)}]
    return pd.DataFrame(rows or nothing)
