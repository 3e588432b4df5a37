"""From a raw reply to a dialogue, or to the reason why there is none."""

import json
import re
from collections.abc import Sequence

from clinical_camel import grounding
from clinical_camel.data import Dialogue, Message
from clinical_camel.dbke import prompt, screen
from clinical_camel.dbke.requests import Request

NO_PASSAGE = "no supporting passage found"


def completion_text(raw: str) -> tuple[str, str]:
    """The text in the raw body of a chat completion and no reason, or "" and the reason.

    The body is what a server sent: it may be anything. A reply cut at the token limit is set aside
    even where it parses: what it lacks cannot be seen.
    """
    try:
        choice = json.loads(raw)["choices"][0]
        message, ended = choice["message"], choice.get("finish_reason")
        text = message.get("content")
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        return "", f"reply is not a chat completion ({type(error).__name__})"
    if message.get("refusal"):
        return "", "the teacher refused"
    if ended == "length":
        return "", "reply was cut at the token limit"
    if ended == "content_filter":
        return "", "reply was stopped by a content filter"
    if not isinstance(text, str) or not text.strip():
        return "", "reply is empty"
    return _unfenced(text), ""


def completion(text: str, ended: bool) -> str:
    """A raw body as a server would send it, for a reply that was written here."""
    reason = "stop" if ended else "length"
    message = {"role": "assistant", "content": text}
    return json.dumps({"choices": [{"message": message, "finish_reason": reason}]})


def _unfenced(text: str) -> str:
    """The inside of a Markdown code fence, where the whole reply is one."""
    fenced = re.fullmatch(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", text, re.DOTALL)
    return fenced[1] if fenced else text


def read_reply(raw: str, request: Request) -> tuple[Dialogue | None, str]:
    """The dialogue in a raw reply and no reason, or nothing and the reason why there is none."""
    try:
        messages = json.loads(raw)["messages"]
        messages = [{"role": m["role"], "content": m["content"]} for m in messages]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        return None, f"reply is not a JSON dialogue ({type(error).__name__})"
    return Dialogue(id=request.id, source=request.source, messages=messages), ""


def check_dialogue(dialogue: Dialogue, request: Request, min_exchanges: int) -> str:
    """The first reason to set a dialogue aside; empty when there is none.

    A dialogue written to an exam question needs a passage that supports its key: without one
    there would be an answer and no medicine to learn.
    """
    roles = [m["role"] for m in dialogue.messages]
    if roles != ["user", "assistant"] * (len(roles) // 2) or not roles:
        return "turns do not alternate user, assistant"
    if any(
        not isinstance(m["content"], str) or not m["content"].strip() for m in dialogue.messages
    ):
        return "empty turn"
    if request.question and not request.passages:
        return NO_PASSAGE
    if len(roles) // 2 < (2 if request.question else min_exchanges):
        return f"fewer than {2 if request.question else min_exchanges} exchanges"
    said = [m["content"] for m in dialogue.messages if m["role"] == "assistant"]
    source = screen.clean(request.source_text)
    if any(unsupported(text, source) for text in said):
        return "an assistant sentence is not in the source"
    return ""


def unsupported(text: str, source: str) -> list[str]:
    """The sentences that state something and are not in the source.

    A question states nothing, and that the text does not say it may always be said.
    """
    found = grounding.unsupported(screen.clean(text), source)
    return [s for s in found if not s.endswith("?") and s != prompt.NOT_SAID]


def echo(dialogue: Dialogue, request: Request, messages: Sequence[Message]) -> str:
    """What of the prompt (`messages`), or of orders to a model, came back; or "".

    A turn that stands in the source as it is was read there, before anything was asked.
    """
    source = request.source_text
    turns = [message["content"] for message in dialogue.messages]
    text = "\n".join(turn for turn in turns if turn not in source)
    if messages and (prompt.code_of(messages) in text or prompt.repeated(text)):
        return "a turn repeats the prompt"
    how = screen.orders(text)
    return how and f"a turn {how}"
