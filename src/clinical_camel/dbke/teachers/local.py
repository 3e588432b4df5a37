"""A language model on this machine as the teacher: batches of prompts, on any device."""

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from clinical_camel.dbke import checks
from clinical_camel.dbke.requests import Request
from clinical_camel.dbke.synthesis import Ask, Desk, Payload, Teacher, Verdict, advance
from clinical_camel.dbke.teachers.registry import Settings

CHUNK = 256  # requests that are pursued together


class LocalTeacher(Teacher):
    """An instruct model through `clinical_camel.models`; nothing leaves this machine.

    Each prompt draws from a generator of its own, and the batches of a chunk are the same whatever
    is known already: a run that was killed goes on to the same dialogues.
    """

    name = "local"
    prompted = True

    def __init__(self, settings: Settings) -> None:
        from clinical_camel import models  # here, not above: it takes seconds that others need not

        models.refuse_own_code(settings.model)  # or a name that is no model, before it is asked
        self.given, self.model = settings, settings.model

    @functools.cached_property
    def llm(self) -> Any:
        """The model (`models.LLM`), loaded when it is first asked: planning needs no weights."""
        from clinical_camel import models

        return models.load(self.model, {"teacher": ""}, self.given.quantize)["teacher"]

    @property
    def settings(self) -> dict[str, Any]:
        return {**self.given.sampling, "weights": self.llm.source}

    def settle(self, requests: Iterable[Request], desk: Desk) -> Iterator[Verdict]:
        remaining = iter(requests)
        while chunk := list(itertools.islice(remaining, CHUNK)):
            pursuits = [desk.pursue(request) for request in chunk]
            steps = [advance(pursuit) for pursuit in pursuits]
            while asked := [i for i, step in enumerate(steps) if isinstance(step, Ask)]:
                payloads = self._write([steps[i] for i in asked], desk.store)
                for i, payload in zip(asked, payloads, strict=True):
                    steps[i] = advance(pursuits[i], payload)
            yield from steps

    def _write(self, asks: Sequence[Ask], store: Any) -> list[Payload]:
        """The reply to each, or that its prompt is longer than the context."""
        from clinical_camel import models

        llm, given = self.llm, self.given
        prompts = [models.render_chat(llm.tokenizer, ask.messages) for ask in asks]
        room = llm.max_length - given.max_new_tokens
        fits = [i for i, p in enumerate(prompts) if len(models.encode(llm.tokenizer, p)) <= room]
        written = models.generate(
            llm,
            [prompts[i] for i in fits],
            max_new_tokens=given.max_new_tokens,
            token_budget=given.token_budget,
            seed=given.seed,
            skip={k for k, i in enumerate(fits) if asks[i].key in store.done},
            temperature=given.temperature,
        )
        for k, text, ended in written:
            ask = asks[fits[k]]
            store.append(ask.key, {"raw": checks.completion(text, ended), **ask.facts})
        long = {"failed": f"prompt is longer than the teacher's context ({llm.max_length} tokens)"}
        return [store.done[a.key] if i in set(fits) else long for i, a in enumerate(asks)]
