"""From a raw reply to a dialogue, or to the reason why there is none."""

import json
import re
import textwrap
from collections.abc import Sequence

from clinical_camel import data, grounding
from clinical_camel.data import Dialogue, Message
from clinical_camel.dbke import injection, prompt
from clinical_camel.dbke.requests import Request, key_sentence

NO_PASSAGE = "no supporting passage found"
# How an assistant sentence must rest on the source: it stands there word for word, or it may be
# said anew while the source supports its words and each of its facts (`grounding.link`).
OPENING = 120  # letters of each turn that its language is told from: telling takes time
LONGEST = 300  # letters of a sentence in a reason


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


def check_dialogue(
    dialogue: Dialogue,
    request: Request,
    min_exchanges: int,
    support: str = "verbatim",
    language: str = "",
) -> str:
    """The first reason to set a dialogue aside; empty when there is none.

    `support` is one of SUPPORT, `language` an ISO 639-1 code or "" for any. A dialogue written to
    an exam question opens with it, then gives its key, and needs a passage that supports the key:
    without one there would be an answer and no medicine to learn.
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
    least = 2 if request.question else min_exchanges
    if len(roles) // 2 < least:
        return f"fewer than {least} exchanges"
    turns = [m["content"] for m in dialogue.messages]
    if request.question and (reason := _misses_the_exam(turns, request)):
        return reason
    found = grounding.language(" ".join(t[:OPENING] for t in turns)) if language else ""
    if found != language:
        return f"a language other than {language} ({found})"
    return _unsupported(turns[1::2], request, support)


def _misses_the_exam(turns: Sequence[str], request: Request) -> str:
    asked, key = data.question_text(request.question), key_sentence(request.question)
    if _plain(turns[0]) != _plain(asked):
        return "the first turn is not the exam question"
    if not _plain(turns[1]).startswith(_plain(key)):
        return "the first answer is not the key"
    return ""


def _plain(text: str) -> str:
    return " ".join(injection.clean(text).split())


def _unsupported(said: Sequence[str], request: Request, support: str) -> str:
    """Why the source does not stand behind what the assistant says; names the first sentence."""
    source = injection.clean(request.source_text)
    denied = prompt.denials(request.question) if request.question else ()
    left = [s for text in said for s in unsupported(_without(text, denied), source)]
    if not left:
        return ""
    if support == "verbatim":
        return f"an assistant sentence is not in the source{_quoted(left[0])}"
    for link in grounding.link(left, source_sentences(request)):
        if link.verdict != "supported":
            kind = link.reasons[0].partition(":")[0]
            why = f"an assistant sentence is {link.verdict} ({kind}){_quoted(link.sentence)}"
            return f"{why} {'; '.join(link.reasons)}"
    return ""


def source_sentences(request: Request) -> list[str]:
    """The sentences that may support another: of a question its passages, not the key by itself."""
    if request.question:
        return grounding.split_sentences(injection.clean("\n".join(request.passages)))
    return grounding.split_sentences(injection.clean(request.source_text))


def stated(dialogue: Dialogue, request: Request) -> list[str]:
    """The assistant's sentences that need a source."""
    question = request.question
    free = [key_sentence(question), *prompt.denials(question)] if question else []
    said = [m["content"] for m in dialogue.messages if m["role"] == "assistant"]
    found = [s for t in said for s in grounding.split_sentences(_without(injection.clean(t), free))]
    return [s for s in found if _states(s)]


def _quoted(sentence: str) -> str:
    return f': "{textwrap.shorten(sentence, LONGEST)}"'


def brief(reason: str) -> str:
    """A reason without the sentence that it names: to count by, and to tell a teacher.

    What a teacher wrote is never sent back to it: it may hold orders from an article.

    >>> brief('an assistant sentence is not in the source: "Gout is fun."')
    'an assistant sentence is not in the source'
    """
    return reason.partition(': "')[0]


def _without(text: str, free: Sequence[str]) -> str:
    """The text without these sentences, where they stand as sentences and not at the end of one."""
    for sentence in free:
        text = re.sub(rf"(?:^|(?<=[.!?]\s)){re.escape(sentence)}(?=\s|$)", " ", text)
    return text


def unsupported(text: str, source: str) -> list[str]:
    """The sentences that state something and are not in the source.

    A question states nothing, and that the text does not say it may always be said.
    """
    found = grounding.unsupported(injection.clean(text), source)
    return [s for s in found if _states(s)]


def _states(sentence: str) -> bool:
    return not sentence.endswith("?") and sentence != prompt.NOT_SAID


def echo(dialogue: Dialogue, request: Request, messages: Sequence[Message]) -> str:
    """What of the prompt (`messages`), or of orders to a model, came back; or "".

    A turn that stands in the source as it is was read there, before anything was asked.
    """
    source = request.source_text
    turns = [message["content"] for message in dialogue.messages]
    text = "\n".join(turn for turn in turns if turn not in source)
    if messages and (prompt.code_of(messages) in text or prompt.repeated(text)):
        return "a turn repeats the prompt"
    how = injection.orders(text)
    return how and f"a turn {how}"
