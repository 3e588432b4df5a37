"""Which words of a sentence the source has, and which words of a note need no source."""

import functools
import math
import re
from collections import defaultdict
from collections.abc import Iterator

from clinical_camel.grounding.clauses import TIME_STEMS, Clause
from clinical_camel.grounding.source import Source
from clinical_camel.grounding.tables import read_table
from clinical_camel.grounding.terms import STOP, find_words, is_word, stem_words

MOST = 4  # sources of one sentence
LIGHT = 0.3  # weight of a degree or course beside the words that name things
COVERAGE = 0.25  # of a sentence's words, by weight; chosen on development data

_BROKEN = re.compile(r"\b(?:an?|the|between|and|or|nor|than)[\s.]*$")  # no sentence ends so
_LETTER = re.compile(r"[a-z0-9] A[\s.]*$")  # of a name: "hepatitis A."
_PROPER = re.compile(r"\b(?:in|at|from|to|near|with|Dr\.?) ([A-Z][a-z]{2,})\b")  # "in London"
_REFERENCE = re.compile(r"\b(?:this|these|those) ((?:complication|condition|disease|disorder)s?)\b")
_REPEATED = re.compile(r"\b([a-z]{4,}) \1\b")
_ITEM = re.compile(r",? (?:and|or|plus|as well as) |, ")


@functools.cache
def load_note_words() -> dict[str, frozenset[str]]:
    """Return the stems in note_words.csv by kind.

    note   words that reference notes of the development data use although nobody said them: who
           writes, in which section, about what. True of any patient, they need no source. Findings,
           drugs, diseases, parts of the body and times are not among them.
    part   parts of the body, each of which the source must have
    state  degrees and courses ("mild", "unchanged"): no finding of their own in a list
    test   investigations, as parts
    verb   what a note does with anything: "takes", "needs"
    """
    words: dict[str, list[str]] = defaultdict(list)
    for row in read_table("note_words.csv"):
        words[row["kind"]].append(row["word"])
    return {kind: frozenset(stem_words(listed)) for kind, listed in words.items()}


FORMULA_STEMS = load_note_words()["note"]
STATE_STEMS = load_note_words()["state"]
STRICT_STEMS = load_note_words()["part"] | load_note_words()["test"]
VERB_STEMS = load_note_words()["verb"]


def select_sources(
    stems: frozenset[str], numbers: frozenset[str], source: Source
) -> tuple[list[int], set[str], float]:
    """Return the units that add most of the words, greedily; the missing words; the coverage."""
    weights = {s: source.weight(s) * (LIGHT if s in STATE_STEMS else 1) for s in sorted(stems)}
    units = {s: {c.unit for c in source.find_clauses(s, stems | numbers)} for s in weights}
    total, remaining, selected = math.fsum(weights.values()), dict(weights), []
    while remaining and len(selected) < MOST:
        gains: dict[int, float] = defaultdict(float)
        for stem, weight in remaining.items():
            for unit in units[stem]:
                gains[unit] += weight
        best = max(gains, key=lambda unit: (gains[unit], -unit), default=None)
        if best is None or selected and gains[best] < 0.1 * total:
            break
        selected.append(best)
        remaining = {s: w for s, w in remaining.items() if best not in units[s]}
    coverage = 1 - math.fsum(remaining.values()) / total if total else 1.0
    return selected, {stem for stem in remaining if not units[stem]}, coverage


def collect_words(clauses: list[Clause], of_article: bool = False) -> dict[str, str]:
    """Return the stems of a sentence that need a source, with their written forms.

    `of_article`: the noun of "this complication" is no word of the article; it refers to one.
    """
    words = {stem: word for clause in clauses for stem, word in clause.words.items()}
    free = FORMULA_STEMS | TIME_STEMS
    if of_article:
        free |= {*stem_words([noun for c in clauses for noun in _REFERENCE.findall(c.text)])}
    return {s: word for s, word in words.items() if s not in free}


def check_words(
    sentence: str,
    clauses: list[Clause],
    words: dict[str, str],
    missing: set[str],
    coverage: float,
    source: Source,
) -> Iterator[tuple[str, str]]:
    """Yield a problem if the source lacks an unknown word, an added finding or most words."""
    named = {stem for clause in clauses for fact in clause.facts for stem in fact.stems}
    proper = {name.lower() for name in _PROPER.findall(sentence)} - FORMULA_STEMS
    unknown = _find_unknown(clauses, proper, missing & named, source)
    added = _find_added(clauses, words, missing, named)
    if coverage < COVERAGE:
        lacking = ", ".join(sorted(words[stem] for stem in missing))
        yield (
            "unsupported",
            f"words: {coverage:.0%} of them, by weight, are in the source; not {lacking}",
        )
    broken = _BROKEN.search(clauses[-1].text) if clauses else None
    if broken and not (source.is_article and _LETTER.search(sentence)):
        yield "unsupported", f"words: the sentence breaks off after '{broken[0].strip(' .')}'"
    repeated = next(filter(None, (_REPEATED.search(c.text) for c in clauses)), None)
    # synonyms side by side, "tobacco smoke", have one name in the clause
    if repeated and not (source.is_article and not _REPEATED.search(sentence.lower())):
        yield "unsupported", f"words: {repeated[1]} is there twice"
    strict = {words[s] for s in missing & STRICT_STEMS - named}
    for word in sorted(added.union(unknown, strict)):
        yield "unsupported", f"word: {word} is not in the source"


def _find_unknown(
    clauses: list[Clause], proper: set[str], named: set[str], source: Source
) -> Iterator[str]:
    """Yield the words that neither a lexicon nor the source has, and the names it does not have."""
    for clause in clauses:
        for word in find_words(clause.text):
            is_content = len(word) > 1 and word not in STOP and named.isdisjoint(stem_words([word]))
            is_fine = source.has_word(word) or is_word(word) and word not in proper
            if is_content and not is_fine:
                yield word


def _find_added(
    clauses: list[Clause], words: dict[str, str], missing: set[str], named: set[str]
) -> set[str]:
    """Return the words of an item of a list, none of whose words are in the source."""
    added: set[str] = set()
    for clause in clauses:
        for item in _ITEM.split(clause.text)[1:]:
            tokens = find_words(item)
            stems = [s for s in stem_words(tokens) if s in words]
            if (
                stems
                and len(tokens) <= 4
                and (missing - STATE_STEMS).issuperset(stems)
                and not named & set(stems)
            ):
                added |= {words[s] for s in stems}
    return added
