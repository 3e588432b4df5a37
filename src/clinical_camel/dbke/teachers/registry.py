"""The teachers by name, and what they are given."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from clinical_camel import data
from clinical_camel.dbke.synthesis import Ask, Payload, Teacher
from clinical_camel.dbke.teachers.cache import Ledger
from clinical_camel.dbke.teachers.extractive import ExtractiveTeacher


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a teacher may be told; each uses what concerns it.

    Prices are for a million tokens, in whatever money `money_cap` is in. 0 means no limit, but a
    `money_cap` of 0.0 lets nothing be spent.
    """

    model: str = ""
    quantize: str = ""
    base_url: str = ""
    recorded: str = ""
    temperature: float = 0.7
    max_new_tokens: int = 1024
    context: int = 8192
    token_budget: int = 8192
    in_flight: int = 16
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    attempts: int = 5
    timeout_seconds: float = 600.0
    backoff: float = 1.0
    price_in: float = 0.0
    price_out: float = 0.0
    token_cap: int = 0
    money_cap: float = 0.0
    seed: int = 0

    @property
    def sampling(self) -> dict[str, Any]:
        """What a language model's reply depends on beside model and prompt."""
        names = ("temperature", "max_new_tokens", "seed")
        return {name: getattr(self, name) for name in names}


def settings_of(params: Mapping[str, Any]) -> Settings:
    """What the params of step 01 tell a teacher."""
    named = {"model": params["teacher_model"], "context": params["teacher_context"]}
    given = {**params, **named}
    return Settings(**{f.name: given[f.name] for f in fields(Settings) if f.name in given})


class ReplayTeacher(Teacher):
    """Replies from a recorded ledger, by the prompt that they answered: no model, no network."""

    name = "replay"
    prompted = True

    def __init__(self, settings: Settings) -> None:
        file = data.root() / settings.recorded
        if not settings.recorded or not file.is_file():
            raise ValueError(
                f"recorded: {settings.recorded or 'nothing'} is no ledger; name a file"
            )
        self.model, self._file = settings.recorded, file

    @functools.cached_property
    def _ledger(self) -> Ledger:
        return Ledger(self._file)

    @functools.cached_property
    def _attempts(self) -> dict[str, int]:
        return self._ledger.recorded()

    def reply(self, ask: Ask, store: Any) -> Payload:
        attempt = self._attempts.get(ask.facts["prompt"])
        if attempt is None:
            return {"failed": "the recorded ledger has no reply to this prompt"}
        return {"raw": self._ledger.body(attempt)}


def _openai(settings: Settings) -> Teacher:
    from clinical_camel.dbke.teachers.openai import OpenAITeacher  # aiohttp, where it is needed

    return OpenAITeacher(settings)


def _local(settings: Settings) -> Teacher:
    from clinical_camel.dbke.teachers.local import LocalTeacher

    return LocalTeacher(settings)


TEACHERS: dict[str, Callable[[Settings], Teacher]] = {
    "extractive": lambda settings: ExtractiveTeacher(),
    "openai": _openai,
    "local": _local,
    "replay": ReplayTeacher,
}


LANGUAGE_MODELS = ("openai", "local")  # the others ask nobody, and cost nothing


def load_teacher(name: str, settings: Settings = Settings()) -> Teacher:  # noqa: B008, it is frozen
    """The teacher of that name; ValueError names the choices, or what it lacks."""
    if name not in TEACHERS:
        raise ValueError(f"teacher: {name!r} is not one of {', '.join(TEACHERS)}")
    return TEACHERS[name](settings)


def room(teacher: Teacher, settings: Settings) -> int:
    """Tokens that an article may have beside the prompt and the reply; 0 for any."""
    return prompt_room(settings) if teacher.prompted else 0


def prompt_room(settings: Settings) -> int:
    """The same for a language model: the prompt without its article has about a thousand tokens.

    They are counted as `requests.CHARACTERS` says.
    """
    return max(256, settings.context - settings.max_new_tokens - 1500)
