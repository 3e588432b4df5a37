"""What an endpoint's error says, and what follows from it: retry, stop the run, or reject.

Servers agree on no shape. Ours reads those of OpenAI, Azure, OpenRouter, vLLM, llama.cpp, Ollama,
TGI, Google, FastAPI (a list of fields) and HTML pages of proxies.
"""

import email.utils
import html
import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clinical_camel.dbke import injection

_UNIT = re.compile(r"(?<=\d)\s*(hour|minute|min|second|sec)s?\b", re.IGNORECASE)
CHARACTERS = 160  # longest message that is quoted
TEMPORARY = (408, 409, 425, 429)  # and every 5xx
_FIELDS = ("error", "message", "detail", "msg", "errors", "error_message", "title", "reason")
_HTML = re.compile(r"<html|<!doctype", re.IGNORECASE)
_NO_KEY = re.compile(
    r"(?:api|access|auth)\W?(?:entication)?\W?(?:key|token).{0,40}"
    r"(?:not valid|invalid|incorrect|expired|missing|required|revoked)"
    r"|(?:invalid|incorrect|missing|expired|no|not provide an?|n't provide an?)"
    r" (?:x-)?(?:api|access|auth)\w*[ _-]?(?:key|token)"
    r"|unauthori[sz]ed|invalid_api_key",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"(?:model|deployment)\b.{0,100}?(?:not found|(?:does not|doesn't|not) exist|not available"
    r"|not (?:been )?(?:loaded|served|supported for)|is (?:unknown|invalid|not a valid)|unknown"
    r"|pinned)"
    r"|(?:invalid|unknown|no such|unsupported|could not find|not a valid) model"
    r"|model \S+ is not supported(?: by| on| here|\.|$)|no (?:endpoints found|allowed providers)"
    r"|access to (?:the )?model|pinned to"
    r"|model_not_found|deploymentnotfound",
    re.IGNORECASE | re.DOTALL,
)
_NO_MONEY = re.compile(
    r"insufficient[_ ](?:quota|credit|balance|funds)|billing|payment|exceeded your current quota"
    r"|out of credits",
    re.IGNORECASE,
)
_NO_BALANCE = re.compile(r"balance is (?:too low|insufficient)|insufficient balance", re.IGNORECASE)
_NO_ENTRY = re.compile(r"country|\bregion\b|territory|^an HTML page", re.IGNORECASE)
_FLAGGED = re.compile(r"moderation|flagged|content[_ ](?:filter|policy)|safety", re.IGNORECASE)
_TOO_LONG = re.compile(
    r"context (?:length|window|size)|maximum (?:context|sequence|input)|too many tokens"
    r"|reduce the length|exceeds? the (?:available )?context|inputs tokens",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ApiError:
    """The error in a body: its message on one line, its code, and the field that it names."""

    message: str
    code: str = ""
    param: str = ""

    def __str__(self) -> str:
        code = self.code if self.code and self.code not in self.message else ""
        return f"{self.message} ({code})" if code and not code.isdecimal() else self.message


def read_error(body: bytes) -> ApiError:
    """Return the error in a body of any shape.

    >>> str(read_error(b'{"object": "error", "message": {"detail": [{"msg": "No seed"}]}}'))
    'No seed'
    >>> str(read_error(b"<html><title>502 Bad Gateway</title></html>"))
    'an HTML page: 502 Bad Gateway'
    """
    text = body.decode(errors="replace").lstrip("\ufeff")
    try:
        content = _load(text)
        message, code, param = _find_message(content), _find(content, "code"), ""
        param = _find(content, "param") or _find_place(content)
    except (ValueError, RecursionError):
        message, code, param = "", "", ""
    if not message and _HTML.search(text[:2000]):
        title = re.search(r"<title[^>]*>(.*?)</title>", text[:20_000], re.IGNORECASE | re.DOTALL)
        message = f"an HTML page{': ' + html.unescape(title[1]) if title else ''}"
    return ApiError(shorten(message or text), shorten(code), shorten(param))


def _load(text: str) -> Any:
    """Load a body; of a stream of events, the first one with an error. Raises ValueError."""
    events = re.findall(r'^data:\s*(\{.*"error".*\})\s*$', text, re.MULTILINE)
    return json.loads(events[0] if events else text)


def is_error(text: str) -> bool:
    """Return whether a body is JSON, an event with an error, or an HTML page.

    Anything else may be a damaged reply.

    >>> is_error('data: {"error": "busy"}'), is_error('{"choices": [')
    (True, False)
    """
    try:
        _load(text.lstrip("\ufeff"))
    except (ValueError, RecursionError):
        return bool(_HTML.search(text[:2000]))
    return True


def shorten(text: str) -> str:
    """Return a text on one line, without control characters, at most CHARACTERS long."""
    text = " ".join(injection.clean(text[: 20 * CHARACTERS].replace("\n", " ")).split())
    return text if len(text) <= CHARACTERS else text[: CHARACTERS - 3] + "..."


def _find_message(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "; ".join(filter(None, map(_find_message, value[:3])))
    if not isinstance(value, dict):
        return ""
    texts = (_find_message(value[name]) for name in _FIELDS if value.get(name))
    message = next(filter(None, texts), "")
    place = _find_place(value) if "loc" in value else ""
    return f"{place}: {message}" if place and message else message


def _find(value: Any, name: str) -> str:
    """Return the text or number of this name in nested errors; "" if there is none."""
    if isinstance(value, list):
        return next(filter(None, (_find(item, name) for item in value[:3])), "")
    if not isinstance(value, dict):
        return ""
    if isinstance(value.get(name), str | int) and value[name]:
        return str(value[name])
    return next(filter(None, (_find(value.get(field), name) for field in _FIELDS)), "")


def _find_place(value: Any) -> str:
    """Return the last name of FastAPI's `loc`: the field that it refuses."""
    if isinstance(value, list):
        return next(filter(None, map(_find_place, value[:3])), "")
    if not isinstance(value, dict):
        return ""
    if isinstance(value.get("loc"), list):
        return next((str(part) for part in reversed(value["loc"]) if isinstance(part, str)), "")
    return next(filter(None, (_find_place(value.get(field)) for field in _FIELDS)), "")


def is_temporary(status: int) -> bool:
    """Return whether an error of this status may pass: it is retried, in later runs as well."""
    return status in TEMPORARY or status >= 500


def explain_stop(status: int, error: ApiError, settings: Any, headers: Mapping[str, str]) -> str:
    """Return why no request can succeed after this error; "" if another request may.

    `settings` are those of the teacher (`OpenAI`).
    """
    text, url = f"HTTP {status}: {error}", settings.base_url
    full = f"{error.message} {error.code}"
    if (
        status == 402
        or (status in (403, 429) and _NO_MONEY.search(full))
        or (status == 400 and _NO_BALANCE.search(full))  # of an article, "payment" may be a word
    ):
        return f"the account at the endpoint has no money left ({text})"
    if status in (400, 403, 404, 422) and _NO_MODEL.search(full):
        return f"{url} has no model {settings.model!r} for this key ({text})"
    if status == 403 and _FLAGGED.search(full):
        return ""
    if status == 403 and _NO_ENTRY.search(full):
        return f"{url} lets nobody in from this network; try another, or ask its owner ({text})"
    if status in (401, 403) or (status == 400 and _NO_KEY.search(full)):
        return f"the key in TEACHER_API_KEY was refused by {url} ({text})"
    if status in (404, 405, 410):
        remedy = "check the address" if url.rstrip("/").endswith("/v1") else "most servers want "
        remedy += "" if url.rstrip("/").endswith("/v1") else "/v1 at its end"
        return f"nothing answers at {url.rstrip('/')}/chat/completions; {remedy} ({text})"
    if 300 <= status < 400:
        place = shorten(headers.get("Location", "")) or "another address"
        return f"{url} redirects to {place}; write the final address as base_url"
    return ""


def explain_refusal(error: ApiError) -> str:
    """Return the end of a message on a refused request: what to change, or ""."""
    if _TOO_LONG.search(error.message):
        return "; lower context or max_new_tokens"
    return ""


def read_retry_after(headers: Mapping[str, str], error: ApiError | None = None) -> float:
    """Return for how many seconds the endpoint asks to wait; 0.0 if it does not say.

    Forms: seconds, `1m30s`, a date (compared with the endpoint's own clock), retry-after-ms, and
    "try again in 7.5s" or "retry after 7 seconds" in the message. An absurd value counts as none.
    """
    text = _UNIT.sub(lambda unit: unit[1][0], headers.get("Retry-After", "").strip())
    message = _UNIT.sub(lambda unit: unit[1][0], error.message if error else "")
    in_text = re.search(r"(?:try again|retry) (?:in|after) ([\d.hms]+)", message, re.IGNORECASE)
    if milliseconds := headers.get("retry-after-ms", "").strip():
        text = f"{milliseconds}ms"
    for candidate in (text, in_text[1].rstrip(".") if in_text else ""):
        try:
            seconds = _read_duration(candidate, headers)
        except (ValueError, OverflowError, TypeError):
            continue
        if math.isfinite(seconds) and 0 < seconds < 10 * 366 * 86400:
            return seconds
    return 0.0


def _read_duration(text: str, headers: Mapping[str, str]) -> float:
    if not text:
        return 0.0
    if parts := re.fullmatch(r"(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s)?(?:([\d.]+)ms)?", text):
        factors = (3600, 60, 1, 0.001)
        return sum(float(p) * f for p, f in zip(parts.groups(), factors, strict=True) if p)
    if end := email.utils.parsedate_tz(text):
        date = email.utils.parsedate_tz(headers.get("Date", ""))
        now = email.utils.mktime_tz(date) if date else time.time()
        return email.utils.mktime_tz(end) - now
    return float(text)
