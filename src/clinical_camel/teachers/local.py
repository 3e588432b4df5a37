"""A language model on this machine as the teacher: batches of prompts, on any device."""

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from clinical_camel import models
from clinical_camel.teachers.attempts import RequestRunner
from clinical_camel.teachers.completions import build_completion
from clinical_camel.teachers.rate_limits import UnreadableReplies
from clinical_camel.teachers.settings import Local
from clinical_camel.teachers.teacher import Outcome, Query, Reply, Teacher, advance

CHUNK = 256  # requests whose queries are batched together


class LocalTeacher(Teacher):
    """An instruct model through `clinical_camel.models`; no text leaves this machine.

    Each prompt has its own random generator, and the batches of a chunk do not depend on which
    replies are in the ledger. A killed run therefore resumes with the same dialogues.
    """

    name = "local"
    prompted = True

    def __init__(self, settings: Local, seed: int) -> None:
        models.require_no_remote_code(settings.model)
        self.settings, self.seed = settings, seed
        self.model, self.terms = settings.model, settings.terms

    @functools.cached_property
    def llm(self) -> Any:
        """The model (`models.LLM`), loaded for the first query: planning needs no weights."""
        return models.load(self.model, {"teacher": ""}, self.settings.quantize)["teacher"]

    @property
    def sampling(self) -> dict[str, Any]:
        return {**self.settings.sampling(self.seed), "weights": self.llm.source}

    def run_attempts(self, requests: Iterable[Any], runner: RequestRunner) -> Iterator[Outcome]:
        self._unreadable = UnreadableReplies(runner)
        remaining = iter(requests)
        while chunk := list(itertools.islice(remaining, CHUNK)):
            attempts = [runner.attempt(request) for request in chunk]
            steps = [advance(attempt) for attempt in attempts]
            while waiting := [i for i, step in enumerate(steps) if isinstance(step, Query)]:
                for number in sorted({steps[i].round for i in waiting}):
                    chosen = [i for i in waiting if steps[i].round == number]
                    self._generate([steps[i] for i in chosen], runner.ledger, number)
                for i in waiting:
                    steps[i] = advance(attempts[i], self._read(steps[i], runner.ledger))
            yield from steps

    def _read(self, query: Query, ledger: Any) -> Reply:
        """Return the reply to a query, or that its prompt exceeds the context length."""
        if query.key in ledger.done:
            return ledger.done[query.key]
        return {
            "failed": f"prompt is longer than the teacher's context ({self.llm.max_length} tokens)"
        }

    def _generate(self, queries: Sequence[Query], ledger: Any, number: int) -> None:
        """Record the replies to the queries of one round, except to prompts that are too long."""
        llm, settings = self.llm, self.settings
        prompts = [models.render_chat(llm.tokenizer, query.messages) for query in queries]
        sizes = [len(models.tokenize_text(llm.tokenizer, prompt)) for prompt in prompts]
        fitting = [i for i, n in enumerate(sizes) if n <= llm.max_length - settings.max_new_tokens]
        generated = models.generate(
            llm,
            [prompts[i] for i in fitting],
            models.Decoding(settings.max_new_tokens, settings.temperature),
            token_budget=settings.token_budget,
            seed=self.seed + number,  # a further round has the same prompts
            skip={k for k, i in enumerate(fitting) if queries[i].key in ledger.done},
        )
        for k, text, complete in generated:
            query = queries[fitting[k]]
            raw = build_completion(text, complete)
            ledger.append(query.key, {"raw": raw, **query.provenance})
            self._unreadable.count(raw, query.request)
