"""Split a sentence or a turn into clauses: words with their context, and facts."""

import functools
import itertools
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from clinical_camel.grounding.context import find_scopes
from clinical_camel.grounding.corrections import drop_withdrawn
from clinical_camel.grounding.owners import find_owners
from clinical_camel.grounding.quantities import extract_quantities, normalize_text
from clinical_camel.grounding.speech import unify_speech
from clinical_camel.grounding.terms import STOP, Term, find_terms, stem_words

_KIN = (
    *("mother", "father", "brother", "sister", "son", "daughter", "aunt", "uncle", "cousin"),
    *("grandmother", "grandfather", "niece", "nephew", "wife", "husband"),
)
RELATIVES = frozenset(stem_words([*_KIN]))
_CLAUSE = re.compile(
    r"[.;?!]+(?=\s|$)|\n"
    r"|(?<!history)(?<!allergies):+(?=\s|$)(?!\s*(?:none|nil|denied|negative|unremarkable)\b)"
    r"|(?<![a-z])(?:but|however|although|though|except|whereas)(?![a-z])"
    rf"|(?:,|(?<= )and) (?=(?:(?:my|his|her|their|our|the) )?(?:{'|'.join(_KIN)})"
    r" (?:had|has|have|died|with|also|is|was|takes)\b)"
)
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+(?:\.\d+)?")
# How questions begin; a transcript may lack question marks.
_QUESTION = re.compile(
    r"(?:(?:^|(?<=okay )|(?<=and )|(?<=, )|(?<=well )|(?<=alright )|(?<=yes )|(?<=symptoms ))any"
    r"|(?<!what )do you(?! know (?:how|why|when))"
    r"|(?<!we )(?<!i )have you(?! (?:on|in|do|come|go|see|scheduled|take|try|follow|use)\b)"
    r"|has he|has she|did you|are you|is there|how about|what about"
    r"|does (?:it|he|she)|no (?=[a-z ]{1,60} \?))\b"
)
# A question that assumes what it names: "how long have you had the cough?"
_ASSUMING = re.compile(
    r"(?:\W|and|so|okay|well|um|uh)*\b(?:how (?:long|often|many|much)|when|why)\b"
)
_WH_END = re.compile(r"\b(?:how (?:long|often|many|much)|when|why|where|what|which)(?: \w+)? $")
_REPLY = r"(?:yes|yeah|yep|nope|no)(?= (?:i|it|not|just|nothing|okay|that)\b)"
# Where a spoken sentence goes on with another statement, often without punctuation.
_NEXT = (
    r"(?<= )(?:okay|alright|and then|and|so|because)(?= (?:i|i'm|i've|i'll|you|you're|we|we'll|it"
    r"|it's|there|there's|do|is|what|now|your|he|she|they|that's|let)\b)"
)
# Where an examination goes on: "no rebound | there is tenderness | your lungs are clear".
_FINDING = (
    r"(?:there is|there's|there are|you do have|i do appreciate"
    r"|(?:up)?on (?:your |the )?[a-z]+ exam"
    r"|(?<!your )(?:heart|lungs?|vitals|neck|abdomen|belly|pulse|respirations?)"
    r" (?:is|are|looks?|rate is)"
    r"|your (?:[a-z]+ ){1,3}(?:is|are|looks?|sounds?|was|were|exam) )"
)
_BEFORE = "".join(f"(?<!\\b{word} )" for word in ("is", "if", "that", "think", "because", "when"))
_SPOKEN = re.compile(
    rf"{_CLAUSE.pattern}|{_NEXT}|(?<= )(?={_QUESTION.pattern}|{_REPLY})"
    rf"|(?<= ){_BEFORE}(?={_FINDING})"
)
# "That's your knee, okay?" asks for nothing; the answer to "right?" decides.
_TAG = re.compile(
    r"[ ,]+(?:okay|ok|alright|all right|you know|you see|does that (?:sound|make)[a-z ]*) ?\?"
)
_NAME = re.compile(
    r"\b(?:Mr|Mrs|Ms|Miss)\.? ([A-Z][a-z]+)"
    r"|^\W*(?!The |This |She |He |Patient |It )([A-Z][a-z]+)(?: [A-Z][a-z]+)? is an? \d"
)
_DOSED = re.compile(r"\b([a-z]{5,}) (?=\d+(?:\.\d+)? ?(?:mg|mcg|milligrams?|micrograms?)\b)")
_NO_DRUG = {"about", "dose", "total", "least", "taking", "daily", "tablet", "tablets", "sulfate"}
_SIDES = {"left", "right", "bilateral", "bilaterally", "both"}
_OF_PATIENT = re.compile(  # words of a sex that refer to the patient
    r"year|\b(?:sir|ma'am|madam|miss|mrs?|ms|(?:i am|i'm|you are|you're|patient is) an?)\b"
)
_SEX = {
    "male": r"male|males|man|men|boys?|gentleman|he|his|him|mr|sir",
    "female": r"female|females|woman|women|girls?|lady|she|her|hers|mrs|ms|miss|ma'am|madam",
}
_SEXES = re.compile("|".join(rf"\b(?P<{sex}>{words})\b" for sex, words in _SEX.items()))
_RELATIVE = re.compile(
    r"\b(?:mother|father|mom|mum|dad|wife|husband|son|daughter|brother|sister|aunt|uncle|grand\w+"
    r"|partner|\w*friend|sibling|child|children|kids?|baby|cousin|family|dr|doctor|colleague)s?\b"
)


_PROVIDER = re.compile(
    r"\bs?he (?:also )?(?:told|wanted|refer|checked|order|prescri|put|sent|said|did this|gave"
    r"|recommend)"
)


_TIMES = ["day", "days", "week", "month", "year", "hour", "minute", "time", "today", "night"]
TIME_STEMS = frozenset(stem_words(_TIMES))


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact of a text.

    `kind` is one of QUANTITIES, "side", "sex", "name", "medication", "symptom" or "negation".
    `value` is canonical ("20 mg", "2/day", "left", "naproxen"); for a symptom or its negation it is
    the finding. `unit` is the index of the sentence or turn. `about` is the context of kinds that
    need one: stems of nearby words, the drug of a dose, and "patient" for a sex that is certainly
    the patient's.
    """

    kind: str
    value: str
    unit: int
    about: frozenset[str] = frozenset()

    @property
    def stems(self) -> frozenset[str]:
        """The stems of the value of a symptom, a negation, a medication or a name."""
        return _stems(self.value) if self.kind in NAMED else frozenset()


NAMED = ("symptom", "negation", "medication", "name")


@functools.lru_cache(maxsize=8192)
def _stems(value: str) -> frozenset[str]:
    return frozenset(stem_words(value.split()))


@dataclass(frozen=True, slots=True)
class Clause:
    """Part of a sentence: the stems of its words, those in each context, and its facts.

    `words` gives the written form of a stem. `is_open`: a question that is not decided by yes or
    no; `answer` is the turn that answers it in other words.
    """

    unit: int
    text: str
    words: Mapping[str, str]
    stems: frozenset[str]
    negated: frozenset[str]
    possible: frozenset[str]
    hypothetical: frozenset[str]
    family: frozenset[str]
    past: frozenset[str]
    place: frozenset[str]  # where something is denied
    numbers: frozenset[str]
    facts: tuple[Fact, ...]
    is_open: bool = False
    answer: int | None = None


@functools.lru_cache(maxsize=4096)
def split_clauses(
    text: str, unit: int, spoken: bool = False, of_article: bool = False
) -> tuple[Clause, ...]:
    """Return the clauses of a sentence, or of a spoken turn, where questions are open."""
    clauses, start = [], 0
    normalized = normalize_text(text)
    normalized = unify_speech(drop_withdrawn(normalized) if spoken else normalized)
    if spoken and "?" in normalized:
        normalized = _TAG.sub(".", normalized)
    names = tuple(Fact("name", n.lower(), unit) for n in map(_first_group, _NAME.finditer(text)))
    for end in [*(_SPOKEN if spoken else _CLAUSE).finditer(normalized), None]:
        part = normalized[start : end.start() if end else None]
        if end and not end[0] and _WH_END.search(part):
            continue  # "how long | have you had it"
        start = end.end() if end else 0
        if re.search("[a-z0-9]", part):
            asks = end is not None and "?" in end[0] or bool(_QUESTION.match(part.strip()))
            is_open = spoken and asks and not _ASSUMING.match(part)
            clauses.append(_clause(part, unit, names, is_open, of_article))
            names = ()
    return tuple(clauses)


def _first_group(match: re.Match) -> str:
    return next(filter(None, match.groups()))


def _clause(
    text: str, unit: int, names: tuple[Fact, ...], is_open: bool, of_article: bool
) -> Clause:
    matches = list(_WORD.finditer(text))
    words, starts = [m[0] for m in matches], [m.start() for m in matches]
    stemmed = stem_words(words)
    terms = [*_list_terms(text, words, stemmed, starts)]
    terms += _dosed_drugs(text, starts, terms)
    content = {
        i: frozenset([stem])
        for i, (word, stem) in enumerate(zip(words, stemmed, strict=True))
        if word not in STOP and len(word) > 1 and not word[0].isdigit()
    }
    for first, last, term in terms:  # synonyms get the same stems
        content |= dict.fromkeys(range(first, last), _stems(term.meaning))
    scopes = find_scopes(text, of_article)
    covered = {context: _positions(spans, starts) for context, spans in scopes.items()}
    for first, last, _ in terms:  # "lack of energy" is a finding, no denial of one
        if first not in covered["negated"]:
            covered["negated"] -= {*range(first, last)}
    facts = [
        *names,
        *_term_facts(terms, covered["negated"], unit),
        *_sides(words, content, unit, of_article),
    ]
    near = functools.partial(_near, starts, content, _split_segments(text))
    facts += [*_quantities(text, terms, starts, near, unit), *_sexes(text, unit)]
    content = _without_units(content, text, starts)
    surface = {stem: words[i] for i in sorted(content, reverse=True) for stem in content[i]}
    surface |= {s: " ".join(words[a:b]) for a, b, term in terms for s in _stems(term.meaning)}
    stems = frozenset(surface)
    numbers = {i: frozenset(["#" + word]) for i, word in enumerate(words) if word[0].isdigit()}
    tokens = content | numbers
    marks = {
        context: frozenset().union(*(tokens[i] for i in positions if i in tokens))
        for context, positions in covered.items()
    }
    marks["numbers"] = frozenset().union(*numbers.values())
    return Clause(unit, text, surface, stems, **marks, facts=tuple(facts), is_open=is_open)


def _list_terms(text: str, words: list[str], stemmed: list[str], starts: list[int]) -> Iterator:
    """Yield the terms between the commas, with the places of their words in the clause."""
    commas = [bisect_left(starts, match.start()) for match in re.finditer(",", text)]
    for first, last in itertools.pairwise([0, *commas, len(words)]):
        for a, b, term in find_terms(words[first:last], stemmed[first:last]):
            yield first + a, first + min(b, last - first), term


def _positions(spans: tuple[tuple[int, int], ...], starts: list[int]) -> set[int]:
    """Return the indices of the words that start within the spans."""
    return {i for a, b in spans for i in range(bisect_left(starts, a), bisect_left(starts, b))}


def _without_units(content: dict, text: str, starts: list[int]) -> dict:
    """Return the content without the units of numbers: "16 breaths per minute" is a number."""
    spans = [(q.start, q.end) for q in extract_quantities(text) if q.kind == "number"]
    units = _positions(tuple(spans), starts)
    return {i: stems for i, stems in content.items() if i not in units}


def _dosed_drugs(text: str, starts: list[int], terms: list) -> Iterator[tuple[int, int, Term]]:
    """Yield the word before a dose as a drug, even if it is not a known name."""
    taken = {i for first, last, _ in terms for i in range(first, last)}
    for match in _DOSED.finditer(text):
        i = bisect_left(starts, match.start())
        if i < len(starts) and i not in taken and match[1] not in _NO_DRUG | STOP:
            yield i, i + 1, Term("medication", match[1])


def _term_facts(terms: list, negated: set[int], unit: int) -> Iterator[Fact]:
    for first, last, term in terms:
        if term.kind == "medication":
            yield Fact("medication", term.meaning, unit)
        elif term.kind in ("finding", "condition"):
            is_negated = not negated.isdisjoint(range(first, last))
            yield Fact("negation" if is_negated else "symptom", term.meaning, unit)


def _quantities(
    text: str, terms: list, starts: list[int], near: Callable, unit: int
) -> Iterator[Fact]:
    quantities = [*extract_quantities(text)]
    ends = [*starts, len(text)]
    drugs = [
        ((starts[first], ends[last]), term.meaning)
        for first, last, term in terms
        if term.kind == "medication"
    ]
    owners = find_owners(text, [(q.start, q.end) for q in quantities], [span for span, _ in drugs])
    for quantity, owner in zip(quantities, owners, strict=True):
        about = near(quantity.start, 4) - TIME_STEMS
        if quantity.kind in ("dose", "frequency") and owner is not None:
            about = frozenset([drugs[owner][1]])
        yield Fact(quantity.kind, quantity.value, unit, about)


def _sides(words: list[str], content: dict, unit: int, of_article: bool) -> Iterator[Fact]:
    """Yield each side with the words that it belongs to: after it, else before it."""
    for i, word in enumerate(words):
        is_rest = words[i] == "left" and words[i + 1 : i + 2] in (["without"], ["untreated"])
        if not _is_side(words, i) or of_article and is_rest:
            continue
        side = word if word in ("left", "right") else "both"
        after = _take(words, content, range(i + 1, len(words)), 3)
        if "side" in words[i + 1 : i + 3] and {*words[max(i - 1, 0) : i]} & _OWNERS:
            after = frozenset()  # "swelling on the right side, on your lungs ..."
        about = after or _take(words, content, range(i - 1, -1, -1), 3)
        if about:
            yield Fact("side", side, unit, about)


def _is_side(words: list[str], i: int) -> bool:
    if words[i] == "right":
        after, before = words[i + 1 : i + 2], words[i - 1 : i] if i else []
        return before not in (["all"], ["is"]) and after not in (
            ["now"],
            ["away"],
            ["here"],
            ["there"],
        )
    return words[i] in _SIDES


def _take(words: list[str], content: dict, positions: range, most: int) -> frozenset[str]:
    """Return up to `most` content stems in this direction, up to the next phrase."""
    stems: list[frozenset[str]] = []
    for i in positions:
        if words[i] in _BREAKS or len(stems) == most or stems and words[i] in _SIDES:
            break
        hand_side = words[i] == "hand" and words[i + 1 : i + 2] in (["side"], ["sided"])
        if words[i] in _SKIPPED or words[i] in _SIDES or hand_side:
            continue
        if i in content:
            stems.append(content[i])
    return frozenset().union(*stems)


_SKIPPED = {"side", "sided", "the", "on", "his", "her", "my", "your", "a", "and", "or"}
_OWNERS = {"the", "my", "your", "his", "her"}
_BREAKS = {"in", "of", "to", "with", "than", "for", "is", "was", "are", "has", "from", "that", "at"}


def _sexes(text: str, unit: int) -> Iterator[Fact]:
    """Yield the sex in a clause, if it names only one and neither a relative nor another doctor."""
    sexes = {match.lastgroup for match in _SEXES.finditer(text)}
    if len(sexes) == 1 and not _RELATIVE.search(text) and not _PROVIDER.search(text):
        about = frozenset(["patient"] if _OF_PATIENT.search(text) else [])
        yield Fact("sex", *sexes, unit, about)


def _split_segments(text: str) -> list[int]:
    """Return where the items of a list begin, if each has a number of its own."""
    commas = [match.end() for match in re.finditer(r",(?=\D)|\band\b", text)]
    parts = [text[a:b] for a, b in zip([0, *commas], [*commas, len(text)], strict=True)]
    return commas if all(re.search(r"\d", part) for part in parts) else []


def _near(
    starts: list[int], content: dict, segments: list[int], start: int, reach: int
) -> frozenset[str]:
    """Return the content stems within `reach` words of a character position, in its segment."""
    i, segment = bisect_left(starts, start), bisect_right(segments, start)
    near = (
        content[k]
        for k in range(i - reach, i + reach + 1)
        if k in content and bisect_right(segments, starts[k]) == segment
    )
    return frozenset().union(*near)
