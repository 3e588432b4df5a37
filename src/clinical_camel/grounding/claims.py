"""Words that claim a time or certainty, "previously", "currently", "confirmed", need support, too.

ConText says what a cue covers in the source. A written cue is a claim of its own: "previously had
asthma" needs a place that has asthma in the past, "confirmed asthma" one that is sure of it.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from clinical_camel.grounding.clauses import TIME_STEMS, Clause
from clinical_camel.grounding.source import Source
from clinical_camel.grounding.terms import STOP, find_words, stem_words
from clinical_camel.grounding.words import FORMULA_STEMS

NEAR = 3  # words after a claim that it is about


class Claim(NamedTuple):
    """Words that claim something, and the signs of it in a source; `reason` names the claim."""

    kind: str
    written: re.Pattern
    signs: re.Pattern
    reason: str


PAST = re.compile(
    r"\b(?:previous(?:ly)?|former(?:ly)?|used to|past|ago|before|last|earlier|initially|prior"
    r"|history|had|was|were|did|stop(?:ped)?|quit|no longer|not any ?more|until|when i"
    r"|tried|took|came off"
    r"|went|got|originally|old|in (?:19|20)\d\d|since)\b"
)
CLAIMS = (
    Claim(
        "when",
        re.compile(r"\b(?:previously|formerly|used to|stopped (?!by))"),
        PAST,
        "is not in the past in the source",
    ),
    Claim(
        "when",
        re.compile(r"\b(?:currently|current|continues?(?= ?(?:$|[,.;]))|actively)\b"),
        re.compile(
            r"\b(?:current(?:ly)?|now|still|today|right now|active(?:ly)?|at the moment|these days"
            r"|presently|continu\w+|remain\w*|is|are|am|i'm|you're|he's|she's|it's|has|have|having"
            r"|i've|do|does|take|takes|taking|using|on|get|gets|feel\w*|every|daily|been)\b"
        ),
        "is not at present in the source",
    ),
    Claim(
        "whether",
        re.compile(
            r"\b(?:confirmed|confirms|certainly|definitely|definite|proof of|proven|proves)\b"
        ),
        re.compile(
            r"\b(?:confirm\w*|certain(?:ly)?|definite(?:ly)?|pro(?:of|ven?|ves?)|sure(?:ly)?"
            r"|diagnos\w+|clearly|biops\w+|positive|absolutely|no doubt|show(?:s|ed|n|ing)?"
            r"|found)\b"
        ),
        "is not certain in the source",
    ),
)


_PURPOSE = re.compile(r"\b(?:is|are|be) used to$")  # "X-rays are used to find fractures"


def check_claims(clause: Clause, source: Source) -> Iterator[tuple[str, str]]:
    """Yield a problem if a clause claims a time or certainty of which the source has no sign.

    >>> from clinical_camel.grounding.facts import extract_clauses
    >>> source, (clause,) = Source(["Maybe it is gout."]), extract_clauses(["Confirmed gout."])
    >>> list(check_claims(clause, source))
    [('unsupported', 'whether: gout is not certain in the source')]
    """
    for claim in CLAIMS:
        for match in claim.written.finditer(clause.text):
            if source.is_article and _PURPOSE.search(clause.text[: match.end()]):
                continue
            about = _find_words(clause, match.end())
            places = _find_places(about, clause, source)
            if places and not any(_has_sign(claim, about, other) for other in places):
                words = ", ".join(sorted(clause.words[s] for s in about))
                yield "unsupported", f"{claim.kind}: {words} {claim.reason}"


def _find_words(clause: Clause, start: int) -> frozenset[str]:
    """Return the first stems with meaning after a position of a clause."""
    words = [word for word in find_words(clause.text[start:]) if word not in STOP]
    stems = [s for s in stem_words(words) if s in clause.stems - FORMULA_STEMS - TIME_STEMS]
    written = {stem for stem, word in clause.words.items() if " " in word}
    return frozenset(stems[:NEAR]) or frozenset(written & clause.stems)


def _find_places(about: frozenset[str], clause: Clause, source: Source) -> list[Clause]:
    """Return the clauses of the source with the most of these words, at least half of them."""
    candidates = {id(c): c for s in sorted(about) for c in source.find_clauses(s, clause.stems)}
    shared = {key: len(about & c.stems) for key, c in candidates.items()}
    most = max(shared.values(), default=0)
    return [c for key, c in candidates.items() if shared[key] == most and 2 * most >= len(about)]


def _has_sign(claim: Claim, about: frozenset[str], other: Clause) -> bool:
    shared = about & other.stems
    if claim.kind == "whether":
        return not shared <= other.possible and bool(claim.signs.search(other.text))
    if "past" in claim.reason:
        return bool(shared & other.past) or bool(claim.signs.search(other.text))
    return not shared <= other.past and bool(claim.signs.search(other.text))
