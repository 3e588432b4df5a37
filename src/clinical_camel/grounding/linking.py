"""Find the source sentences that support a written sentence, and the facts that a text covers.

Three checks per written sentence. Words: few places of the source must contain most of its stems,
weighted by rarity (inverse document frequency of BM25), with one name per finding and drug; a word
that no lexicon knows must be in the source. Facts: the source must contain each of them: number and
unit, dose, frequency, duration, age, side, negation, symptom, drug, sex, name. Context: who has a
finding (patient or family), when (past or now), whether (affirmed, denied, possible). Facts are
compared strictly and words loosely, so a paraphrase passes and a changed fact does not.
benchmarks/results/grounding.csv measures what the rules detect and what they miss.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from clinical_camel.grounding.checks import check_clause
from clinical_camel.grounding.clauses import Fact
from clinical_camel.grounding.comparison import is_same_quantity
from clinical_camel.grounding.evidence import find_evidence
from clinical_camel.grounding.facts import SpokenTurn, extract_clauses, extract_facts
from clinical_camel.grounding.quantities import QUANTITIES
from clinical_camel.grounding.source import Source
from clinical_camel.grounding.states import check_states, list_stems, list_units
from clinical_camel.grounding.words import check_words, collect_words, select_sources

SHARE = 0.4  # of a sentence with its numbers; as much is support, whatever words it lacks
VERDICTS = ("supported", "contradicted", "unsupported")


@dataclass(frozen=True, slots=True)
class Link:
    """A written sentence, its verdict, the indices of its sources, and reasons if not supported.

    `verdicts` has the verdict of each reason.
    """

    sentence: str
    verdict: str
    sources: tuple[int, ...]
    reasons: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()


def link_sentences(written: Sequence[str], source: Sequence[str | SpokenTurn]) -> list[Link]:
    """Link each written sentence to the source sentences or turns that support it.

    supported: its sources contain its words and all its facts. contradicted: a source has another
    value of the same fact (dose, side, sex), or the opposite. unsupported: a fact or too many words
    are missing. A source without spoken turns is an article: it has neither patient nor relatives,
    so that who and when are not compared there. Sources are the units that state the sentence, a
    question with its answer; none if it has only words of any note ("All questions were
    answered.").

    >>> written, source = ["Naproxen 50 mg helps gout."], ["In gout, naproxen 500 mg is of help."]
    >>> link_sentences(written, source)[0].reasons
    ('dose: 50 mg, the source has 500 mg',)
    """
    index = Source(source)
    return [_link(sentence, index) for sentence in written]


def find_covered(facts: Sequence[Fact], written: Sequence[str]) -> list[bool]:
    """Return for each fact of a source whether the written text covers it.

    >>> from clinical_camel.grounding import extract_facts
    >>> find_covered(extract_facts("No fever. Naproxen 500 mg."), ["Takes naproxen."])
    [False, True, False]
    """
    by_kind = defaultdict(list)
    for fact in extract_facts(written):
        by_kind["quantity" if fact.kind in QUANTITIES else fact.kind].append(fact)
    return [_is_covered(fact, by_kind) for fact in facts]


def _is_covered(fact: Fact, by_kind: dict[str, list[Fact]]) -> bool:
    if fact.kind in QUANTITIES:
        return any(is_same_quantity(fact.value, other.value) for other in by_kind["quantity"])
    same = [other for other in by_kind[fact.kind] if other.value == fact.value]
    return any(fact.about & other.about for other in same) if fact.kind == "side" else bool(same)


def _link(sentence: str, source: Source) -> Link:
    clauses = extract_clauses([sentence], of_article=source.is_article)
    problems, remaining, states = check_states(clauses, source.states)
    numbers = frozenset().union(*(clause.numbers for clause in clauses))
    words = collect_words(clauses, source.is_article)
    sources, missing, coverage = select_sources(frozenset(words), numbers, source)
    if states:  # "quit" is in the source as "gave up"
        words = {stem: word for stem, word in words.items() if stem not in list_stems(states)}
        _, missing, share = select_sources(frozenset(words), numbers, source)
        coverage = max(coverage, share)
    evidence, share = find_evidence(clauses, source)
    evidence = tuple(sorted({*evidence, *list_units(states)}))
    problems += [problem for c in remaining for problem in check_clause(c, sources, source)]
    coverage = 1.0 if share >= SHARE else coverage
    problems += check_words(sentence, remaining, words, missing, coverage, source)
    verdicts, reasons = zip(*dict.fromkeys(problems), strict=True) if problems else ((), ())
    verdict = min(verdicts, default="supported")  # contradicted first
    return Link(sentence, verdict, evidence, reasons, verdicts)
