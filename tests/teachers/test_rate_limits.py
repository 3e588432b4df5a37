"""Rate limits and caps, over all runs of a ledger."""

import asyncio
import heapq
import itertools
import time
from types import SimpleNamespace

import pytest
from tests.support.teacher_runs import REQUEST_ATTEMPTS, audit, make_settings, run
from tests.support.toy_teacher import Server

from clinical_camel import teachers
from clinical_camel.teachers import rate_limits
from clinical_camel.teachers.rate_limits import Budget, RateLimiter, TeacherStop


def test_money_stays_below_its_cap_and_a_higher_cap_resumes_the_run(file):
    cap = 0.012  # eight replies at 0.0015, each at most about 0.006
    with Server() as server:
        dialogues, _, stopped = run(file, 12, make_settings(server.base_url, money_cap=cap))
        assert "money_cap: " in stopped
        assert 3 <= server.requests < 9
        assert audit(file, server, cap, REQUEST_ATTEMPTS)[1] == 0
        more, _, stopped = run(file, 12, make_settings(server.base_url))
        assert (len(more), stopped, server.requests) == (12, "", 12)
        assert more[: len(dialogues)] == dialogues


def test_a_money_cap_of_zero_stops_a_priced_teacher_before_the_first_request(file):
    with Server() as server:
        _, _, stopped = run(file, 2, make_settings(server.base_url, money_cap=0.0))
        assert "money_cap: 0.0000 of 0.0000 is spent" in stopped
        assert server.requests == 0


def test_tokens_stay_below_their_cap(file):
    with Server() as server:
        _, _, stopped = run(file, 12, make_settings(server.base_url, token_cap=9000))
        assert "token_cap: " in stopped
        assert 0 < server.requests <= 7


def test_requests_per_minute_are_limited(file):
    with Server() as server:
        started = time.monotonic()
        run(file, 6, make_settings(server.base_url, requests_per_minute=600))
        assert time.monotonic() - started >= 0.5  # the sixth leaves 0.5 s after the first


def test_tokens_per_minute_and_pauses_delay_the_next_request():
    async def measure():
        limiter, started = RateLimiter(0, 6000), time.monotonic()
        await limiter.acquire(20)  # 0.2 s of the limit
        await limiter.acquire(20)
        after_tokens = time.monotonic() - started
        limiter.pause(0.5)
        await limiter.acquire(1)
        return after_tokens, time.monotonic() - started

    after_tokens, after_pause = asyncio.run(measure())
    assert after_tokens >= 0.2
    assert after_pause >= 0.7


class Clock:
    """A clock for `rate_limits` that jumps to the end of the shortest sleep once all tasks wait."""

    def __init__(self, monkeypatch):
        self.now, self.sleeps, self.numbers = 0.0, [], itertools.count()
        monkeypatch.setattr(rate_limits, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(rate_limits, "asyncio", SimpleNamespace(sleep=self.sleep))

    async def sleep(self, seconds):
        event = asyncio.Event()
        heapq.heappush(self.sleeps, (self.now + seconds, next(self.numbers), event))
        await event.wait()

    async def run_until(self, end):
        while True:
            for _ in range(9):
                await asyncio.sleep(0)
            if not self.sleeps or self.sleeps[0][0] > end:
                self.now = end
                return
            self.now, _, event = heapq.heappop(self.sleeps)
            event.set()


def test_waiting_requests_do_not_all_leave_at_the_end_of_a_pause(monkeypatch):
    clock, starts = Clock(monkeypatch), []

    async def send(limiter):
        await limiter.acquire(1)
        starts.append(clock.now)

    async def measure():
        limiter = RateLimiter(60, 0)
        tasks = [asyncio.ensure_future(send(limiter)) for _ in range(20)]
        await clock.run_until(2.5)
        limiter.pause(10)
        await clock.run_until(5)
        limiter.pause(9)  # until 14
        await clock.run_until(100)
        await asyncio.gather(*tasks)

    asyncio.run(measure())
    assert starts == [0, 1, 2, *range(14, 31)]


def test_a_short_pause_shortens_no_share_of_the_minute(monkeypatch):
    clock = Clock(monkeypatch)

    async def measure():
        limiter = RateLimiter(0, 60)
        await limiter.acquire(5)
        limiter.pause(1)
        task = asyncio.ensure_future(limiter.acquire(1))
        await clock.run_until(4.9)
        assert not task.done()
        await clock.run_until(5)
        assert task.done()

    asyncio.run(measure())


def test_an_open_request_counts_with_its_maximum_until_it_is_closed(file):
    ledger = teachers.Ledger(file)

    async def reserve():
        budget = Budget(ledger, token_cap=100, money_cap=1.0)
        number = await budget.reserve(80, 0.0)
        waiting = asyncio.create_task(budget.reserve(30, 0.0))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        attempt = ledger.record_attempt("k", {}, (80, 0), (0.0, 0.0))
        body = b'{"usage": {"prompt_tokens": 50, "completion_tokens": 0}}'
        ledger.record_reply(attempt, "k", 200, body)
        budget.close(number, attempt)
        budget.close(await waiting, 0, may_be_billed=True)
        with pytest.raises(TeacherStop, match="token_cap: 80 of 100 are spent"):
            await budget.reserve(30, 0.0)

    asyncio.run(reserve())
