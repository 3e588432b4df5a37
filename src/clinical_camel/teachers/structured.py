"""Requests whose reply is one JSON object in a schema: prompt, check, retry.

The schema is a pydantic model. The prompt states it as JSON schema, each reply is validated with
it, and what the first error says is part of the next prompt.
"""

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel, ValidationError
from tqdm import tqdm

from clinical_camel.core.settings import RETRY_VARIABLE
from clinical_camel.data import Message
from clinical_camel.teachers.attempts import RequestRunner, hash_texts
from clinical_camel.teachers.completions import list_candidates, read_completion
from clinical_camel.teachers.teacher import Outcome, Query, Teacher

FORM = "Reply with one JSON object and nothing else. It must match this schema:\n"
RETRY = "Your earlier replies were rejected. Reasons: {reasons}. Avoid these problems."


@dataclass(frozen=True, slots=True)
class StructuredRequest:
    """A prompt that ends with a user turn; form and rejection reasons are added to that turn."""

    id: str
    messages: list[Message]


@dataclass(frozen=True, slots=True)
class ReplyForm:
    """What a reply must be: a `noun` in `schema`."""

    noun: str
    schema: type[BaseModel]

    @property
    def start(self) -> re.Pattern:
        """The start of the JSON object: its first key is one of the schema."""
        return re.compile(rf'\{{\s*"(?:{"|".join(self.schema.model_fields)})"\s*:')

    def describe(self) -> str:
        """Return the end of a prompt: the form of the reply."""
        return FORM + json.dumps(_plain_schema(self.schema.model_json_schema()))


def _plain_schema(value: Any) -> Any:
    """Return a JSON schema without the titles and the docstring that pydantic adds."""
    if not isinstance(value, dict):
        return value
    names = value.get("properties", {})
    plain = {k: _plain_schema(v) for k, v in value.items() if k not in ("title", "description")}
    return plain | (
        {"properties": {k: _plain_schema(v) for k, v in names.items()}} if names else {}
    )


@dataclass(frozen=True, slots=True)
class StructuredRunner(RequestRunner):
    """Runs `StructuredRequest`s; the result of an outcome is an instance of the form's schema."""

    teacher: Teacher
    ledger: Any
    form: ReplyForm
    attempts: int = 3
    retry_failed: bool = False
    _repeated: set[tuple[str, int]] = field(default_factory=set)

    @property
    def noun(self) -> str:
        return self.form.noun

    @property
    def reply_attempts(self) -> int:
        return self.attempts

    def build_messages(self, request: StructuredRequest, reasons: Sequence[str]) -> list[Message]:
        *earlier, last = request.messages
        parts = [last["content"], self.form.describe()]
        if reasons:
            parts.append(RETRY.format(reasons="; ".join(reasons)))
        return [*earlier, {**last, "content": "\n\n".join(parts)}]

    def hash_request(self, request: StructuredRequest) -> tuple[str, str]:
        digest = hash_texts(*(m[name] for m in request.messages for name in ("role", "content")))
        return digest, digest

    def read_reply(self, raw: str, request: StructuredRequest) -> tuple[str, str]:
        text, reason = read_completion(raw, self.form.start)
        return text, reason or self._read_object(text)[1]

    def check_reply(self, raw: str, query: Query) -> tuple[Any, str]:
        try:
            text, reason = read_completion(raw, self.form.start)
            return (None, reason) if reason else self._read_object(text)
        except Exception as error:  # of any kind: a reply is foreign input
            return None, f"reply cannot be checked ({type(error).__name__})"

    def _read_object(self, text: str) -> tuple[Any, str]:
        """Return the last object in a text that has the schema, or None and a reason."""
        reason = ""
        for candidate in list_candidates(text, self.form.start):
            try:
                return self.form.schema.model_validate(candidate()), ""
            except ValidationError as error:
                reason = _describe(error, self.noun)
            except (ValueError, RecursionError) as error:
                reason = reason or f"reply is not a JSON {self.noun} ({type(error).__name__})"
        return None, reason


def _describe(error: ValidationError, noun: str) -> str:
    """Return the first error without any text of the reply."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    at = ".".join(str(part) for part in first["loc"])
    return f"reply is not a JSON {noun} ({at + ': ' if at else ''}{first['msg']})"


def run_requests(
    requests: Sequence[StructuredRequest],
    teacher: Teacher,
    ledger: Any,
    form: ReplyForm,
    attempts: int = 3,
) -> list[Outcome]:
    """Return the outcome of each request, in their order, with progress.

    Requests with the same prompt share one query and its reply. `ledger` (`Ledger` or
    `runs.Journal`) stores each raw reply before it is parsed, so a resumed run repeats no query.
    With RETRY_VARIABLE in the environment, rejected requests are repeated.

    Raises ValueError for two requests with the same id, TeacherStop if the run cannot continue.
    """
    repeated = [name for name, n in Counter(r.id for r in requests).items() if n > 1]
    if repeated:
        raise ValueError(f"two requests have the id {repeated[0]!r}; ids must differ")
    if not requests:
        return []
    retry_failed = os.environ.get(RETRY_VARIABLE, "") == "1"
    runner = StructuredRunner(teacher, ledger, form, attempts, retry_failed)
    by_prompt = {runner.hash_request(request): request for request in reversed(requests)}
    unique = [request for request in requests if by_prompt[runner.hash_request(request)] is request]
    progress = tqdm(
        teacher.run_attempts(unique, runner),
        total=len(unique),
        desc=f"{teacher.name} model",
        unit=form.noun,
        file=sys.stdout,
    )
    outcomes = {runner.hash_request(o.request): o for o in progress}
    return [replace(outcomes[runner.hash_request(r)], request=r) for r in requests]
