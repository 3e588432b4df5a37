"""Three further exams on the facts of `facts.csv`: other outcomes of one training.

Each question belongs to the question of the main exam (`material.write_questions`) on the same
fact: its id is that id and a suffix, and `group` and `subset` are equal.

reversed   a finding is given, and the options are conditions
two_step   the condition is not named: a clue, another fact of it, identifies it; same options
cloze      a statement that ends where the value begins; same options

The wordings (`reversed`, `clue`, `ask`, `cloze` in wordings.csv) were written for these exams. No
article, dialogue or other exam has them, nor the texts on which the base model was pretrained.
"""

import dataclasses
import random
from collections.abc import Sequence

from clinical_camel.data import Question
from clinical_camel.mini import material
from clinical_camel.mini.material import Fact

CLUES = tuple(material.read_wordings("clue"))  # attributes that identify a condition
Finding = tuple[str, str, str]  # condition, attribute, value


def read_also_fits() -> set[Finding]:
    """Return findings that a condition also has: it is never a wrong option for such a finding."""
    rows = material.read_csv("also_fits.csv")
    return material.read_also_right() | {(r["condition"], r["attribute"], r["value"]) for r in rows}


def write_reversed(
    questions: Sequence[Question], facts: Sequence[Fact], seed: int, also_fits: set[Finding]
) -> list[Question]:
    """Return one question per question of the main exam: from its finding to the condition.

    The three wrong conditions are of the same `facts`, two of the same specialty if there are two,
    and none has the finding (`also_fits`). The positions of the answers are balanced.
    """
    by_name, written = {fact.condition: fact for fact in facts}, []
    for question in questions:
        fact, attribute = by_name[question.group], question.subset
        rng = _make_rng("reversed", question, seed)
        value = fact.values[attribute]
        wrong = _choose_rivals(fact, attribute, facts, also_fits, rng)
        position = len(written) % 4  # balanced, but predictable: see shuffle_positions
        written.append(
            dataclasses.replace(
                question,
                id=f"{question.id}-reversed",
                question=_write("reversed", attribute, rng, v=value),
                options=[*wrong[:position], fact.condition, *wrong[position:]],
                answer=position,
            )
        )
    return material.shuffle_positions(written, seed + 1)  # not the positions of the main exam


def _choose_rivals(
    fact: Fact, attribute: str, pool: Sequence[Fact], also_fits: set[Finding], rng: random.Random
) -> list[str]:
    """Return three other conditions without this finding, two of the same specialty if possible."""
    value = fact.values[attribute]
    others = [
        other
        for other in pool
        if other.condition != fact.condition and not _has(other, attribute, value, also_fits)
    ]
    near = [other.condition for other in others if other.specialty == fact.specialty]
    chosen = rng.sample(near, min(2, len(near)))
    far = [other.condition for other in others if other.specialty != fact.specialty]
    return rng.sample(chosen + rng.sample(far, 3 - len(chosen)), 3)


def _has(fact: Fact, attribute: str, value: str, also_fits: set[Finding]) -> bool:
    return fact.values[attribute] == value or (fact.condition, attribute, value) in also_fits


def write_two_step(
    questions: Sequence[Question], facts: Sequence[Fact], seed: int, also_fits: set[Finding]
) -> list[Question]:
    """Return the questions of the main exam with a clue in place of the name of the condition.

    The clue is another fact of the condition (CLUES) that no other condition of `facts` has; a
    question without such a fact is left out. Options and answer are those of the main exam.
    """
    by_name, written = {fact.condition: fact for fact in facts}, []
    for question in questions:
        fact, rng = by_name[question.group], _make_rng("two-step", question, seed)
        others = [attribute for attribute in CLUES if attribute != question.subset]
        clues = [a for a in others if _identifies(fact, a, facts, also_fits)]
        if clues:
            clue = rng.choice(clues)
            statement = _write("clue", clue, rng, v=fact.values[clue])
            text = f"{statement} {_write('ask', question.subset, rng)}"
            written.append(
                dataclasses.replace(question, id=f"{question.id}-two-step", question=text)
            )
    return written


def _identifies(fact: Fact, attribute: str, pool: Sequence[Fact], also_fits: set[Finding]) -> bool:
    """Return whether no other condition has this value of the attribute."""
    value = fact.values[attribute]
    others = (other for other in pool if other.condition != fact.condition)
    return not any(_has(other, attribute, value, also_fits) for other in others)


def write_cloze(questions: Sequence[Question], seed: int) -> list[Question]:
    """Return the questions of the main exam as statements that end where the value begins."""
    return [
        dataclasses.replace(
            question,
            id=f"{question.id}-cloze",
            question=_write(
                "cloze", question.subset, _make_rng("cloze", question, seed), c=question.group
            ),
        )
        for question in questions
    ]


def _make_rng(exam: str, question: Question, seed: int) -> random.Random:
    """Return a random generator of one question: other questions do not change it."""
    return random.Random(f"{seed}/{exam}/{question.id}")


def _write(kind: str, attribute: str, rng: random.Random, **words: str) -> str:
    """Return one of the wordings of this kind with its words filled in."""
    text = rng.choice(material.read_wordings(kind)[attribute]).format(**words)
    return material.capitalize(text)
