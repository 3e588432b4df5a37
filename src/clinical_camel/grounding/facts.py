"""The facts of a text, in order: numbers, sides, sex, names, medications, findings and denials."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from clinical_camel.grounding.answers import answer_questions
from clinical_camel.grounding.clauses import RELATIVES, Clause, Fact, split_clauses
from clinical_camel.grounding.context import SELF

_KIN = re.compile(
    r"\b(?:family|father|mother|dad|mom|mum|brother|sister|parents?|siblings?|grand\w+"
    r"|(?:last|another|other) patient|saw (?:a (?:wo)?man|someone)|dog|cat)\b"
)
_ASKS = re.compile(rf"\b(?:any|does|do|did|what|how|tell)\b|\b(?:is|has|have)\b.*{_KIN.pattern}")
_SHE = re.compile(r"\W*(?:and |but |so |yeah )?(?:she|he|they)(?:'s| |'ve)")
_SELF = re.compile(rf"\b(?:{SELF}|i'm|i've|me|my|myself|you|your)\b")


class SpokenTurn(Protocol):
    """One turn of a conversation, such as `data.Turn`."""

    speaker: str
    text: str


def extract_clauses(units: Sequence[str | SpokenTurn], of_article: bool = False) -> list[Clause]:
    """Return the clauses of sentences or turns; a question gets the polarity of its answer.

    `of_article`: the sentences are of an article, or written from one, not of a note.

    >>> from types import SimpleNamespace as Turn
    >>> visit = [Turn(speaker="doctor", text="Any fever?"), Turn(speaker="patient", text="No.")]
    >>> [(fact.kind, fact.value) for clause in extract_clauses(visit) for fact in clause.facts]
    [('negation', 'fever')]
    """
    turns = [
        ("", unit, [*split_clauses(unit, i, of_article=of_article)])
        if isinstance(unit, str)
        else (unit.speaker, unit.text, [*split_clauses(unit.text, i, spoken=True)])
        for i, unit in enumerate(units)
    ]
    return [*_answer_for_family(answer_questions(turns))]


def _answer_for_family(clauses: list[Clause]) -> Iterator[Clause]:
    """Yield the clauses; what follows the name of a relative is of them, unless it says "I".

    So is an answer to a question on relatives.
    """
    relative = question = None  # the turns of a relative, and of a question on one
    named: frozenset[str] = frozenset()  # the relatives of the last clause with one
    for clause in clauses:
        if relative is not None and clause.unit == relative + 1 and _SHE.match(clause.text):
            relative = clause.unit  # "... my mom. | She's got asthma."
        if _KIN.search(clause.text):
            relative = clause.unit if clause.family or len(clause.stems) < 2 else None
            named = clause.stems & RELATIVES
            asks = clause.answer is not None or clause.is_open or _ASKS.search(clause.text)
            question = clause.unit if asks else None
        elif _SELF.search(clause.text):
            relative = None
        elif clause.unit == relative or question is not None and clause.unit == question + 1:
            words = {stem: stem for stem in named} | dict(clause.words)
            stems = clause.stems | named
            clause = replace(clause, family=clause.stems, stems=stems, words=words)
        yield clause


def extract_facts(units: str | Sequence[str | SpokenTurn]) -> list[Fact]:
    """Return the facts of a text, its sentences, or the turns of a consultation, in order.

    What an undecided question names is no fact, nor is a finding in a condition or of a relative.

    >>> facts = extract_facts("No fever. Naproxen 500 mg twice a day.")
    >>> [(fact.kind, fact.value) for fact in facts]
    [('negation', 'fever'), ('medication', 'naproxen'), ('frequency', '2/day'), ('dose', '500 mg')]
    """
    clauses = extract_clauses([units] if isinstance(units, str) else units)
    facts = (fact for clause in clauses for fact in clause.facts if _is_stated(fact, clause))
    return list(dict.fromkeys(facts))


def _is_stated(fact: Fact, clause: Clause) -> bool:
    """Whether a clause states a fact of the patient: findings need certainty, numbers do not."""
    if fact.kind not in ("symptom", "negation"):
        return True
    unsure = clause.hypothetical | clause.family | clause.possible
    return not clause.is_open and not fact.stems <= unsure
