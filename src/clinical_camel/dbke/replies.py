"""Read a reply as a dialogue: from the answer in a chat completion to the turns.

What a reply says is never corrected: only invisible characters are removed from its turns.
"""

import re
from typing import Any

from clinical_camel.data import Dialogue, Message
from clinical_camel.dbke.requests import Request
from clinical_camel.teachers.completions import list_candidates, read_completion
from clinical_camel.teachers.injection import clean

START = re.compile(r'\{\s*"(?:messages|sections)"\s*:')  # of a dialogue or a paraphrase


def read_messages(text: str, task: str) -> tuple[list[Message], str]:
    """Return the turns in an answer and "", or [] and the rejection reason.

    If the answer contains several dialogues, the last counts: the others are drafts. The turns of a
    `paraphrase` are its headings and texts.
    """
    error: Exception | None = None
    for candidate in list_candidates(text, START):
        try:
            return [_make_message(*turn) for turn in _list_turns(candidate(), task)], ""
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as caught:
            error = error or caught
    return [], f"reply is not a JSON {task} ({type(error).__name__})"


def _list_turns(content: Any, task: str) -> list[tuple[Any, Any]]:
    """Return role and content of each turn. Raises what an unexpected content raises."""
    if task == "dialogue":
        return [(turn["role"], turn["content"]) for turn in content["messages"]]
    names = (("user", "heading"), ("assistant", "text"))
    return [(role, section[name]) for section in content["sections"] for role, name in names]


def _make_message(role: Any, content: Any) -> Message:
    if not isinstance(role, str) or not isinstance(content, str):
        raise TypeError
    return {"role": role, "content": clean(content)}


def parse_reply(text: str, request: Request) -> tuple[Dialogue | None, str]:
    """Return the dialogue in an answer and "", or None and the rejection reason."""
    messages, reason = read_messages(text, request.task)
    if reason:
        return None, reason
    if request.task == "paraphrase":  # a section without a heading
        title = request.article.title
        blank = [m["role"] == "user" and not m["content"].strip() for m in messages]
        pairs = zip(messages, blank, strict=True)
        messages = [m | {"content": title} if is_blank else m for m, is_blank in pairs]
    return Dialogue(id=request.id, source=request.source, messages=messages), ""


def read_dialogue_text(raw: str, task: str) -> tuple[str, str]:
    """Return the answer in a body, and why it contains no `task`; "" if it does."""
    text, reason = read_completion(raw, START)
    if not reason:
        messages, reason = read_messages(text, task)
        if not reason and {m["role"] for m in messages} != {"user", "assistant"}:
            reason = "its turns are not of user and assistant"
    return text, reason
