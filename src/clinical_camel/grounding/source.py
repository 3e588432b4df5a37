"""The clauses of a source, indexed by stem, by unit and by kind of fact."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

from clinical_camel.grounding.answers import is_clinician, is_patient
from clinical_camel.grounding.clauses import Clause, Fact
from clinical_camel.grounding.facts import SpokenTurn, extract_clauses
from clinical_camel.grounding.quantities import QUANTITIES
from clinical_camel.grounding.states import find_states
from clinical_camel.grounding.terms import find_words, list_forms

WIDER = {
    **{"mother": ("parent",), "father": ("parent",), "sister": ("sibl",), "brother": ("sibl",)},
    **{"daughter": ("child", "girl", "babi"), "son": ("child", "boy", "babi")},
    **{"wife": ("marri", "spous", "partner"), "husband": ("marri", "spous", "partner")},
}
REACH = 2  # turns between a fact and the words that it belongs to


class Source:
    """The sentences or turns that may support a written sentence.

    A question without yes or no counts only for a sentence that has words of its answer, too.
    """

    def __init__(self, units: Sequence[str | SpokenTurn]):
        self.units = units
        self.is_spoken = any(not isinstance(unit, str) for unit in units)
        self.is_article = not self.is_spoken  # not of a consultation: see article_scopes
        self.speakers = {u.speaker.lower() for u in units if not isinstance(u, str)}
        self.clauses: dict[int, list[Clause]] = defaultdict(list)  # by unit
        self.stems: dict[int, set[str]] = defaultdict(set)  # by unit, without open questions
        self.words: set[str] = set()  # as said, and what they may be inflections of
        self.clauses_by_stem: dict[str, list[Clause]] = defaultdict(list)
        self.facts: dict[str, list[tuple[Fact, Clause]]] = defaultdict(list)  # by kind
        self.quantities: list[tuple[Fact, Clause]] = []
        clauses = extract_clauses(units, of_article=self.is_article)
        for clause in clauses:
            self._add(clause)
        self.states = find_states(clauses)
        self.drugs = frozenset(fact.value for fact, _ in self.facts["medication"])
        self._weights = {
            s: self._weigh(len({c.unit for c in named}))
            for s, named in self.clauses_by_stem.items()
        }
        self.most = self._weigh(0)

    def _add(self, clause: Clause) -> None:
        self.clauses[clause.unit].append(clause)
        if not clause.is_open:
            self.stems[clause.unit] |= clause.stems | clause.numbers
        self.words.update(*map(list_forms, find_words(clause.text)))
        for stem in clause.stems | clause.numbers:
            self.clauses_by_stem[stem].append(clause)
        for fact in clause.facts:
            self.facts[fact.kind].append((fact, clause))
            if fact.kind in QUANTITIES:
                self.quantities.append((fact, clause))

    def find_clauses(self, stem: str, sentence: frozenset[str]) -> Iterator[Clause]:
        """Yield the clauses with a stem that may support a sentence of these stems."""
        for clause in self.clauses_by_stem.get(stem, ()):
            if not clause.is_open or self.is_answered(clause, sentence):
                yield clause

    def is_answered(self, clause: Clause, sentence: frozenset[str]) -> bool:
        """Whether the answer of an open question has a stem or number of the sentence."""
        if clause.answer is None:
            return False
        others = (sentence - clause.stems - clause.numbers) & self.stems[clause.answer]
        return bool(others)

    def has_word(self, word: str) -> bool:
        """Whether the source has a word or another inflection of it."""
        return not self.words.isdisjoint(list_forms(word))

    def names(self, relative: str) -> bool:
        """Whether the source names a relative, or one speaks in it."""
        wider = WIDER.get(relative, ())
        named = any(stem in self.clauses_by_stem for stem in (relative, *wider))
        return named or not all(is_clinician(s) or is_patient(s) for s in self.speakers)

    def neighbours(self, sources: Sequence[int]) -> set[int]:
        """Return the sources and the units next to them, in speech up to REACH turns away."""
        reach = REACH if self.is_spoken else 1
        return {i + d for i in sources for d in range(-reach, reach + 1)}

    def _weigh(self, count: int) -> float:
        return math.log(1 + (len(self.units) - count + 0.5) / (count + 0.5))

    def weight(self, stem: str) -> float:
        """Inverse document frequency of BM25 (Robertson and Zaragoza 2009), never negative."""
        return self._weights.get(stem, self.most)
