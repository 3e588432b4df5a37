"""Extract the clauses of a text: their words, their negated words, and their facts.

A negation covers the next words, more of them in a list, and at most the rest of the clause (after
NegEx: Chapman et al. 2001, Journal of Biomedical Informatics 34:301). In a consultation, a question
is combined with its answer: "any fever?", "no" is a negation of fever.
"""

import functools
import itertools
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from clinical_camel.grounding.quantities import QUANTITIES, extract_quantities, normalize_text
from clinical_camel.grounding.terms import STOP, Term, find_terms, stem_words

KINDS = (*QUANTITIES, "side", "sex", "name", "medication", "symptom", "negation")

REACH = 8  # words that a negation covers
SHORT = 150  # letters of a clause that its "if" covers completely
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
# How questions begin; a transcript may lack question marks.
_QUESTION = re.compile(
    r"(?:(?:^|(?<=okay )|(?<=and )|(?<=, )|(?<=well )|(?<=alright )|(?<=yes ))any"
    r"|do you|have you|has he|has she|did you|are you|is there|how about|what about"
    r"|does (?:it|he|she)|no (?=[a-z ]{1,60} \?))\b"
)
_SPOKEN = re.compile(rf"{_CLAUSE.pattern}|(?<= )(?={_QUESTION.pattern})")
_IF = re.compile(r"\b(?:if|in case|unless|should you|watch out for|side effects?)\b")
_NAME = re.compile(
    r"\b(?:Mr|Mrs|Ms|Miss)\.? ([A-Z][a-z]+)"
    r"|^\W*(?!The |This |She |He |Patient |It )([A-Z][a-z]+)(?: [A-Z][a-z]+)? is an? \d"
)
_DOSED = re.compile(r"\b([a-z]{5,}) (?=\d+(?:\.\d+)? ?(?:mg|mcg|milligrams?|micrograms?)\b)")
_OF_PATIENT = re.compile(  # words of a sex that refer to the patient
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


class SpokenTurn(Protocol):
    """One turn of a conversation, such as `data.Turn`."""

    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact of a text.

    `kind` is one of KINDS. `value` is canonical ("20 mg", "2/day", "left", "naproxen"); for a
    symptom or its negation it is the finding. `unit` is the index of the sentence or turn. `about`
    is the context of kinds that need one: stems of nearby words, the drug of a dose, and "patient"
    for a sex that is certainly the patient's.
    """

    kind: str
    value: str
    unit: int
    about: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Clause:
    """Part of a sentence: its stems, its negated stems, its facts; `is_open`: an open question."""

    unit: int
    stems: frozenset[str]
    negated: frozenset[str]
    facts: tuple[Fact, ...]
    is_open: bool = False


def extract_clauses(units: Sequence[str | SpokenTurn]) -> list[Clause]:
    """Return the clauses of sentences or turns; a question gets the polarity of its answer.

    >>> from types import SimpleNamespace as Turn
    >>> visit = [Turn(speaker="doctor", text="Any fever?"), Turn(speaker="patient", text="No.")]
    >>> [(fact.kind, fact.value) for clause in extract_clauses(visit) for fact in clause.facts]
    [('negation', 'fever')]
    """
    result: list[Clause] = []
    for i, unit in enumerate(units):
        if isinstance(unit, str):
            result += split_clauses(unit, i)
            continue
        clauses = split_clauses(unit.text, i, spoken=True)
        last = next((k for k in range(len(clauses), 0, -1) if not clauses[k - 1].is_open), 0)
        following = next((u for u in units[i + 1 : i + 2] if u.speaker != unit.speaker), None)
        reply = parse_reply(following.text) if following else None
        result += [apply_reply(c, reply if k >= last else None) for k, c in enumerate(clauses)]
    return result


def extract_facts(units: str | Sequence[str | SpokenTurn]) -> list[Fact]:
    """Return the facts of a text, its sentences, or the turns of a consultation, in order.

    >>> facts = extract_facts("No fever. Naproxen 500 mg twice a day.")
    >>> [(fact.kind, fact.value) for fact in facts]
    [('negation', 'fever'), ('medication', 'naproxen'), ('frequency', '2/day'), ('dose', '500 mg')]
    """
    clauses = extract_clauses([units] if isinstance(units, str) else units)
    return list(dict.fromkeys(fact for clause in clauses for fact in clause.facts))


def parse_reply(text: str) -> bool | None:
    """Return True for a reply that says yes, False for no, None for neither.

    >>> parse_reply("Um, no, nothing like that."), parse_reply("I do."), parse_reply("On Monday.")
    (False, True, None)
    """
    text = normalize_text(text)
    return False if _NO.match(text) else True if _YES.match(text) else None


def apply_reply(clause: Clause, reply: bool | None) -> Clause:
    """Give a question the polarity of its answer; without yes or no it stays open."""
    if not clause.is_open:
        return clause
    if reply is None:
        certain = tuple(f for f in clause.facts if f.kind not in ("symptom", "negation"))
        return replace(clause, negated=frozenset(), facts=certain)
    if reply:
        return replace(clause, is_open=False)
    denied = tuple(replace(f, kind="negation") if f.kind == "symptom" else f for f in clause.facts)
    return replace(clause, negated=clause.stems, facts=denied, is_open=False)


@functools.lru_cache(maxsize=4096)
def split_clauses(text: str, unit: int, spoken: bool = False) -> tuple[Clause, ...]:
    """Return the clauses of a sentence, or of a spoken turn, where questions are open."""
    clauses, start, normalized = [], 0, normalize_text(text)
    names = tuple(Fact("name", n.lower(), unit) for n in map(_first_group, _NAME.finditer(text)))
    for end in [*(_SPOKEN if spoken else _CLAUSE).finditer(normalized), None]:
        part = normalized[start : end.start() if end else None]
        start = end.end() if end else 0
        if re.search("[a-z0-9]", part):
            is_question = end is not None and "?" in end[0] or bool(_QUESTION.match(part.strip()))
            is_assumed = len(part) < SHORT and bool(_IF.search(part))
            clauses.append(_clause(part, unit, names, spoken and (is_question or is_assumed)))
            names = ()
    return tuple(clauses)


def _first_group(match: re.Match) -> str:
    return next(filter(None, match.groups()))


def _clause(text: str, unit: int, names: tuple[Fact, ...], is_open: bool) -> Clause:
    matches = list(_WORD.finditer(text))
    words, starts = [m[0] for m in matches], [m.start() for m in matches]
    stemmed = stem_words(words)
    terms = find_terms(words, stemmed)
    terms += _dosed_drugs(text, starts, terms)
    content = {
        i: frozenset([stem])
        for i, (word, stem) in enumerate(zip(words, stemmed, strict=True))
        if word not in STOP and len(word) > 1 and not word[0].isdigit()
    }
    for first, last, term in terms:  # synonyms get the same stems
        content |= dict.fromkeys(range(first, last), frozenset(stem_words(term.meaning.split())))
    negated: set[int] = set()
    for start, end in negated_spans(text):
        negated.update(range(bisect_left(starts, start), bisect_left(starts, end)))
    near = functools.partial(_near, starts, content)
    facts = [*names, *_term_facts(terms, negated, unit), *_sides(text, near, unit)]
    facts += [*_quantities(text, terms, starts, near, unit), *_sexes(text, unit)]
    negated_stems = frozenset().union(*(content[i] for i in negated if i in content))
    stems = frozenset().union(*content.values())
    return Clause(unit, stems, negated_stems, tuple(facts), is_open)


def _dosed_drugs(text: str, starts: list[int], terms: list) -> Iterator[tuple[int, int, Term]]:
    """Yield the word before a dose as a drug, even if it is not a known name."""
    taken = {i for first, last, _ in terms for i in range(first, last)}
    for match in _DOSED.finditer(text):
        i = bisect_left(starts, match.start())
        if i not in taken and match[1] not in _NO_DRUG | STOP:
            yield i, i + 1, Term("medication", match[1])


def _term_facts(terms: list, negated: set[int], unit: int) -> Iterator[Fact]:
    for first, _, term in terms:
        if term.kind == "medication":
            yield Fact("medication", term.meaning, unit)
        elif term.kind == "finding":
            yield Fact("negation" if first in negated else "symptom", term.meaning, unit)


def _quantities(
    text: str, terms: list, starts: list[int], near: Callable, unit: int
) -> Iterator[Fact]:
    drugs = [(starts[first], t.meaning) for first, _, t in terms if t.kind == "medication"]
    for q in extract_quantities(text):
        about = near(q.start, 4)
        if q.kind in ("dose", "frequency") and drugs:
            before = [drug for start, drug in drugs if start < q.start]
            about = frozenset([before[-1] if before else drugs[0][1]])
        space = "" if q.unit[:1] in ("/", "%", "") else " "
        yield Fact(q.kind, f"{q.number}{space}{q.unit}", unit, about)


def _sides(text: str, near: Callable, unit: int) -> Iterator[Fact]:
    for match in _SIDE.finditer(text):
        side = match[0] if match[0] in ("left", "right") else "both"
        if about := near(match.start(), 3):
            yield Fact("side", side, unit, about)


def _sexes(text: str, unit: int) -> Iterator[Fact]:
    """Yield the sex in a clause, if it names only one and no relative."""
    sexes = {match.lastgroup for match in _SEXES.finditer(text)}
    if len(sexes) == 1 and not _RELATIVE.search(text):
        about = frozenset(["patient"] if _OF_PATIENT.search(text) else [])
        yield Fact("sex", *sexes, unit, about)


def negated_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of what is negated in a normalized clause: REACH words, more in a list.

    >>> list(negated_spans("has no cough or fever and reports pain"))
    [(6, 22)]
    """
    if _AFTER.search(text):
        yield 0, len(text)
    negations = list(_NEGATION.finditer(text))
    for negation, following in itertools.zip_longest(negations, negations[1:]):
        stop = following.start() if following else len(text)
        release = _RELEASE.search(text, negation.end(), stop)
        end, remaining = release.start() if release else stop, REACH
        for word in re.finditer(r"[^\s,]+|,", text[negation.end() : end]):
            remaining = REACH if word[0] in (",", "or", "nor", "and") else remaining - 1
            if remaining < 0:
                end = negation.end() + word.start()
                break
        yield negation.end(), end


def _near(starts: list[int], content: dict, start: int, reach: int) -> frozenset[str]:
    """Return the content stems within `reach` words of a character position."""
    i = bisect_left(starts, start)
    near = (content[k] for k in range(i - reach, i + reach + 1) if k in content)
    return frozenset().union(*near)
