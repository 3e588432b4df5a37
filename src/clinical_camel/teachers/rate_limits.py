"""Limits of a teacher: rates, caps on tokens and money, replies in a row that cannot be used."""

import asyncio
import time
from typing import Any

from clinical_camel.teachers.attempts import RequestRunner
from clinical_camel.teachers.cache import Ledger
from clinical_camel.teachers.errors import shorten
from clinical_camel.teachers.teacher import TeacherStop

MAX_IN_A_ROW = 20  # requests without a usable reply; then the run stops


class RateLimiter:
    """Requests and tokens per minute: each request starts when its share of the minute is free.

    There is no burst at the start, so no window of one minute exceeds a limit. 0 means no limit.
    """

    def __init__(self, requests_per_minute: int, tokens_per_minute: int) -> None:
        self._seconds_per_request = 60 / requests_per_minute if requests_per_minute else 0.0
        self._seconds_per_token = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._next = self._resume = 0.0

    async def acquire(self, tokens: int) -> None:
        """Wait until a request of so many tokens may leave."""
        start = self._claim(tokens)
        while (wait := start - time.monotonic()) > 0:
            await asyncio.sleep(wait)
            if start < self._resume:  # a pause began; else all would leave at its end
                start = self._claim(tokens)

    def _claim(self, tokens: int) -> float:
        """Return the start of the next free share of the minute, which this request takes."""
        start = max(self._next, time.monotonic())
        self._next = start + max(self._seconds_per_request, self._seconds_per_token * tokens)
        return start

    def pause(self, seconds: float) -> None:
        """Send nothing for so long, as the endpoint requests."""
        self._resume = max(self._resume, time.monotonic() + seconds)
        self._next = max(self._next, self._resume)


class Budget:
    """Tokens and money that may still be spent; the ledger knows what all runs have spent.

    An open request counts with its maximum cost. `reserve` waits while open requests may still turn
    out cheaper, and raises TeacherStop if the cap is reached and none is open. `noun` is what a
    request is for.
    """

    def __init__(
        self, ledger: Ledger, token_cap: int, money_cap: float, noun: str = "reply"
    ) -> None:
        spending = ledger.spending()
        self.ledger, self.token_cap, self.money_cap = ledger, token_cap, money_cap
        self.noun = noun
        self.tokens, self.money = spending.tokens, spending.money
        self._open: dict[int, tuple[int, float]] = {}
        self._count = 0
        self._closed = asyncio.Event()

    async def reserve(self, tokens: int, money: float) -> int:
        """Wait until this cost fits, count it, and return a number for `close`."""
        while reason := self._find_exceeded(tokens, money):
            if not self._open:
                raise TeacherStop(reason)
            self._closed.clear()
            await self._closed.wait()
        self._count += 1
        self._open[self._count] = (tokens, money)
        self.tokens, self.money = self.tokens + tokens, self.money + money
        return self._count

    def _find_exceeded(self, tokens: int, money: float) -> str:
        """Return which cap this cost would exceed; "" if it fits."""
        if self.money + money > self.money_cap + 1e-12:
            spent = f"money_cap: {self.money:.4f} of {self.money_cap:.4f} is spent"
            return f"{spent}, and the next {self.noun} may cost {money:.4f}"
        if self.token_cap and self.tokens + tokens > self.token_cap:
            spent = f"token_cap: {self.tokens} of {self.token_cap} are spent"
            return f"{spent}, and the next {self.noun} may take {tokens}"
        return ""

    def close(self, number: int, attempt: int, may_be_billed: bool = False) -> None:
        """Replace the maximum cost by the cost in the ledger; attempt 0 was never sent.

        A request that was sent and got no reply costs nothing in the ledger, but it
        `may_be_billed`: until the run ends, its maximum cost counts against the caps.
        """
        tokens, money = self._open.pop(number)
        if not may_be_billed:
            self.tokens, self.money = self.tokens - tokens, self.money - money
            if attempt and (self.token_cap or money):  # otherwise no cap depends on it
                cost_tokens, cost_money = self.ledger.find_cost(attempt)
                self.tokens, self.money = self.tokens + cost_tokens, self.money + cost_money
        self._closed.set()


class UnreadableReplies:
    """Counts new replies in a row that contain no `runner.noun`: such a teacher is paid in vain.

    Counts nothing if the runner does not stop for them (`stops_if_unreadable`).
    """

    def __init__(self, runner: RequestRunner) -> None:
        self._runner, self._count = runner, 0

    def count(self, raw: str, request: Any) -> None:
        """Count the reply to a request. Raises TeacherStop after MAX_IN_A_ROW without use."""
        if not self._runner.stops_if_unreadable:
            return
        text, reason = self._runner.read_reply(raw, request)
        self._count = self._count + 1 if reason else 0
        if self._count >= MAX_IN_A_ROW:
            start = shorten(text) or "no text"
            raise TeacherStop(
                f"{self._count} replies in a row contain no {self._runner.noun}: {reason}; "
                f"the last begins: {start}"
            )
