"""Find the source sentences that support a written sentence, and the facts that a text covers.

Two checks per written sentence. Words: few places of the source must contain most of its stems,
weighted by rarity (inverse document frequency of BM25), with one name per finding and drug. Facts:
the source must contain each of them: number and unit, dose, frequency, duration, age, side,
negation, symptom, drug, sex, name. Facts are compared strictly and words loosely, so a paraphrase
passes and a changed fact does not. benchmarks/results/grounding.csv measures what the rules detect
and what they miss.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clinical_camel.grounding.facts import Clause, Fact, SpokenTurn, extract_clauses
from clinical_camel.grounding.quantities import QUANTITIES, VAGUE
from clinical_camel.grounding.terms import stem_words

VERDICTS = ("supported", "contradicted", "unsupported")
COVERAGE = 0.35  # of a sentence's words, by weight; chosen on development data
MOST = 4  # sources of one sentence
SHORT = 4  # a clause of at most this many stems is an answer: "on the left side"
REACH = 2  # turns between a fact and the words that it belongs to

_QUANTITY = re.compile(rf"([\d.]+|{VAGUE}) ?(.*)")
# Formulas of notes, true of any patient: they need no source.
_FORMULAS = (
    "patient reports denies endorses states presents complains describes notes history symptoms"
)
_FORMULAS += " signs today time discussed understands agrees questions recommend continue includes"
_FORMULAS += " current plan use issues problems concerns"
_FORMULA_STEMS = frozenset(stem_words(_FORMULAS.split()))


@dataclass(frozen=True, slots=True)
class Link:
    """A written sentence, its verdict, the indices of its sources, and reasons if not supported."""

    sentence: str
    verdict: str
    sources: tuple[int, ...]
    reasons: tuple[str, ...] = ()


def link_sentences(written: Sequence[str], source: Sequence[str | SpokenTurn]) -> list[Link]:
    """Link each written sentence to the source sentences or turns that support it.

    supported: its sources contain at least COVERAGE of its words, and all its facts. contradicted:
    a source has another value of the same fact (dose, side, sex), or the opposite. unsupported: a
    fact or too many words are missing. Sources are in the order in which they add words.

    >>> written, source = ["Naproxen 50 mg helps gout."], ["In gout, naproxen 500 mg is of help."]
    >>> link_sentences(written, source)[0].reasons
    ('dose: 50 mg, the source has 500 mg',)
    """
    index = _Source(source)
    return [_link(sentence, index) for sentence in written]


def find_covered(facts: Sequence[Fact], written: Sequence[str]) -> list[bool]:
    """Return for each fact of a source whether the written text covers it.

    >>> from clinical_camel.grounding import extract_facts
    >>> find_covered(extract_facts("No fever. Naproxen 500 mg."), ["Takes naproxen."])
    [False, True, False]
    """
    stated = [fact for clause in extract_clauses(written) for fact in clause.facts]
    by_kind = defaultdict(list)
    for fact in stated:
        by_kind[fact.kind].append(fact)
    measures = [_measure(fact.value) for fact in stated if fact.kind in QUANTITIES]
    return [_is_covered(fact, by_kind, measures) for fact in facts]


def _is_covered(fact: Fact, by_kind: dict[str, list[Fact]], measures: list) -> bool:
    if fact.kind in QUANTITIES:
        return any(_is_same(_measure(fact.value), other) for other in measures)
    same = [other for other in by_kind[fact.kind] if other.value == fact.value]
    return any(fact.about & other.about for other in same) if fact.kind == "side" else bool(same)


class _Source:
    """The clauses of a source, indexed by stem, by unit and by kind of fact."""

    def __init__(self, units: Sequence[str | SpokenTurn]):
        self.units = units
        self.is_spoken = any(not isinstance(unit, str) for unit in units)
        self.stems: dict[int, set[str]] = defaultdict(set)  # by unit
        self.clauses: dict[int, list[Clause]] = defaultdict(list)  # by unit
        self.units_by_stem: dict[str, set[int]] = defaultdict(set)
        self.clauses_by_stem: dict[str, list[Clause]] = defaultdict(list)
        self.facts: dict[str, list[tuple[Fact, Clause]]] = defaultdict(list)  # by kind
        self.quantities: list[tuple[Fact, Clause]] = []
        for clause in extract_clauses(units):
            self.stems[clause.unit] |= clause.stems
            self.clauses[clause.unit].append(clause)
            for stem in clause.stems:
                self.units_by_stem[stem].add(clause.unit)
                self.clauses_by_stem[stem].append(clause)
            for fact in clause.facts:
                self.facts[fact.kind].append((fact, clause))
                if fact.kind in QUANTITIES:
                    self.quantities.append((fact, clause))
        self.drugs = frozenset(fact.value for fact, _ in self.facts["medication"])

    def neighbours(self, sources: list[int]) -> set[int]:
        """Return the sources and the units next to them, in speech up to REACH turns away."""
        reach = REACH if self.is_spoken else 1
        return {i + d for i in sources for d in range(-reach, reach + 1)}

    def weight(self, stem: str) -> float:
        """Inverse document frequency of BM25 (Robertson and Zaragoza 2009), never negative."""
        count = len(self.units_by_stem.get(stem, ()))
        return math.log(1 + (len(self.units) - count + 0.5) / (count + 0.5))


def _link(sentence: str, source: _Source) -> Link:
    clauses = extract_clauses([sentence])
    stems = frozenset().union(*(clause.stems for clause in clauses)) - _FORMULA_STEMS
    sources, coverage = _select_sources(stems, source)
    problems = list(dict.fromkeys(_check_facts(clauses, sources, source)))
    verdict = min((verdict for verdict, _ in problems), default="supported")  # contradicted first
    reasons = tuple(reason for _, reason in problems)
    if not problems and coverage < COVERAGE:
        verdict = "unsupported"
        reasons = (f"words: {coverage:.0%} of them, by weight, are in the source",)
    return Link(sentence, verdict, tuple(sources), reasons)


def _select_sources(stems: frozenset[str], source: _Source) -> tuple[list[int], float]:
    """Return the units that add most of the words, greedily, and their share of the weight."""
    weights = {stem: source.weight(stem) for stem in sorted(stems)}
    total, remaining, selected = sum(weights.values()), dict(weights), []
    while remaining and len(selected) < MOST:
        gains: dict[int, float] = defaultdict(float)
        for stem, weight in remaining.items():
            for unit in source.units_by_stem.get(stem, ()):
                gains[unit] += weight
        best = max(gains, key=lambda unit: (gains[unit], -unit), default=None)
        if best is None or selected and gains[best] < 0.1 * total:
            break
        selected.append(best)
        remaining = {s: w for s, w in remaining.items() if s not in source.stems[best]}
    return selected, 1 - sum(remaining.values()) / total if total else 1.0


# -------------------------------------------------------------- does the source have the facts


Problem = tuple[str, str] | None  # verdict, reason


def _check_facts(
    clauses: list[Clause], sources: list[int], source: _Source
) -> Iterator[tuple[str, str]]:
    """Yield (verdict, reason) for each fact that the source does not support."""
    for clause in clauses:
        for fact in clause.facts:
            check = _check_quantity if fact.kind in QUANTITIES else _CHECKS[fact.kind]
            if problem := check(fact, clause, sources, source):
                verdict, reason = problem
                yield verdict, f"{fact.kind}: {reason}"
        if reversed_stems := _find_reversed(clause, sources, source):
            yield "contradicted", f"negation: {reversed_stems}"


def _check_quantity(fact: Fact, clause: Clause, sources: list[int], source: _Source) -> Problem:
    """Compare, by shared words, the source clauses with this number and with another of its kind.

    Another number is no contradiction if the written clause states it too.
    """
    wanted = _measure(fact.value)
    stated = {_measure(f.value)[0] for f in clause.facts if f.kind in QUANTITIES}
    support = against = -1
    others, near = {}, source.neighbours(sources)
    for other, context in source.quantities:
        if source.drugs & fact.about and source.drugs & other.about - fact.about:
            continue  # the dose of another drug
        measure, common = _measure(other.value), len(context.stems & clause.stems)
        if _is_same(wanted, measure):
            if other.unit in near or fact.about & other.about:
                support = max(support, common)
        elif other.kind == fact.kind and common and measure[0] not in stated - {wanted[0]}:
            others[other] = common
            against = max(against, common)
    if support >= 0 and (support >= against or against == 1):
        return None
    rivals = [other for other, common in others.items() if common == against]
    if rivals:
        same = any(other.about & fact.about for other in rivals)
        values = ", ".join(dict.fromkeys(other.value for other in rivals))
        return "contradicted" if same else "unsupported", f"{fact.value}, the source has {values}"
    if wanted[0] in ("0", "1"):  # "one" is often not a number
        return None
    return "unsupported", f"{fact.value} is not in the source"


def _check_medication(fact: Fact, clause: Clause, sources: list[int], source: _Source) -> Problem:
    stems = frozenset(stem_words(fact.value.split()))
    if not all(stem in source.units_by_stem for stem in stems):
        return "unsupported", f"{fact.value} is not in the source"
    return _check_polarity(fact, stems, stems <= clause.negated, clause, source)


def _check_finding(fact: Fact, clause: Clause, sources: list[int], source: _Source) -> Problem:
    stems = frozenset(stem_words(fact.value.split()))
    if not any(stems <= present for present in source.stems.values()):
        return "unsupported", f"{fact.value} is not in the source"
    return _check_polarity(fact, stems, fact.kind == "negation", clause, source)


def _check_polarity(
    fact: Fact, stems: frozenset, negated: bool, clause: Clause, source: _Source
) -> Problem:
    """Contradicted if a clause of the opposite polarity shares more words than any that agrees."""
    support, against = -1, -1
    rarest = min(stems, key=lambda stem: len(source.clauses_by_stem.get(stem, ())), default="")
    for other in source.clauses_by_stem.get(rarest, ()):
        if stems <= other.stems:
            common = len(other.stems & clause.stems)
            if other.is_open or negated == (stems <= other.negated):
                support = max(support, common)
            else:
                against = max(against, common)
    if against > support:
        return "contradicted", f"{fact.value}, the source {'has it' if negated else 'denies it'}"
    return None


def _check_side(fact: Fact, clause: Clause, sources: list[int], source: _Source) -> Problem:
    """Compare, by shared words, the source clauses with a side; both is left and right."""
    weight, near = dict.fromkeys(("left", "right", "both"), 0), source.neighbours(sources)
    for other, context in source.facts["side"]:
        common = len(context.stems & clause.stems) if other.about & fact.about else 0
        is_answer = other.unit in near and len(context.stems) <= SHORT  # "On the left side."
        weight[other.value] = max(weight[other.value], common, is_answer)
    if not any(weight.values()):
        if fact.value == "both":  # implied for paired organs
            return None
        return "unsupported", f"{fact.value} is not in the source"
    support = weight[fact.value]
    if fact.value == "both":
        support = max(support, min(weight["left"], weight["right"]))
    if support < max(weight.values()):
        sides = ", ".join(side for side, common in weight.items() if common > support)
        return "contradicted", f"{fact.value}, the source has {sides}"
    return None


def _check_sex(fact: Fact, clause: Clause, sources: list[int], source: _Source) -> Problem:
    """Compare with the sex in a consultation, or in the most similar sentence of an article."""
    facts = [f for f, _ in source.facts["sex"] if source.is_spoken or f.unit in sources[:1]]
    facts = [f for f in facts if f.about] or facts
    if source.is_spoken and len(facts) == 1 and not facts[0].about:
        return None  # a single "he" may be another person
    if facts and fact.value not in {f.value for f in facts}:
        return "contradicted", f"{fact.value}, the source has {facts[0].value}"
    return None


_CHECKS = {
    "medication": _check_medication,
    "symptom": _check_finding,
    "negation": _check_finding,
    "side": _check_side,
    "sex": _check_sex,
    "name": _check_medication,
}


def _find_reversed(clause: Clause, sources: list[int], source: _Source) -> str:
    """Return the stems negated in only one of the clause and its most similar source clause."""
    candidates = [c for i in sources for c in source.clauses[i] if not c.is_open]
    best = max(candidates, key=lambda c: (len(c.stems & clause.stems), -len(c.stems)), default=None)
    common = best.stems & clause.stems if best else frozenset()
    content = clause.stems - _FORMULA_STEMS
    enough = 1 if len(content) == 2 or best and len(best.stems) <= SHORT else 2
    if len(common) < enough or 2 * len(common) < len(content):
        return ""
    ours, theirs = clause.negated & common, best.negated & common
    differing = ours ^ theirs
    return ", ".join(sorted(differing)) if 2 * len(differing) > max(len(ours), len(theirs)) else ""


def _measure(value: str) -> tuple[str, str]:
    """Split a quantity into number and unit."""
    match = _QUANTITY.fullmatch(value)
    return match[1], match[2]


def _is_same(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether number and unit agree; a missing unit fits any unit, "some" any number."""
    units = one[1] == other[1] or not one[1] or not other[1]
    if VAGUE in (one[0], other[0]):
        return one[1] == other[1]
    return one[0] == other[0] and units
