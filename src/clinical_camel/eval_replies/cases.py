"""The cases of each task: a conversation up to a user turn, and the reference reply."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clinical_camel import data
from clinical_camel.data import Consultation, Dialogue, Message
from clinical_camel.data.grouping import hash_question, name_group, unite_groups
from clinical_camel.eval_replies.parts import (
    ALL,
    choose_part,
    load_rl_prompts,
    load_training_questions,
)
from clinical_camel.eval_replies.settings import CONSULTATION, EvalReplies

ROLES = {"doctor": "assistant"}  # every other speaker of a consultation is the user


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One prompt with its reference reply. Cases of one `group` are not independent.

    `part`: what models trained on (see `parts`).
    """

    task: str
    corpus: str
    id: str
    group: str
    messages: list[Message]
    reference: str
    part: str = ALL

    @property
    def question(self) -> str:
        """The last user turn."""
        return self.messages[-1]["content"]


def make_cases(settings: EvalReplies) -> list[Case]:
    """Return the cases of all three tasks, `case_limit` conversations of each dataset.

    Raises DataError for a dataset that cannot be read, ValueError for a table of prompts that
    cannot be read, and if two cases have one id.
    """
    questions = load_training_questions(settings.trained_on)
    prompts = load_rl_prompts(settings.rl_prompts)
    cases = []
    for task, specs in settings.list_specs().items():
        for spec in specs:
            rows = data.load_conversations(spec, settings.case_limit)
            turns = settings.reply_turns if task == CONSULTATION else "last"
            for row in rows:
                cases += _make_cases(task, data.label(spec.rpartition("@")[2]), row, turns)
    _require_distinct(cases)
    parts = [choose_part(case.messages, case.group, questions, prompts) for case in cases]
    return _unite_groups(
        [dataclasses.replace(case, part=part) for case, part in zip(cases, parts, strict=True)]
    )


def _make_cases(task: str, corpus: str, row: Dialogue | Consultation, turns: str) -> Iterator[Case]:
    """Yield a case for the last reply of a conversation, or for each of its replies.

    The group of a dialogue `<group>/<name>` is `<group>`, as in step 07; a consultation is its own
    group, because `group` of a published set may be a collection.
    """
    if isinstance(row, Consultation):
        messages, group = to_messages(row), row.id
    else:
        messages, group = row.messages, name_group(row.id)
    replies = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    for i in replies if turns == "all" else replies[-1:]:
        yield Case(
            task=task,
            corpus=corpus,
            id=row.id if turns == "last" else f"{row.id}#{i}",
            group=group,
            messages=list(messages[:i]),
            reference=messages[i]["content"],
        )


def to_messages(consultation: Consultation) -> list[Message]:
    """Return a consultation as a dialogue: the doctor is the assistant, everybody else the user.

    Turns before the first of the patient, such as a greeting, are left out; consecutive turns of
    one side are joined. A speaker other than doctor and patient is named: "Nurse: ...".

    >>> from clinical_camel.data import Turn
    >>> turns = [("doctor", "Hello."), ("patient", "My toe hurts."), ("doctor", "It is gout.")]
    >>> visit = Consultation(id="v", turns=[Turn(speaker=s, text=t) for s, t in turns])
    >>> [message["content"] for message in to_messages(visit)]
    ['My toe hurts.', 'It is gout.']
    """
    messages: list[Message] = []
    for turn in consultation.turns:
        speaker = turn.speaker.casefold()
        role = ROLES.get(speaker, "user")
        is_named = speaker not in ("doctor", "patient")
        text = f"{turn.speaker.capitalize()}: {turn.text}" if is_named else turn.text
        if messages and messages[-1]["role"] == role:
            messages[-1] = {"role": role, "content": f"{messages[-1]['content']}\n{text}"}
        elif messages or role == "user":
            messages.append({"role": role, "content": text})
    return messages


def _unite_groups(cases: Sequence[Case]) -> list[Case]:
    """Return the cases with one group for equal prompts: a question may have several answers.

    Groups of one dataset that share a prompt become one group, with all their cases, under the
    first name.
    """
    united = list(cases)
    for place in dict.fromkeys((case.task, case.corpus) for case in cases):
        rows = [i for i, case in enumerate(cases) if (case.task, case.corpus) == place]
        keys = [hash_question(cases[i].messages) for i in rows]
        for i, group in zip(rows, unite_groups([cases[i].group for i in rows], keys), strict=True):
            united[i] = dataclasses.replace(cases[i], group=group)
    return united


def _require_distinct(cases: Sequence[Case]) -> None:
    first: dict[tuple[str, str, str], Case] = {}
    for case in cases:
        key = (case.task, case.corpus, case.id)
        if first.setdefault(key, case) is not case:
            raise ValueError(
                f"{case.task}: two conversations of {case.corpus} have the id {case.id!r}; "
                "give each row of the file its own id"
            )
