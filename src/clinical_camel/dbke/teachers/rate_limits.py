"""What may leave for an endpoint, and when: a rate a minute, caps on tokens and money."""

import asyncio
import time

from clinical_camel.dbke.teachers.cache import Ledger


class TeacherStop(RuntimeError):
    """The run cannot go on: key, model, or a cap. The message says why, and what was kept."""


class Pace:
    """Requests and tokens a minute: each request starts when its share of the minute is free.

    No burst at the start, so no window of a minute holds more. 0 means no limit.
    """

    def __init__(self, requests_per_minute: int, tokens_per_minute: int) -> None:
        self._each = 60 / requests_per_minute if requests_per_minute else 0.0
        self._token = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._free = self._pause = 0.0

    async def turn(self, tokens: int) -> None:
        """Returns when a request of so many tokens may leave."""
        start = max(self._free, time.monotonic())
        self._free = start + max(self._each, self._token * tokens)
        while (wait := max(start, self._pause) - time.monotonic()) > 0:
            await asyncio.sleep(wait)

    def pause(self, seconds: float) -> None:
        """Nothing leaves for so long: an endpoint asked for it."""
        self._pause = max(self._pause, time.monotonic() + seconds)
        self._free = max(self._free, self._pause)


class Budget:
    """Tokens and money that may still be spent, as the ledger has them, of this and earlier runs.

    What is in flight counts with the most it can cost. `reserve` waits for room as long as
    something is in flight that may cost less, and raises TeacherStop when there is none left.
    """

    def __init__(self, ledger: Ledger, token_cap: int, money_cap: float) -> None:
        spent = ledger.spent()
        self.ledger, self.token_cap, self.money_cap = ledger, token_cap, money_cap
        self.tokens, self.money = spent.tokens, spent.money
        self._open: dict[int, tuple[int, float]] = {}
        self._begun = 0
        self._settled = asyncio.Event()

    async def reserve(self, tokens: int, money: float) -> None:
        while not self._fits(tokens, money):
            if not self._open:
                raise TeacherStop(self._why(tokens, money))
            self._settled.clear()
            await self._settled.wait()

    def _fits(self, tokens: int, money: float) -> bool:
        some = not self.token_cap or self.tokens + tokens <= self.token_cap
        return some and self.money + money <= self.money_cap + 1e-12

    def _why(self, tokens: int, money: float) -> str:
        if self.money + money > self.money_cap + 1e-12:
            return (
                f"money_cap: {self.money:.4f} of {self.money_cap:.4f} is spent, and the next "
                f"dialogue may cost {money:.4f}"
            )
        return (
            f"token_cap: {self.tokens} of {self.token_cap} are spent, and the next dialogue may "
            f"take {tokens}"
        )

    def begun(self, tokens: int, money: float) -> int:
        """Count an attempt with the most that it can cost; a number for `ended`."""
        self._begun += 1
        self._open[self._begun] = (tokens, money)
        self.tokens, self.money = self.tokens + tokens, self.money + money
        return self._begun

    def ended(self, begun: int, attempt: int) -> None:
        """Replace the most that it could cost by what the ledger knows of it (0: nothing yet)."""
        tokens, money = self._open.pop(begun)
        capped = self.token_cap or money  # else it does not matter what it took
        known = attempt and capped
        real_tokens, real_money = self.ledger.cost(attempt) if known else (tokens, money)
        self.tokens, self.money = (
            self.tokens + real_tokens - tokens,
            self.money + real_money - money,
        )
        self._settled.set()
