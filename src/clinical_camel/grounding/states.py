"""Compare what is done with a thing, or how it is, with the source: typed claims with an owner.

Five groups. `use`: a drug is started, stopped, continued, increased, decreased, offered, accepted,
declined; a habit is never, former or current. `level`: high, low, normal. `course`: better, worse.
`degree`: mild, severe. `ordinal`: the fourth toe. A sentence may have every word of its source and
still turn it round ("start A and stop B"), so that a value belongs to the thing of its phrase, as a
dose belongs to its drug. One that the source has only otherwise, for the same owner, is
contradicted. The words are in state_words.csv, what excludes what in state_values.csv.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from clinical_camel.grounding.clauses import Clause
from clinical_camel.grounding.owners import find_owners
from clinical_camel.grounding.phrases import (
    DENIAL,
    GLUE,
    HABITS,
    WORD,
    State,
    Thing,
    Value,
    consists_of,
    find_cues,
    join_things,
    list_groups,
    list_things,
    name_owner,
    read_phrase_words,
    read_values,
)
from clinical_camel.grounding.terms import stem_words
from clinical_camel.grounding.uses import find_uses

NEAR = 2  # turns between "it got worse" and what "it" may be
# What an ordinal counts; elsewhere "first" is often a time
_NUMBERED = frozenset(stem_words(sorted(read_phrase_words("numbered"))))
# The other checks see a denial in the words of these values, or in the place that states them
_DENYING = frozenset(["stop", "former", "never", "no", "decline", "increase", "decrease"])
_NEEDED = frozenset(["former", "decline"])  # not supported without a place that states it

Problem = tuple[str, str]


def find_states(clauses: Sequence[Clause]) -> list[State]:
    """Return the states in the clauses of a sentence or a source.

    >>> from clinical_camel.grounding.facts import extract_clauses
    >>> states = find_states(extract_clauses(["Start aspirin and stop warfarin. Low sodium."]))
    >>> [(state.value, *state.owner) for state in states]
    [('start', 'aspirin'), ('stop', 'warfarin'), ('low', 'sodium')]
    """
    return [*find_uses(clauses), *(s for clause in clauses for s in _find_qualities(clause))]


def _find_qualities(clause: Clause) -> Iterator[State]:
    """Yield high or low, better or worse, mild or severe, and ordinals, with their owners."""
    things = list_things(clause)
    for group in list_groups():
        pairs = [] if group == "use" or clause.is_open else find_cues(group, clause.text)
        pairs = [(cue, value) for cue, value in pairs if not _is_in_term(cue, things)]
        cues = [cue for cue, _ in pairs]
        phrases = join_things(clause.text, things, cues) if cues else []
        owners = _find_quality_owners(clause.text, cues, phrases, group == "ordinal")
        for (cue, value), thing in zip(pairs, owners, strict=True):
            owner = name_owner(thing)
            if DENIAL.search(clause.text[: cue.start()]):
                value = read_values()[value].denied if value in read_values() else ""
            if group == "ordinal":
                owner &= _NUMBERED
            if value and (owner or group != "ordinal"):
                yield State(group, value, owner, clause, cue[0])


def _is_in_term(cue: re.Match, things: Sequence[Thing]) -> bool:
    """Whether a word is a part of a name: "high blood pressure", "low back pain"."""
    return any(
        t.start <= cue.start() and cue.end() <= t.end and (t.start, t.end) != cue.span()
        for t in things
    )


def _find_quality_owners(
    text: str, cues: Sequence[re.Match], phrases: Sequence[Thing], only_next: bool
) -> Iterator[Thing | None]:
    """Yield the owner of each quality: the phrase next to it, else by the grammar of lists."""
    owners = find_owners(text, [c.span() for c in cues], [(t.start, t.end) for t in phrases])
    for cue, k in zip(cues, owners, strict=True):
        following = next((t for t in phrases if t.start >= cue.end()), None)
        if following and text[cue.end() : following.start] in (" ", "-"):
            yield following
        elif k is not None and not only_next and _belongs(text, cue, phrases[k]):
            yield phrases[k]
        else:
            yield None


def _belongs(text: str, cue: re.Match, owner: Thing) -> bool:
    """Whether no other phrase stands between a quality and its owner."""
    if owner.start >= cue.end():
        return consists_of(text[cue.end() : owner.start], GLUE)
    return not re.search(r"[,;:]| (?:and|when|after|with|if) ", text[owner.end : cue.start()])


def check_states(
    clauses: Sequence[Clause], stated: Sequence[State]
) -> tuple[list[Problem], list[Clause], list[State]]:
    """Compare the states of written clauses with those of a source.

    Returns the problems; the clauses without what the source states in words that deny: "stopped
    metformin" does not claim that it is taken, which the source denies, so that the other checks
    must not see it; and the states of the source that agree, each with the written word.
    """
    problems: list[Problem] = []
    settled: dict[int, list[State]] = defaultdict(list)
    agreeing: list[State] = []
    for state in find_states(clauses):
        value = _value(state)
        others = [other for other in stated if _is_of_same(state, other)]
        same = [other for other in others if other.value in value.stated_by]
        if same:
            agreeing.append(same[0]._replace(cue=state.cue))
            if _is_settled(state, same):
                settled[id(state.clause)].append(state)
        elif not _is_loosely(state, stated, others):
            problems += _find_problems(state, value, {other.value for other in others})
    return problems, [_without(clause, settled[id(clause)]) for clause in clauses], agreeing


def _value(state: State) -> Value:
    same = frozenset([state.value])
    return read_values().get(state.value, Value("", same, frozenset()))


def _is_of_same(state: State, other: State) -> bool:
    if state.group != other.group or not state.owner or not other.owner:
        return False
    is_same = state.owner <= other.owner or other.owner <= state.owner
    return is_same and state.is_family == other.is_family


def _is_loosely(state: State, stated: Sequence[State], others: Sequence[State]) -> bool:
    """Whether a clause that names the owner, or one near, has the value and no other."""
    if state.group in ("use", "ordinal"):
        return False
    near = {other.clause.unit for other in others}
    for other in stated:
        if (other.group, other.value) != (state.group, state.value):
            continue
        group = [s for s in stated if s.clause is other.clause and s.group == state.group]
        is_near = any(abs(other.clause.unit - unit) <= NEAR for unit in near)
        is_about = state.owner & other.clause.stems or not other.owner and is_near
        if len(group) == 1 and is_about:
            return True
    return False


def _find_problems(state: State, value: Value, values: set[str]) -> Iterator[Problem]:
    name = " ".join(sorted({state.clause.words.get(stem, stem) for stem in state.owner}))
    claim = f"{state.group}: {state.value} {name}"
    others = values if state.group == "ordinal" else values & value.excluded_by
    is_offer = values == {"offer"} and state.value == "accept"
    is_needed = state.group == "ordinal" or state.value in _NEEDED and state.owner
    if others:
        yield "contradicted", f"{claim}, the source has {', '.join(sorted(others))}"
    elif is_needed or is_offer:
        yield "unsupported", f"{claim} is not in the source"


def _is_settled(state: State, same: Sequence[State]) -> bool:
    """Whether the other checks would see a denial that is none, or miss one."""
    is_habit = bool(state.owner & HABITS)
    if is_habit and state.value in ("no", "never") and any(other.value == "no" for other in same):
        return False  # denied in both
    if state.value == "take" and not is_habit:
        return False
    denied = any(other.owner & other.clause.negated for other in same)
    return denied or state.value in _DENYING or is_habit


def list_units(states: Sequence[State]) -> set[int]:
    """Return the units that state what is done with a drug or habit, and those of answers."""
    clauses = [state.clause for state in states if state.group == "use"]
    return {c.unit for c in clauses} | {c.answer for c in clauses if c.answer is not None}


def list_stems(states: Sequence[State]) -> frozenset[str]:
    """Return the stems of the owners of states and of the words that say them."""
    cues = (stem for state in states for stem in stem_words(WORD.findall(state.cue)))
    return frozenset(cues).union(*(state.owner for state in states))


def _without(clause: Clause, states: Sequence[State]) -> Clause:
    """Return a clause without the words of these states, and the facts that consist of them."""
    if not states:
        return clause
    text, stems = clause.text, list_stems(states)
    for state in states:
        text = text.replace(state.cue, " ") if state.value in ("stop", "former") else text
    scopes = ("stems", "negated", "possible", "hypothetical", "family", "past")
    return replace(
        clause,
        text=text,
        words={s: word for s, word in clause.words.items() if s not in stems},
        facts=tuple(f for f in clause.facts if not (f.stems and f.stems <= stems)),
        **{scope: getattr(clause, scope) - stems for scope in scopes},
    )
