"""Run requests through a teacher: query, check the reply, retry with the rejection reason.

`RequestRunner.attempt` makes all decisions. It is a generator that yields queries and receives
replies. So the same code serves a teacher that is called once per query, one that works in batches,
and one with hundreds of concurrent requests.
"""

import abc
import hashlib
import itertools
import json
from collections.abc import Generator, Sequence
from typing import Any

from clinical_camel.data import Message
from clinical_camel.teachers.teacher import Attempt, Outcome, Query, Reply, Teacher


class RequestRunner(abc.ABC):
    """Runs requests through a teacher, checks the replies and retries rejected ones.

    A request is any object with an `id`. A subclass defines the task: `reply_attempts`,
    `build_messages`, `hash_request`, `read_reply`, `check_reply`; and if needed `check_request`,
    `record_rejected`, `describe_rejection` and `stops_if_unreadable`.

    With `retry_failed`, a request whose recorded replies were all rejected gets a further round of
    `reply_attempts`: the same prompts under other keys.
    """

    __slots__ = ()
    noun = "reply"  # what a reply contains, for messages
    teacher: Teacher
    ledger: Any  # `Ledger` or `runs.Journal`: `done` (key -> reply) and `append(key, reply)`
    retry_failed: bool
    _repeated: set[tuple[str, int]]  # rounds that this run added

    # ------------------------------------------------------------------------------ the task

    @property
    @abc.abstractmethod
    def reply_attempts(self) -> int:
        """Replies that are requested in a round until one passes the checks."""

    @property
    def stops_if_unreadable(self) -> bool:
        """Whether many replies in a row that `read_reply` rejects stop the run."""
        return True

    def check_request(self, request: Any) -> str:
        """Return why a request must not go to the teacher; "" if it may."""
        return ""

    @abc.abstractmethod
    def build_messages(self, request: Any, reasons: Sequence[str]) -> list[Message]:
        """Return the complete prompt; `reasons` are those of the rejected replies of the round."""

    @abc.abstractmethod
    def hash_request(self, request: Any) -> tuple[str, str]:
        """Return hashes of the source text, and of the request for a teacher without a prompt."""

    @abc.abstractmethod
    def read_reply(self, raw: str, request: Any) -> tuple[str, str]:
        """Return the text of a completion, and why it contains no `noun`; "" if it does."""

    @abc.abstractmethod
    def check_reply(self, raw: str, query: Query) -> tuple[Any, str]:
        """Return the result of a raw reply and its rejection reason; "" if it is accepted.

        The result may be None, or not, for a reply that is rejected. Nothing may be raised: the
        reply is in the ledger, so an exception would stop every later run.
        """

    def record_rejected(self, request: Any, result: Any, reason: str, raw: str) -> None:
        """Record a reply that the checks rejected; by default it is only in the ledger."""
        return

    def describe_rejection(self, reason: str) -> str:
        """Return a rejection reason as the next prompt states it."""
        return reason

    # --------------------------------------------------------------------------- the attempts

    def attempt(self, request: Any) -> Attempt:
        """Yield queries, receive replies, return the outcome."""
        if reason := self.check_request(request):
            return Outcome(request, None, reason)
        for number in itertools.count():
            outcome, is_final = yield from self._run_round(request, number)
            if not outcome.reason or not is_final or not self._may_repeat(request, number):
                return outcome

    def _run_round(
        self, request: Any, number: int
    ) -> Generator[Query, Reply, tuple[Outcome, bool]]:
        """Run one round of attempts; return its outcome, and whether a checked reply decided it."""
        reasons: list[str] = []
        for _ in range(self.reply_attempts):
            query = self.build_query(request, reasons, number)
            reply = yield query
            if "failed" in reply:
                return Outcome(request, None, reply["failed"]), False
            result, reason = self.check_reply(reply["raw"], query)
            if not reason:
                return Outcome(request, result), True
            self.record_rejected(request, result, reason, reply["raw"])
            reasons.append(self.describe_rejection(reason))
        return Outcome(request, None, reason), True

    def _may_repeat(self, request: Any, number: int) -> bool:
        """Return whether another round follows: one that is recorded, or one new one."""
        if not self.teacher.prompted:
            return False
        following = self.build_query(request, [], number + 1)
        if self.teacher.has_reply(following, self.ledger):
            return True
        is_new = self.retry_failed and (request.id, number) not in self._repeated
        self._repeated.add((request.id, number + 1))
        return is_new

    def build_query(self, request: Any, reasons: Sequence[str], number: int = 0) -> Query:
        """Build a query of round `number`; its key depends on article, prompt, model, sampling."""
        teacher = self.teacher
        messages = self.build_messages(request, reasons) if teacher.prompted else []
        source_hash, request_hash = self.hash_request(request)
        hashes = {
            "article": source_hash,
            "prompt": hash_texts(*([m["content"] for m in messages] or [request_hash])),
            "model": teacher.model or teacher.name,
            "settings": hash_texts(json.dumps(teacher.sampling, sort_keys=True)),
        }
        key = hash_texts(*hashes.values(), *([f"round {number}"] if number else []))
        return Query(request, messages, key, {"request": request.id, **hashes}, number)


def hash_texts(*texts: str) -> str:
    """Return a hash of texts, as keys and provenance in a ledger have it."""
    return hashlib.sha256("\0".join(texts).encode(errors="surrogatepass")).hexdigest()[:32]
