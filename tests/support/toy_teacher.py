"""An endpoint on loopback that copies sentences, or fails in a chosen way; no language model.

It answers `/v1/chat/completions` with a dialogue on the text in the prompt, the same for the same
prompt, and counts what it would bill. `FAULTS` are the ways in which it can fail.
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

from tests.support.project import make_messages

from clinical_camel import grounding
from clinical_camel.dbke.prompt import EXAMPLE, RULES

TEXT = re.compile(r"^----- (\w+) -----\n(.*)\n----- \1 -----$", re.DOTALL | re.MULTILINE)
EXAM = re.compile(r"The exam question:\n\n(.*?)\n\nRules:", re.DOTALL)
ANSWER = re.compile(r'first turn is "(.*?)", the correct option', re.DOTALL)
KEY = "sk-drill-0123456789abcdef"


@dataclass
class Response:
    """What the server sends: after `delay` seconds, at most `cut` bytes."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: int | None = None


def write_dialogue(prompt: str) -> str:
    """Write a dialogue of sentences of the text in this prompt."""
    rng = random.Random(hashlib.sha256(prompt.encode()).digest())
    title, *sections = TEXT.search(prompt)[2].split("\n\n")
    if exam := EXAM.search(prompt):
        passages = " ".join("\n\n".join([title, *sections]).split())
        turns = [exam[1], ANSWER.search(prompt)[1], "Why is that?", passages]
    else:
        texts = [section.partition("\n")[2] for section in sections]
        sentences = [s for text in texts for s in grounding.split_sentences(text)]
        chosen = rng.sample(sentences, min(5, len(sentences)))
        turns = [t for s in chosen for t in (f"What of {title.strip('# ')}, {len(s)}?", s)]
    return json.dumps({"messages": make_messages(*turns)}, ensure_ascii=False)


def build_completion(content: object, reason: str = "stop", **more: object) -> dict:
    message = {"role": "assistant", "content": content, **more}
    usage = {"prompt_tokens": 900, "completion_tokens": 300, "total_tokens": 1200}
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return {"id": "toy", "object": "chat.completion", "choices": [choice], "usage": usage}


def respond(content: object, reason: str = "stop", **more: object) -> Response:
    completion = build_completion(content, reason, **more)
    return Response(json.dumps(completion, ensure_ascii=False).encode())


def good(prompt: str) -> Response:
    return respond(write_dialogue(prompt))


def error(status: int, message: str, code: str = "", **headers: str) -> Response:
    body = json.dumps({"error": {"message": message, "code": code}}).encode()
    return Response(body, status, {name.replace("_", "-"): v for name, v in headers.items()})


def change_completion(prompt: str, change: Callable[[dict], object]) -> Response:
    """A good response with its completion changed."""
    content = json.loads(good(prompt).body)
    change(content)
    return Response(json.dumps(content).encode())


def change_turns(prompt: str, change: Callable[[list], object]) -> Response:
    """A good response with its turns changed."""
    messages = json.loads(write_dialogue(prompt))["messages"]
    return respond(json.dumps({"messages": change(messages) or messages}))


def date(seconds: float) -> str:
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


Fault = Callable[[str], Response]
# The first request of each prompt fails; the next succeeds.
TEMPORARY: dict[str, Fault] = {
    "429 with Retry-After": lambda p: error(429, "slow down", Retry_After="0.1"),
    "429 with a date, clocks a day apart": lambda p: error(
        429, "slow down", Retry_After=date(86400.2), Date=date(86400)
    ),
    "429 without a word": lambda p: Response(b"", 429),
    "500": lambda p: error(500, "internal error"),
    "502 with an HTML page": lambda p: Response(b"<html>bad gateway</html>", 502),
    "503 with Retry-After": lambda p: error(503, "overloaded", Retry_After="0.1"),
    "connection dropped before the reply": lambda p: Response(good(p).body, cut=0),
    "408": lambda p: error(408, "request timeout"),
    "409": lambda p: error(409, "conflict"),
    "425": lambda p: Response(b"too early", 425),
    "504 without a word": lambda p: Response(b"", 504),
    "529 overloaded": lambda p: Response(
        b'{"type": "error", "error": {"type": "overloaded"}}', 529
    ),
    "200 with an HTML page": lambda p: Response(b"<html>welcome</html>"),
    "200 with an empty body": lambda p: Response(b""),
    "200 with an error inside": lambda p: Response(b'{"error": {"message": "oops"}}'),
    "200 with the error of a provider": lambda p: Response(
        b'{"choices": [], "error": {"code": 502, "message": "Provider returned error"}}'
    ),
    "bytes that are no UTF-8": lambda p: Response(b"\xff\xfe" + good(p).body),
    "half a body": lambda p: Response(good(p).body, cut=600),
    "slower than the time-out": lambda p: Response(good(p).body, delay=1.2),
}
# The first prompt of each dialogue fails; the prompt with the rejection reason succeeds.
FIXED_BY_RETRY: dict[str, Fault] = {
    "empty content": lambda p: respond(""),
    "a refusal": lambda p: respond(None, refusal="I cannot help with that."),
    "cut at the token limit, still JSON": lambda p: respond(write_dialogue(p), "length"),
    "stopped by a content filter": lambda p: respond(write_dialogue(p), "content_filter"),
    "prose in place of JSON": lambda p: respond("Here is a conversation about the text."),
    "a turn without its role": lambda p: change_turns(p, lambda m: m[0].pop("role") and None),
    "the assistant speaks first": lambda p: change_turns(p, lambda m: m[1:]),
    "one exchange only": lambda p: change_turns(p, lambda m: m[:2]),
    "an invented sentence": lambda p: change_turns(
        p, lambda m: m[1].update(content="All is well.")
    ),
    "another language": lambda p: change_turns(p, lambda m: m[1].update(content="Alles ist gut.")),
    "the prompt comes back": lambda p: change_turns(p, lambda m: m[0].update(content=RULES[3])),
    "nested 200,000 deep": lambda p: respond("[" * 200_000),
    "reasoning without an answer": lambda p: respond("<think> The user wants {} from me."),
    "turns of a million letters": lambda p: change_turns(
        p, lambda m: m[0].update(content="a " * 500_000)
    ),
}
# The reply is usable.
HARMLESS: dict[str, Fault] = {
    "JSON in a code fence": lambda p: respond(f"```json\n{write_dialogue(p)}\n```"),
    "reasoning before the answer": lambda p: respond(f"<think>{{}}</think>\n{write_dialogue(p)}"),
    "reasoning whose start is missing": lambda p: respond(f"So.\n</think>\n{write_dialogue(p)}"),
    "reasoning in its own field": lambda p: respond(write_dialogue(p), reasoning_content="So."),
    "prose around the JSON": lambda p: respond(f"Here it is:\n{write_dialogue(p)}\nHave fun!"),
    "content in parts": lambda p: respond([{"type": "text", "text": write_dialogue(p)}]),
    "byte order mark": lambda p: Response(b"\xef\xbb\xbf" + good(p).body),
    "a stream of events": lambda p: Response(
        b"data: "
        + json.dumps({"choices": [{"delta": {"content": write_dialogue(p)}}]}).encode()
        + b"\n\ndata: [DONE]\n\n"
    ),
    "no usage": lambda p: change_completion(p, lambda c: c.pop("usage")),
    "usage that is nonsense": lambda p: change_completion(
        p, lambda c: c.update(usage={"prompt_tokens": -5, "completion_tokens": "many"})
    ),
    "usage of nine quintillion tokens": lambda p: change_completion(
        p, lambda c: c.update(usage={"prompt_tokens": 9 * 10**18, "completion_tokens": 0})
    ),
}
# Every request fails.
PERMANENT: dict[str, Fault] = {
    "400 for every prompt": lambda p: error(400, "context length exceeded"),
    "500 for ever": lambda p: error(500, "internal error"),
    "the same dialogue for all": lambda p: respond(json.dumps(EXAMPLE)),
}
# The run stops.
STOPPING: dict[str, Fault] = {
    "401 that repeats the key": lambda p: error(401, f"Incorrect API key provided: {KEY}"),
    "400 invalid key": lambda p: Response(
        b'[{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}]',
        400,
    ),
    "404 no such path": lambda p: Response(b"404 page not found", 404),
    "308 elsewhere": lambda p: Response(b"", 308, {"Location": "https://elsewhere.example/v1"}),
    "404 unknown model": lambda p: error(404, "The model `toy` does not exist"),
    "402 no money": lambda p: error(402, "payment required"),
    "429 quota used up": lambda p: error(429, "quota", "insufficient_quota"),
    "429 with Retry-After of a day": lambda p: error(429, "daily limit", Retry_After="86400"),
}
# The endpoint takes another form of requests: what it refuses, as a body and its status.
REFUSED = ("max_completion_tokens", "no seed", "no temperature", "no system role")
UNSUPPORTED = "Unsupported parameter: '{}' is not supported with this model."
FORMS: dict[str, Callable[[dict], Response | None]] = {
    "max_completion_tokens": lambda c: (
        "max_tokens" in c
        and error(400, UNSUPPORTED.format("max_tokens") + " Use 'max_completion_tokens' instead.")
    ),
    "no seed": lambda c: (
        "seed" in c
        and Response(
            b'{"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"],'
            b' "msg": "Extra inputs are not permitted", "input": 1}]}',
            422,
        )
    ),
    "no temperature": lambda c: (
        "temperature" in c
        and error(400, "temperature does not support 0.7. Only the default (1) value is supported.")
    ),
    "no system role": lambda c: (
        c["messages"][0]["role"] == "system"
        and error(500, "Jinja Exception: System role not supported")
    ),
    "developer role": lambda c: (
        c["messages"][0]["role"] == "system"
        and error(400, "Unsupported value: role 'system'; use the 'developer' role instead")
    ),
    "none of these": lambda c: next(filter(None, (FORMS[name](c) for name in REFUSED)), None),
}
FAULTS = {**TEMPORARY, **FIXED_BY_RETRY, **HARMLESS, **PERMANENT, **STOPPING}


class Server:
    """The server in its own thread; `base_url` while it runs.

    `fault` names how it fails; a TEMPORARY one affects the first request of each prompt.
    `sent` are the bodies that left completely, `billed` how many replies were generated, delivered
    or not, `delivered` how many at least in part. `bodies` are the requests. Without `record` only
    numbers are counted.
    """

    def __init__(self, fault: str = "", delay: float = 0.0, record: bool = True) -> None:
        self.fault, self.delay, self.record = fault, delay, record
        self.prompts: Counter = Counter()
        self.sent: list[bytes] = []
        self.bodies: list[dict] = []
        self.billed = self.delivered = self.requests = 0
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
        self._loop.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        created = self._loop.create_server(lambda: Connection(self), "127.0.0.1", 0)
        self._server = self._loop.run_until_complete(created)
        port = self._server.sockets[0].getsockname()[1]
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self._ready.set()
        self._loop.run_forever()
        self._server.close()

    def respond(self, body: bytes) -> Response:
        content = json.loads(body)
        prompt = content["messages"][-1]["content"]
        self.requests += 1
        if self.record:
            self.bodies.append(content)
            self.prompts[prompt] += 1
        if refused := FORMS.get(self.fault, lambda c: None)(content):
            return refused
        is_fixed = (self.fault in TEMPORARY and self.prompts[prompt] > 1) or (
            self.fault in FIXED_BY_RETRY and "earlier attempts" in prompt
        )
        response = good(prompt) if is_fixed else FAULTS.get(self.fault, good)(prompt)
        self.billed += b'"choices": [{' in response.body
        response.delay += self.delay
        return response


class Connection(asyncio.Protocol):
    """Just enough HTTP/1.1 for one client at a time on a connection."""

    def __init__(self, server: Server) -> None:
        self.server, self.buffer = server, b""

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, separator, rest = self.buffer.partition(b"\r\n\r\n")
        if separator and head.startswith(b"GET "):
            self.buffer = b""
            self.send(Response(b'{"data": [{"id": "toy"}]}'))
            return
        length = re.search(rb"content-length: (\d+)", head.lower())
        if not separator or not length or len(rest) < int(length[1]):
            return
        self.buffer = rest[int(length[1]) :]
        response = self.server.respond(rest[: int(length[1])])
        asyncio.get_running_loop().call_later(response.delay, self.send, response)

    def send(self, response: Response) -> None:
        if self.transport.is_closing():
            return
        headers = {"Content-Type": "application/json", "Date": date(0), **response.headers}
        lines = [f"HTTP/1.1 {response.status} -", f"Content-Length: {len(response.body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        content = "\r\n".join([*lines, "", ""]).encode() + response.body
        has_reply = b'"choices": [{' in response.body
        if response.cut is not None:
            self.server.delivered += has_reply and response.cut > 0
            self.transport.write(content[: response.cut])
            self.transport.close()
            return
        self.server.delivered += has_reply
        self.transport.write(content)
        if self.server.record:
            self.server.sent.append(response.body)
