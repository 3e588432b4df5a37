"""Step 01: some requests to the teacher; of an endpoint that is paid, one."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

from clinical_camel import dbke
from clinical_camel.rehearse.intervals import forecast_part
from clinical_camel.rehearse.record import Part
from clinical_camel.rehearse.task import Task

RULES = 2000  # requests to rules or to recorded replies that are always run: seconds
PROMPT = 1000  # tokens of a prompt: assumed, to size one batch


def replace_prepare(task: Task, prepare: Callable[[Any], dbke.Plan]) -> Callable[[Any], dbke.Plan]:
    """Return the function that takes the place of `dbke.prepare`: it plans fewer requests."""

    def replaced(settings: dbke.Synthesis) -> dbke.Plan:
        plan = prepare(settings)
        requests = choose_requests(plan.requests, settings.teacher)
        task.facts["requests"] = max(len(plan.requests), task.facts.get("rows", 0))
        return dataclasses.replace(plan, requests=requests)

    return replaced


def choose_requests(requests: list[Any], teacher: Any) -> list[Any]:
    """Return the requests to rehearse: one for an endpoint, a batch for a model on this machine."""
    count = RULES
    if isinstance(teacher, dbke.OpenAI):
        count = 1
    elif isinstance(teacher, dbke.Local):
        prompt = min(PROMPT, teacher.context - teacher.max_new_tokens)
        count = max(1, teacher.token_budget // (prompt + teacher.max_new_tokens))
    return requests[:: max(1, -(-len(requests) // count))]


def replace_synthesise(task: Task, synthesise: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that takes the place of `dbke.synthesise`; it is timed."""

    def replaced(requests: list[Any], teacher: Any, ledger: Any, settings: dbke.Synthesis) -> Any:
        with task.replace():
            start = time.monotonic()
            result = synthesise(requests, teacher, ledger, settings)
            took, total = time.monotonic() - start, task.facts["requests"]
            task.measured.parts.append(_forecast(took, len(requests), total, settings.teacher))
        return result

    return replaced


def _forecast(took: float, done: int, total: int, teacher: Any) -> Part:
    """Return the time of all requests; an endpoint gets `concurrency` of them at a time."""
    if not isinstance(teacher, dbke.OpenAI):
        return forecast_part("dialogues", "requests", [took], total, done)
    at_once = min(teacher.concurrency, total) or 1
    seconds = took * total / at_once
    if teacher.requests_per_minute:
        seconds = max(seconds, 60 * total / teacher.requests_per_minute)
    return Part("dialogues", "requests", done, total, took, seconds, seconds / 2, 2 * seconds)
