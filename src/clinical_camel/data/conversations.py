"""Readers of training conversations: the ShareGPT and Alpaca formats become dialogues."""

from collections.abc import Iterator
from typing import Any

from clinical_camel.data.fields import (
    EMPTY,
    Raw,
    get_filled_text,
    get_optional_text,
    get_text,
    get_value,
    reads_fields,
)
from clinical_camel.data.shapes import Dialogue, Message

ROLES = {  # role: its names in ShareGPT files, in lower case
    "user": "user human patient pt prompter client customer person",
    "assistant": "assistant gpt bot model chatgpt gpt4 gpt-4 gpt-3.5 bing bard claude gemini llama "
    "chatbot ai doctor dr physician",
    "system": "system system_prompt developer",
}
TOOL_ROLES = ("tool", "function", "function_call", "tool_call", "observation", "ipython")
NO_INPUT = ("<noinput>", "<no input>", "noinput", "no input")  # of Alpaca's generators
_ROLE_OF = {name: role for role, names in ROLES.items() for name in names.split()}


@reads_fields(
    "conversations messages system tools functions",
    unused="source model title category dataset lang language hash idx index",
)
def read_sharegpt(row: Raw, source: str = "sharegpt") -> Dialogue:
    """A conversation: `conversations` of `from` and `value`, or `messages` of `role`, `content`.

    Roles are known under their common names (`ROLES`). A `system` field becomes the system message.
    Raises ValueError for calls of tools, which a dialogue cannot hold.
    """
    _require_no_tools(row)
    filled = [name for name in ("conversations", "messages") if row.get(name) is not None]
    if len(filled) > 1:
        raise ValueError("the row has conversations and messages; delete one of them")
    name = filled[0] if filled else "conversations"
    messages = [_read_turn(turn, name) for turn in get_value(row, name, list)]
    if system := get_optional_text(row, "system").strip():
        if messages and messages[0]["role"] == "system":
            if messages[0]["content"].strip() != system:
                raise ValueError("system is not the text of the first turn, which is system too")
            messages = messages[1:]
        messages = [{"role": "system", "content": system}, *messages]
    return Dialogue(id=get_text(row, "id"), source=source, messages=messages)


def _require_no_tools(row: Raw) -> None:
    for name in ("tools", "functions"):
        if row.get(name) not in (*EMPTY, "[]", "{}", "null"):
            raise ValueError(f"{name}: calls of tools are not read; delete such rows")


def _read_turn(turn: Any, name: str) -> Message:
    """Return a turn as a message: `from` and `value`, or `role` and `content`."""
    if not isinstance(turn, dict):
        raise ValueError(f"{name} should hold objects")
    filled = {key for key, value in turn.items() if value is not None}
    who = "role" if "role" in filled else "from"
    what = "content" if "content" in filled or ("value" not in turn and who == "role") else "value"
    if unknown := sorted(filled - {who, what}):
        raise ValueError(f"field {unknown[0]} of a turn is neither {who} nor {what}; delete it")
    content = _join_parts(turn[what]) if isinstance(turn.get(what), list) else get_text(turn, what)
    return {"role": _read_role(get_text(turn, who), who), "content": content}


def _join_parts(parts: list[Any]) -> str:
    """Return a content in parts as one text. Raises ValueError for images and other parts."""
    for part in parts:
        if not (isinstance(part, dict) and part.keys() == {"type", "text"}):
            raise ValueError("content should be text or parts of type text; delete such rows")
    return "\n".join(get_text(part, "text") for part in parts)


def _read_role(name: str, field: str) -> str:
    plain = name.strip(" :.|*<>()[]").casefold()
    role = _ROLE_OF.get(plain)
    if role is None and plain in TOOL_ROLES:
        raise ValueError(f"{field} is {name!r}: calls of tools are not read; delete such rows")
    if role is None:
        raise ValueError(f"{field} should be human, gpt or system, is {name!r}")
    return role


@reads_fields(
    "instruction input output system history", unused="text source dataset category topic"
)
def read_instruction(row: Raw, source: str) -> Dialogue | None:
    """An Alpaca row as one exchange: the instruction is the system message, the input the user's.

    Without an input the instruction is the user message. The chat templates "alpaca" and
    "medalpaca" restore the headings. With a `system` text or a `history` of [question, reply]
    pairs, these come first, and the user message is the instruction with the input below it, as
    in LLaMA-Factory. None for a row without an output.
    """
    instruction, reply = (get_text(row, name).strip() for name in ("instruction", "output"))
    user = get_optional_text(row, "input").strip()
    user = "" if user.lower() in NO_INPUT else user
    if not reply:
        return None
    earlier = list(_read_earlier(row))
    if earlier:
        turns = [*earlier, ("user", "\n".join(filter(None, (instruction, user))))]
    else:
        system = [("system", instruction)] if instruction and user else []
        turns = [*system, ("user", user or instruction)]
    messages = [{"role": role, "content": text} for role, text in [*turns, ("assistant", reply)]]
    return Dialogue(id=get_text(row, "id"), source=source, messages=messages)


def _read_earlier(row: Raw) -> Iterator[tuple[str, str]]:
    """Yield the system message and the earlier turns of an Alpaca row, as (role, text)."""
    if get_optional_text(row, "system").strip():
        yield "system", get_filled_text(row, "system").strip()
    for pair in row.get("history") or []:
        if not (isinstance(pair, list | tuple) and [type(text) for text in pair] == [str, str]):
            raise ValueError("history should be a list of pairs [question, reply]")
        yield "user", pair[0]
        yield "assistant", pair[1]
