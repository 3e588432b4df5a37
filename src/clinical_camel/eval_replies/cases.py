"""The cases of each task: a conversation up to a user turn, and the reference reply."""

import dataclasses
import itertools
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clinical_camel import data
from clinical_camel.data import Consultation, Dialogue, Message
from clinical_camel.data.grouping import hash_question, name_group, unite_groups
from clinical_camel.data.transcripts import PEOPLE
from clinical_camel.eval_replies.parts import (
    ALL,
    choose_part,
    load_rl_prompts,
    load_training_questions,
)
from clinical_camel.eval_replies.settings import CONSULTATION, EvalReplies

# first words of the name of a doctor, who is the assistant; every other speaker is the user
_DOCTORS = """
    d dr doc doctor docteur arzt ärztin gp physician clinician consultant surgeon registrar
    resident 医生
"""
DOCTORS = frozenset(_DOCTORS.split())
TITLES = frozenset({"mr", "mrs", "ms", "miss", "mx", "prof", "professor"})  # of a doctor, too
PUBLISHED = frozenset({"doctor", "patient", "other"})  # speakers of a published set


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
    cannot be read, for consultations without a doctor, and if two cases have one id.
    """
    questions = load_training_questions(settings.trained_on)
    prompts = load_rl_prompts(settings.rl_prompts)
    cases = []
    for task, specs in settings.list_specs().items():
        for spec in specs:
            rows = data.load_conversations(spec, settings.case_limit)
            turns = settings.reply_turns if task == CONSULTATION else "last"
            label = data.label(spec.rpartition("@")[2])
            made = [list(_make_cases(task, label, row, turns)) for row in rows]
            silent = [row for row, of_row in zip(rows, made, strict=True) if not of_row]
            _require_doctors(spec, silent, len(rows))
            cases += itertools.chain.from_iterable(made)
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
    one side are joined. A user other than "patient" is named: "Nurse: ...".

    >>> from clinical_camel.data import Turn
    >>> turns = [("doctor", "Hello."), ("patient", "My toe hurts."), ("doctor", "It is gout.")]
    >>> visit = Consultation(id="v", turns=[Turn(speaker=s, text=t) for s, t in turns])
    >>> [message["content"] for message in to_messages(visit)]
    ['My toe hurts.', 'It is gout.']
    """
    messages: list[Message] = []
    for turn in consultation.turns:
        role = "assistant" if is_doctor(turn.speaker) else "user"
        is_named = role == "user" and turn.speaker.casefold() != "patient"
        text = f"{turn.speaker.capitalize()}: {turn.text}" if is_named else turn.text
        if messages and messages[-1]["role"] == role:
            messages[-1] = {"role": role, "content": f"{messages[-1]['content']}\n{text}"}
        elif messages or role == "user":
            messages.append({"role": role, "content": text})
    return messages


def is_doctor(speaker: str) -> bool:
    """Return whether a speaker is a doctor, by the first word of the name or in its brackets.

    >>> [is_doctor(name) for name in ("Dr. Smith", "GP", "Doctor (Anna)", "Anna Holt (GP)")]
    [True, True, True, True]
    >>> [is_doctor(name) for name in ("Dr. Lane (patient)", "Doctor's wife", "Nurse (GP)")]
    [False, False, False]
    """
    name, *notes = re.split(r"[(\[]", speaker.casefold())
    parts = (name.strip(), "".join(notes).strip())
    first, note = (re.split(r"[^\w'\u2019]|[\d_]", part)[0] for part in parts)
    if first in DOCTORS:
        return note not in PEOPLE - DOCTORS
    return note in DOCTORS and first not in PEOPLE - TITLES


def _require_doctors(spec: str, silent: Sequence[Consultation], count: int) -> None:
    """Raise ValueError if no speaker of a consultation is a doctor, or none of all has a reply.

    `silent`: the consultations of a dataset of `count` that make no case. Warn of the other ones.
    """
    if not silent:
        return
    for row in silent:
        speakers = dict.fromkeys(turn.speaker for turn in row.turns)
        if not speakers.keys() <= PUBLISHED and not any(map(is_doctor, speakers)):
            raise ValueError(
                f"{spec}: {row.id}: none of the speakers is a doctor: {', '.join(speakers)}; write "
                'the doctor as "Doctor: ..." or "Anna (doctor): ..."'
            )
    problem = f"{len(silent)} of {count} consultations have no reply of a doctor to a patient"
    if len(silent) == count:
        raise ValueError(f"{spec}: {problem}, first {silent[0].id}; name another dataset")
    warnings.warn(f"{spec}: {problem} and make no case, first {silent[0].id}", stacklevel=3)


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
