"""The four row shapes, how a dict becomes one, and what makes a row unusable.

The shapes are plain frozen values. Their rules are checked by `from_dict`, and so for every row
that comes from a file or from the hub: a row that was read is a row a step can use.
"""

import dataclasses
import hashlib
import json
import types
import typing
from typing import Any

MAX_OPTIONS = 10  # answer letters A to J; a "question" with more is a mistake of the file
Message = dict[str, str]  # {"role": "system" | "user" | "assistant", "content": text}


class DataError(ValueError):
    """A dataset that cannot be used as asked; the message says what is wrong and what to do."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One headed piece of an article; the heading may be empty."""

    heading: str
    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """A text to be turned into dialogues; `group` is what must stay on one side of a split."""

    id: str
    title: str
    sections: list[Section]
    licence: str = ""
    group: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """A conversation to learn from: an optional system message, then user and assistant in turn."""

    id: str
    source: str
    messages: list[Message]


IMAGE_QUESTIONS = ("in", "out")  # what becomes of questions with `image_suspected`


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A multiple-choice question; `answer` is the index of the right one of `options` (from 0)."""

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
    """What one speaker (doctor, patient, other) said at one time."""

    speaker: str
    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Consultation:
    """What was said in a visit, and the note a clinician wrote about it; "" where there is none."""

    id: str
    turns: list[Turn]
    note: str = ""
    group: str = ""


Row = Article | Dialogue | Question | Consultation
RowT = typing.TypeVar("RowT", Article, Dialogue, Question, Consultation)


def to_dict(row: Row) -> dict[str, Any]:
    """The row as plain dicts and lists, ready for JSON."""
    return _plain(row)


def _plain(value: Any) -> Any:
    """`dataclasses.asdict`, many times faster: it copies scalars and looks at each type anew."""
    if isinstance(value, str):  # most are
        return value
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value


def from_dict(shape: type[RowT], values: dict[str, Any]) -> RowT:
    """The row of this shape with these values; DataError names every problem at once."""
    problems = _misfits(values, shape, "")
    if problems:
        raise DataError("; ".join(problems))
    row = _build(shape, values)
    problems = row_problems(row)
    if problems:
        raise DataError("; ".join(problems))
    return row


def content_hash(row: Row) -> str:
    """The first 16 hex digits of the sha256 of the row as canonical JSON (sorted keys, UTF-8).

    >>> content_hash(Question(id="1", question="Q?", options=["x", "y"], answer=0))
    '33929fab1786fd26'
    """
    text = json.dumps(to_dict(row), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def question_text(question: Question, options: bool = True) -> str:
    """A question as a user's turn, options lettered: the same in DBKE and in the chat protocol.

    Without `options` only the question, after its context: an open question in conversation.

    >>> print(question_text(Question(id="1", question="Which?", options=["x", "y"], answer=0)))
    Which?
    (A) x
    (B) y
    """
    lines = [question.context] if question.context else []
    lines.append(question.question)
    if options:
        lines += [f"({chr(65 + i)}) {option}" for i, option in enumerate(question.options)]
    return "\n".join(lines)


def article_text(article: Article) -> str:
    """An article as plain text: title, then each section under its heading."""
    sections = [f"{section.heading}\n{section.text}".strip() for section in article.sections]
    return "\n\n".join([article.title, *sections])


def row_text(row: Row) -> str:
    """What a model reads of a row that it is trained on: of a question the right option as well."""
    if isinstance(row, Article):
        return article_text(row)
    if isinstance(row, Dialogue):
        return "\n".join(message["content"] for message in row.messages)
    if isinstance(row, Consultation):
        return "\n".join([*(turn.text for turn in row.turns), row.note])
    return f"{question_text(row)}\n{row.options[row.answer]}"


def row_problems(row: Row) -> list[str]:
    """What makes this row unusable, in words; empty for a good row."""
    problems = [] if row.id.strip() else ["id is empty"]
    return problems + _RULES[type(row)](row)


def _article_problems(row: Article) -> list[str]:
    problems = [] if row.title.strip() else ["title is empty"]
    if not any(section.text.strip() for section in row.sections):
        problems.append("no section has text")
    return problems


def _dialogue_problems(row: Dialogue) -> list[str]:
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


def _question_problems(row: Question) -> list[str]:
    problems = [] if row.question.strip() else ["question is empty"]
    if not 2 <= len(row.options) <= MAX_OPTIONS:
        problems.append(f"a question has 2 to {MAX_OPTIONS} options, this one {len(row.options)}")
    problems += [f"options[{i}] is empty" for i, text in enumerate(row.options) if not text.strip()]
    if not 0 <= row.answer < len(row.options):
        problems.append(f"answer {row.answer} is no index of the {len(row.options)} options")
    return problems


def _consultation_problems(row: Consultation) -> list[str]:
    problems = ["note is empty"] if row.note.isspace() else []
    if len(row.turns) < 2:
        problems.append(f"a consultation has at least 2 turns, this one {len(row.turns)}")
    for i, turn in enumerate(row.turns):
        if not turn.speaker.strip() or not turn.text.strip():
            problems.append(f"turns[{i}] has no speaker or no text")
    return problems


_RULES = {
    Article: _article_problems,
    Dialogue: _dialogue_problems,
    Question: _question_problems,
    Consultation: _consultation_problems,
}
_WORDS = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}
_ROLES = ("system", "user", "assistant")


def _misfits(value: Any, kind: Any, where: str) -> list[str]:
    """Every place where the value does not have the annotated kind (missing, extra, mistyped)."""
    plain = kind.__origin__ if isinstance(kind, types.GenericAlias) else kind
    expected = dict if dataclasses.is_dataclass(plain) else plain
    if type(value) is not expected:
        return [f"{where or 'row'} should be {_WORDS[expected]}, is {_shown(value)}"]
    if dataclasses.is_dataclass(plain):
        return _field_misfits(value, plain, where)
    if plain is list:
        inner = typing.get_args(kind)[0]
        found = [_misfits(item, inner, f"{where}[{i}]") for i, item in enumerate(value)]
        return [problem for problems in found for problem in problems]
    return _message_misfits(value, where) if kind == Message else []


def _field_misfits(values: dict[str, Any], shape: type, where: str) -> list[str]:
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
        problems += _misfits(values[name], kinds[name], f"{dot}{name}")
    return sorted(problems)


def _message_misfits(message: dict[str, Any], where: str) -> list[str]:
    if set(message) != {"role", "content"}:
        return [
            f"{where} should have role and content, has {', '.join(sorted(message)) or 'nothing'}"
        ]
    if message["role"] not in _ROLES:
        return [f"{where}.role should be one of {', '.join(_ROLES)}, is {_shown(message['role'])}"]
    return _misfits(message["content"], str, f"{where}.content")


def _build(kind: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(kind):
        kinds = typing.get_type_hints(kind)
        return kind(**{name: _build(kinds[name], item) for name, item in value.items()})
    if isinstance(value, list):
        return [_build(typing.get_args(kind)[0], item) for item in value]
    return value


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else text[:37] + "..."
