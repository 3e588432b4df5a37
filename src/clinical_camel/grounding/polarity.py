"""Who, when and whether: compare the context of written words with that of the source's."""

import math
import re
from collections.abc import Iterator

from clinical_camel.grounding.claims import PAST
from clinical_camel.grounding.clauses import RELATIVES, TIME_STEMS, Clause, Fact
from clinical_camel.grounding.source import Source
from clinical_camel.grounding.terms import stem_words
from clinical_camel.grounding.words import FORMULA_STEMS, VERB_STEMS

SHARE = 0.5  # of a statement's words, by weight, that a source clause on the same matter has
MOST = 0.7  # the same, for who it is
MARGIN = 0.9  # a clause that agrees counts, even if one that does not has a few words more
NEARBY = 0.25  # weight of the other words of the clause
LIGHT = 0.3  # weight of the words that any note uses

_NOT = re.compile(r"\bnot\b")
_TWICE = re.compile(
    r"\bnot (?:\w+ ){0,2}(?:no|not|negative|unable|never|without)\b"
    r"|\bno (?:\w+ ){1,5}(?:is|was|are|were) not\b"
)
_AVOIDS = re.compile(r"\bavoid(?:s|ed|ing)?\b")
_NO = re.compile(r"\b(?:not|no|never|nor)\b")
_WITHOUT = re.compile(r"\bwithout\b")
_DENIES = re.compile(r"\b(?:no|not|never|without|den(?:y|ies|ied|ying)|nor|non)\b")

_ADVICE = re.compile(
    r"\b(?:should|must|may|can|ought to|has to|have to|needs? to) (not )?(?:be )?(\w+)"
)

Problem = tuple[str, str]


def check_polarity(fact: Fact, clause: Clause, source: Source) -> Problem | None:
    """Compare the context of a finding or drug with all clauses of the source that name it.

    Whether: contradicted if a clause of the opposite polarity shares more words than any that
    agrees. Who: the family's is not the patient's. When: past is not now. A possible or assumed
    finding supports only a possible one.
    """
    stems = fact.stems
    named = [*_find_named(stems, clause, source)]
    if not named or fact.kind == "name":
        return None
    family = _covers(clause.family, stems)
    same = [c for c in named if _covers(c.family, stems) == family or c.is_open]
    if not _has_owner(clause, source):
        same = named
    if not same:
        who = "the patient's" if family else "the family's"
        return "contradicted", f"who: {fact.value} is {who} in the source"
    negated = _covers(clause.negated, stems)
    problem = None if negated else _check_certainty(fact, clause, same)
    if source.is_spoken and not negated:
        problem = problem or _check_time(fact, clause, same)
    if problem and fact.kind == "symptom":
        return problem
    is_condition = source.is_article and _covers(clause.hypothetical, stems)
    if negated and not is_condition and all(_covers(c.hypothetical, stems) for c in same):
        return "unsupported", f"whether: {fact.value} is only a condition in the source"
    support, against = -1, -1
    for other in same:
        common = len(other.stems & clause.stems)
        if negated == _covers(other.negated, stems):
            support = max(support, common)
        elif not _covers(other.hypothetical, stems):
            against = max(against, common)
    if against > support + (support > 0):
        return (
            "contradicted",
            f"{fact.kind}: {fact.value}, the source {'has it' if negated else 'denies it'}",
        )
    return None


def _has_owner(clause: Clause, source: Source) -> bool:
    """Whether a statement is of the patient or of a relative.

    In an article, a mother or a child is nobody's relative; only a "(family) history of" has an
    owner there.
    """
    return source.is_spoken or "history of" in clause.text


def _covers(scope: frozenset[str], stems: frozenset[str]) -> bool:
    return not stems.isdisjoint(scope)


def _find_named(stems: frozenset[str], clause: Clause, source: Source) -> Iterator[Clause]:
    rarest = min(sorted(stems), key=lambda s: len(source.clauses_by_stem.get(s, ())), default="")
    for other in source.find_clauses(rarest, clause.stems):
        if stems <= other.stems:
            yield other


def _check_certainty(fact: Fact, clause: Clause, named: list[Clause]) -> Problem | None:
    stems = fact.stems
    if _covers(clause.hypothetical, stems):
        return None
    sure = [c for c in named if not _covers(c.hypothetical, stems)]
    if not sure:
        return "unsupported", f"whether: {fact.value} is only a condition in the source"
    possible = _covers(clause.possible, stems)
    if not possible and all(_covers(c.possible, stems) for c in sure):
        return "unsupported", f"whether: {fact.value} is only possible in the source"
    if possible and not any(_covers(c.possible | c.negated, stems) for c in named):
        return "unsupported", f"whether: {fact.value} is certain in the source"
    return None


def _check_time(fact: Fact, clause: Clause, named: list[Clause]) -> Problem | None:
    stems = fact.stems
    if _covers(clause.hypothetical, stems):
        return None
    sure = [c for c in named if not _covers(c.hypothetical, stems)]
    past = _covers(clause.past, stems)
    if not past and all(_covers(c.past, stems) for c in sure):
        return "unsupported", f"when: {fact.value} is in the past in the source"
    if past and not any(_covers(c.past, stems) or PAST.search(c.text) for c in sure):
        return "unsupported", f"when: {fact.value} is not in the past in the source"
    return None


def check_statement(clause: Clause, source: Source) -> Iterator[Problem]:
    """Yield a problem if the words of a clause have the opposite context in the source."""
    problems = list(_check_context(clause, source))
    yield from problems or _check_advice(clause, source)


def _check_advice(clause: Clause, source: Source) -> Iterator[Problem]:
    """Yield a problem if the source advises the opposite of the same verb: "should not be delayed".

    One word decides here, so the weight of the words that agree does not count.
    """
    for stem, is_against in _list_advice(clause).items():
        others = [
            _list_advice(c)
            for c in source.find_clauses(stem, clause.stems)
            if _is_close(clause.stems, c)
        ]
        advice = {other[stem] for other in others if stem in other}
        if advice == {not is_against}:
            verb = "advises" if is_against else "advises against"
            yield "contradicted", f"negation: the source {verb} {clause.words.get(stem, stem)}"


def _list_advice(clause: Clause) -> dict[str, bool]:
    """Return the verbs after "should" or "must", as stems, and whether "not" is between them."""
    return {
        stem: bool(no) for no, verb in _ADVICE.findall(clause.text) for stem in stem_words([verb])
    }


def _check_context(clause: Clause, source: Source) -> Iterator[Problem]:
    """Yield a problem if most words of a clause have the opposite context in the source."""
    twice = _TWICE.search(clause.text)
    if twice and not (twice[0].endswith("without") and _explains(clause, source)):
        yield "unsupported", "negation: denied twice, which affirms it"
    named = frozenset().union(*(f.stems for f in clause.facts if f.kind in ("symptom", "negation")))
    content = (clause.stems | clause.numbers) - named
    negated = (clause.negated & content) - TIME_STEMS
    if any(f.kind == "negation" for f in clause.facts) and not _NOT.search(clause.text):
        content, negated = content - negated, frozenset()  # "no lower extremity edema"
    if _AVOIDS.search(clause.text) and not _NOT.search(clause.text):
        content, negated = content - negated, frozenset()  # advice, not a denial
    affirmed = content - negated - clause.hypothetical - clause.place - clause.numbers
    affirmed -= FORMULA_STEMS | TIME_STEMS | RELATIVES
    if negated:
        affirmed -= VERB_STEMS  # "takes no medicines"
    is_without = source.is_article and _WITHOUT.search(clause.text)
    if not negated - FORMULA_STEMS and not is_without and not _NOT.search(clause.text):
        negated = frozenset()  # "denies any problems"
    for group, is_negated in ((negated, True), (affirmed, False)):
        if not group:
            continue
        support, against, closest = _weigh(
            group, content, source, None if is_negated else content - clause.negated
        )
        if against * MARGIN > support:
            shared = ", ".join(
                sorted(
                    clause.words.get(s, s[1:]) for s in group & (closest.stems | closest.numbers)
                )
            )
            verb = "affirms" if is_negated else "denies"
            yield "contradicted", f"negation: the source {verb} {shared}"
        elif (
            is_negated
            and not support
            and (not group <= FORMULA_STEMS or _NOT.search(clause.text) and not named)
            and _DENIES.search(clause.text)
            and _is_there(group, source)
        ):
            shared = ", ".join(sorted(clause.words.get(s, s[1:]) for s in group))
            yield "unsupported", f"negation: the source does not deny {shared}"
    for relative in sorted(clause.stems & RELATIVES):
        if not source.names(relative):
            yield "unsupported", f"who: {clause.words[relative]} is not in the source"
        elif other := _find_other_relative(relative, clause, source):
            yield "contradicted", f"who: {clause.words[relative]}, the source has {other}"
    family = (clause.family & content) - FORMULA_STEMS - clause.numbers - RELATIVES
    if _has_owner(clause, source):
        yield from _check_person(family or affirmed, bool(family), clause, source)


def _explains(clause: Clause, source: Source) -> bool:
    """Whether an article also says that something does not happen without something else."""
    if not source.is_article:
        return False
    words = clause.stems - FORMULA_STEMS
    places = (other for stem in sorted(words) for other in source.find_clauses(stem, words))
    return any(
        _WITHOUT.search(other.text)
        and _NO.search(other.text)
        and 2 * len(words & other.stems) >= len(words)
        for other in places
    )


def _find_other_relative(relative: str, clause: Clause, source: Source) -> str:
    """Return the stem of the relative of whom the source says the same, if not of this one."""
    facts = frozenset().union(*(fact.stems for fact in clause.facts))
    matter = clause.family & (facts or clause.stems - FORMULA_STEMS - TIME_STEMS - RELATIVES)
    candidates = {id(c): c for s in sorted(matter) for c in source.find_clauses(s, clause.stems)}
    others = [c.stems & RELATIVES for c in candidates.values() if matter <= c.stems]
    if not others or any(not named or relative in named for named in others):
        return ""
    return min(frozenset().union(*others))


def _is_there(group: frozenset[str], source: Source) -> bool:
    """Whether the source has most of the words, or all are words of any note."""
    content = group - FORMULA_STEMS
    present = sum(stem in source.clauses_by_stem for stem in content)
    return 2 * present >= len(content)


def _check_person(
    group: frozenset[str], is_family: bool, clause: Clause, source: Source
) -> Iterator[Problem]:
    """Yield a problem if the words are said of a relative only, or of the patient only."""
    weights = {stem: source.weight(stem) for stem in group}
    total = math.fsum(weights.values())
    candidates = {id(c): c for s in sorted(group) for c in source.find_clauses(s, clause.stems)}
    best = {True: 0.0, False: 0.0}
    for other in candidates.values():
        shared = group & other.stems
        mass = math.fsum(weights[s] for s in shared)
        if len(shared - TIME_STEMS) < 2:
            continue
        of_family = math.fsum(weights[s] for s in shared if s in other.family) * 2 > mass
        best[of_family] = max(best[of_family], mass)
    if best[not is_family] > best[is_family] and best[not is_family] >= MOST * total:
        who = "patient" if is_family else "family"
        yield (
            "contradicted",
            f"who: {', '.join(sorted(clause.words[s] for s in group))}: of the {who} in the source",
        )


def _is_close(content: frozenset[str], other: Clause) -> bool:
    """Whether two clauses share two words with meaning; one is enough for a short statement."""
    ours = content - FORMULA_STEMS
    shared = content & (other.stems | other.numbers) - TIME_STEMS
    return len(ours) <= 2 or len(shared) > 1


def _is_assumed(shared: frozenset[str], other: Clause, source: Source) -> bool:
    """Whether an article only assumes these words: "without insulin, ..." does not deny insulin."""
    return source.is_article and shared <= other.negated & other.hypothetical


def _reverses(shared: frozenset[str], other: Clause, source: Source) -> bool:
    """Whether words reverse the condition of an article: "with insulin, glucose rises"."""
    condition = other.negated & other.hypothetical
    is_named = bool(condition) and 2 * len(shared & condition) >= len(condition)
    return source.is_article and is_named and not shared <= condition


def _weigh(
    group: frozenset[str],
    content: frozenset[str],
    source: Source,
    affirmed: frozenset[str] | None,
) -> tuple[float, float, Clause | None]:
    """Return the weight of the best clause that agrees and of the best that does not, and this.

    `affirmed`: what a clause affirms beside a group that it affirms; None for a denied group.
    """
    is_negated = affirmed is None
    weights = {s: source.weight(s) * (LIGHT if s in FORMULA_STEMS else 1) for s in content}
    candidates = {id(c): c for s in sorted(group) for c in source.find_clauses(s, content)}
    total = math.fsum(weights[s] for s in group if s in source.clauses_by_stem)
    support = against = 0.0
    closest = None
    for other in candidates.values():
        words = other.stems | other.numbers
        shared = group & words
        mass = math.fsum(weights[s] for s in shared)
        if mass < SHARE * total:
            continue
        value = mass + NEARBY * math.fsum(weights[s] for s in (content - group) & words)
        denied = 2 * math.fsum(weights[s] for s in shared if s in other.negated)
        if not is_negated and _reverses(affirmed & words, other, source):
            denied = 2 * mass
        opposite = denied > mass if is_negated else denied >= mass
        if opposite == is_negated:
            support = max(support, value)
        elif _is_assumed(shared, other, source):
            continue
        elif value > against and _is_close(content, other):
            against, closest = value, other
    return support, against, closest
