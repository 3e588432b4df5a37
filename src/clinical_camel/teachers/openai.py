"""An endpoint with OpenAI's chat completions as the teacher: hosted, vLLM, or on loopback.

Hundreds of requests are concurrent, within the rate limits. A request leaves only after the ledger
has recorded it, and only within the caps on attempts, tokens and money.
"""

import asyncio
import dataclasses
import itertools
import math
import random
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from clinical_camel.teachers import cache, errors
from clinical_camel.teachers.attempts import RequestRunner
from clinical_camel.teachers.cache import Ledger
from clinical_camel.teachers.client import BODY_BYTES, Answer, Client
from clinical_camel.teachers.completions import is_completion
from clinical_camel.teachers.dialect import Dialect
from clinical_camel.teachers.errors import ApiError
from clinical_camel.teachers.ledger_writer import LedgerWriter
from clinical_camel.teachers.rate_limits import (
    MAX_IN_A_ROW,
    Budget,
    RateLimiter,
    UnreadableReplies,
)
from clinical_camel.teachers.secrets import Mask, read_key
from clinical_camel.teachers.settings import OpenAI, is_loopback
from clinical_camel.teachers.teacher import (
    Attempt,
    Outcome,
    Query,
    Reply,
    Teacher,
    TeacherStop,
    advance,
)

LOOKAHEAD = 4  # attempts per concurrent request: outcomes are in order, replies are not
BATCHES = 8  # per number of concurrent requests: fewer, larger hand-overs to the event loop
MAX_PAUSE = 600.0  # seconds; an endpoint that asks for a longer pause stops the run
STOP_SECONDS = 12.0  # for open requests after an interrupt; the runner kills a kernel after 20
SLICE = 0.002  # seconds of prompts and checks before the event loop handles the network again
TEMPLATE_TOKENS = 64  # upper bound for what a chat template adds to two turns
REPLY_BYTES_PER_TOKEN = 32  # a body may be so long for each token, beside BODY_BYTES


class OpenAITeacher(Teacher):
    """Requests `base_url`/chat/completions. The ledger records each body before it is parsed.

    What may pass is retried, at most `request_attempts` times in a run, and again in later runs: no
    connection, no reply in time, a body that is cut or no chat completion, statuses 408, 409, 425,
    429 and 5xx. A field that the endpoint refuses is renamed or left out (`Dialect`). Any other
    refusal rejects the dialogue with the endpoint's message.

    A refused key, an unknown model, a wrong address, a cap, an endpoint that cannot be reached and
    MAX_IN_A_ROW requests in a row without a usable reply stop the run (TeacherStop) after the open
    requests have returned. After an interrupt or a full disk, they have STOP_SECONDS.
    """

    name = "openai"
    prompted = True

    def __init__(self, settings: OpenAI, seed: int, setting: str = "teacher") -> None:
        self.settings, self.seed = settings, seed
        self.model, self.terms = settings.model, settings.terms
        self.money_cap = settings.money_cap
        self.remote = not is_loopback(settings.base_url)
        self.url = settings.base_url.rstrip("/") + "/chat/completions"
        self.dialect = Dialect()
        self._key = read_key()
        self._mask = Mask(self._key)
        for problem in settings.check_key():
            raise ValueError(f"{setting}.{problem}")

    @property
    def sampling(self) -> dict[str, Any]:
        return self.settings.sampling(self.seed)

    def describe(self) -> dict[str, str]:
        return super().describe() | {"request_form": self.dialect.describe() or "common"}

    def run_attempts(self, requests: Iterable[Any], runner: RequestRunner) -> Iterator[Outcome]:
        """Yield outcomes in order. The event loop has its own thread: a notebook uses its own."""
        ledger = runner.ledger
        if not isinstance(ledger, Ledger):
            raise TypeError("an endpoint needs a Ledger, which records costs; not a journal")
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        window: deque = deque()
        self._run(loop, self._open(runner)).result()
        try:
            remaining, size = iter(requests), -(-self.settings.concurrency // BATCHES)
            while batch := list(itertools.islice(remaining, size)):
                window.append(self._run(loop, self._attempt_all(runner, batch)))
                if len(window) >= LOOKAHEAD * BATCHES:
                    yield from window.popleft().result()
            while window:
                yield from window.popleft().result()
        except TeacherStop as stop:
            self._wait_for_open_requests()
            total = ledger.spending()
            raise TeacherStop(
                f"{stop}. {ledger.file.name} contains {total.replies} replies of {total.attempts} "
                f"attempts, {total.tokens} tokens, {total.money:.4f} in money; "
                "none is requested again"
            ) from None
        except BaseException:  # an interrupt, a full disk: no new request leaves
            self._stop = self._stop or TeacherStop("the run was interrupted")
            self._wait_for_open_requests(STOP_SECONDS)
            raise
        finally:
            for future in window:
                future.cancel()
            self._run(loop, self._client.__aexit__()).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop)

    async def _open(self, runner: RequestRunner) -> None:
        settings, ledger = self.settings, runner.ledger
        self._stop: TeacherStop | None = None
        self._without_reply = self._open_requests = 0
        self._unreadable = UnreadableReplies(runner)
        self._has_reply = False  # in this run
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._advancing, self._slice_end = asyncio.Lock(), 0.0
        self._limiter = RateLimiter(settings.requests_per_minute, settings.tokens_per_minute)
        self._budget = Budget(ledger, settings.token_cap, settings.money_cap, runner.noun)
        self._writer = LedgerWriter(ledger)
        self._endpoint = f"{settings.base_url} {self.model}"
        if recorded := ledger.find_dialect(self._endpoint):
            self.dialect = Dialect.from_json(recorded)
        self._client = Client(self._key, settings.timeout_seconds, settings.concurrency)
        await self._client.__aenter__()

    async def _attempt_all(self, runner: RequestRunner, batch: list[Any]) -> list[Outcome]:
        return await asyncio.gather(*(self._attempt(runner, request) for request in batch))

    async def _attempt(self, runner: RequestRunner, request: Any) -> Outcome:
        attempt, ledger = runner.attempt(request), runner.ledger
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

    def _wait_for_open_requests(self, seconds: float = math.inf) -> None:
        """Wait until all open requests have returned: they are paid for.

        At most so long, and STOP_SECONDS after an interrupt, which the runner sends several times.
        """
        deadline = time.monotonic() + seconds
        while self._open_requests and time.monotonic() < deadline:
            try:
                time.sleep(0.02)
            except KeyboardInterrupt:
                deadline = min(deadline, time.monotonic() + STOP_SECONDS)

    async def _request_with_retries(self, query: Query, ledger: Ledger) -> Reply:
        """Return the reply to a query, or why there is none after all attempts of this run."""
        attempts, cause, number = self.settings.request_attempts, "", 0
        while number < attempts:
            answer, dialect = await self._send(query)
            if not answer.cause and answer.status == 200:
                return self._accept(answer.body.decode(errors="replace"), query)
            error = self._read_error(answer)
            cause = answer.cause or f"HTTP {answer.status}: {error}"
            if await self._adapt(dialect, error, answer):
                continue
            if not self._may_retry(answer, error):
                reason = f"refused: {cause}{errors.explain_refusal(error)}"
                self._count_failure(f"requests in a row were refused, the last with {cause}")
                return {"failed": reason}
            number += 1
            if number < attempts and not errors.read_retry_after(answer.headers, error):
                wait = min(60.0, self.settings.backoff * 2 ** (number - 1))
                await asyncio.sleep(wait * random.uniform(0.5, 1))
        if not answer.sent and not self._has_reply:
            self._stop_run(f"{self.settings.base_url} cannot be reached: {cause}")
        self._count_failure(f"requests in a row brought no reply, the last because {cause}")
        return {"failed": f"no reply after {attempts} attempts: {cause}"}

    def _read_error(self, answer: Answer) -> ApiError:
        error = errors.read_error(answer.body) if answer.status else ApiError(answer.cause)
        return ApiError(*map(self._mask.hide, dataclasses.astuple(error)))

    def _accept(self, raw: str, query: Query) -> Reply:
        """Return a reply; stop the run if many in a row are unusable."""
        self._has_reply, self._without_reply = True, 0
        try:
            self._unreadable.count(raw, query.request)
        except TeacherStop as stop:
            self._stop_run(str(stop))
        return {"raw": raw}

    async def _adapt(self, used: Dialect, error: ApiError, answer: Answer) -> bool:
        """Change the form of requests if the error asks for it; return whether to send again."""
        if not answer.status or answer.status in (200, 401, 403, 429):
            return False
        adapted = used.adapt(error)
        if adapted is None:
            return False
        if self.dialect == used:  # else another request has changed it meanwhile
            self.dialect = adapted
            await self._writer.write(
                self._budget.ledger.record_dialect, self._endpoint, adapted.to_json()
            )
        return True

    def build_body(self, query: Query, dialect: Dialect) -> bytes:
        """Return the body of the request for a query, as JSON."""
        values = {
            "max_new_tokens": self.settings.max_new_tokens,
            "temperature": self.settings.temperature,
            "seed": int(query.key[:7], 16),
        }
        return dialect.build_body(self.model, query.messages, values)

    async def _send(self, query: Query) -> tuple[Answer, Dialect]:
        """Record an attempt, send it, record its reply; return it with the form of the request."""
        settings, ledger = self.settings, self._budget.ledger
        prices = (settings.price_in, settings.price_out)
        limit = BODY_BYTES + REPLY_BYTES_PER_TOKEN * settings.max_new_tokens
        reserved = attempt = 0
        may_be_billed = False
        try:
            async with self._slots:
                dialect = self.dialect
                body = self.build_body(query, dialect)
                # no token is shorter than a byte
                max_tokens = (len(body) + TEMPLATE_TOKENS, settings.max_new_tokens)
                money = (max_tokens[0] * prices[0] + max_tokens[1] * prices[1]) / 1e6
                reserved = await self._reserve(sum(max_tokens), money)
                row = (query.key, query.provenance, max_tokens, prices)
                attempt = await self._writer.write(ledger.record_attempt, *row)
                answer = await self._client.send("POST", self.url, body, limit)
                answer, status = _judge(answer)
                may_be_billed = status == cache.SILENT
                row = (attempt, query.key, status, answer.body)
                if status != 200:  # a pause or stop precedes the next use of this slot
                    await self._writer.write(ledger.record_reply, *row)
            if status == 200:
                await self._writer.write(ledger.record_reply, *row)
            return answer, dialect
        finally:
            if reserved:
                self._open_requests -= 1
                self._budget.close(reserved, attempt, may_be_billed)

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

    def _may_retry(self, answer: Answer, error: ApiError) -> bool:
        """Return whether a failure may pass. Raises TeacherStop if it concerns every request."""
        if reason := errors.explain_stop(answer.status, error, self.settings, answer.headers):
            self._stop_run(reason)
        if answer.status in (0, 200):
            return True
        if not errors.is_temporary(answer.status):
            return False
        if (wait := errors.read_retry_after(answer.headers, error)) > MAX_PAUSE:
            text = f"HTTP {answer.status}: {error}"
            self._stop_run(f"the endpoint asks to wait {wait:.0f} seconds ({text}); run again then")
        self._limiter.pause(wait)
        return True

    def _count_failure(self, reason: str) -> None:
        """Count a request without a reply; stop the run after MAX_IN_A_ROW in a row."""
        self._without_reply += 1
        if self._without_reply >= MAX_IN_A_ROW:
            self._stop_run(f"{self._without_reply} {reason}")

    def _stop_run(self, reason: str) -> None:
        self._stop = self._stop or TeacherStop(reason)
        raise self._stop


def _judge(answer: Answer) -> tuple[Answer, int]:
    """Return an answer with its cause, and the status for the ledger (see `cache`)."""
    if not answer.status:
        return answer, cache.SILENT if answer.sent else cache.UNSENT
    if not 200 <= answer.status < 300:
        return dataclasses.replace(answer, cause=""), answer.status
    name = f"HTTP {answer.status}"
    answer = dataclasses.replace(answer, status=200)
    if answer.cause:
        return answer, cache.CUT if answer.body else cache.SILENT
    text = answer.body.decode(errors="replace")
    if is_completion(text):
        return answer, 200
    is_error, error = errors.is_error(text), errors.read_error(answer.body)
    cause = f"{name}, but no chat completion: {error if text else 'an empty body'}"
    status = cache.NOT_A_COMPLETION if is_error else cache.CUT if text else cache.SILENT
    return dataclasses.replace(answer, cause=cause), status
