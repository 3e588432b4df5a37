"""Which source sentences or turns support a written sentence, and which facts were kept.

Two questions to each written sentence. Do its words stand in few places of the source? Each counts
by how rare it is there (the inverse document frequency of BM25), in stems, and findings and drugs
under one name. And does every fact of it stand there: number and unit, dose, frequency, duration,
age, side, negation, symptom, drug, sex, name? Facts are held strictly, words are not, so a sentence
may be said anew but nothing in it changed. What the rules see and what they miss is measured in
benchmarks/results/grounding.csv.
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from clinical_camel.grounding import terms
from clinical_camel.grounding.quantities import QUANTITIES, VAGUE
from clinical_camel.grounding.reading import Clause, Fact, Turn, read

VERDICTS = ("supported", "contradicted", "unsupported")
COVERAGE = 0.35  # of a sentence's words, by weight; chosen on development data
MOST = 4  # sources of one sentence
ALONE = 4  # so few words beside a side are an answer: "on the left side"
SPOKEN = 2  # so many turns may lie between a fact and the words it belongs to

Judge = Callable[[str, str], str]
_QUANTITY = re.compile(rf"([\d.]+|{VAGUE}) ?(.*)")
# What notes say of any patient needs no source.
_FORMAL = (
    "patient reports denies endorses states presents complains describes notes history symptoms"
)
_FORMAL += " signs today time discussed understands agrees questions recommend continue includes"
_FORMAL += " current plan use issues problems concerns"
_FORM = frozenset(terms.stems(_FORMAL.split()))


@dataclass(frozen=True, slots=True)
class Link:
    """A written sentence, one of VERDICTS, the indices of its sources, and why if not supported."""

    sentence: str
    verdict: str
    sources: tuple[int, ...]
    reasons: tuple[str, ...] = ()


def link(
    written: Sequence[str], source: Sequence[str | Turn], judge: Judge | None = None
) -> list[Link]:
    """Each written sentence with the source sentences, or turns of a consultation, it rests on.

    `supported`: its sources hold at least COVERAGE of its words, and all its facts. `contradicted`:
    a source says another thing of the same (dose, side, sex), or the opposite. `unsupported`: a
    fact is not there, or too few words are. Sources are in the order in which they add words.

    `judge(premise, hypothesis)`, if given, returns one of VERDICTS, as a model of entailment or an
    LLM as a judge would. It is asked for each sentence whose facts all stand, with the text of its
    sources, and decides in place of the words; it cannot overrule a fact. ValueError if it returns
    anything else.

    >>> link(["Naproxen 50 mg helps gout."], ["In gout, naproxen 500 mg is of help."])[0].reasons
    ('dose: 50 mg, the source has 500 mg',)
    """
    known = _Source(source)
    return [_link(sentence, known, judge) for sentence in written]


def kept(facts: Sequence[Fact], written: Sequence[str]) -> list[bool]:
    """For each fact of a source (`facts`), does the written text say it?

    >>> from clinical_camel.grounding import facts
    >>> kept(facts("No fever. Naproxen 500 mg."), ["Takes naproxen."])
    [False, True, False]
    """
    said = [fact for clause in read(written) for fact in clause.facts]
    there = defaultdict(list)
    for fact in said:
        there[fact.kind].append(fact)
    measured = [_measure(f.value) for f in said if f.kind in QUANTITIES]
    return [_is_kept(fact, there, measured) for fact in facts]


def _is_kept(fact: Fact, there: dict[str, list[Fact]], measured: list) -> bool:
    if fact.kind in QUANTITIES:
        return any(_same(_measure(fact.value), other) for other in measured)
    same = [other for other in there[fact.kind] if other.value == fact.value]
    return any(fact.about & other.about for other in same) if fact.kind == "side" else bool(same)


class _Source:
    """The clauses of a source, found by stem, by number and by what they say."""

    def __init__(self, units: Sequence[str | Turn]):
        self.units = units
        self.spoken = any(not isinstance(unit, str) for unit in units)
        self.clauses = read(units)
        self.stems: dict[int, set[str]] = defaultdict(set)
        self.clauses_of: dict[int, list[Clause]] = defaultdict(list)
        self.holding: dict[str, set[int]] = defaultdict(set)  # stem: units
        self.saying: dict[str, list[Clause]] = defaultdict(list)  # stem: clauses
        self.facts: dict[str, list[tuple[Fact, Clause]]] = defaultdict(list)
        self.quantities: list[tuple[Fact, Clause]] = []
        for clause in self.clauses:
            self.stems[clause.where] |= clause.stems
            self.clauses_of[clause.where].append(clause)
            for stem in clause.stems:
                self.holding[stem].add(clause.where)
                self.saying[stem].append(clause)
            for fact in clause.facts:
                self.facts[fact.kind].append((fact, clause))
                if fact.kind in QUANTITIES:
                    self.quantities.append((fact, clause))
        self.drugs = frozenset(fact.value for fact, _ in self.facts["medication"])

    def around(self, sources: list[int]) -> set[int]:
        """The places of the sources and of what stands beside them; in speech a little further."""
        reach = SPOKEN if self.spoken else 1
        return {i + d for i in sources for d in range(-reach, reach + 1)}

    def weight(self, stem: str) -> float:
        """The inverse document frequency of BM25 (Robertson and Zaragoza 2009), never negative."""
        held = len(self.holding.get(stem, ()))
        return math.log(1 + (len(self.units) - held + 0.5) / (held + 0.5))

    def text(self, where: int) -> str:
        unit = self.units[where]
        return unit if isinstance(unit, str) else f"{unit.speaker}: {unit.text}"


def _link(sentence: str, source: _Source, judge: Judge | None) -> Link:
    clauses = read([sentence])
    stems = frozenset().union(*(clause.stems for clause in clauses)) - _FORM
    sources, coverage = _support(stems, source)
    problems = list(dict.fromkeys(_problems(clauses, sources, source)))
    verdict = min((verdict for verdict, _ in problems), default="supported")  # contradicted first
    reasons = tuple(reason for _, reason in problems)
    if not problems and judge:
        premise = "\n".join(source.text(i) for i in sorted(sources))
        verdict = judge(premise, sentence)
        if verdict not in VERDICTS:
            raise ValueError(f"judge: {verdict!r} is not one of {', '.join(VERDICTS)}")
        reasons = () if verdict == "supported" else ("judge",)
    elif not problems and coverage < COVERAGE:
        verdict = "unsupported"
        reasons = (f"words: {coverage:.0%} of them, by weight, are in the source",)
    return Link(sentence, verdict, tuple(sources), reasons)


def _support(stems: frozenset[str], source: _Source) -> tuple[list[int], float]:
    """The units that hold most of the words, each for what it adds, and the share they hold."""
    weights = {stem: source.weight(stem) for stem in sorted(stems)}
    total, left, chosen = sum(weights.values()), dict(weights), []
    while left and len(chosen) < MOST:
        gains: dict[int, float] = defaultdict(float)
        for stem, weight in left.items():
            for where in source.holding.get(stem, ()):
                gains[where] += weight
        best = max(gains, key=lambda where: (gains[where], -where), default=None)
        if best is None or chosen and gains[best] < 0.1 * total:
            break
        chosen.append(best)
        left = {stem: w for stem, w in left.items() if stem not in source.stems[best]}
    return chosen, 1 - sum(left.values()) / total if total else 1.0


# ------------------------------------------------------------------------------ are the facts there


Problem = tuple[str, str] | None  # verdict, reason


def _problems(
    clauses: list[Clause], sources: list[int], source: _Source
) -> Iterator[tuple[str, str]]:
    """(verdict, reason) of each fact that does not stand."""
    for clause in clauses:
        for fact in clause.facts:
            check = _quantity if fact.kind in QUANTITIES else _CHECKS[fact.kind]
            if problem := check(fact, clause, sources, source):
                verdict, reason = problem
                yield verdict, f"{fact.kind}: {reason}"
        if turned := _turned(clause, sources, source):
            yield "contradicted", f"negation: {turned}"


def _quantity(fact: Fact, clause: Clause, sources: list[int], source: _Source) -> Problem:
    """The clauses with this number, and those with another in its place, by words in common.

    A number in its place that the clause says as well is none against it.
    """
    wanted = _measure(fact.value)
    said = {_measure(f.value)[0] for f in clause.facts if f.kind in QUANTITIES}
    for_it = against = -1
    others, near = {}, source.around(sources)
    for other, there in source.quantities:
        if source.drugs & fact.about and source.drugs & other.about - fact.about:
            continue  # the dose of another drug
        measured, common = _measure(other.value), len(there.stems & clause.stems)
        if _same(wanted, measured):
            if other.where in near or fact.about & other.about:
                for_it = max(for_it, common)
        elif other.kind == fact.kind and common and measured[0] not in said - {wanted[0]}:
            others[other] = common
            against = max(against, common)
    if for_it >= 0 and (for_it >= against or against == 1):
        return None
    rivals = [other for other, common in others.items() if common == against]
    if rivals:
        same = any(other.about & fact.about for other in rivals)
        values = ", ".join(dict.fromkeys(other.value for other in rivals))
        return "contradicted" if same else "unsupported", f"{fact.value}, the source has {values}"
    if wanted[0] in ("0", "1"):  # "one" is not always a number
        return None
    return "unsupported", f"{fact.value} is not in the source"


def _medication(fact: Fact, clause: Clause, sources: list[int], source: _Source) -> Problem:
    stems = frozenset(terms.stems(fact.value.split()))
    if not all(stem in source.holding for stem in stems):
        return "unsupported", f"{fact.value} is not in the source"
    return _opposed(fact, stems, stems <= clause.negated, clause, source)


def _finding(fact: Fact, clause: Clause, sources: list[int], source: _Source) -> Problem:
    stems = frozenset(terms.stems(fact.value.split()))
    if not any(stems <= held for held in source.stems.values()):
        return "unsupported", f"{fact.value} is not in the source"
    return _opposed(fact, stems, fact.kind == "negation", clause, source)


def _opposed(
    fact: Fact, stems: frozenset, negated: bool, clause: Clause, source: _Source
) -> Problem:
    """Do the clauses that say the opposite have more words in common than those that agree?"""
    for_it, against = -1, -1
    first = min(stems, key=lambda stem: len(source.saying.get(stem, ())), default="")
    for other in source.saying.get(first, ()):
        if stems <= other.stems:
            common = len(other.stems & clause.stems)
            if other.open or negated == (stems <= other.negated):
                for_it = max(for_it, common)
            else:
                against = max(against, common)
    if against > for_it:
        return "contradicted", f"{fact.value}, the source {'has it' if negated else 'denies it'}"
    return None


def _side(fact: Fact, clause: Clause, sources: list[int], source: _Source) -> Problem:
    """The clauses that name a side of the same, by words in common; both is left and right."""
    weight, near = dict.fromkeys(("left", "right", "both"), 0), source.around(sources)
    for other, there in source.facts["side"]:
        common = len(there.stems & clause.stems) if other.about & fact.about else 0
        alone = other.where in near and len(there.stems) <= ALONE  # "On the left side."
        weight[other.value] = max(weight[other.value], common, alone)
    if not any(weight.values()):
        if fact.value == "both":  # of what has two it goes without saying
            return None
        return "unsupported", f"{fact.value} is not in the source"
    for_it = weight[fact.value]
    if fact.value == "both":
        for_it = max(for_it, min(weight["left"], weight["right"]))
    if for_it < max(weight.values()):
        said = ", ".join(side for side, common in weight.items() if common > for_it)
        return "contradicted", f"{fact.value}, the source has {said}"
    return None


def _sex(fact: Fact, clause: Clause, sources: list[int], source: _Source) -> Problem:
    """All that a consultation says of the patient; of an article the most similar sentence."""
    said = [f for f, _ in source.facts["sex"] if source.spoken or f.where in sources[:1]]
    said = [f for f in said if f.about] or said
    if source.spoken and len(said) == 1 and not said[0].about:
        return None  # one "he" may be anybody
    if said and fact.value not in {f.value for f in said}:
        return "contradicted", f"{fact.value}, the source has {said[0].value}"
    return None


_CHECKS = {
    "medication": _medication,
    "symptom": _finding,
    "negation": _finding,
    "side": _side,
    "sex": _sex,
    "name": _medication,
}


def _turned(clause: Clause, sources: list[int], source: _Source) -> str:
    """The words that the clause negates and the most similar source does not, or the reverse."""
    there = [c for i in sources for c in source.clauses_of[i] if not c.open]
    best = max(there, key=lambda c: (len(c.stems & clause.stems), -len(c.stems)), default=None)
    common = best.stems & clause.stems if best else frozenset()
    content = clause.stems - _FORM
    enough = 1 if len(content) == 2 or best and len(best.stems) <= ALONE else 2
    if len(common) < enough or 2 * len(common) < len(content):
        return ""
    ours, theirs = clause.negated & common, best.negated & common
    turned = ours ^ theirs
    return ", ".join(sorted(turned)) if 2 * len(turned) > max(len(ours), len(theirs)) else ""


def _measure(value: str) -> tuple[str, str]:
    found = _QUANTITY.fullmatch(value)
    return found[1], found[2]


def _same(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """The same number, in the same unit or with a unit left unsaid; "some" is any number."""
    units = one[1] == other[1] or not one[1] or not other[1]
    if VAGUE in (one[0], other[0]):
        return one[1] == other[1]
    return one[0] == other[0] and units
