"""The four row shapes, their construction from a dict, and their rules.

The shapes are frozen dataclasses. Every row from a file or the hub is checked against their rules,
so a step can use every row that was loaded.
"""

import dataclasses
import types
import typing
from collections.abc import Iterable
from typing import Any

from clinical_camel.core.hashing import key_hash
from clinical_camel.core.values import show

TYPE_NAMES = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}
MAX_OPTIONS = 10  # answer letters A to J; more options are an error in the file
Message = dict[str, str]  # {"role": "system" | "user" | "assistant", "content": text}


class DataError(ValueError):
    """A dataset that cannot be used as requested; the message names the problem and the remedy."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of an article; the heading may be empty."""

    heading: str
    text: str


class TrainingText:
    """What a model may train on: a dialogue, or an article as plain text."""

    __slots__ = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Article(TrainingText):
    """A source text for dialogues; articles of one `group` must not be split between sets."""

    id: str
    title: str
    sections: list[Section]
    licence: str = ""
    group: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue(TrainingText):
    """A training conversation: an optional system message, then user and assistant in turn."""

    id: str
    source: str
    messages: list[Message]


IMAGE_QUESTIONS = ("in", "out")  # whether questions with `image_suspected` are included


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A multiple-choice question; `answer` is the index of the correct option, from 0."""

    id: str
    question: str
    options: list[str]
    answer: int
    context: str = ""
    subset: str = ""
    group: str = ""
    image_suspected: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn of a conversation.

    The speaker is doctor, patient or other in published sets, the name as written in a user's own.
    """

    speaker: str
    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Consultation:
    """The transcript of a visit, and the note that a clinician wrote; "" for none."""

    id: str
    turns: list[Turn]
    note: str = ""
    group: str = ""


Row = Article | Dialogue | Question | Consultation
RowT = typing.TypeVar("RowT", Article, Dialogue, Question, Consultation)


def to_dict(row: Any) -> Any:
    """Return a row, or a part of it, as plain dicts and lists, ready for JSON.

    Many times faster than `dataclasses.asdict`, which copies scalars and inspects types anew.
    """
    if isinstance(row, str):  # most are
        return row
    if isinstance(row, list | tuple):
        return list(map(to_dict, row))
    if isinstance(row, dict):
        return {key: to_dict(item) for key, item in row.items()}
    if dataclasses.is_dataclass(row):
        return {name: to_dict(getattr(row, name)) for name in row.__dataclass_fields__}
    return row


def from_dict(shape: type[RowT], values: dict[str, Any]) -> RowT:
    """Build a row of this shape. Raises one DataError that names every problem."""
    if problems := _check_value(values, shape, ""):
        raise DataError("; ".join(problems))
    row = _build(shape, values)
    if problems := check_row(row):
        raise DataError("; ".join(problems))
    return row


def content_hash(row: Row) -> str:
    """Return 16 hex digits of the sha256 of the row as canonical JSON (sorted keys, UTF-8).

    >>> content_hash(Question(id="1", question="Q?", options=["x", "y"], answer=0))
    '33929fab1786fd26'
    """
    return key_hash(to_dict(row))[:16]


def format_question(question: Question, options: bool = True) -> str:
    """Format a question as a user turn with lettered options, for DBKE and the chat protocol.

    Without `options`, the result is context and question: an open question in conversation.

    >>> print(format_question(Question(id="1", question="Which?", options=["x", "y"], answer=0)))
    Which?
    (A) x
    (B) y
    """
    lines = [question.context] if question.context else []
    lines.append(question.question)
    if options:
        lines += [f"({chr(65 + i)}) {option}" for i, option in enumerate(question.options)]
    return "\n".join(lines)


def require_dialogues(rows: Iterable[TrainingText], where: str) -> list[Dialogue]:
    """Return rows that are all dialogues. Raises DataError, which begins with `where`, if not."""
    dialogues = list(rows)
    for row in dialogues:
        if not isinstance(row, Dialogue):
            raise DataError(f"{where}: {row.id} is an article; a prompt is a dialogue")
    return dialogues


def format_article(article: Article) -> str:
    """Format an article as plain text: title, then the sections with their headings."""
    sections = [f"{section.heading}\n{section.text}".strip() for section in article.sections]
    return "\n\n".join([article.title, *sections])


def format_row(row: Row) -> str:
    """Format a row as a model sees it in training: a question includes its correct option."""
    if isinstance(row, Article):
        return format_article(row)
    if isinstance(row, Dialogue):
        return "\n".join(message["content"] for message in row.messages)
    if isinstance(row, Consultation):
        return "\n".join([*(turn.text for turn in row.turns), row.note])
    return f"{format_question(row)}\n{row.options[row.answer]}"


def check_row(row: Row) -> list[str]:
    """Return every problem of a row; [] for a usable row."""
    problems = [] if row.id.strip() else ["id is empty"]
    return problems + _CHECKS[type(row)](row)


def _check_article(row: Article) -> list[str]:
    problems = [] if row.title.strip() else ["title is empty"]
    if not any(section.text.strip() for section in row.sections):
        problems.append("no section has text")
    return problems


def _check_dialogue(row: Dialogue) -> list[str]:
    roles = [message["role"] for message in row.messages]
    problems = [] if row.source.strip() else ["source is empty"]
    spoken = roles[1:] if roles[:1] == ["system"] else roles
    expected = ["user", "assistant"] * (len(spoken) // 2)
    if not spoken or spoken != expected:
        problems.append(
            "roles must be user, assistant, user, ... assistant after an optional system, are "
            + (", ".join(roles[:8]) + (", ..." if len(roles) > 8 else "") or "none")
        )
    empty = [i for i, message in enumerate(row.messages) if not message["content"].strip()]
    return problems + [f"messages[{i}] is empty" for i in empty]


def _check_question(row: Question) -> list[str]:
    problems = [] if row.question.strip() else ["question is empty"]
    if not 2 <= len(row.options) <= MAX_OPTIONS:
        problems.append(f"a question has 2 to {MAX_OPTIONS} options, this one {len(row.options)}")
    problems += [f"options[{i}] is empty" for i, text in enumerate(row.options) if not text.strip()]
    if not 0 <= row.answer < len(row.options):
        problems.append(f"answer {row.answer} is not an index of the {len(row.options)} options")
    return problems


def _check_consultation(row: Consultation) -> list[str]:
    problems = ["note is empty"] if row.note.isspace() else []
    if len(row.turns) < 2:
        problems.append(f"a consultation has at least 2 turns, this one {len(row.turns)}")
    for i, turn in enumerate(row.turns):
        if not turn.speaker.strip() or not turn.text.strip():
            problems.append(f"turns[{i}] has no speaker or no text")
    return problems


_CHECKS = {
    Article: _check_article,
    Dialogue: _check_dialogue,
    Question: _check_question,
    Consultation: _check_consultation,
}
_ROLES = ("system", "user", "assistant")


def _check_value(value: Any, kind: Any, where: str) -> list[str]:
    """Return every place where the value does not fit its annotation: missing, extra, mistyped."""
    plain = kind.__origin__ if isinstance(kind, types.GenericAlias) else kind
    expected = dict if dataclasses.is_dataclass(plain) else plain
    if type(value) is not expected:
        return [f"{where or 'row'} should be {TYPE_NAMES[expected]}, is {show(value)}"]
    if dataclasses.is_dataclass(plain):
        return _check_fields(value, plain, where)
    if plain is list:
        inner = typing.get_args(kind)[0]
        checked = (_check_value(item, inner, f"{where}[{i}]") for i, item in enumerate(value))
        return [problem for problems in checked for problem in problems]
    return _check_message(value, where) if kind == Message else []


def _check_fields(values: dict[str, Any], shape: type, where: str) -> list[str]:
    fields = {field.name: field for field in dataclasses.fields(shape)}
    kinds = typing.get_type_hints(shape)
    dot = f"{where}." if where else ""
    problems = [
        f"field {dot}{name} is missing"
        for name, field in fields.items()
        if name not in values and field.default is dataclasses.MISSING
    ]
    problems += [
        f"field {dot}{name} is not part of {shape.__name__}"
        for name in values
        if name not in fields
    ]
    for name in fields.keys() & values.keys():
        problems += _check_value(values[name], kinds[name], f"{dot}{name}")
    return sorted(problems)


def _check_message(message: dict[str, Any], where: str) -> list[str]:
    if set(message) != {"role", "content"}:
        return [
            f"{where} should have role and content, has {', '.join(sorted(message)) or 'nothing'}"
        ]
    if message["role"] not in _ROLES:
        return [f"{where}.role should be one of {', '.join(_ROLES)}, is {show(message['role'])}"]
    return _check_value(message["content"], str, f"{where}.content")


def _build(kind: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(kind):
        kinds = typing.get_type_hints(kind)
        return kind(**{name: _build(kinds[name], item) for name, item in value.items()})
    if isinstance(value, list):
        return [_build(typing.get_args(kind)[0], item) for item in value]
    return value
