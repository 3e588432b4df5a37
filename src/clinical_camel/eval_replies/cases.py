"""The cases of each task: a conversation up to a user turn, and the reference reply."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clinical_camel import data
from clinical_camel.core.hashing import key_hash
from clinical_camel.data import Consultation, Dialogue, Message
from clinical_camel.eval_replies.settings import CONSULTATION, EvalReplies

ALL, NEW, IN_TRAINING = "all", "new", "in training"
ROLES = {"doctor": "assistant"}  # every other speaker of a consultation is the user


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One prompt with its reference reply. Cases of one `group` are not independent.

    `part`: NEW or IN_TRAINING (a conversation of a training set begins with the same user turns),
    ALL if no training set is known.
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


def load_cases(settings: EvalReplies) -> list[Case]:
    """Load the cases of all three tasks, `case_limit` conversations of each dataset.

    Raises DataError for a dataset that cannot be read, ValueError if two cases have one id.
    """
    questions = _load_training_questions(settings.trained_on)
    cases = []
    for task, specs in settings.list_specs().items():
        for spec in specs:
            rows = data.load_conversations(spec, settings.case_limit)
            turns = settings.reply_turns if task == CONSULTATION else "last"
            for row in rows:
                cases += _make_cases(task, data.label(spec.rpartition("@")[2]), row, turns)
    _require_distinct(cases)
    return _unite_groups([_add_part(case, questions) for case in cases])


def _make_cases(task: str, corpus: str, row: Dialogue | Consultation, turns: str) -> Iterator[Case]:
    """Yield a case for the last reply of a conversation, or for each of its replies.

    The group of a dialogue `<group>/<name>` is `<group>`, as in step 07; a consultation is its own
    group, because `group` of a published set may be a collection.
    """
    if isinstance(row, Consultation):
        messages, group = to_messages(row), row.id
    else:
        messages, group = row.messages, row.id.rpartition("/")[0] or row.id
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


def _load_training_questions(specs: Sequence[str]) -> set[tuple[str, ...]] | None:
    """Return the user turns up to each user turn of the training sets; None if no set is known.

    The last turn alone does not identify a conversation: many end with "And after that?".
    """
    if not specs:
        return None
    rows = (row for spec in specs for row in data.load_training_rows(spec))
    dialogues = (_list_user_turns(row.messages) for row in rows if isinstance(row, Dialogue))
    return {turns[: i + 1] for turns in dialogues for i in range(len(turns))}


def _list_user_turns(messages: Sequence[Message]) -> tuple[str, ...]:
    """Return the user turns, normalised."""
    return tuple(normalise(m["content"]) for m in messages if m["role"] == "user")


def normalise(text: str) -> str:
    """Return the words of a text in lower case, without punctuation and white space.

    >>> normalise("What causes gout?") == normalise("what  causes gout")
    True
    """
    return " ".join(re.findall(r"\w+", text.casefold()))


def _add_part(case: Case, questions: set[tuple[str, ...]] | None) -> Case:
    if questions is None:
        return case
    part = IN_TRAINING if _list_user_turns(case.messages) in questions else NEW
    return dataclasses.replace(case, part=part)


def _unite_groups(cases: Sequence[Case]) -> list[Case]:
    """Return the cases with one group for equal prompts: a question may have several answers.

    Groups that share a prompt become one group, with all their cases, under the first name.
    """
    parents: dict[tuple[str, str, str], tuple[str, str, str]] = {}

    def find(group: tuple[str, str, str]) -> tuple[str, str, str]:
        while (parent := parents.setdefault(group, group)) != group:
            group = parent
        return group

    places = [(case.task, case.corpus) for case in cases]
    first: dict[tuple[str, str, str], tuple[str, str, str]] = {}
    for place, case in zip(places, cases, strict=True):
        own = find((*place, case.group))
        other = find(first.setdefault((*place, key_hash(case.messages)), own))
        parents[own] = other
    return [
        dataclasses.replace(case, group=find((*place, case.group))[-1])
        for place, case in zip(places, cases, strict=True)
    ]


def _require_distinct(cases: Sequence[Case]) -> None:
    first: dict[tuple[str, str, str], Case] = {}
    for case in cases:
        key = (case.task, case.corpus, case.id)
        if first.setdefault(key, case) is not case:
            raise ValueError(
                f"{case.task}: two conversations of {case.corpus} have the id {case.id!r}; "
                "give each row of the file its own id"
            )
