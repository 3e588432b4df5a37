"""The things of a clause, and the words that say what is done with them or how they are."""

import functools
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from clinical_camel.grounding.clauses import TIME_STEMS, Clause
from clinical_camel.grounding.tables import read_table
from clinical_camel.grounding.terms import STOP, stem_words

HABITS = frozenset(["tobacco", "alcohol"])  # the stems of their terms
DENIAL = re.compile(
    r"\b(?:not|never|without|no|nor|den(?:y|ies|ied|ying)|fail(?:s|ed)? to)(?: [\w']+){0,2} $"
)
WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+(?:\.\d+)?")
_HABIT = re.compile(
    r"(?P<tobacco>smok\w*|tobacco|cigarettes?|cigars?)|(?P<alcohol>drink\w*|drank|drunk|alcohol)"
)


@functools.cache
def read_phrase_words(kind: str) -> frozenset[str]:
    """Return the words of a kind in phrase_words.csv.

    glue      between a verb or a quality and its thing; join: also between two things
    be        between a thing and "stopped", if it is no drug; passive: if it is one
    link      verbs between a finding and how it is
    person    no thing; general: no thing without a word that tells which, "blood level"
    numbered  what an ordinal counts
    """
    words = {row["kind"]: row["words"] for row in read_table("phrase_words.csv")}
    return frozenset(words[kind].split())


GLUE = read_phrase_words("glue")
JOINS = GLUE | read_phrase_words("join")
_SKIPPED = STOP | JOINS | read_phrase_words("link")
_PERSONS = frozenset(stem_words(sorted(read_phrase_words("person"))))
_GENERAL = frozenset(stem_words(sorted(read_phrase_words("general"))))


class Thing(NamedTuple):
    """A noun phrase of a clause: its place, its stems, whether it is a drug or a habit."""

    start: int
    end: int
    stems: frozenset[str]
    is_used: bool


class State(NamedTuple):
    """A value of a group for an owner, the stems of the thing; empty if that is not known.

    `cue` is the word in the clause that says it.
    """

    group: str
    value: str
    owner: frozenset[str]
    clause: Clause
    cue: str = ""

    @property
    def is_family(self) -> bool:
        """Whether it is said of a relative."""
        return bool(self.owner) and self.owner <= self.clause.family


class Value(NamedTuple):
    """A value: what its denial states, the values that state it, and those that exclude it."""

    denied: str
    stated_by: frozenset[str]
    excluded_by: frozenset[str]


@functools.cache
def read_values() -> dict[str, Value]:
    """Return the values of state_values.csv by name."""
    return {
        row["value"]: Value(
            row["denied"], *(frozenset(row[k].split()) for k in ("stated_by", "excluded_by"))
        )
        for row in read_table("state_values.csv")
    }


@functools.cache
def _read_words() -> dict[str, tuple[re.Pattern, tuple[str, ...]]]:
    """Return for each group of state_words.csv one pattern, and the values of its groups."""
    rows = defaultdict(list)
    for row in read_table("state_words.csv"):
        rows[row["group"]].append((row["value"], row["phrase"]))
    return {
        group: (
            re.compile(rf"(?<![\w'])(?:{'|'.join(f'({p})' for _, p in pairs)})(?!\w)"),
            tuple(value for value, _ in pairs),
        )
        for group, pairs in rows.items()
    }


def list_groups() -> list[str]:
    """Return the groups of state_words.csv: use, level, course, degree, ordinal."""
    return list(_read_words())


def find_cues(group: str, text: str) -> list[tuple[re.Match, str]]:
    """Return the words of a group in a text, in order, each with its value."""
    pattern, values = _read_words()[group]
    return [(match, values[(match.lastindex or 1) - 1]) for match in pattern.finditer(text)]


def list_things(clause: Clause) -> list[Thing]:
    """Return the content words and the terms of a clause, in order."""
    drugs = frozenset().union(*(f.stems for f in clause.facts if f.kind == "medication"))
    spans = _list_terms(clause)
    surfaces = _group_stems(clause)
    for match in WORD.finditer(clause.text):
        word = match[0]
        is_covered = any(a <= match.start() < b for a, b, _ in spans)
        if is_covered or word in _SKIPPED or word.endswith("ly"):
            continue
        habit = _HABIT.fullmatch(word)
        stems = {habit.lastgroup} if habit else surfaces.get(word) or {*stem_words([word])}
        if stems := clause.stems & stems:
            spans.append((*match.span(), stems))
    return [Thing(a, b, stems, bool(stems & (drugs | HABITS))) for a, b, stems in sorted(spans)]


def _list_terms(clause: Clause) -> list[tuple[int, int, frozenset[str]]]:
    """Return start, end and stems of each term of several words."""
    spans: list[tuple[int, int, frozenset[str]]] = []
    surfaces = {s: stems for s, stems in _group_stems(clause).items() if " " in s}
    for surface in sorted(surfaces, key=len, reverse=True):
        pattern = r"\b" + r"\W+".join(map(re.escape, surface.split())) + r"\b"
        for match in re.finditer(pattern, clause.text):
            if not any(a < match.end() and match.start() < b for a, b, _ in spans):
                spans.append((*match.span(), frozenset(surfaces[surface])))
    return spans


def _group_stems(clause: Clause) -> dict[str, set[str]]:
    """Return the stems of each written word or term."""
    surfaces: dict[str, set[str]] = defaultdict(set)
    for stem, surface in clause.words.items():
        surfaces[surface].add(stem)
    return surfaces


def join_things(text: str, things: Sequence[Thing], cues: Sequence[re.Match]) -> list[Thing]:
    """Return the things without the cues, neighbours as one: "serum sodium level"."""
    joined: list[Thing] = []
    for thing in things:
        is_cue = any(cue.start() < thing.end and thing.start < cue.end() for cue in cues)
        if is_cue or thing.stems <= TIME_STEMS | _PERSONS:
            continue
        if joined and text[joined[-1].end : thing.start] in (" ", "-"):
            before = joined.pop()
            stems = before.stems | thing.stems
            thing = Thing(before.start, thing.end, stems, before.is_used or thing.is_used)
        joined.append(thing)
    return joined


def name_owner(thing: Thing | None) -> frozenset[str]:
    """Return the stems that tell a thing from others: sodium of "sodium level"."""
    return thing.stems - _GENERAL if thing else frozenset()


def consists_of(text: str, words: frozenset[str], commas: bool = False) -> bool:
    """Whether a text has only these words and numbers, and commas if they are allowed."""
    if re.search(r"[;:?]" if commas else r"[,;:?]", text):
        return False
    return all(word in words or word[0].isdigit() for word in WORD.findall(text))
