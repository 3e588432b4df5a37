"""Which part of the results a case belongs to: did a model train on it, or on its subject?

    new              no training set has the conversation
    in training      a training set has it: a right reply may be memory
    held out of RL   a training set has it, but step 07 held it out, or all prompts of its subject:
                     no reply to it was rewarded
    all              no training set is named

A training set has a conversation if one of its own begins with the same user turns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from clinical_camel import data
from clinical_camel.core.paths import root
from clinical_camel.core.tables import read_table
from clinical_camel.data import Dialogue, Message
from clinical_camel.data.grouping import hash_question, list_user_turns, name_group

ALL, NEW, IN_TRAINING, HELD_OUT = "all", "new", "in training", "held out of RL"
TRAINING, HELD_OUT_PROMPT = "training", "held out"  # parts of the table of step 07
COLUMNS = ("id", "part", "question_hash")


@dataclass(frozen=True, slots=True)
class RlPrompts:
    """The prompts of step 07: hashes of the questions of both parts, and held-out subjects."""

    questions: frozenset[str] = frozenset()
    held_out: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset()


def load_training_questions(specs: Sequence[str]) -> set[tuple[str, ...]] | None:
    """Return the user turns up to each user turn of the training sets; None if no set is named."""
    if not specs:
        return None
    rows = (row for spec in specs for row in data.load_training_rows(spec))
    dialogues = (list_user_turns(row.messages) for row in rows if isinstance(row, Dialogue))
    return {turns[: i + 1] for turns in dialogues for i in range(len(turns))}


def load_rl_prompts(file: str) -> RlPrompts:
    """Read `prompts.csv` of step 07, a path from the project root; "" is no prompts.

    Raises ValueError with file and line: no such file, a missing column, an unknown part.
    """
    if not file:
        return RlPrompts()
    path = root() / file
    if not path.is_file():
        raise ValueError(f"rl_prompts: {file}: no such file; run step 07 of the study that has it")
    table = read_table(path)
    for name in COLUMNS:
        if name not in table.columns:
            raise ValueError(f"{path.name}: no column {name}; name prompts.csv of step 07")
    for line, row in zip(table.lines, table.rows, strict=True):
        if row["part"] not in (TRAINING, HELD_OUT_PROMPT):
            raise ValueError(
                f"{path.name}: line {line}: part {row['part']!r} is not {TRAINING} or "
                f"{HELD_OUT_PROMPT}; name prompts.csv of step 07"
            )
    rows = {TRAINING: [], HELD_OUT_PROMPT: []}
    for row in table.rows:
        rows[row["part"]].append(row)
    training, held_out = rows.values()
    subjects = {name_group(row["id"]) for row in held_out}
    return RlPrompts(
        frozenset(row["question_hash"] for row in training),
        frozenset(row["question_hash"] for row in held_out),
        frozenset(subjects - {name_group(row["id"]) for row in training}),
    )


def choose_part(
    messages: Sequence[Message],
    subject: str,
    questions: set[tuple[str, ...]] | None,
    prompts: RlPrompts,
) -> str:
    """Return the part of a case whose prompt is `messages`, on this subject.

    A subject without a prompt in step 07 says nothing about RL, so its part is IN_TRAINING.
    """
    if questions is None:
        return ALL
    question = hash_question(messages)
    if question in prompts.questions:
        return IN_TRAINING
    if list_user_turns(messages) not in questions:
        return NEW
    is_held_out = question in prompts.held_out or subject in prompts.subjects
    return HELD_OUT if is_held_out else IN_TRAINING
