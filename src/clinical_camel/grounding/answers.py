"""Questions of a consultation with their answers: "any fever?", "no" is a denial of fever.

A question states nothing until it is answered. Yes and no decide the question before them, also two
turns later and through words such as "um"; an answer with words of its own ("yes, fever, but no
chills"; "about the same") speaks for those words itself.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from clinical_camel.grounding.clauses import Clause, Fact
from clinical_camel.grounding.quantities import normalize_text

LATER = 4  # turns after a question in which its answer may come
RUN = 3  # questions in a row that one "no" answers

# first words of a speaker's name, in lower case
_CLINICIANS = """
    d dr doc doctor docteur arzt ärztin gp physician clinician consultant surgeon registrar
    resident intern student nurse midwife pharmacist therapist physiotherapist psychologist
    paramedic
"""
CLINICIANS = frozenset(_CLINICIANS.split())
PATIENTS = frozenset({"p", "pt", "patient", "client"})
BRIEF = 6  # words of a question without a verb
_STATES = re.compile(
    r"\b(?:i|it|you|he|she|that|your|is|are|was|have|has|had|no|not|see|sorry)\b|'"
)

_FIRST = r"^(?:\W|u[hm]+\b|er+m?\b|well\b|oh+\b|ah\b|i mean\b|so\b|okay\b|ok\b|hm+\b|like\b)*"
_THERE = "there (?:was|is|were|are) (?:some|a (?:bit|little))"
_YES = re.compile(
    rf"{_FIRST}(?:{_THERE}|yes|yeah|yep|yup|yea|ya|correct|exactly|sure|uh-huh|mm-hmm|right|definitely"
    r"|absolutely|of course|indeed|unfortunately|a (?:little|bit|lot|few)|some(?:times)?"
    r"|occasionally|1 times?|2 times?|\d+ times|often|always|usually|every|daily|a couple"
    r"|i think so|i believe so"
    r"|that's (?:right|correct|it)|(?:i|it|he|she|they|we) (?:do|does|did|have|has|am|is|was|are"
    r"|can|could|would|will)(?= ?(?:[.,;!]|$| have\b| feel\b| get\b| take\b| actually)))"
)
_NO = re.compile(
    rf"{_FIRST}(?:no\b|nope|nah|never|not\b|none|negative|nothing|neither|i do not|hardly"
    r"|(?:i|it|he|she|they|we) (?:do|does|did|have|has|am|is|was|are|can|ca|had|would|could) ?not"
    r"(?= ?(?:[.,;!]|$|really|usually|any|at all|think|believe|have|had|been|that i))"
    r"|(?:i|it|he|she|they)(?:'m|'s|'ve|'re) not|about the same|the same"
    r"|(?:i|he|she|they) (?:have |has )?(?:stopped|quit|gave (?:it )?up|given (?:it )?up)\b)"
)
_HEDGED = re.compile(rf"{_FIRST}(?:not sure|no idea|i do not know|not that i know|never mind)")
_FILLER = re.compile(r"^(?:\W|u[hm]+\b|sorry|pardon|okay|ok|hm+\b|mm\b|<[^>]*>|alright|right)*$")
_EITHER = re.compile(r"\bor\b")
_PREVENTS = re.compile(
    r"\b(?:stop|stopped|prevent|prevented|keep|kept) (?:you|him|her|me|them) from\b"
)
_ALL = re.compile(
    r"\b(?:none of|nothing like|not? (?:to )?(?:any|all)|neither|any of (?:those|that))"
)


_SOME = re.compile(
    rf"{_FIRST}(?:actually,? )?(?:{_THERE}|a (?:bit|little)"
    r"|yes,? (?:there|a (?:bit|little)|i do|i did|i have)|some\b)"
)
_NO_ITEM = re.compile(
    rf"{_FIRST}no (?!i\b|it|he|she|they|we|not|nothing|just|that|there|more|no\b)[a-z]"
)


def _affirm(facts: Sequence[Fact]) -> tuple[Fact, ...]:
    return tuple(replace(f, kind="symptom") if f.kind == "negation" else f for f in facts)


def parse_reply(text: str) -> bool | None:
    """Return True for a reply that says yes, False for no, None for neither.

    >>> parse_reply("Um, no, nothing like that."), parse_reply("I do."), parse_reply("On Monday.")
    (False, True, None)
    >>> parse_reply("Once, for a broken arm.")
    True
    """
    text = normalize_text(text)
    if _HEDGED.match(text):
        return None
    return False if _NO.match(text) else True if _YES.match(text) else None


def is_clinician(speaker: str) -> bool:
    """Whether the first word of a speaker's name is a clinician's title.

    >>> is_clinician("Dr. Smith"), is_clinician("D"), is_clinician("Daughter")
    (True, True, False)
    """
    return _get_title(speaker) in CLINICIANS


def is_patient(speaker: str) -> bool:
    """Whether the first word of a speaker's name says patient."""
    return _get_title(speaker) in PATIENTS


def _get_title(speaker: str) -> str:
    return re.split(r"[\W_\d]+", speaker.strip().lower(), maxsplit=1)[0]


def answer_questions(turns: Sequence[tuple[str, str, list[Clause]]]) -> list[Clause]:
    """Return the clauses of all turns (speaker, text, clauses), each question with its answer."""
    result: list[Clause] = []
    for i, (_, _, clauses) in enumerate(turns):
        if _asks_briefly(turns, i):
            clauses = [replace(clause, is_open=True) for clause in clauses]
        for k, clause in enumerate(clauses):
            result.append(_answer(clause, clauses[k + 1 :], turns, i) if clause.is_open else clause)
    return result


def _asks_briefly(turns: Sequence, i: int) -> bool:
    """Whether a doctor's turn of a few words, "and chills", asks: the next is yes or no."""
    speaker, text, clauses = turns[i]
    brief = is_clinician(speaker) and len(text.split()) <= BRIEF and i + 1 < len(turns)
    brief = brief and not any(clause.is_open for clause in clauses)
    named = brief and any(f.kind == "symptom" for clause in clauses for f in clause.facts)
    return named and not _STATES.search(text.lower()) and parse_reply(turns[i + 1][1]) is not None


def _answer(clause: Clause, rest: list[Clause], turns: Sequence, i: int) -> Clause:
    """Answer a question: by the rest of its turn if that is a reply, else by the turns after it."""
    following = next((k for k, other in enumerate(rest) if not other.is_open), None)
    if following is not None:  # the speaker went on: answered in the same breath, or never
        other = rest[following]
        reply = parse_reply(other.text)
        if reply is None or following >= RUN:
            return clause
        return resolve(clause, reply, rest[following:], other.unit)
    if len(rest) >= RUN:
        return clause
    speaker = turns[i][0]
    for j in range(i + 1, min(i + 1 + LATER, len(turns))):
        other_speaker, text, clauses = turns[j]
        if _FILLER.match(text.lower().strip()):
            continue
        if other_speaker == speaker:
            if all(c.is_open for c in clauses):
                continue
            return clause
        reply = parse_reply(text)
        if reply and rest and not _ALL.search(text.lower()):
            return replace(clause, answer=j)  # yes to several questions decides only the last
        return resolve(clause, reply, clauses, j)
    return clause


def resolve(clause: Clause, reply: bool | None, answer: Sequence[Clause], unit: int) -> Clause:
    """Give a question the polarity of its answer, except for words that the answer has itself.

    Without yes or no it stays open, with the turn of its answer.
    """
    own = frozenset().union(*(c.stems for c in answer if not c.is_open)) & clause.stems
    if reply is None or reply and _EITHER.search(clause.text) and own:
        return replace(clause, answer=unit)
    text = answer[0].text if answer else ""
    is_named = any(f.stems and f.stems <= own for f in clause.facts)
    if is_named and not reply and _NO_ITEM.match(text):  # "any A or B?", "no A": B stays open
        return replace(clause, stems=clause.stems - own, answer=unit)
    if clause.negated and _SOME.match(text):  # "no fever?", "there was some"
        clause = replace(clause, negated=frozenset(), facts=_affirm(clause.facts))
    if reply is not None and _PREVENTS.search(clause.text):  # "does it stop you from working?"
        reply = not reply
    # "no fever?", "yes" and "no" both deny fever
    negated = (clause.negated if reply is True or clause.negated else clause.stems) - own
    stems = clause.stems - own
    facts = [f for f in clause.facts if not (f.stems and f.stems <= own)]
    if not reply and not clause.negated:
        facts = [replace(f, kind="negation") if f.kind == "symptom" else f for f in facts]
    return replace(
        clause, stems=stems, negated=negated, facts=tuple(facts), is_open=False, answer=unit
    )
