"""An endpoint with OpenAI's chat completions as the teacher: hosted, vLLM, or on loopback.

Hundreds of requests are concurrent, within the rate limits. A request leaves only after the ledger
has recorded it, and only within the caps on attempts, tokens and money.
"""

import asyncio
import email.utils
import itertools
import json
import os
import random
import re
import threading
import time
import urllib.parse
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import aiohttp

from clinical_camel.dbke.requests import Request
from clinical_camel.dbke.synthesis import (
    Attempt,
    Outcome,
    Query,
    Reply,
    Synthesizer,
    Teacher,
    advance,
)
from clinical_camel.dbke.teachers.cache import Ledger
from clinical_camel.dbke.teachers.rate_limits import Budget, RateLimiter, TeacherStop
from clinical_camel.dbke.teachers.settings import OpenAI

KEY_VARIABLE = "TEACHER_API_KEY"  # the only source of a key; no other provider's variable is read
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
LOOKAHEAD = 4  # attempts per concurrent request: outcomes are in order, replies are not
BATCHES = 8  # per number of concurrent requests: fewer, larger hand-overs to the event loop
MAX_PAUSE = 600.0  # seconds; an endpoint that asks for a longer pause stops the run
MAX_REFUSALS = 20  # in a row; then the run stops
SLICE = 0.002  # seconds of prompts and checks before the event loop handles the network again
TEMPLATE_TOKENS = 64  # upper bound for what a chat template adds to two turns
_NO_MODEL = re.compile(
    r"model.{0,80}(?:not|no |does|unknown|invalid|pinned)|pinned to", re.I | re.S
)
_NO_MONEY = re.compile(r"insufficient_quota|billing|payment|exceeded your current quota", re.I)


class LedgerWriter:
    """Writes to a ledger from concurrent requests; a turn of the event loop is a transaction."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: list[asyncio.Future] = []

    async def write(self, record: Callable[..., Any], *row: Any) -> Any:
        """Return the result of a `record_` method of the ledger, once its row is on disk."""
        if not self._ledger.in_transaction:
            self._ledger.begin_transaction()
            asyncio.get_running_loop().call_soon(self._commit)  # after all that is ready now
        try:
            result = record(*row)
        except Exception as error:
            if not self._ledger.in_transaction:  # SQLite rolled back the other writes as well
                self._notify(error)
            raise
        committed = asyncio.get_running_loop().create_future()
        self._waiting.append(committed)
        await committed
        return result

    def _commit(self) -> None:
        if not self._ledger.in_transaction:
            return
        try:
            self._ledger.commit()
        except Exception as error:  # a full disk
            self._notify(error)
        else:
            self._notify(None)

    def _notify(self, error: Exception | None) -> None:
        """Propagate the result of a commit to all waiters."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():  # a cancelled waiter is done
                future.set_exception(error) if error else future.set_result(None)


class OpenAITeacher(Teacher):
    """Requests `base_url`/chat/completions. The ledger records each body before it is parsed.

    Lost connections, timeouts and statuses 408, 409, 425, 429 and 5xx are retried, at most
    `request_attempts` times over all runs. Any other refusal rejects the dialogue with the
    endpoint's message. A refused key, an unknown model and a cap stop the run (TeacherStop) after
    the open requests have returned.
    """

    name = "openai"
    prompted = True

    def __init__(self, settings: OpenAI, seed: int) -> None:
        self.settings, self.seed = settings, seed
        self.model, self.terms = settings.model, settings.terms
        self.money_cap = settings.money_cap
        self._key = os.environ.get(KEY_VARIABLE, "")
        address = urllib.parse.urlsplit(settings.base_url)
        self.remote = address.hostname not in LOOPBACK
        if address.scheme not in ("http", "https"):
            raise ValueError(f"teacher.base_url: {settings.base_url} is not https://host/v1")
        if self.remote and (address.scheme != "https" or not self._key):
            raise ValueError(
                f"teacher.base_url: {settings.base_url} needs https, and a key in the environment "
                f"as {KEY_VARIABLE}"
            )

    @property
    def sampling(self) -> dict[str, Any]:
        return self.settings.sampling(self.seed)

    def run_attempts(
        self, requests: Iterable[Request], synthesizer: Synthesizer
    ) -> Iterator[Outcome]:
        """Yield outcomes in order. The event loop has its own thread: a notebook uses its own."""
        ledger = synthesizer.ledger
        if not isinstance(ledger, Ledger):
            raise TypeError("an endpoint needs a Ledger, which records costs; not a journal")
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        window: deque = deque()
        self._run(loop, self._open(ledger)).result()
        try:
            remaining, size = iter(requests), -(-self.settings.concurrency // BATCHES)
            while batch := list(itertools.islice(remaining, size)):
                window.append(self._run(loop, self._attempt_all(synthesizer, batch)))
                if len(window) >= LOOKAHEAD * BATCHES:
                    yield from window.popleft().result()
            while window:
                yield from window.popleft().result()
        except TeacherStop as stop:
            self._run(loop, self._wait_for_open_requests()).result()
            total = ledger.spending()
            raise TeacherStop(
                f"{stop}. {ledger.file.name} contains {total.replies} replies of {total.attempts} "
                f"attempts, {total.tokens} tokens, {total.money:.4f} in money; "
                "none is requested again"
            ) from None
        finally:
            for future in window:
                future.cancel()
            self._run(loop, self._session.close()).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop)

    async def _open(self, ledger: Ledger) -> None:
        settings = self.settings
        self._stop: TeacherStop | None = None
        self._refusals = self._open_requests = 0
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._advancing, self._slice_end = asyncio.Lock(), 0.0
        self._limiter = RateLimiter(settings.requests_per_minute, settings.tokens_per_minute)
        self._budget = Budget(ledger, settings.token_cap, settings.money_cap)
        self._writer = LedgerWriter(ledger)
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {self._key}"} if self._key else {}
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=settings.timeout_seconds),
            connector=aiohttp.TCPConnector(limit=settings.concurrency),
        )
        self._url = settings.base_url.rstrip("/") + "/chat/completions"

    async def _attempt_all(self, synthesizer: Synthesizer, batch: list[Request]) -> list[Outcome]:
        return await asyncio.gather(*(self._attempt(synthesizer, request) for request in batch))

    async def _attempt(self, synthesizer: Synthesizer, request: Request) -> Outcome:
        attempt, ledger = synthesizer.attempt(request), synthesizer.ledger
        step = await self._advance(attempt)
        while isinstance(step, Query):
            reply = ledger.done.get(step.key) or await self._request_with_retries(step, ledger)
            step = await self._advance(attempt, reply)
        return step

    async def _advance(self, attempt: Attempt, reply: Reply | None = None) -> Query | Outcome:
        """Call `advance`, and let the network run after every SLICE seconds of such work."""
        async with self._advancing:
            step = advance(attempt, reply)
            if time.monotonic() > self._slice_end:
                await asyncio.sleep(0)
                self._slice_end = time.monotonic() + SLICE
        return step

    async def _wait_for_open_requests(self) -> None:
        """Wait until all open requests have returned: they are paid for."""
        while self._open_requests:
            await asyncio.sleep(0.02)

    async def _request_with_retries(self, query: Query, ledger: Ledger) -> Reply:
        """Return the reply to a query, or why there is none after all attempts."""
        settings, error = self.settings, "no reply in earlier runs"
        body = self.build_body(query)
        # no token is shorter than a byte
        max_tokens = (len(body) + TEMPLATE_TOKENS, settings.max_new_tokens)
        for number in range(ledger.count_attempts(query.key), settings.request_attempts):
            status, headers, reply = await self._send(query, body, max_tokens)
            if status == 200:
                self._refusals = 0
                return {"raw": reply.decode(errors="replace")}
            error = _format_error(status, reply)
            if status and not self._may_retry(status, headers, error):
                return {"failed": f"refused: {error}"}
            if number + 1 < settings.request_attempts and "retry-after" not in headers:
                wait = min(60.0, settings.backoff * 2**number)
                await asyncio.sleep(wait * random.uniform(0.5, 1))
        return {"failed": f"no reply after {settings.request_attempts} attempts: {error}"}

    def build_body(self, query: Query) -> bytes:
        """Return the body of the request for a query, as JSON."""
        content = {
            "model": self.model,
            "messages": query.messages,
            "max_tokens": self.settings.max_new_tokens,
            "temperature": self.settings.temperature,
            "seed": int(query.key[:7], 16),
        }
        return json.dumps(content, ensure_ascii=False).encode(errors="replace")

    async def _send(
        self, query: Query, body: bytes, max_tokens: tuple[int, int]
    ) -> tuple[int, Any, bytes]:
        """Record an attempt, send it, record its reply. Status 0: no complete reply arrived."""
        prices, ledger = (self.settings.price_in, self.settings.price_out), self._budget.ledger
        money = (max_tokens[0] * prices[0] + max_tokens[1] * prices[1]) / 1e6
        reserved = attempt = 0
        try:
            async with self._slots:
                reserved = await self._reserve(sum(max_tokens), money)
                row = (query.key, query.provenance, max_tokens, prices)
                attempt = await self._writer.write(ledger.record_attempt, *row)
                posted = self._session.post(self._url, data=body, allow_redirects=False)
                async with posted as response:
                    reply = await response.read()
                if self._key:  # some endpoints repeat it
                    reply = reply.replace(self._key.encode(), b"[key]")
                row = (attempt, query.key, response.status, reply)
                if response.status != 200:  # a pause or stop precedes the next use of this slot
                    await self._writer.write(ledger.record_reply, *row)
            if response.status == 200:
                await self._writer.write(ledger.record_reply, *row)
            return response.status, response.headers, reply
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return 0, {}, type(error).__name__.encode()
        finally:
            if reserved:
                self._open_requests -= 1
                self._budget.close(reserved, attempt)

    async def _reserve(self, tokens: int, money: float) -> int:
        """Wait until a request may leave; return the number of its part of the budget."""
        await self._limiter.acquire(tokens)
        try:
            number = await self._budget.reserve(tokens, money)
        except TeacherStop as stop:
            self._stop = self._stop or stop
            raise self._stop from None
        if self._stop:
            self._budget.close(number, attempt=0)
            raise self._stop
        self._open_requests += 1
        return number

    def _may_retry(self, status: int, headers: Any, error: str) -> bool:
        """Return whether an error is temporary. Raises TeacherStop if it concerns every request."""
        if status in (401, 403):
            self._stop_run(f"the key in {KEY_VARIABLE} was refused ({error})")
        if status == 402 or (status == 429 and _NO_MONEY.search(error)):
            self._stop_run(f"the account at the endpoint has no money left ({error})")
        if status in (400, 404) and (status == 404 or _NO_MODEL.search(error)):
            self._stop_run(f"{self.settings.base_url} has no model {self.model!r} ({error})")
        if status in (408, 409, 425, 429) or status >= 500:
            if (wait := _read_retry_after(headers)) > MAX_PAUSE:
                self._stop_run(
                    f"the endpoint asks to wait {wait:.0f} seconds ({error}); run again then"
                )
            self._limiter.pause(wait)
            return True
        self._refusals += 1
        if self._refusals >= MAX_REFUSALS:
            self._stop_run(
                f"{self._refusals} requests in a row were refused, the last with {error}"
            )
        return False

    def _stop_run(self, reason: str) -> None:
        self._stop = self._stop or TeacherStop(reason)
        raise self._stop


def _format_error(status: int, body: bytes) -> str:
    """Return the message of an error response on one line, at most 120 characters."""
    text = body.decode(errors="replace")
    try:
        error = json.loads(text)["error"]
        if isinstance(error, dict):
            code = f" ({error['code']})" if error.get("code") else ""
            text = f"{error.get('message', text)}{code}"
        else:
            text = str(error)
    except (ValueError, TypeError, LookupError, AttributeError):
        pass
    text = " ".join(text.split())[:120]
    return f"HTTP {status}: {text}" if status else text


def _read_retry_after(headers: Any) -> float:
    """Return the seconds in Retry-After; a date is compared with the endpoint's own clock."""
    text = headers.get("Retry-After", "")
    try:
        return max(0.0, float(text))
    except ValueError:
        end = email.utils.parsedate_tz(text)
    if not end:
        return 0.0
    date = email.utils.parsedate_tz(headers.get("Date", ""))
    now = email.utils.mktime_tz(date) if date else time.time()
    return max(0.0, email.utils.mktime_tz(end) - now)
