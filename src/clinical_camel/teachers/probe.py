"""Try an endpoint with one request, as `doctor` does: the client and the form of a run."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass

from clinical_camel.data import Message
from clinical_camel.teachers import errors
from clinical_camel.teachers.client import Answer, Client
from clinical_camel.teachers.completions import CUT, is_completion
from clinical_camel.teachers.dialect import Dialect
from clinical_camel.teachers.secrets import Mask, read_key
from clinical_camel.teachers.settings import OpenAI

SECONDS = 30.0  # longest wait for the reply: a server may first load its model
TOKENS = 64  # of the reply, which may be cut
MOST_FORMS = 8  # of requests that are tried


@dataclass(frozen=True, slots=True)
class Probe:
    """What the trial showed. `status`: ok, warning or problem; `text`: one sentence."""

    status: str
    text: str


@dataclass(frozen=True, slots=True)
class Trial:
    """A small request of a task, which asks for a `noun`.

    `read` returns the text of a raw reply, and why it contains no `noun`; "" if it does.
    """

    noun: str
    messages: list[Message]
    read: Callable[[str], tuple[str, str]]


def probe_endpoint(settings: OpenAI, trial: Trial) -> Probe:
    """Send one request with a reply of at most TOKENS tokens; return whether a run would succeed.

    With prices and a money_cap of 0.0 nothing may be spent: then only the list of models is read.
    """
    without_money = (settings.price_in or settings.price_out) and not settings.money_cap
    probe = asyncio.run(_probe_models(settings) if without_money else _probe_chat(settings, trial))
    return Probe(probe.status, Mask(read_key()).hide(probe.text))


async def _probe_models(settings: OpenAI) -> Probe:
    url = settings.base_url
    async with Client(read_key(), SECONDS) as client:
        answer = await client.send("GET", url.rstrip("/") + "/models")
    if failure := _explain(settings, answer):
        return failure
    try:
        models = [str(entry["id"]) for entry in json.loads(answer.body)["data"]]
    except (ValueError, TypeError, LookupError, RecursionError):
        models = []
    if settings.model in models:
        return Probe("ok", f"{url} lists {settings.model}; money_cap 0.0: no request was tried")
    listed = errors.shorten(", ".join(models[:6])) or "none"
    return Probe("warning", f"{url} does not list {settings.model}; it lists: {listed}")


async def _probe_chat(settings: OpenAI, trial: Trial) -> Probe:
    dialect, url = Dialect(), settings.base_url
    values = {"max_new_tokens": TOKENS, "temperature": settings.temperature, "seed": 0}
    async with Client(read_key(), SECONDS) as client:
        for _ in range(MOST_FORMS):
            body = dialect.build_body(settings.model, trial.messages, values)
            answer = await client.send("POST", url.rstrip("/") + "/chat/completions", body)
            error = errors.read_error(answer.body)
            adapted = dialect.adapt(error) if answer.status not in (0, 200, 401, 403) else None
            if adapted is None:
                break
            dialect = adapted
    if failure := _explain(settings, answer):
        return failure
    raw = answer.body.decode(errors="replace")
    if not is_completion(raw):
        text = str(error) or "an empty body"
        return Probe("problem", f"{url} answers, but not with a chat completion ({text})")
    form = f"; requests with {dialect.describe()}" if dialect.describe() else ""
    _, reason = trial.read(raw)
    if reason and reason != CUT:
        return Probe("warning", f"{url} answers, but not with a {trial.noun}: {reason}{form}")
    return Probe("ok", f"{url} answers as {settings.model}{form}")


def _explain(settings: OpenAI, answer: Answer) -> Probe | None:
    """Return what is wrong with an answer; None for a complete one with HTTP 200."""
    url, error = settings.base_url, errors.read_error(answer.body)
    if not answer.sent:
        return Probe("problem", f"{url} cannot be reached: {answer.cause}")
    if answer.cause and answer.status in (0, 200):
        return Probe("warning", f"{url}: {answer.cause}")
    if reason := errors.explain_stop(answer.status, error, settings, answer.headers):
        return Probe("problem", reason)
    if 200 <= answer.status < 300:
        return None
    text = f"HTTP {answer.status}: {error}"
    if errors.is_temporary(answer.status):
        return Probe("warning", f"{url} is not ready ({text}); try again later")
    return Probe("problem", f"{url} refuses a request ({text})")
