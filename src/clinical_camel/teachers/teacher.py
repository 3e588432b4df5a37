"""The interface of a teacher: a query goes in, a raw reply comes out.

A teacher knows nothing about its task. What is requested, and how a reply is checked, is decided by
a `RequestRunner` (see `attempts`).
"""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clinical_camel.data import Message
from clinical_camel.teachers.settings import TERMS

if TYPE_CHECKING:
    from clinical_camel.teachers.attempts import RequestRunner

Reply = dict[str, str]  # {"raw": body} or {"failed": why there is no reply}


class TeacherStop(RuntimeError):
    """The run cannot continue: key, model, money, a cap, no connection. The message says why."""


@dataclass(frozen=True, slots=True)
class Query:
    """One query about one request; queries with equal keys would get equal replies."""

    request: Any  # has an `id`
    messages: list[Message]  # empty for a teacher without a prompt
    key: str
    provenance: dict[str, str]  # request, model, and hashes of article, prompt and sampling
    round: int = 0  # of attempts at this request: see `RequestRunner`


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a request, or None and the rejection reason."""

    request: Any
    result: Any
    reason: str = ""


Attempt = Generator[Query, Reply, Outcome]


def advance(attempt: Attempt, reply: Reply | None = None) -> Query | Outcome:
    """Return the next query of an attempt, or its outcome."""
    try:
        return attempt.send(reply)
    except StopIteration as end:
        return end.value


class Teacher:
    """Replies to queries. A language model is `prompted`: it replies with a chat completion.

    A subclass overrides `write_reply`, `fetch_reply` or `run_attempts`. `sampling` is what a reply
    depends on besides model and request.
    """

    name = ""
    model = ""
    prompted = False  # a language model: receives `Query.messages`, returns a chat completion
    remote = False  # texts leave this machine
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

    def write_reply(self, request: Any) -> str:
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

    def run_attempts(self, requests: Iterable[Any], runner: "RequestRunner") -> Iterator[Outcome]:
        """Yield the outcome of each request, in their order."""
        for request in requests:
            attempt = runner.attempt(request)
            step = advance(attempt)
            while isinstance(step, Query):
                step = advance(attempt, self.fetch_reply(step, runner.ledger))
            yield step
