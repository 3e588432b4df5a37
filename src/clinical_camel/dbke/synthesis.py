"""One request to one verdict, whoever the teacher is: ask, keep the reply, read it, check it.

`Desk.pursue` holds all that is decided. It is a generator: it yields what to ask next and is sent
the reply, so that the same lines serve a teacher that is called, one that works in batches, and one
with hundreds of requests in flight.
"""

import functools
import hashlib
import json
import sys
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
from tqdm import tqdm

from clinical_camel.data import Dialogue, Message
from clinical_camel.dbke import checks, injection, licences, prompt
from clinical_camel.dbke.requests import Request, fingerprint

Payload = dict[str, str]  # {"raw": reply} or {"failed": why there is none}


@dataclass(frozen=True, slots=True)
class Ask:
    """One asking of one request; equal keys would get equal replies."""

    request: Request
    messages: list[Message]  # empty for a teacher without a prompt
    key: str
    facts: dict[str, str]  # request, model, and hashes of article, prompt and settings


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a request: a dialogue, or the reason why there is none."""

    request: Request
    dialogue: Dialogue | None
    reason: str = ""


class Teacher:
    """Writes one dialogue: a JSON object `{"messages": [{"role", "content"}, ...]}` as text.

    `model` and `settings` are what a reply depends on beside the request. `prompted`: it is a
    language model, gets `Ask.messages`, and its raw replies are chat completions.
    """

    name = ""
    model = ""
    prompted = False
    remote = False  # whether articles leave this machine

    @property
    def settings(self) -> dict[str, Any]:
        return {}

    def write(self, request: Request) -> str:
        """The raw reply; for a teacher that takes `reply` and `settle` as they are here."""
        raise NotImplementedError

    def reply(self, ask: Ask, store: Any) -> Payload:
        """The reply in the store, where it is put first if it is not there."""
        if ask.key not in store.done:
            store.append(ask.key, {"raw": self.write(ask.request), **ask.facts})
        return store.done[ask.key]

    def settle(self, requests: Iterable[Request], desk: "Desk") -> Iterator[Verdict]:
        """A verdict for each request, in their order."""
        for request in requests:
            pursuit = desk.pursue(request)
            step = advance(pursuit)
            while isinstance(step, Ask):
                step = advance(pursuit, self.reply(step, desk.store))
            yield step


Pursuit = Generator[Ask, Payload, Verdict]


def advance(pursuit: Pursuit, payload: Payload | None = None) -> Ask | Verdict:
    """What a pursuit asks next, or its verdict."""
    try:
        return pursuit.send(payload)
    except StopIteration as end:
        return end.value


@dataclass(frozen=True, slots=True)
class Desk:
    """What decides on replies: the checks, and how often a failing dialogue is asked for again."""

    teacher: Teacher
    store: Any  # `runs.Journal` or `Ledger`: `done` (key -> payload) and `append(key, payload)`
    min_exchanges: int
    tries: int = 1
    support: str = "verbatim"  # one of `checks.SUPPORT`
    language: str = ""  # of the dialogues, by its ISO 639-1 code; "" takes any

    def __post_init__(self) -> None:
        if self.support not in checks.SUPPORT:
            raise ValueError(f"support: {self.support!r} is not one of {', '.join(checks.SUPPORT)}")

    def pursue(self, request: Request) -> Pursuit:
        """Yields what to ask, is sent the replies, and returns the verdict."""
        reasons = [reason] if (reason := self.refusal(request)) else []
        for _ in range(0 if reason else self.tries):
            ask = self.ask(request, [checks.brief(each) for each in reasons])
            payload = yield ask
            if failed := payload.get("failed"):
                return Verdict(request, None, failed)
            dialogue, reason = self.read(payload["raw"], ask)
            if not reason:
                return Verdict(request, dialogue)
            reasons.append(reason)
        return Verdict(request, None, reasons[-1])

    def refusal(self, request: Request) -> str:
        """Why a request is not put to the teacher at all; or ""."""
        if request.question:
            texts, reason = request.passages, "" if request.passages else checks.NO_PASSAGE
        else:
            sections = request.article.sections
            texts = [request.article.title, *(t for s in sections for t in (s.heading, s.text))]
            reason = licences.refusal(request.article.licence)
        how = reason or _orders("\n".join(texts))
        return how if reason or not how else f"article {how}"

    def ask(self, request: Request, reasons: list[str]) -> Ask:
        """The next asking: its key comes from article, prompt, model and settings."""
        teacher, messages = self.teacher, []
        if teacher.prompted:
            messages = prompt.build_messages(request, reasons, self.support)
        texts = [message["content"] for message in messages]
        facts = {
            "article": _hash(request.source_text),
            "prompt": _hash(*(texts or [fingerprint([request])])),
            "model": teacher.model or teacher.name,
            "settings": _hash(json.dumps(teacher.settings, sort_keys=True)),
        }
        return Ask(request, messages, _hash(*facts.values()), {"request": request.id, **facts})

    def read(self, raw: str, ask: Ask) -> tuple[Dialogue | None, str]:
        """The dialogue in a raw reply, or the reason why it is set aside."""
        text, reason = checks.completion_text(raw) if self.teacher.prompted else (raw, "")
        if reason:
            return None, reason
        text = injection.clean(text) if self.teacher.prompted else text
        dialogue, reason = checks.read_reply(text, ask.request)
        wanted = (self.min_exchanges, self.support, self.language)
        reason = reason or checks.check_dialogue(dialogue, ask.request, *wanted)
        return dialogue, reason or checks.echo(dialogue, ask.request, ask.messages)


_orders = functools.lru_cache(maxsize=64)(injection.orders)  # an article's dialogues are in a row


def _hash(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode(errors="surrogatepass")).hexdigest()[:32]


def verdicts(requests: Iterable[Request], desk: Desk) -> Iterator[Verdict]:
    """A verdict for each request, in their order, as they come: nothing else is kept in memory.

    Of dialogues that say the same the first is kept; a hash of each is remembered for that.
    """
    seen: set[bytes] = set()
    for verdict in desk.teacher.settle(requests, desk):
        if verdict.dialogue:
            content = json.dumps(verdict.dialogue.messages)
            digest = hashlib.blake2b(content.encode(), digest_size=12).digest()
            if digest in seen:
                verdict = Verdict(verdict.request, None, "same as an earlier dialogue")
            seen.add(digest)
        yield verdict


def synthesise(
    requests: Iterable[Request],
    teacher: Teacher,
    store: Any,
    min_exchanges: int,
    tries: int = 1,
    support: str = "verbatim",
    language: str = "",
) -> tuple[list[Dialogue], pd.DataFrame]:
    """All dialogues that pass, and a table (id, source, reason) of those set aside.

    `store` (`runs.Journal` or `Ledger`) holds each raw reply before it is parsed, so that a killed
    run asks for none of them twice. A dialogue that fails is asked for `tries` times in all, with
    the reason in the prompt. Raises TeacherStop where an endpoint ends the run.
    """
    dialogues, aside = [], []
    desk = Desk(teacher, store, min_exchanges, tries, support, language)
    settled = verdicts(requests, desk)
    total = len(requests) if hasattr(requests, "__len__") else None
    name = f"{teacher.name} teacher"
    for verdict in tqdm(settled, total=total, desc=name, unit="dialogue", file=sys.stdout):
        if verdict.dialogue:
            dialogues.append(verdict.dialogue)
        else:
            request = verdict.request
            row = {"id": request.id, "source": request.source, "reason": verdict.reason}
            aside.append(row)
    return dialogues, pd.DataFrame(aside, columns=["id", "source", "reason"])
