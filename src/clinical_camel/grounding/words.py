"""Which words of a sentence the source has, and which words of a note need no source."""

import csv
import functools
import importlib.resources
import math
import re
from collections import defaultdict
from collections.abc import Iterator

from clinical_camel.grounding.clauses import TIME_STEMS, Clause
from clinical_camel.grounding.source import Source
from clinical_camel.grounding.terms import is_word, stem_words

MOST = 4  # sources of one sentence
LIGHT = 0.3  # weight of a degree or course beside the words that name things
COVERAGE = 0.25  # of a sentence's words, by weight; chosen on development data

_BROKEN = re.compile(r"\b(?:an?|the|between|and|or|nor|than)[\s.]*$")  # no sentence ends so
_ITEM = re.compile(r",? (?:and|or|plus|as well as) |, ")


@functools.cache
def load_note_words() -> dict[str, frozenset[str]]:
    """Return the stems in note_words.csv by kind: note or state.

    note   words that reference notes of the development data use although nobody said them: who
           writes, in which section, about what. True of any patient, they need no source. Findings,
           drugs, diseases, parts of the body and times are not among them.
    state  degrees and courses ("mild", "unchanged"): no finding of their own in a list
    """
    words: dict[str, list[str]] = defaultdict(list)
    file = importlib.resources.files("clinical_camel.grounding") / "note_words.csv"
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            words[row["kind"]].append(row["word"])
    return {kind: frozenset(stem_words(listed)) for kind, listed in words.items()}


FORMULA_STEMS = load_note_words()["note"]
STATE_STEMS = load_note_words()["state"]


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


def collect_words(clauses: list[Clause]) -> dict[str, str]:
    """Return the stems of a sentence that need a source, with their written forms."""
    words = {stem: word for clause in clauses for stem, word in clause.words.items()}
    return {s: word for s, word in words.items() if s not in FORMULA_STEMS | TIME_STEMS}


def check_words(
    clauses: list[Clause], words: dict[str, str], missing: set[str], coverage: float
) -> Iterator[tuple[str, str]]:
    """Yield a problem if the source lacks an unknown word, an added finding or most words."""
    named = {stem for clause in clauses for fact in clause.facts for stem in fact.stems}
    unknown = {words[s] for s in missing - named if not is_word(s)}
    added = _find_added(clauses, words, missing, named)
    if coverage < COVERAGE:
        lacking = ", ".join(sorted(words[stem] for stem in missing))
        yield (
            "unsupported",
            f"words: {coverage:.0%} of them, by weight, are in the source; not {lacking}",
        )
    if clauses and (broken := _BROKEN.search(clauses[-1].text)):
        yield "unsupported", f"words: the sentence breaks off after '{broken[0].strip(' .')}'"
    for word in sorted(unknown | added):
        yield "unsupported", f"word: {word} is not in the source"


def _find_added(
    clauses: list[Clause], words: dict[str, str], missing: set[str], named: set[str]
) -> set[str]:
    """Return the words of an item of a list, none of whose words are in the source."""
    added: set[str] = set()
    for clause in clauses:
        for item in _ITEM.split(clause.text)[1:]:
            tokens = re.findall(r"[a-z]+(?:'[a-z]+)?", item)
            stems = [s for s in stem_words(tokens) if s in words]
            if (
                stems
                and len(tokens) <= 4
                and (missing - STATE_STEMS).issuperset(stems)
                and not named & set(stems)
            ):
                added |= {words[s] for s in stems}
    return added
