"""Which dialect of chat completions an endpoint speaks: fields of a request and roles.

A request starts in OpenAI's common form. If the endpoint refuses a field and says which, the field
is renamed or left out and the request is sent again. The ledger remembers the result.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from clinical_camel.data import Message
from clinical_camel.teachers.errors import ApiError

TOKEN_FIELDS = ("max_tokens", "max_completion_tokens")
OPTIONAL = ("temperature", "seed")
_UNSUPPORTED = re.compile(
    r"unsupported|not (?:be |yet |currently )?(?:available|support|permit|allow|recogni|accept"
    r"|enabled|known|valid|expected|implement)|n't (?:support|recogni|accept|allow)|unrecogni[sz]ed"
    r"|unknown|unexpected|extra[ _](?:inputs?|fields?|forbidden)|forbidden|additional propert"
    r"|invalid (?:parameter|argument|field|option)|no longer|deprecated"
    r"|\buse '?\w+'? in(?:stead| place)|rather than|replaced by|disabled|\bremove\b"
    r"|not match any of the expected"
    r"|only the default|only (?:the value |temperature ?= ?)?1\b|must be (?:omitted|unset)"
    r"|(?:must be|only be set to) 1(?:\.0)?(?![\w.]*\d| (?:or|to|and)\b)|must alternate"
    r"|cannot be (?:set|used|specified)|incompatible|no such|first message must"
    r"|start with a? ?user|only [\w, ]+ roles are supported",
    re.IGNORECASE,
)
_WRONG_VALUE = re.compile(
    r"too (?:large|long|high|small)|at most|maximum|exceed|greater than|less than|positive",
    re.IGNORECASE,
)
_ROLE = re.compile(
    r"(?:system|developer)\W+(?:role|message|prompt|instruction)|role\W+.{0,20}(?:system|developer)"
    r"|messages\W*\[?0\]?\W*role|roles? must alternate|first message must|start with a? ?user"
    r"|only [\w, ]+ roles are supported|'(?:system|developer)' found",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """The fields and roles that an endpoint accepts; `refused` are those that it does not."""

    token_field: str = TOKEN_FIELDS[0]
    instruction_role: Literal["system", "developer", "user"] = "system"
    refused: tuple[str, ...] = ()

    def build_body(self, model: str, messages: Sequence[Message], values: dict[str, Any]) -> bytes:
        """Return the request as JSON; `values`: max_new_tokens, temperature, seed."""
        content = {"model": model, "messages": self.assign_roles(messages)}
        content[self.token_field] = values["max_new_tokens"]
        content |= {name: values[name] for name in OPTIONAL if name not in self.refused}
        return json.dumps(content, ensure_ascii=False).encode(errors="replace")

    def assign_roles(self, messages: Sequence[Message]) -> list[Message]:
        """Return the messages with the role of instructions, or these inside the user's turn."""
        if self.instruction_role == "system" or messages[0]["role"] != "system":
            return list(messages)
        first, second, *rest = messages
        if self.instruction_role == "developer":
            return [{**first, "role": "developer"}, second, *rest]
        return [{**second, "content": f"{first['content']}\n\n{second['content']}"}, *rest]

    def adapt(self, error: ApiError) -> "Dialect | None":
        """Return the dialect without what this error refuses; None if it refuses nothing of it."""
        text = f"{error.message} {error.code}"
        if not _UNSUPPORTED.search(text):
            return None
        if field := self._find_field(error):
            if _WRONG_VALUE.search(text):
                return None
            if field not in TOKEN_FIELDS:
                return self._change(field)
            other = TOKEN_FIELDS[1 - TOKEN_FIELDS.index(field)]
            return None if other in self.refused else self._change(field, token_field=other)
        if _ROLE.search(f"{text} {error.param}") and self.instruction_role != "user":
            wants_developer = "'developer'" in text and "developer" not in self.refused
            is_new = wants_developer and self.instruction_role == "system"
            role = "developer" if is_new else "user"
            return self._change(self.instruction_role, instruction_role=role)
        return None

    def _find_field(self, error: ApiError) -> str:
        """Return the field of ours that an error refuses; "" if it names none."""
        sent = [self.token_field, *(name for name in OPTIONAL if name not in self.refused)]
        if error.param in sent:
            return error.param
        # "unsupported: max_tokens; use max_completion_tokens" names both
        named = (name for name in sent if re.search(rf"\b{name}\b", error.message, re.IGNORECASE))
        return next(named, "")

    def _change(self, refused: str, **values: str) -> "Dialect":
        return Dialect(
            **{**asdict(self), "refused": tuple(sorted({*self.refused, refused})), **values}
        )

    def describe(self) -> str:
        """Return what differs from the common form, in words; "" for nothing."""
        parts = []
        if self.token_field != TOKEN_FIELDS[0]:
            parts.append(f"{self.token_field} instead of {TOKEN_FIELDS[0]}")
        parts += [f"no {name}" for name in OPTIONAL if name in self.refused]
        if self.instruction_role == "developer":
            parts.append("instructions as developer")
        elif self.instruction_role == "user":
            parts.append("instructions inside the user's turn")
        return ", ".join(parts)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Dialect":
        values = json.loads(text)
        return cls(**{**values, "refused": tuple(values["refused"])})
