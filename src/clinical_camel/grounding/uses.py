"""What is done with a drug, and with a habit: started, stopped, declined; never, former, current.

A verb belongs to the drugs after it ("stop the aspirin and the warfarin"), or before it in the
passive ("the aspirin was stopped"), or to what was named before ("they stopped it in March").
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from clinical_camel.grounding.clauses import Clause
from clinical_camel.grounding.phrases import (
    DENIAL,
    GLUE,
    HABITS,
    JOINS,
    State,
    Thing,
    consists_of,
    find_cues,
    join_things,
    list_things,
    name_owner,
    read_phrase_words,
    read_values,
)

REACH = 2  # turns back to the drug or habit that "it" means
_ANSWERS = ("offer", "accept", "decline")
_FINDINGS = ("symptom", "negation")
FAR = 8  # words between a drug and "was stopped"

_BE = GLUE | read_phrase_words("be")
_PASSIVE = _BE | read_phrase_words("passive")
_IT = re.compile(r"\s*(?:it|them|that|those|this)\b")
_IN_CUE = re.compile(r"\b(?:it|that|them)\b")
_PAST = re.compile(r"stop(?:ped)?$|up$|in$|off$|more$|longer$")
_ENDS = re.compile(
    r"\s*(?:$|[.,;]|(?:in|on|since|because|when|last|\d|a few|some|about|after|myself|years)\b)"
)
_SUBJECT = re.compile(
    r"(?:^|\b(?:i|he|she|we|you|they|i've|and|then))\W*(?:\w+ly |just |had to )?$"
)
_ALCOHOL = re.compile(  # what may follow "drink" if it means alcohol
    r"\W*(?:$|[.,;?]|alcohol|and|or|but|social|heav|occasion|daily|every|any|at|on|a lot|\d|beer"
    r"|wine)"
)
_CURRENT = re.compile(
    r"(?:^|\b(?:i|he|she|you|still|currently|current|a|is|also|patient|am|i'm|he's|she's|been|heavy"
    r"|active|actively|day|daily|every|social|continues? to|cigarette)[ -])\W*$"
)
_NOW = re.compile(r"\b(?:am|is|are|i'm|you're|he's|she's|still|currently) $")
_OVER = re.compile(r"ed$|^drank$|^drunk$")
_INTENDS = re.compile(  # who means to stop still smokes
    r"\b(?:try|tries|trying|tried|want|wants|wanted|ready|help|helps|helping|hope|hopes|hoping|plan"
    r"|plans|planning|like|motivated|think|thinking|thought|consider|considering|need|needs|should"
    r"|encourage|encouraged|advise|advised|counsel|counseled|discussed|importance)"
    r"(?: [\w']+){0,4} $"
)
_SWITCHES = re.compile(r"switch|chang|mov")
_STILL = re.compile(r"\bstill\b|\b(?:now|these days)\b.{0,25}\d")
_DONE = re.compile(r"stopped|gave|given|packed|kicked|came|no longer|not ")
_NEVER = re.compile(r"\bnever\b(?! mind)")
_FORMER = re.compile(
    r"^\W*(?:yes\W+|yeah\W+)?i (?:was|did|used to)\b"
    r"|\b(?:not any ?more|not any longer|no longer|used to|stop(?:ped)?|gave (?:it |that )?up"
    r"|given (?:it |that )?up|not (?:since|for (?:\d|years|months))|packed (?:it |that )?in)\b"
)
_AMOUNT = re.compile(r"\d|\b(?:social|occasional|sometimes|weekend|a few|a bit|daily|every)")
_OPENS = r"\W*(?:um+ |uh+ |well |oh )?"
_NO = re.compile(rf"{_OPENS}(?:no|nope|nah)\b")
_ACCEPTS = re.compile(rf"{_OPENS}(?:yes|yeah|ok|okay|sure|fine|all ?right|sounds good|please)\b")
_REFUSES = re.compile(
    r"\b(?:no,? thank|i (?:do|would) not (?:want|like|fancy|think i want)"
    r"(?= (?:that|it|this|any|one|them|to (?:take|have|start|try|do|be on))\b| ?(?:$|[.,;]))"
    r"|rather not|not for me|not interested|i (?:will|wo) not|i'm not (?:taking|having|doing"
    r"|going to (?:take|have|do))|absolutely not|no way|not keen)"
)

Turns = Mapping[int, Sequence[Clause]]


class _Verb(NamedTuple):
    """A verb of state_words.csv in its clause, with what it may be about."""

    cue: re.Match
    value: str
    cues: list[re.Match]  # all of the clause
    used: list[Thing]
    phrases: list[Thing]
    it: frozenset[str]  # the stems of the drug or habit that was named before

    @property
    def text(self) -> str:
        return self.cue.string


def find_uses(clauses: Sequence[Clause]) -> Iterator[State]:
    """Yield what is done with drugs and habits in the clauses of a sentence or a source."""
    turns: dict[int, list[Clause]] = defaultdict(list)
    for clause in clauses:
        turns[clause.unit].append(clause)
    last, unit = frozenset(), -REACH - 1  # what "it" means, and the turn that speaks of it
    for clause in clauses:
        things = list_things(clause)
        it = last if clause.unit - unit <= REACH else frozenset()
        states = [*_find_verbs(clause, things, it)]
        owned = frozenset().union(*(state.owner for state in states))
        states += _find_habits(clause, things, owned, turns)
        yield from (_reply(state, turns) for state in states)
        named = [thing for thing in things if thing.is_used]
        last = named[-1].stems if named else last
        unit = clause.unit if named or states else unit


def _find_verbs(clause: Clause, things: list[Thing], it: frozenset[str]) -> Iterator[State]:
    pairs = find_cues("use", clause.text)
    cues = [cue for cue, _ in pairs]
    used = [thing for thing in things if thing.is_used]
    phrases = join_things(clause.text, things, cues)
    findings = frozenset().union(*(f.stems for f in clause.facts if f.kind in _FINDINGS))
    for cue, value in pairs:
        before = [thing.stems for thing in used if thing.end <= cue.start()]
        verb = _Verb(cue, value, cues, used, phrases, before[-1] if before else it)
        for owner in _find_owners(verb):
            if owner and owner <= findings - HABITS:
                continue  # "the pain started"
            if stated := _deny(value, owner, clause, cue):
                yield State("use", stated, owner, clause, cue[0])
        for value_of_other, owner in _find_switched(verb):
            yield State("use", value_of_other, owner, clause, cue[0])


def _find_switched(verb: _Verb) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the drug before "was switched to warfarin" as stopped, that after "from A to" begun."""
    objects = _find_objects(verb, verb.used) if _SWITCHES.match(verb.cue[0]) else []
    if objects and verb.value == "start" and verb.it and verb.it != objects[0].stems:
        yield "stop", verb.it
    if objects and verb.value == "stop":
        for thing in verb.used:
            if verb.text[objects[0].end : thing.start] == " to ":
                yield "start", thing.stems


def _find_owners(verb: _Verb) -> list[frozenset[str]]:
    """Return the stems of each thing that a verb is about."""
    if verb.it and _IT.match(verb.text, verb.cue.end()):
        return [verb.it]
    is_verb = verb.value not in ("former", "never")  # "never the sun" is about no drug
    things = (
        _find_objects(verb, verb.used)
        or is_verb
        and _find_objects(verb, verb.phrases)[:1]
        or _find_subject(verb, verb.used, _PASSIVE)
        or is_verb
        and _find_subject(verb, verb.phrases, _BE | {"and"})
    )
    if not things and verb.it and _means_it(verb):
        return [verb.it]
    return [name_owner(thing) for thing in things or ()]


def _find_objects(verb: _Verb, things: list[Thing]) -> list[Thing]:
    """Return the things directly after a verb, "stop the aspirin and the warfarin"."""
    objects: list[Thing] = []
    end = verb.cue.end()
    for thing in things:
        if thing.start < end:
            continue
        gap = verb.text[end : thing.start]
        if not objects and verb.value in _ANSWERS:  # "declined referral to", "agreed to start"
            gap = _without_cues(gap, end, verb)
        if not (consists_of(gap, JOINS, commas=True) if objects else consists_of(gap, GLUE)):
            break
        if objects and _is_subject(thing, verb):
            break  # "begin metoprolol, and the diltiazem comes off"
        objects.append(thing)
        end = thing.end
    return objects


def _is_subject(thing: Thing, verb: _Verb) -> bool:
    gaps = (verb.text[thing.end : c.start()] for c in verb.cues if c.start() >= thing.end)
    return any(consists_of(gap, _BE) for gap in gaps)


def _find_subject(verb: _Verb, things: list[Thing], between: frozenset[str]) -> list[Thing]:
    """Return the thing before a verb in the passive, "the aspirin was stopped"."""
    start = verb.cue.start()
    before = [thing for thing in things if thing.end <= start][-1:]
    gap = _without_cues(verb.text[before[0].end : start], before[0].end, verb) if before else ""
    commas = verb.cue[0].startswith("stop") or "which" in gap  # "ex-smoker, stopped in 2015"
    return before if len(gap.split()) <= FAR and consists_of(gap, between, commas) else []


def _without_cues(gap: str, start: int, verb: _Verb) -> str:
    """Return a part of the text without its other verbs: "offered and declined"."""
    for cue in verb.cues:
        if start <= cue.start() < start + len(gap):
            gap = gap.replace(cue[0], "", 1)
    return gap


def _means_it(verb: _Verb) -> bool:
    """Whether a verb is about what was named before: "I gave it up", "I stopped in 2015"."""
    if _IN_CUE.search(verb.cue[0]):
        return True
    ends = _ENDS.match(verb.text, verb.cue.end())
    is_past = verb.value == "stop" and _PAST.search(verb.cue[0])
    is_past = is_past or verb.value == "never" and verb.it & HABITS  # "I never did"
    return bool(is_past and ends and _SUBJECT.search(verb.text[: verb.cue.start()]))


def _deny(value: str, owner: frozenset[str], clause: Clause, cue: re.Match) -> str:
    """Return the value; if it is denied, what its denial states, "" for nothing."""
    before = clause.text[: cue.start()]
    if value == "stop" and owner & HABITS:
        value = "take" if _INTENDS.search(before) else "former" if _DONE.match(cue[0]) else value
    is_answered_no = clause.answer is not None and bool(owner & clause.negated)
    is_denied = DENIAL.search(before) or value == "take" and owner <= clause.negated
    if not is_denied and (not is_answered_no or value in ("offer", "decline")):
        return value
    if value == "take" and re.search(r"\bstill\b", clause.text[: cue.end()]):
        return "stop"
    return read_values()[value].denied


def _find_habits(
    clause: Clause, things: list[Thing], owned: frozenset[str], turns: Turns
) -> Iterator[State]:
    """Yield never, former, take or no for a habit that no verb is about."""
    for thing in things:
        habit = thing.stems & HABITS
        if not habit or habit & (owned | clause.hypothetical):
            continue
        is_alcohol = _ALCOHOL.match(clause.text, thing.end)
        if clause.text[thing.start : thing.end].startswith("dr") and not is_alcohol:
            continue  # "drinks water"
        is_answer = clause.answer is not None
        value = _read_answer(clause, habit, turns) if is_answer else _read_habit(clause, thing)
        if value:
            yield State("use", value, habit, clause)


def _read_answer(clause: Clause, habit: frozenset[str], turns: Turns) -> str:
    """Return the value that the answer to a question gives, "" if it names the habit itself."""
    own = clause.answer is None or clause.answer == clause.unit
    replies = [] if own else turns.get(clause.answer, [])
    if any(habit & other.stems for other in replies):
        return ""
    reply = " ".join(other.text for other in replies if not other.is_open)
    if _FORMER.search(reply):
        return "take" if _STILL.search(reply) else "former"
    if habit & clause.negated:
        return "never" if _NEVER.search(reply) or re.search(r"\bever\b", clause.text) else "no"
    return "take" if not clause.is_open or _AMOUNT.search(reply) else ""


def _read_habit(clause: Clause, thing: Thing) -> str:
    """Return take or no for a habit that a statement names, "" for a mere mention."""
    if clause.is_open:
        return ""
    if thing.stems & HABITS & clause.negated:
        return "no"
    word, before = clause.text[thing.start : thing.end], clause.text[: thing.start]
    signs = _NOW if word.endswith("ing") else _CURRENT
    return "take" if signs.search(before) and not _OVER.search(word) else ""


def _reply(state: State, turns: Turns) -> State:
    """Return an offer or a plan as declined or accepted, if the next turn says so.

    "I used to smoke a lot. Now it is just 2 a day" is no former habit.
    """
    clause = state.clause
    if state.value == "former" and any(_STILL.search(c.text) for c in turns[clause.unit]):
        return state._replace(value="take" if state.owner & HABITS else state.value)
    if state.value not in ("offer", "start", "increase"):
        return state
    unit = clause.unit + 1 if clause.answer is None else clause.answer
    is_offer = state.value == "offer"
    first = turns.get(unit, [])[: 3 if is_offer else 2]
    reply = "".join(f"{other.text}; " for other in first)
    is_answer = is_offer and turns[clause.unit][-1] is clause
    if _REFUSES.search(reply) or is_answer and _NO.match(reply):
        return state._replace(value="decline")
    return state._replace(value="accept") if is_answer and _ACCEPTS.match(reply) else state
