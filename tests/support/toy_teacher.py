"""A teacher on loopback that is no language model: it copies sentences, or fails as it is told.

It answers `/v1/chat/completions` with dialogues on the text that stands in the prompt, the same for
the same prompt, and counts what it would bill. `FAULTS` are the ways in which it can go wrong.
"""

import asyncio
import email.utils
import hashlib
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from clinical_camel import grounding
from clinical_camel.dbke import prompt as prompt_

TEXT = re.compile(r"^----- (\w+) -----\n(.*)\n----- \1 -----$", re.DOTALL | re.MULTILINE)
EXAM = re.compile(r"The exam question:\n\n(.*?)\n\nRules:", re.DOTALL)
ANSWER = re.compile(r'first turn is "(.*?)", the right option', re.DOTALL)
KEY = "sk-drill-0123456789abcdef"


@dataclass
class Reply:
    """What goes over the wire: `cut` bytes of it at most, after `delay` seconds."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: int | None = None


def dialogue(asked: str) -> str:
    """A dialogue of sentences of the text in this prompt."""
    rng = random.Random(hashlib.sha256(asked.encode()).digest())
    title, *rest = TEXT.search(asked)[2].split("\n\n")
    if exam := EXAM.search(asked):
        answers = [ANSWER.search(asked)[1], " ".join("\n\n".join([title, *rest]).split())]
        turns = [exam[1], answers[0], "Why is that?", answers[1]]
    else:
        parts = [text.partition("\n")[2] for text in rest]
        said = [s for part in parts for s in grounding.split_sentences(part)]
        chosen = rng.sample(said, min(5, len(said)))
        turns = [t for s in chosen for t in (f"What of {title.strip('# ')}, {len(s)}?", s)]
    roles = ("user", "assistant")
    messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(turns)]
    return json.dumps({"messages": messages}, ensure_ascii=False)


def completion(content: object, reason: str = "stop", **more: object) -> dict:
    message = {"role": "assistant", "content": content, **more}
    usage = {"prompt_tokens": 900, "completion_tokens": 300, "total_tokens": 1200}
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return {"id": "toy", "object": "chat.completion", "choices": [choice], "usage": usage}


def good(asked: str) -> Reply:
    return says(dialogue(asked))


def says(content: object, reason: str = "stop", **more: object) -> Reply:
    return Reply(json.dumps(completion(content, reason, **more), ensure_ascii=False).encode())


def error(status: int, message: str, code: str = "", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(json.dumps({"error": {"message": message, "code": code}}).encode(), status, named)


def changed(asked: str, change: Callable[[dict], object]) -> Reply:
    """A good reply with its completion changed."""
    content = json.loads(good(asked).body)
    change(content)
    return Reply(json.dumps(content).encode())


def turns(asked: str, change: Callable[[list], object]) -> Reply:
    """A good reply with its turns changed."""
    messages = json.loads(dialogue(asked))["messages"]
    return says(json.dumps({"messages": change(messages) or messages}))


def date(seconds: float) -> str:
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


Fault = Callable[[str], Reply]
# Met by the first sends of each prompt; then all is well.
PASSING: dict[str, Fault] = {
    "429 with Retry-After": lambda a: error(429, "slow down", Retry_After="0.1"),
    "429 with a date, clocks a day apart": lambda a: error(
        429, "slow down", Retry_After=date(86400.2), Date=date(86400)
    ),
    "429 without a word": lambda a: Reply(b"", 429),
    "500": lambda a: error(500, "internal error"),
    "502 with an HTML page": lambda a: Reply(b"<html>bad gateway</html>", 502),
    "503 with Retry-After": lambda a: error(503, "overloaded", Retry_After="0.1"),
    "connection dropped before the reply": lambda a: Reply(good(a).body, cut=0),
    "half a body": lambda a: Reply(good(a).body, cut=400),
    "slower than the time-out": lambda a: Reply(good(a).body, delay=0.6),
}
# Met by the first prompt for each dialogue, and gone when it is asked again with the reason.
MENDED: dict[str, Fault] = {
    "200 with an HTML page": lambda a: Reply(b"<html>welcome</html>"),
    "200 with an empty body": lambda a: Reply(b""),
    "200 with an error inside": lambda a: Reply(b'{"error": {"message": "oops"}}'),
    "empty content": lambda a: says(""),
    "a refusal": lambda a: says(None, refusal="I cannot help with that."),
    "cut at the token limit, still JSON": lambda a: says(dialogue(a), "length"),
    "stopped by a content filter": lambda a: says(dialogue(a), "content_filter"),
    "prose in place of JSON": lambda a: says("Here is a conversation about the text."),
    "a turn without its role": lambda a: turns(a, lambda m: m[0].pop("role") and None),
    "the assistant speaks first": lambda a: turns(a, lambda m: m[1:]),
    "one exchange only": lambda a: turns(a, lambda m: m[:2]),
    "an invented sentence": lambda a: turns(a, lambda m: m[1].update(content="All is well.")),
    "another language": lambda a: turns(a, lambda m: m[1].update(content="Alles ist gut.")),
    "the prompt comes back": lambda a: turns(a, lambda m: m[0].update(content=prompt_.RULES[3])),
    "bytes that are no UTF-8": lambda a: Reply(b"\xff\xfe" + good(a).body),
}
# Nothing to mend: the dialogue is there.
HARMLESS: dict[str, Fault] = {
    "JSON in a code fence": lambda a: says(f"```json\n{dialogue(a)}\n```"),
    "no usage": lambda a: changed(a, lambda c: c.pop("usage")),
    "usage that is nonsense": lambda a: changed(
        a, lambda c: c.update(usage={"prompt_tokens": -5, "completion_tokens": "many"})
    ),
}
# These do not pass.
LASTING: dict[str, Fault] = {
    "400 for every prompt": lambda a: error(400, "context length exceeded"),
    "500 for ever": lambda a: error(500, "internal error"),
    "the same dialogue for all": lambda a: says(json.dumps(prompt_.EXAMPLE)),
}
ENDING: dict[str, Fault] = {
    "401 that repeats the key": lambda a: error(401, f"Incorrect API key provided: {KEY}"),
    "404 unknown model": lambda a: error(404, "The model `toy` does not exist"),
    "402 no money": lambda a: error(402, "payment required"),
    "429 quota used up": lambda a: error(429, "quota", "insufficient_quota"),
    "429 with Retry-After of a day": lambda a: error(429, "daily limit", Retry_After="86400"),
}
FAULTS = {**PASSING, **MENDED, **HARMLESS, **LASTING, **ENDING}


class Server:
    """The server, in a thread of its own; `base_url` while it runs.

    `fault` names the way it fails; in `PASSING` for the first `times` sends of a prompt. `sent` are
    the bodies that left whole, `billed` how many were generated, whether they arrived or not.
    Without `record` only numbers are kept.
    """

    def __init__(
        self, fault: str = "", times: int = 1, delay: float = 0.0, record: bool = True
    ) -> None:
        self.fault, self.times, self.delay, self.record = fault, times, delay, record
        self.seen: Counter = Counter()
        self.sent: list[bytes] = []
        self.billed = self.requests = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "Server":
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        make = self._loop.create_server(lambda: Connection(self), "127.0.0.1", 0)
        self._server = self._loop.run_until_complete(make)
        port = self._server.sockets[0].getsockname()[1]
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self._ready.set()
        self._loop.run_forever()
        self._server.close()

    def reply(self, body: bytes) -> Reply:
        asked = json.loads(body)["messages"][-1]["content"]
        self.requests += 1
        if self.record:
            self.seen[asked] += 1
        fault = FAULTS.get(self.fault, good)
        again = "Earlier attempts" in asked
        if (self.fault in PASSING and self.seen[asked] > self.times) or (
            self.fault in MENDED and again
        ):
            fault = good
        reply = fault(asked)
        self.billed += reply.status == 200
        reply.delay += self.delay
        return reply


class Connection(asyncio.Protocol):
    """Just enough HTTP/1.1 for one client at a time on a connection."""

    def __init__(self, server: Server) -> None:
        self.server, self.buffer = server, b""

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        if not found or not length or len(rest) < int(length[1]):
            return
        self.buffer = rest[int(length[1]) :]
        reply = self.server.reply(rest[: int(length[1])])
        asyncio.get_running_loop().call_later(reply.delay, self.answer, reply)

    def answer(self, reply: Reply) -> None:
        if self.transport.is_closing():
            return
        headers = {"Content-Type": "application/json", "Date": date(0), **reply.headers}
        lines = [f"HTTP/1.1 {reply.status} -", f"Content-Length: {len(reply.body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        whole = "\r\n".join([*lines, "", ""]).encode() + reply.body
        if reply.cut is not None:
            self.transport.write(whole[: reply.cut])
            self.transport.close()
            return
        self.transport.write(whole)
        if self.server.record:
            self.server.sent.append(reply.body)
