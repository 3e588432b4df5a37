"""Which places of a source a reader should see: the turns that state what a sentence says.

The units are chosen greedily. Each next unit adds most of the sentence's words, by rarity, and of
its numbers and sides, which weigh most. A word with another context in the source (denied, of the
family) counts little. A question is shown together with the answer that decides it.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from clinical_camel.grounding.clauses import TIME_STEMS, Clause, Fact
from clinical_camel.grounding.comparison import is_same_quantity
from clinical_camel.grounding.quantities import QUANTITIES
from clinical_camel.grounding.source import Source
from clinical_camel.grounding.words import FORMULA_STEMS, MOST, STATE_STEMS, VERB_STEMS

LIGHT = 0.1  # weight of a word of any note beside the words that name things
STATE = 0.3  # of a degree, a course or a verb such as "takes"
OTHERWISE = 0.3  # of a word that has another context in the source
LEAST = 0.15  # of the weight of a sentence; a further unit must add as much
HALF = 0.5  # the same for the only unit of a sentence whose words any note has

Part = str | Fact  # a stem of a sentence, or a quantity or side


def find_evidence(clauses: Sequence[Clause], source: Source) -> tuple[tuple[int, ...], float]:
    """Return the units that state what the clauses of a sentence say, and how much of it (0 to 1).

    None for a sentence such as "All questions were answered", if no unit has half of it.
    """
    parts = {part for clause in clauses for part in _list_parts(clause)}
    remaining = {part: _weigh(part, source) for part in parts}
    total = math.fsum(remaining.values())
    places = _find_places(clauses, source)
    least, selected = 0 if any(map(_is_distinctive, parts)) else HALF * total, set()
    while len(selected) < MOST:
        gains = {
            units: _gain(shares, remaining) - LEAST * total * (len(units - selected) - 1)
            for units, shares in places.items()
        }
        best = max(gains, key=lambda units: (gains[units], -min(units)), default=frozenset())
        if best <= selected or gains[best] < least:
            break
        selected |= best
        remaining |= {part: remaining[part] * (1 - share) for part, share in places[best].items()}
        least = max(least, LEAST * total)
    share = 1 - math.fsum(remaining.values()) / total if total else 1.0
    return tuple(sorted(selected)), share


def _list_parts(clause: Clause) -> Iterator[Part]:
    yield from clause.stems
    for fact in clause.facts:
        if fact.kind in QUANTITIES or fact.kind == "side":
            yield fact


def _is_distinctive(part: Part) -> bool:
    return isinstance(part, Fact) or part not in FORMULA_STEMS | TIME_STEMS


def _weigh(part: Part, source: Source) -> float:
    if isinstance(part, Fact):
        return source.most
    factor = STATE if part in STATE_STEMS | VERB_STEMS else 1
    return source.weight(part) * (factor if _is_distinctive(part) else LIGHT)


def _gain(shares: Mapping[Part, float], remaining: Mapping[Part, float]) -> float:
    return math.fsum(share * remaining[part] for part, share in shares.items())


def _find_places(
    clauses: Sequence[Clause], source: Source
) -> dict[frozenset[int], dict[Part, float]]:
    """Return for each unit, or question and answer, how much of each part it states (0 to 1)."""
    places: dict[frozenset[int], dict[Part, float]] = defaultdict(dict)
    sentence = frozenset().union(*(clause.stems | clause.numbers for clause in clauses))
    for clause in clauses:
        for part in _list_parts(clause):
            for other, share in _find_part(part, clause, sentence, source):
                units = frozenset(
                    {other.unit, other.unit if other.answer is None else other.answer}
                )
                places[units][part] = max(share, places[units].get(part, 0))
    for units in places:
        for unit in units:
            for part, share in places.get(frozenset([unit]), {}).items():
                places[units][part] = max(share, places[units].get(part, 0))
    return places


def _find_part(
    part: Part, clause: Clause, sentence: frozenset[str], source: Source
) -> Iterator[tuple[Clause, float]]:
    """Yield the clauses of the source that state a part, and how well they do."""
    if isinstance(part, str):
        for other in source.find_clauses(part, sentence):
            is_same = all(
                (part in getattr(clause, context)) == (part in getattr(other, context))
                for context in ("negated", "family")
            )
            yield other, 1 if is_same else OTHERWISE
    elif part.kind == "side":
        for fact, other in source.facts["side"]:
            if fact.value == part.value:
                yield other, 1 if fact.about & part.about else OTHERWISE
    else:
        for fact, other in source.quantities:
            if is_same_quantity(part.value, fact.value):
                yield other, 1
