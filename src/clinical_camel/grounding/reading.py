"""What a text says, clause by clause: its words, which of them are negated, and its facts.

A negation reaches from its word some words on, further in a list, and to the end of the clause at
most (after NegEx: Chapman et al. 2001, Journal of Biomedical Informatics 34:301). Of a consultation
each question is read with its answer: "any fever?", "no" is a negation of fever.
"""

import functools
import itertools
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from clinical_camel.grounding import quantities, terms

KINDS = (*quantities.QUANTITIES, "side", "sex", "name", "medication", "symptom", "negation")

REACH = 8  # words that a negation holds for
SHORT = 150  # letters of a clause that is all under its "if"
_CLAUSE = re.compile(
    r"[.;:?!]+(?=\s|$)|\n|(?<![a-z])(?:but|however|although|though|except|whereas)(?![a-z])"
)
_NEGATION = re.compile(
    r"\b(?:not(?! only)|without|den(?:y|ies|ied|ying)|negative for|nil|never|neither|nor|cannot"
    r"|no(?! ?,| ?-|\s*$| i\b| it\b| that\b| problem\b)|none|absence of|free of|lack of|resolved"
    r"|unaware of|unable to)\b"
)
_RELEASE = re.compile(
    r", ?(?:so|i|i'm|i've|it|it's|we|my|um|uh|just|only)\b"
    r"|\b(?:who|which|because|since|and ,|endorses|reports|positive for|other than"
    r"|and (?:my|he|she|it|they|i|the|is|are|has|have|was|were|does|reports|will|can))\b"
)
_AFTER = re.compile(r"\b(?:negative|absent|denie[sd]|ruled out|unlikely)\s*$")
_SIDE = re.compile(
    r"\b(left|(?<!all )(?<!is )right(?! now| away| here| there)|bilateral(?:ly)?|both)\b"
)
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+(?:\.\d+)?")
_FIRST = r"^(?:\W|u[hm]+\b|well\b|oh\b|i mean\b)*"
_YES = re.compile(
    rf"{_FIRST}(?:yes|yeah|yep|yup|correct|exactly|sure|uh-huh|mm-hmm|a (?:little|bit)|some"
    r"|(?:i|it|he|she) (?:do|does|did|have|has|am|is|was)(?= ?(?:[.,;]|$)))"
)
_NO = re.compile(
    rf"{_FIRST}(?:no\b|nope|nah|never|not\b|none|negative|nothing"
    r"|(?:i|it|he|she|they) (?:do|does|did|have|has|am|is|was|are|can|ca|had|would) ?not)"
)
# How questions begin, since a transcript may have no marks.
_ASKED = re.compile(
    r"(?:(?:^|(?<=okay )|(?<=and )|(?<=, )|(?<=well )|(?<=alright )|(?<=yes ))any"
    r"|do you|have you|has he|has she|did you|are you|is there|how about|what about"
    r"|does (?:it|he|she)|no (?=[a-z ]{1,60} \?))\b"
)
_SPOKEN = re.compile(rf"{_CLAUSE.pattern}|(?<= )(?={_ASKED.pattern})")
_IF = re.compile(r"\b(?:if|in case|unless|should you|watch out for|side effects?)\b")
_NAME = re.compile(
    r"\b(?:Mr|Mrs|Ms|Miss)\.? ([A-Z][a-z]+)"
    r"|^\W*(?!The |This |She |He |Patient |It )([A-Z][a-z]+)(?: [A-Z][a-z]+)? is an? \d"
)
_DOSED = re.compile(r"\b([a-z]{5,}) (?=\d+(?:\.\d+)? ?(?:mg|mcg|milligrams?|micrograms?)\b)")
_CERTAIN = re.compile(  # words of a sex that are the patient's
    r"year|\b(?:sir|ma'am|madam|miss|mrs?|ms|(?:i am|i'm|you are|you're|patient is) an?)\b"
)
_SEX = {
    "male": r"male|males|man|men|boys?|gentleman|he|his|him|mr|sir",
    "female": r"female|females|woman|women|girls?|lady|she|her|hers|mrs|ms|miss|ma'am|madam",
}
_SEXES = re.compile("|".join(rf"\b(?P<{sex}>{words})\b" for sex, words in _SEX.items()))
_NO_DRUG = {"about", "dose", "total", "least", "taking", "daily", "tablet", "tablets", "sulfate"}
_RELATIVE = re.compile(
    r"\b(?:mother|father|mom|mum|dad|wife|husband|son|daughter|brother|sister|aunt|uncle|grand\w+"
    r"|partner|\w*friend|sibling|child|children|kids?|baby|cousin|family|dr|doctor|colleague)s?\b"
)


class Turn(Protocol):
    """What one speaker said at one time: `data.Turn` is one."""

    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing a text says.

    `kind` is one of KINDS. `value` is canonical ("20 mg", "2/day", "left", "naproxen"); of a
    symptom or its negation it is the finding. `where` is the index of the sentence or turn. `about`
    is what it is said of, where the kind needs that: stems of the words near by, the drug of a
    dose, and of a sex "patient" where it is surely not another's.
    """

    kind: str
    value: str
    where: int
    about: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Clause:
    """Part of a sentence: its stems, those that are negated, its facts; `open` if only asked."""

    where: int
    stems: frozenset[str]
    negated: frozenset[str]
    facts: tuple[Fact, ...]
    open: bool = False


def read(units: Sequence[str | Turn]) -> list[Clause]:
    """The clauses of sentences or of turns, in order; a question has the polarity of its answer.

    >>> from types import SimpleNamespace as Turn
    >>> visit = [Turn(speaker="doctor", text="Any fever?"), Turn(speaker="patient", text="No.")]
    >>> [(fact.kind, fact.value) for clause in read(visit) for fact in clause.facts]
    [('negation', 'fever')]
    """
    found: list[Clause] = []
    for i, unit in enumerate(units):
        if isinstance(unit, str):
            found += read_clauses(unit, i)
            continue
        said = read_clauses(unit.text, i, spoken=True)
        asked = next((k for k in range(len(said), 0, -1) if not said[k - 1].open), 0)
        following = next((u for u in units[i + 1 : i + 2] if u.speaker != unit.speaker), None)
        reply = answer(following.text) if following else None
        found += [answered(c, reply if k >= asked else None) for k, c in enumerate(said)]
    return found


def facts(units: str | Sequence[str | Turn]) -> list[Fact]:
    """The facts of a text, of its sentences, or of the turns of a consultation, in order.

    >>> [(fact.kind, fact.value) for fact in facts("No fever. Naproxen 500 mg twice a day.")]
    [('negation', 'fever'), ('medication', 'naproxen'), ('frequency', '2/day'), ('dose', '500 mg')]
    """
    clauses = read([units] if isinstance(units, str) else units)
    return list(dict.fromkeys(fact for clause in clauses for fact in clause.facts))


def answer(text: str) -> bool | None:
    """Does a reply say yes or no, or neither?

    >>> answer("Um, no, nothing like that."), answer("I do."), answer("On Monday.")
    (False, True, None)
    """
    said = quantities.plain(text)
    return False if _NO.match(said) else True if _YES.match(said) else None


def answered(clause: Clause, reply: bool | None) -> Clause:
    """A clause that is a question as its answer has it; without yes or no it stays open."""
    if not clause.open:
        return clause
    if reply is None:
        kept = tuple(f for f in clause.facts if f.kind not in ("symptom", "negation"))
        return replace(clause, negated=frozenset(), facts=kept)
    if reply:
        return replace(clause, open=False)
    turned = tuple(replace(f, kind="negation") if f.kind == "symptom" else f for f in clause.facts)
    return replace(clause, negated=clause.stems, facts=turned, open=False)


@functools.lru_cache(maxsize=4096)
def read_clauses(text: str, where: int, spoken: bool = False) -> tuple[Clause, ...]:
    """The clauses of one sentence, or of a turn, where a question is open and often has no mark."""
    found, start, plain = [], 0, quantities.plain(text)
    named = tuple(Fact("name", n.lower(), where) for n in map(_first, _NAME.finditer(text)))
    for end in [*(_SPOKEN if spoken else _CLAUSE).finditer(plain), None]:
        part = plain[start : end.start() if end else None]
        start = end.end() if end else 0
        if re.search("[a-z0-9]", part):
            asked = end is not None and "?" in end[0] or bool(_ASKED.match(part.strip()))
            assumed = len(part) < SHORT and bool(_IF.search(part))
            found.append(_clause(part, where, named, spoken and (asked or assumed)))
            named = ()
    return tuple(found)


def _first(found: re.Match) -> str:
    return next(filter(None, found.groups()))


def _clause(text: str, where: int, named: tuple[Fact, ...], asked: bool) -> Clause:
    matches = list(_WORD.finditer(text))
    words, places = [m[0] for m in matches], [m.start() for m in matches]
    stemmed = terms.stems(words)
    known = terms.find(words, stemmed)
    known += _dosed(text, places, known)
    content = {
        i: frozenset([stem])
        for i, (word, stem) in enumerate(zip(words, stemmed, strict=True))
        if word not in terms.STOP and len(word) > 1 and not word[0].isdigit()
    }
    for first, last, term in known:  # what means the same is the same
        content |= dict.fromkeys(range(first, last), frozenset(terms.stems(term.meaning.split())))
    under: set[int] = set()
    for start, end in negated_spans(text):
        under.update(range(bisect_left(places, start), bisect_left(places, end)))
    near = functools.partial(_near, places, content)
    said = [*named, *_terms(known, under, where), *_sides(text, near, where)]
    said += [*_quantities(text, known, places, near, where), *_sexes(text, where)]
    negated = frozenset().union(*(content[i] for i in under if i in content))
    return Clause(where, frozenset().union(*content.values()), negated, tuple(said), asked)


def _dosed(text: str, places: list[int], known: list) -> Iterator[tuple[int, int, terms.Term]]:
    """The words before a dose, which name a drug whether it is known or not."""
    taken = {i for first, last, _ in known for i in range(first, last)}
    for found in _DOSED.finditer(text):
        i = bisect_left(places, found.start())
        if i not in taken and found[1] not in _NO_DRUG | terms.STOP:
            yield i, i + 1, terms.Term("medication", found[1])


def _terms(known: list, under: set[int], where: int) -> Iterator[Fact]:
    for first, _, term in known:
        if term.kind == "medication":
            yield Fact("medication", term.meaning, where)
        elif term.kind == "finding":
            yield Fact("negation" if first in under else "symptom", term.meaning, where)


def _quantities(text: str, known: list, places: list[int], near: Callable, where: int) -> Iterator:
    drugs = [(places[first], t.meaning) for first, _, t in known if t.kind == "medication"]
    for q in quantities.quantities(text):
        about = near(q.start, 4)
        if q.kind in ("dose", "frequency") and drugs:
            before = [drug for place, drug in drugs if place < q.start]
            about = frozenset([before[-1] if before else drugs[0][1]])
        space = "" if q.unit[:1] in ("/", "%", "") else " "
        yield Fact(q.kind, f"{q.number}{space}{q.unit}", where, about)


def _sides(text: str, near: Callable, where: int) -> Iterator[Fact]:
    for found in _SIDE.finditer(text):
        side = found[0] if found[0] in ("left", "right") else "both"
        if about := near(found.start(), 3):
            yield Fact("side", side, where, about)


def _sexes(text: str, where: int) -> Iterator[Fact]:
    """The sex that a clause speaks of, if it is one and no relative's."""
    sexes = {found.lastgroup for found in _SEXES.finditer(text)}
    if len(sexes) == 1 and not _RELATIVE.search(text):
        about = frozenset(["patient"] if _CERTAIN.search(text) else [])
        yield Fact("sex", *sexes, where, about)


def negated_spans(text: str) -> Iterator[tuple[int, int]]:
    """From where to where a `plain` clause is negated: REACH words on, further in a list.

    >>> list(negated_spans("has no cough or fever and reports pain"))
    [(6, 22)]
    """
    if _AFTER.search(text):
        yield 0, len(text)
    negations = list(_NEGATION.finditer(text))
    for found, following in itertools.zip_longest(negations, negations[1:]):
        stop = following.start() if following else len(text)
        release = _RELEASE.search(text, found.end(), stop)
        end, left = release.start() if release else stop, REACH
        for word in re.finditer(r"[^\s,]+|,", text[found.end() : end]):
            left = REACH if word[0] in (",", "or", "nor", "and") else left - 1
            if left < 0:
                end = found.end() + word.start()
                break
        yield found.end(), end


def _near(places: list[int], content: dict, place: int, reach: int) -> frozenset[str]:
    """The content stems within `reach` words of a place."""
    here = bisect_left(places, place)
    near = (content[i] for i in range(here - reach, here + reach + 1) if i in content)
    return frozenset().union(*near)
