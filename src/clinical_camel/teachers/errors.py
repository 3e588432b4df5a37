"""What an endpoint's error says, and what follows from it: retry, stop the run, or reject.

Servers agree on no shape. Ours reads those of OpenAI, Azure, OpenRouter, vLLM, llama.cpp, Ollama,
TGI, Google, FastAPI (a list of fields) and HTML pages of proxies.
"""

import contextlib
import email.utils
import html
import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clinical_camel.teachers.injection import clean

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
    r"|access to (?:the )?model|pinned to|model\b.{0,100}?(?:deprecated|only supported in)"
    r"|not a chat model"
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
_OTHER_REQUEST = re.compile(
    r"missing field \W?(?:inputs|prompt)\b|^(?:inputs|prompt): field required", re.IGNORECASE
)
# Fields that only a reply in another form than OpenAI's has: whose form it is.
_FORMS = {
    ("done", "message"): "Ollama's own interface",
    ("done", "response"): "Ollama's own interface",
    ("generated_text",): "TGI's own interface",
    ("content", "stop"): "llama.cpp's own interface",
    ("content", "stop_reason"): "Anthropic's own interface",
    ("candidates",): "Google's own interface",
}
_FLAGGED = re.compile(r"moderation|flagged|content[_ ](?:filter|policy)|safety", re.IGNORECASE)
_TOO_LONG = re.compile(
    r"context (?:length|window|size)|maximum (?:context|sequence|input)|too many tokens"
    r"|reduce the length|exceeds? the (?:available )?context|inputs tokens",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ApiError:
    """The error in a body: its message on one line, its code, and the field that it names.

    `interface` names the interface of which the body is a reply, if it is no chat completion.
    `wait`: for how long to wait, as the message says at any place, such as "7.5s".
    """

    message: str
    code: str = ""
    param: str = ""
    interface: str = ""
    wait: str = ""

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
    message, code, param, interface = "", "", "", ""
    with contextlib.suppress(ValueError, RecursionError):
        content = _load(text)
        message, code, interface = _find_message(content), _find(content, "code"), _name(content)
        param = _find(content, "param") or _find_place(content)
    if not message and _HTML.search(text[:2000]):
        title = re.search(r"<title[^>]*>(.*?)</title>", text[:20_000], re.IGNORECASE | re.DOTALL)
        message = f"an HTML page{': ' + html.unescape(title[1]) if title else ''}"
    message = message or text
    return ApiError(shorten(message), shorten(code), shorten(param), interface, _find_wait(message))


def _find_wait(message: str) -> str:
    """Return the time after which a message asks to try again, with short units; "" for none."""
    text = " ".join(message[: 20 * CHARACTERS].split())
    text = _UNIT.sub(lambda unit: unit[1][0], text)
    wait = re.search(r"(?:try again|retry) (?:in|after) ([\d.hms]+)", text, re.IGNORECASE)
    return wait[1].rstrip(".") if wait else ""


def _load(text: str) -> Any:
    """Load a body; of a stream of events, the first with an error; of JSON lines, the first."""
    events = (line[5:] for line in text.splitlines() if line.startswith("data:"))
    text = next((event for event in events if '"error"' in event), text).strip()
    return json.loads(text.partition("\n{")[0] if "}\n{" in text else text)


def _name(content: Any) -> str:
    """Return the interface in whose own form a reply is; "" for a chat completion or an error."""
    first = content[0] if isinstance(content, list) and content else content
    fields = set(first) if isinstance(first, dict) else set()
    return next((name for form, name in _FORMS.items() if fields.issuperset(form)), "")


def is_error(text: str) -> bool:
    """Return whether a body is JSON, an event with an error, or an HTML page.

    Anything else may be a damaged reply.

    >>> is_error('data: {"error": "busy"}'), is_error('{"choices": [')
    (True, False)
    """
    with contextlib.suppress(ValueError, RecursionError):
        _load(text.lstrip("\ufeff"))
        return True
    return bool(_HTML.search(text[:2000]))


def shorten(text: str) -> str:
    """Return a text on one line, without control characters, at most CHARACTERS long."""
    text = " ".join(clean(text[: 20 * CHARACTERS].replace("\n", " ")).split())
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


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects in nested errors, the outermost first."""
    if isinstance(value, dict):
        yield value
        value = [value.get(name) for name in _FIELDS]
    else:
        value = value[:3] if isinstance(value, list) else ()
    for item in value:
        yield from _walk(item)


def _find(value: Any, name: str) -> str:
    """Return the text or number of this name in nested errors; "" if there is none."""
    values = (part.get(name) for part in _walk(value))
    return next((str(v) for v in values if v and isinstance(v, str | int)), "")


def _find_place(value: Any) -> str:
    """Return the last name of FastAPI's `loc`: the field that it refuses."""
    places = (part["loc"] for part in _walk(value) if isinstance(part.get("loc"), list))
    return next((name for place in places for name in place[::-1] if isinstance(name, str)), "")


def is_temporary(status: int) -> bool:
    """Return whether an error of this status may pass: it is retried, in later runs as well."""
    return status in TEMPORARY or (status >= 500 and status != 501)  # not implemented


def explain_stop(status: int, error: ApiError, settings: Any, headers: Mapping[str, str]) -> str:
    """Return why no request can succeed after this error; "" if another request may.

    `settings` are those of the teacher (`OpenAI`).
    """
    text, url = f"HTTP {status}: {error}", settings.base_url.rstrip("/")
    full = f"{error.message} {error.code}"
    if (
        status == 402
        or (status in (403, 429) and _NO_MONEY.search(full))
        or (status == 400 and _NO_BALANCE.search(full))  # of an article, "payment" may be a word
    ):
        return f"the account at the endpoint has no money left ({text})"
    if status in (400, 403, 404, 410, 422) and _NO_MODEL.search(full):
        return f"{url} has no model {settings.model!r} for this key ({text})"
    if status == 403 and _FLAGGED.search(full):
        return ""
    if status == 403 and _NO_ENTRY.search(full):
        return f"{url} lets nobody in from this network; try another, or ask its owner ({text})"
    if status in (401, 403) or (status == 400 and _NO_KEY.search(full)):
        return f"the key in TEACHER_API_KEY was refused by {url} ({text})"
    if status in (404, 405, 410):
        return f"nothing answers at {url}/chat/completions; {_suggest_address(url)} ({text})"
    if status == 200 and error.interface:
        return f"{url} speaks {error.interface}, not OpenAI's; {_suggest_address(url)}"
    if status in (400, 422) and _OTHER_REQUEST.search(full):
        return f"{url} does not speak OpenAI's interface; {_suggest_address(url)} ({text})"
    if 300 <= status < 400:
        place = shorten(headers.get("Location", "").removesuffix("/chat/completions"))
        place = place or "another address"
        return f"{url} redirects to {place}; write the final address as base_url"
    return ""


def _suggest_address(url: str) -> str:
    """Return what to try in place of an address without chat completions."""
    if url.endswith("/v1"):
        return "check the address"
    ollama = f" (Ollama: {url.removesuffix('/api')}/v1)" if url.endswith("/api") else ""
    return f"most servers want /v1 at its end{ollama}"


def explain_refusal(error: ApiError) -> str:
    """Return the end of a message on a refused request: what to change, or ""."""
    if _TOO_LONG.search(error.message):
        return "; lower context or max_new_tokens"
    return ""


def read_retry_after(headers: Mapping[str, str], error: ApiError | None = None) -> float:
    """Return for how many seconds the endpoint asks to wait; 0.0 if it does not say.

    Forms: seconds, `1m30s`, `PT90S`, a date (compared with the endpoint's own clock),
    retry-after-ms, and "try again in 7.5s" or "retry after 7 seconds" in the message. An absurd
    value counts as none.
    """
    text = _UNIT.sub(lambda unit: unit[1][0], headers.get("Retry-After", "").strip())
    if milliseconds := headers.get("retry-after-ms", "").strip():
        text = f"{milliseconds}ms"
    for candidate in (text, error.wait if error else ""):
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
    units = r"(?:PT)?(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s)?(?:([\d.]+)ms)?"
    if parts := re.fullmatch(units, text, re.IGNORECASE):
        factors = (3600, 60, 1, 0.001)
        return sum(float(p) * f for p, f in zip(parts.groups(), factors, strict=True) if p)
    if end := email.utils.parsedate_tz(text):
        date = email.utils.parsedate_tz(headers.get("Date", ""))
        now = email.utils.mktime_tz(date) if date else time.time()
        return email.utils.mktime_tz(end) - now
    return float(text)
