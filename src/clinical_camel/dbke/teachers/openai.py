"""Any endpoint that speaks OpenAI's chat completions as the teacher: hosted, vLLM, or on loopback.

Hundreds of requests are in flight; requests and tokens a minute are kept; nothing leaves before the
ledger has it, and no more leaves than the caps on attempts, tokens and money allow.
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
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import aiohttp

from clinical_camel.dbke.requests import Request
from clinical_camel.dbke.synthesis import Ask, Desk, Payload, Pursuit, Teacher, Verdict, advance
from clinical_camel.dbke.teachers.cache import Ledger
from clinical_camel.dbke.teachers.rate_limits import Budget, Pace, TeacherStop
from clinical_camel.dbke.teachers.registry import Settings

KEY = "TEACHER_API_KEY"  # the only place a key is read from; never another provider's variable
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
AHEAD = 4  # requests pursued for each one in flight: verdicts come in order, replies do not
BATCHES = 8  # that hold so many as are in flight: crossing to the loop's thread costs time
LONGEST_WAIT = 600.0  # seconds that an endpoint may ask us to wait before the run is ended
REFUSED_IN_A_ROW = 20
SLICE = 0.002  # seconds of prompts and checks, before what came in and goes out has its turn
TURN_TOKENS = 64  # at most, that a chat template adds to two turns
_NO_MODEL = re.compile(
    r"model.{0,80}(?:not|no |does|unknown|invalid|pinned)|pinned to", re.I | re.S
)
_NO_MONEY = re.compile(r"insufficient_quota|billing|payment|exceeded your current quota", re.I)


class Scribe:
    """Writes to a ledger from many requests in flight: what one turn of the loop writes is one
    transaction. What was awaited is on disk.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: list[asyncio.Future] = []

    async def begin(self, *attempt: Any) -> int:
        """`Ledger.begin`: nothing leaves before its attempt is on disk."""
        number = self._write(self._ledger.begin, attempt)
        await self._written()
        return number

    async def receive(self, *reply: Any) -> None:
        """`Ledger.receive`: a reply counts as received when this returns."""
        self._write(self._ledger.receive, reply)
        await self._written()

    def _write(self, write: Callable[..., Any], row: Sequence[Any]) -> Any:
        if not self._ledger.gathering:
            self._ledger.gather()
            asyncio.get_running_loop().call_soon(self._commit)  # after all that is ready now
        try:
            return write(*row)
        except Exception as error:
            if not self._ledger.gathering:  # SQLite took the others of this turn back as well
                self._tell(error)
            raise

    def _written(self) -> asyncio.Future:
        self._waiting.append(asyncio.get_running_loop().create_future())
        return self._waiting[-1]

    def _commit(self) -> None:
        if not self._ledger.gathering:
            return
        try:
            self._ledger.commit()
        except Exception as error:  # a full disk
            self._tell(error)
        else:
            self._tell(None)

    def _tell(self, wrong: Exception | None) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():  # else nobody waits any more
                future.set_exception(wrong) if wrong else future.set_result(None)


class OpenAITeacher(Teacher):
    """Asks `base_url`/chat/completions. Every body goes to the ledger as it came, then is parsed.

    Lost connections, time-outs and statuses 408, 409, 425, 429 and 5xx are asked for again, at most
    `attempts` times, earlier runs counted in; any other refusal sets the dialogue aside with what
    was said. A refused key, an unknown model and a cap end the run (TeacherStop), after what is in
    flight has come in.
    """

    name = "openai"
    prompted = True

    def __init__(self, settings: Settings) -> None:
        self.given, self.model = settings, settings.model
        self._key = os.environ.get(KEY, "")
        address = urllib.parse.urlsplit(settings.base_url)
        self.remote = address.hostname not in LOOPBACK
        if not settings.model or address.scheme not in ("http", "https"):
            raise ValueError("base_url, teacher_model: an address (https://host/v1) and a name")
        if self.remote and (address.scheme != "https" or not self._key):
            raise ValueError(f"base_url: needs https, and a key in the environment as {KEY}")

    @property
    def settings(self) -> dict[str, Any]:
        return self.given.sampling

    # ---------------------------------------------------------------- requests to verdicts

    def settle(self, requests: Iterable[Request], desk: Desk) -> Iterator[Verdict]:
        """Verdicts in order. The event loop has a thread of its own: a notebook's is in use."""
        if not isinstance(desk.store, Ledger):
            raise TypeError("an endpoint needs a Ledger: what is paid for is kept there first")
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        window: deque = deque()
        self._run(loop, self._open(desk.store)).result()
        try:
            remaining, size = iter(requests), -(-self.given.in_flight // BATCHES)
            while batch := list(itertools.islice(remaining, size)):
                window.append(self._run(loop, self._pursue_all(desk, batch)))
                if len(window) >= AHEAD * BATCHES:
                    yield from window.popleft().result()
            while window:
                yield from window.popleft().result()
        except TeacherStop as stop:
            self._run(loop, self._landed()).result()
            raise TeacherStop(self._kept(stop, desk.store)) from None
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
        given = self.given
        self._stop: TeacherStop | None = None
        self._refused = self._flying = 0
        self._slots = asyncio.Semaphore(given.in_flight)
        self._thinking, self._slice_ends = asyncio.Lock(), 0.0
        self._pace = Pace(given.requests_per_minute, given.tokens_per_minute)
        self._budget = Budget(ledger, given.token_cap, given.money_cap)
        self._scribe = Scribe(ledger)
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {self._key}"} if self._key else {}
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=given.timeout_seconds),
            connector=aiohttp.TCPConnector(limit=given.in_flight),
        )
        self._url = given.base_url.rstrip("/") + "/chat/completions"

    async def _pursue_all(self, desk: Desk, requests: Sequence[Request]) -> list[Verdict]:
        return await asyncio.gather(*(self._pursue(desk, request) for request in requests))

    async def _pursue(self, desk: Desk, request: Request) -> Verdict:
        pursuit = desk.pursue(request)
        step = await self._think(pursuit)
        while isinstance(step, Ask):
            payload = desk.store.done.get(step.key) or await self._reply(step, desk.store)
            step = await self._think(pursuit, payload)
        return step

    async def _think(self, pursuit: Pursuit, payload: Payload | None = None) -> Ask | Verdict:
        """`advance`, for SLICE seconds at a time: a slot that waits for the loop is not used."""
        async with self._thinking:
            step = advance(pursuit, payload)
            if time.monotonic() > self._slice_ends:
                await asyncio.sleep(0)
                self._slice_ends = time.monotonic() + SLICE
        return step

    async def _landed(self) -> None:
        """What is in flight is paid for: wait until it has come in."""
        while self._flying:
            await asyncio.sleep(0.02)

    def _kept(self, stop: TeacherStop, ledger: Ledger) -> str:
        spent = ledger.spent()
        return (
            f"{stop}. Kept in {ledger.file.name}: {spent.replies} replies of {spent.attempts} "
            f"attempts, {spent.tokens} tokens, {spent.money:.4f} in money; none is asked for again"
        )

    # ------------------------------------------------------------------- one ask, some sends

    async def _reply(self, ask: Ask, ledger: Ledger) -> Payload:
        """The reply to one ask, sent as often as that takes, or why there is none."""
        given, why = self.given, "no reply in earlier runs"
        body = self._body(ask)
        most = (len(body) + TURN_TOKENS, given.max_new_tokens)  # no token has less than a byte
        for sent in range(ledger.sends(ask.key), given.attempts):
            status, headers, reply = await self._send(ask, body, most)
            if status == 200:
                self._refused = 0
                return {"raw": reply.decode(errors="replace")}
            why = _told(status, reply)
            if status and not self._again(status, headers, why):
                return {"failed": f"refused: {why}"}
            if sent + 1 < given.attempts and "retry-after" not in headers:
                await asyncio.sleep(min(60.0, given.backoff * 2**sent) * random.uniform(0.5, 1))
        return {"failed": f"no reply after {given.attempts} attempts: {why}"}

    def _body(self, ask: Ask) -> bytes:
        given = self.given
        content = {
            "model": self.model,
            "messages": ask.messages,
            "max_tokens": given.max_new_tokens,
            "temperature": given.temperature,
            "seed": int(ask.key[:7], 16),
        }
        return json.dumps(content, ensure_ascii=False).encode(errors="replace")

    async def _send(self, ask: Ask, body: bytes, most: tuple[int, int]) -> tuple[int, Any, bytes]:
        """One attempt: in the ledger, out, back, in the ledger. Status 0: nothing whole came."""
        given = self.given
        prices, tokens = (given.price_in, given.price_out), sum(most)
        money = (most[0] * prices[0] + most[1] * prices[1]) / 1e6
        begun = attempt = 0
        try:
            async with self._slots:
                begun = await self._leave(tokens, money)
                attempt = await self._scribe.begin(ask.key, ask.facts, most, prices)
                async with self._session.post(
                    self._url, data=body, allow_redirects=False
                ) as response:
                    reply = self._masked(await response.read())
                row = (attempt, ask.key, response.status, reply)
                if response.status != 200:  # it may concern who waits for this slot: wait, or stop
                    await self._scribe.receive(*row)
            if response.status == 200:
                await self._scribe.receive(*row)
            return response.status, response.headers, reply
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return 0, {}, type(error).__name__.encode()
        finally:
            if begun:
                self._flying -= 1
                self._budget.ended(begun, attempt)

    async def _leave(self, tokens: int, money: float) -> int:
        """Wait until a request may leave; a number for `Budget.ended`."""
        await self._pace.turn(tokens)
        try:
            await self._budget.reserve(tokens, money)
        except TeacherStop as stop:
            self._stop = self._stop or stop
        if self._stop:
            raise self._stop
        self._flying += 1
        return self._budget.begun(tokens, money)

    def _masked(self, body: bytes) -> bytes:
        """A body without our key: some endpoints repeat it."""
        return body.replace(self._key.encode(), b"[key]") if self._key else body

    def _again(self, status: int, headers: Any, why: str) -> bool:
        """Whether an error may pass; TeacherStop if it will not, for any request."""
        if status in (401, 403):
            self._end(f"the key in {KEY} was refused ({why})")
        if status == 402 or (status == 429 and _NO_MONEY.search(why)):
            self._end(f"the account at the endpoint has no money left ({why})")
        if status in (400, 404) and (status == 404 or _NO_MODEL.search(why)):
            self._end(f"{self.given.base_url} has no model {self.model!r} ({why})")
        if status in (408, 409, 425, 429) or status >= 500:
            if (wait := _asked_to_wait(headers)) > LONGEST_WAIT:
                self._end(f"the endpoint asks to wait {wait:.0f} seconds ({why}); run again then")
            self._pace.pause(wait)
            return True
        self._refused += 1
        if self._refused >= REFUSED_IN_A_ROW:
            self._end(f"{self._refused} requests in a row were refused, the last with {why}")
        return False

    def _end(self, why: str) -> None:
        self._stop = self._stop or TeacherStop(why)
        raise self._stop


def _told(status: int, body: bytes) -> str:
    """What an error said, in a few words, on one line."""
    text = body.decode(errors="replace")
    try:
        error = json.loads(text)["error"]
        text = error.get("message", text) if isinstance(error, dict) else str(error)
        text = (
            f"{text} ({error['code']})" if isinstance(error, dict) and error.get("code") else text
        )
    except (ValueError, TypeError, LookupError, AttributeError):
        pass
    text = " ".join(str(text).split())[:120]
    return f"HTTP {status}: {text}" if status else text


def _asked_to_wait(headers: Any) -> float:
    """Seconds in Retry-After; a date there is read by the endpoint's own clock, not by ours."""
    text = headers.get("Retry-After", "")
    try:
        return max(0.0, float(text))
    except ValueError:
        until = email.utils.parsedate_tz(text)
    if not until:
        return 0.0
    sent = email.utils.parsedate_tz(headers.get("Date", ""))
    now = email.utils.mktime_tz(sent) if sent else time.time()
    return max(0.0, email.utils.mktime_tz(until) - now)
