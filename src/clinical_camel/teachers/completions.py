"""Read a chat completion: from the body of a reply to the answer, and to the JSON in it.

Servers and models differ: the content is a text or a list of parts; reasoning comes in a field of
its own or before a closing tag; the JSON stands alone, in a code fence, or between sentences. What
a reply says is never corrected.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

REFUSED = "the teacher refused"
CUT = "reply was cut at the token limit"
ONLY_REASONING = "reply contains only reasoning, no answer"
_REASONING = ("reasoning_content", "reasoning", "thinking")
# everything before the last of these is reasoning; a server may remove the opening tag
_END_OF_REASONING = re.compile(
    r"</(?:think|thinking|thought|thoughts|reasoning|reflection|seed:think)>|\[/THINK\]|◁/think▷"
    r"|<\|channel\|>final<\|message\|>|<\|end_of_thought\|>",
    re.IGNORECASE,
)
_START_OF_REASONING = re.compile(r"\s*(?:<(?:think|thinking|thought|reasoning)>|\[THINK\])", re.I)
ANY_OBJECT = re.compile(r'\{\s*"\w+"\s*:')
MOST_STARTS = 20  # of JSON objects that are tried in one reply


def read_completion(raw: str, start: re.Pattern = ANY_OBJECT) -> tuple[str, str]:
    """Return the answer in a chat completion and "", or "" and the rejection reason.

    `start` matches the start of the JSON object that is expected: some servers take the answer for
    reasoning, and some models never close it. A reply that was cut at the token limit is rejected
    even if it parses.
    """
    try:
        choice = _load(raw)["choices"][0]
        message = choice.get("message") or choice.get("delta") or {"content": choice["text"]}
        finish_reason = str(choice.get("finish_reason") or "").lower()
        text, refusal = _join_parts(message.get("content"))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        return "", f"reply is not a chat completion ({type(error).__name__})"
    if message.get("refusal") or refusal:
        return "", REFUSED
    if finish_reason in ("length", "max_tokens"):
        return "", CUT
    if finish_reason in ("content_filter", "safety"):
        return "", "reply was stopped by a content filter"
    reasoning = next((message[name] for name in _REASONING if message.get(name)), "")
    if not text.strip():
        # some servers take the whole answer for reasoning
        if isinstance(reasoning, str) and start.search(reasoning):
            return _remove_reasoning(reasoning, start), ""
        return "", ONLY_REASONING if reasoning else "reply is empty"
    answer = _remove_reasoning(text, start)
    if answer.strip():
        return answer, ""
    return "", ONLY_REASONING


def _load(raw: str) -> Any:
    """Load a body: JSON, with or without a byte order mark, or a stream of events."""
    text = raw.lstrip("\ufeff \r\n\t")
    if not re.match(r"(?:data|event|id|retry)\s*:|:", text):
        return json.loads(text)
    choice: dict[str, Any] = {"message": {"content": ""}, "finish_reason": None}
    events = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    for event in events:
        for part in json.loads(event)["choices"][:1] if event not in ("", "[DONE]") else ():
            delta = part.get("delta") or part.get("message") or {}
            choice["message"]["content"] += _join_parts(delta.get("content"))[0]
            for name in (*_REASONING, "refusal"):
                if isinstance(delta.get(name), str):
                    choice["message"][name] = choice["message"].get(name, "") + delta[name]
            choice["finish_reason"] = part.get("finish_reason") or choice["finish_reason"]
    return {"choices": [choice] if events else []}


def _join_parts(content: Any) -> tuple[str, bool]:
    """Return the text of a content, and whether a part of it is a refusal."""
    if content is None or isinstance(content, str):
        return content or "", False
    if isinstance(content, dict):
        content = [content]
    texts, is_refusal = [], False
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif part.get("type", "text") in ("text", "output_text"):
            text = part.get("text", "")
            texts.append(text if isinstance(text, str) else text["value"])
        is_refusal |= isinstance(part, dict) and part.get("type") == "refusal"
    return "".join(texts), is_refusal


def _remove_reasoning(text: str, start: re.Pattern = ANY_OBJECT) -> str:
    """Return a text without the reasoning before it; without an end tag, all of it is reasoning.

    >>> _remove_reasoning("The user wants {}.</think> {}"), _remove_reasoning("<think> {} ")
    (' {}', '')
    """
    with contextlib.suppress(ValueError, RecursionError):
        json.loads(text)
        return text  # all of it is JSON: a tag is inside a turn
    answer = _END_OF_REASONING.split(text)[-1]
    if answer == text and _START_OF_REASONING.match(text):
        starts = [match.start() for match in start.finditer(text)]
        return text[starts[-1] :] if starts else ""
    return answer


def is_completion(raw: str) -> bool:
    """Return whether a body is a chat completion, whatever it says; not an error or a page."""
    try:
        content = _load(raw)
        choice = content["choices"][0]  # some gateways put a provider's error into it
        return not (content.get("error") or choice.get("error"))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return False


def read_text(raw: str) -> str:
    """Return what a teacher wrote, for people to read; the raw reply if it is no completion."""
    with contextlib.suppress(ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return _join_parts(_load(raw)["choices"][0]["message"]["content"])[0] or raw
    return raw


def build_completion(text: str, complete: bool) -> str:
    """Return a reply that was generated here as a server would send it."""
    message = {"role": "assistant", "content": text}
    choice = {"message": message, "finish_reason": "stop" if complete else "length"}
    return json.dumps({"choices": [choice]})


def list_candidates(text: str, start: re.Pattern = ANY_OBJECT) -> Iterator[Callable[[], Any]]:
    """Yield functions that load the expected object: the whole text first, then parts of it.

    The last object comes before earlier ones: those are drafts.
    """
    text = text.strip().removeprefix("\ufeff")
    yield lambda: _load_object(text)
    starts = [match.start() for match in start.finditer(text)][-MOST_STARTS:]
    for place in reversed(starts):
        yield lambda place=place: json.JSONDecoder().raw_decode(text, place)[0]


def _load_object(text: str) -> Any:
    content = json.loads(text)
    return json.loads(content) if isinstance(content, str) else content
