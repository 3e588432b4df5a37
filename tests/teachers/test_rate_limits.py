"""Rate limits and caps, over all runs of a ledger."""

import asyncio
import time

import pytest
from tests.support.teacher_runs import REQUEST_ATTEMPTS, audit, make_settings, run
from tests.support.toy_teacher import Server

from clinical_camel import teachers
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
