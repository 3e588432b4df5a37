"""Run requests through a teacher: query, check the reply, retry with the rejection reason.

`Synthesizer.attempt` makes all decisions. It is a generator that yields queries and receives
replies. So the same code serves a teacher that is called once per query, one that works in batches,
and one with hundreds of concurrent requests.
"""

import functools
import hashlib
import itertools
import json
import os
import sys
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from clinical_camel.core.settings import RETRY_VARIABLE
from clinical_camel.data import Dialogue, Message
from clinical_camel.dbke import checks, injection, licences, prompt, replies
from clinical_camel.dbke.requests import Request, hash_requests
from clinical_camel.dbke.settings import Synthesis
from clinical_camel.dbke.teachers.settings import TERMS

Reply = dict[str, str]  # {"raw": body} or {"failed": why there is no reply}
REJECTED = ["id", "source", "reason"]
NO_TEXT = "article has no text"
IDENTICAL = "identical to an earlier dialogue"
CHARACTERS_PER_TOKEN = 32  # no text is longer than so many characters per token


class TeacherStop(RuntimeError):
    """The run cannot continue: key, model, money, a cap, no connection. The message says why."""


@dataclass(frozen=True, slots=True)
class Query:
    """One query about one request; queries with equal keys would get equal replies."""

    request: Request
    messages: list[Message]  # empty for a teacher without a prompt
    key: str
    provenance: dict[str, str]  # request, model, and hashes of article, prompt and sampling
    round: int = 0  # of attempts at this dialogue: see `Synthesizer`


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a request: an accepted dialogue, or a rejection reason."""

    request: Request
    dialogue: Dialogue | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RejectedReply:
    """A reply that was rejected; without a readable dialogue, `dialogue` has no messages."""

    dialogue: Dialogue  # its id is that of the request
    reason: str
    text: str = ""  # of a reply without a readable dialogue


class Teacher:
    """Writes one dialogue: a JSON object `{"messages": [{"role", "content"}, ...]}` as text.

    A subclass overrides `write_reply`, `fetch_reply` or `run_attempts`. `sampling` is what a reply
    depends on besides model and request.
    """

    name = ""
    model = ""
    prompted = False  # a language model: receives `Query.messages`, returns a chat completion
    remote = False  # articles leave this machine
    terms = ""  # what the teacher's terms say about training other models: a key of TERMS
    money_cap = 0.0

    @property
    def sampling(self) -> dict[str, Any]:
        return {}

    @property
    def readings(self) -> Path | None:
        """The table of a second reader of this teacher's dialogues, if there is one."""
        return None

    def describe(self) -> dict[str, Any]:
        """Return name, model and terms in words, for the run record and the cards."""
        terms = TERMS.get(self.terms, "no language model writes")
        return {"name": self.name, "model": self.model, "terms": terms}

    def write_reply(self, request: Request) -> str:
        """Write the raw reply to a request, without a prompt."""
        raise NotImplementedError

    def has_reply(self, query: Query, ledger: Any) -> bool:
        """Return whether the reply to a query is recorded."""
        return query.key in ledger.done

    def fetch_reply(self, query: Query, ledger: Any) -> Reply:
        """Return the reply from the ledger; write it there first if it is missing."""
        if query.key not in ledger.done:
            raw = self.write_reply(query.request)
            ledger.append(query.key, {"raw": raw, **query.provenance})
        return ledger.done[query.key]

    def run_attempts(
        self, requests: Iterable[Request], synthesizer: "Synthesizer"
    ) -> Iterator[Outcome]:
        """Yield the outcome of each request, in their order."""
        for request in requests:
            attempt = synthesizer.attempt(request)
            step = advance(attempt)
            while isinstance(step, Query):
                step = advance(attempt, self.fetch_reply(step, synthesizer.ledger))
            yield step


Attempt = Generator[Query, Reply, Outcome]


def advance(attempt: Attempt, reply: Reply | None = None) -> Query | Outcome:
    """Return the next query of an attempt, or its outcome."""
    try:
        return attempt.send(reply)
    except StopIteration as end:
        return end.value


@dataclass(frozen=True, slots=True)
class Synthesizer:
    """Runs requests through a teacher, checks the replies and retries rejected dialogues.

    With `retry_failed`, a dialogue whose recorded replies were all rejected gets a further round of
    `dialogue_attempts`: the same prompts under other keys.
    """

    teacher: Teacher
    ledger: Any  # `Ledger` or `runs.Journal`: `done` (key -> reply) and `append(key, reply)`
    settings: Synthesis
    retry_failed: bool = False
    rejected_replies: list[RejectedReply] = field(default_factory=list)  # of this run
    _repeated: set[tuple[str, int]] = field(default_factory=set)  # rounds that this run added

    def run(self, requests: Iterable[Request]) -> Iterator[Outcome]:
        """Yield the outcome of each request, in their order.

        Of identical dialogues the first is accepted. Only a hash of each stays in memory.
        """
        seen: set[bytes] = set()
        for outcome in self.teacher.run_attempts(requests, self):
            if outcome.dialogue:
                content = json.dumps(outcome.dialogue.messages)
                digest = hashlib.blake2b(content.encode(), digest_size=12).digest()
                if digest in seen:
                    self.rejected_replies.append(RejectedReply(outcome.dialogue, IDENTICAL))
                    outcome = Outcome(outcome.request, None, IDENTICAL)
                seen.add(digest)
            yield outcome

    def attempt(self, request: Request) -> Attempt:
        """Yield queries, receive replies, return the outcome."""
        if reason := self.check_request(request):
            return Outcome(request, None, reason)
        for number in itertools.count():
            outcome, is_final = yield from self._run_round(request, number)
            if outcome.dialogue or not is_final or not self._may_repeat(request, number):
                return outcome

    def _run_round(
        self, request: Request, number: int
    ) -> Generator[Query, Reply, tuple[Outcome, bool]]:
        """Run one round of attempts; return its outcome, and whether a checked reply decided it."""
        reasons: list[str] = []
        for _ in range(self.settings.teacher.dialogue_attempts):
            query = self.build_query(request, reasons, number)
            reply = yield query
            if "failed" in reply:
                return Outcome(request, None, reply["failed"]), False
            dialogue, reason = self.check_reply(reply["raw"], query)
            if not reason:
                return Outcome(request, dialogue), True
            text = "" if dialogue else replies.read_text(reply["raw"])
            dialogue = dialogue or Dialogue(id=request.id, source=request.source, messages=[])
            self.rejected_replies.append(RejectedReply(dialogue, reason, text))
            reasons.append(checks.strip_quote(reason))
        return Outcome(request, None, reason), True

    def _may_repeat(self, request: Request, number: int) -> bool:
        """Return whether another round follows: one that is recorded, or one new one."""
        if not self.teacher.prompted:
            return False
        following = self.build_query(request, [], number + 1)
        if self.teacher.has_reply(following, self.ledger):
            return True
        is_new = self.retry_failed and (request.id, number) not in self._repeated
        self._repeated.add((request.id, number + 1))
        return is_new

    def check_request(self, request: Request) -> str:
        """Return why a request must not go to the teacher; "" if it may."""
        if request.question:
            texts, reason = request.passages, "" if request.passages else checks.NO_PASSAGE
        else:
            sections = request.article.sections
            texts = [request.article.title, *(t for s in sections for t in (s.heading, s.text))]
            reason = licences.check_licence(request.article.licence)
            reason = reason or ("" if request.source_text.strip() else NO_TEXT)
        injected = "" if reason else _find_injection("\n".join(texts))
        return f"article {injected}" if injected else reason

    def build_query(self, request: Request, reasons: list[str], number: int = 0) -> Query:
        """Build a query of round `number`; its key depends on article, prompt, model, sampling."""
        teacher, messages = self.teacher, []
        if teacher.prompted:
            messages = prompt.build_messages(request, reasons, self.settings.support)
        texts = [message["content"] for message in messages]
        hashes = {
            "article": _hash(request.source_text),
            "prompt": _hash(*(texts or [hash_requests([request])])),
            "model": teacher.model or teacher.name,
            "settings": _hash(json.dumps(teacher.sampling, sort_keys=True)),
        }
        key = _hash(*hashes.values(), *([f"round {number}"] if number else []))
        return Query(request, messages, key, {"request": request.id, **hashes}, number)

    def check_reply(self, raw: str, query: Query) -> tuple[Dialogue | None, str]:
        """Return the dialogue of a raw reply and its rejection reason; "" if it is accepted.

        A reply that makes the checks fail is rejected as well: it stays in the ledger, so an
        exception here would stop every later run.
        """
        try:
            return self._check_reply(raw, query)
        except Exception as error:  # of any kind: a reply is foreign input
            return None, f"reply cannot be checked ({type(error).__name__})"

    def _check_reply(self, raw: str, query: Query) -> tuple[Dialogue | None, str]:
        if self.teacher.prompted:
            raw, reason = replies.read_completion(raw)
            if reason:
                return None, reason
        dialogue, reason = replies.parse_reply(raw, query.request)
        if reason:
            return None, reason
        longest = CHARACTERS_PER_TOKEN * getattr(self.settings.teacher, "max_new_tokens", 10**9)
        if sum(len(message["content"]) for message in dialogue.messages) > longest:
            return None, "reply is longer than max_new_tokens allows"
        reason = checks.check_dialogue(dialogue, query.request, self.settings)
        return dialogue, reason or checks.check_echo(dialogue, query.request, query.messages)


_find_injection = functools.lru_cache(maxsize=64)(injection.find_injection)  # once per article


def _hash(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode(errors="surrogatepass")).hexdigest()[:32]


def synthesise(
    requests: Iterable[Request], teacher: Teacher, ledger: Any, settings: Synthesis
) -> tuple[list[Dialogue], pd.DataFrame, list[RejectedReply]]:
    """Return all dialogues that pass the checks, and a table (REJECTED) of the other requests.

    The third value has every rejected reply, in the order of the requests: of a retried request
    several, of a request without a reply none.

    `ledger` (`Ledger` or `runs.Journal`) stores each raw reply before it is parsed, so a resumed
    run repeats no query. With RETRY_VARIABLE in the environment, rejected dialogues are requested
    again (see `Synthesizer`). Raises TeacherStop if the run cannot continue with this endpoint.
    """
    dialogues, rejected, order = [], [], {}
    retry_failed = os.environ.get(RETRY_VARIABLE, "") == "1"
    synthesizer = Synthesizer(teacher, ledger, settings, retry_failed)
    total = len(requests) if hasattr(requests, "__len__") else None
    name = f"{teacher.name} teacher"
    outcomes = synthesizer.run(requests)
    for outcome in tqdm(outcomes, total=total, desc=name, unit="dialogue", file=sys.stdout):
        order[outcome.request.id] = len(order)
        if outcome.dialogue:
            dialogues.append(outcome.dialogue)
        else:
            rejected.append((outcome.request.id, outcome.request.source, outcome.reason))
    others = sorted(synthesizer.rejected_replies, key=lambda reply: order[reply.dialogue.id])
    return dialogues, pd.DataFrame(rejected, columns=REJECTED), others
