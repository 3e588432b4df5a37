"""Run the requests of step 01 through a teacher: prompts, checks, and the dialogues that pass."""

import functools
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from tqdm import tqdm

from clinical_camel.core.settings import RETRY_VARIABLE
from clinical_camel.data import Dialogue, Message
from clinical_camel.dbke import checks, licences, prompt, replies
from clinical_camel.dbke.requests import Request, hash_requests
from clinical_camel.dbke.settings import Synthesis
from clinical_camel.teachers import injection
from clinical_camel.teachers.attempts import RequestRunner, hash_texts
from clinical_camel.teachers.completions import read_completion, read_text
from clinical_camel.teachers.teacher import Outcome, Query, Teacher

REJECTED = ["id", "source", "reason"]
NO_TEXT = "article has no text"
IDENTICAL = "identical to an earlier dialogue"
CHARACTERS_PER_TOKEN = 32  # no text is longer than so many characters per token


@dataclass(frozen=True, slots=True)
class RejectedReply:
    """A reply that was rejected; without a readable dialogue, `dialogue` has no messages."""

    dialogue: Dialogue  # its id is that of the request
    reason: str
    text: str = ""  # of a reply without a readable dialogue


@dataclass(frozen=True, slots=True)
class Synthesizer(RequestRunner):
    """Runs requests through a teacher, checks the replies and retries rejected dialogues.

    The `result` of an outcome is a `Dialogue`. See `RequestRunner` for `retry_failed`; the number
    of attempts in a round is `dialogue_attempts`.
    """

    teacher: Teacher
    ledger: Any  # `Ledger` or `runs.Journal`: `done` (key -> reply) and `append(key, reply)`
    settings: Synthesis
    retry_failed: bool = False
    rejected_replies: list[RejectedReply] = field(default_factory=list)  # of this run
    _repeated: set[tuple[str, int]] = field(default_factory=set)  # rounds that this run added

    def run(self, requests: Iterable[Request]) -> Iterator[Outcome]:
        """Yield the outcome of each request, in their order.

        Of identical dialogues the first is accepted. Only a hash of each stays in memory.
        """
        seen: set[bytes] = set()
        for outcome in self.teacher.run_attempts(requests, self):
            if outcome.result:
                content = json.dumps(outcome.result.messages)
                digest = hashlib.blake2b(content.encode(), digest_size=12).digest()
                if digest in seen:
                    self.rejected_replies.append(RejectedReply(outcome.result, IDENTICAL))
                    outcome = Outcome(outcome.request, None, IDENTICAL)
                seen.add(digest)
            yield outcome

    @property
    def noun(self) -> str:
        return self.settings.task

    @property
    def reply_attempts(self) -> int:
        return self.settings.teacher.dialogue_attempts

    @property
    def stops_if_unreadable(self) -> bool:
        return self.settings.min_acceptance_rate > 0  # else all replies are wanted

    def check_request(self, request: Request) -> str:
        """Return why a request must not go to the teacher; "" if it may."""
        if request.question:
            texts, reason = request.passages, "" if request.passages else checks.NO_PASSAGE
        else:
            sections = request.article.sections
            texts = [request.article.title, *(t for s in sections for t in (s.heading, s.text))]
            reason = licences.check_licence(request.article.licence)
            reason = reason or ("" if request.source_text.strip() else NO_TEXT)
        injected = "" if reason else _find_injection("\n".join(texts))
        return f"article {injected}" if injected else reason

    def build_messages(self, request: Request, reasons: Sequence[str]) -> list[Message]:
        return prompt.build_messages(request, reasons, self.settings.support)

    def hash_request(self, request: Request) -> tuple[str, str]:
        return hash_texts(request.source_text), hash_requests([request])

    def read_reply(self, raw: str, request: Request) -> tuple[str, str]:
        return replies.read_dialogue_text(raw, request.task)

    def record_rejected(
        self, request: Request, result: Dialogue | None, reason: str, raw: str
    ) -> None:
        text = "" if result else read_text(raw)
        dialogue = result or Dialogue(id=request.id, source=request.source, messages=[])
        self.rejected_replies.append(RejectedReply(dialogue, reason, text))

    def describe_rejection(self, reason: str) -> str:
        return checks.strip_quote(reason)

    def check_reply(self, raw: str, query: Query) -> tuple[Dialogue | None, str]:
        """Return the dialogue of a raw reply and its rejection reason; "" if it is accepted.

        A reply that makes the checks fail is rejected as well: it stays in the ledger, so an
        exception here would stop every later run.
        """
        try:
            return self._check_reply(raw, query)
        except Exception as error:  # of any kind: a reply is foreign input
            return None, f"reply cannot be checked ({type(error).__name__})"

    def _check_reply(self, raw: str, query: Query) -> tuple[Dialogue | None, str]:
        if self.teacher.prompted:
            raw, reason = read_completion(raw, replies.START)
            if reason:
                return None, reason
        dialogue, reason = replies.parse_reply(raw, query.request)
        if reason:
            return None, reason
        longest = CHARACTERS_PER_TOKEN * getattr(self.settings.teacher, "max_new_tokens", 10**9)
        if sum(len(message["content"]) for message in dialogue.messages) > longest:
            return None, "reply is longer than max_new_tokens allows"
        reason = checks.check_dialogue(dialogue, query.request, self.settings)
        return dialogue, reason or checks.check_echo(dialogue, query.request, query.messages)


_find_injection = functools.lru_cache(maxsize=64)(injection.find_injection)  # once per article


def synthesise(
    requests: Iterable[Request], teacher: Teacher, ledger: Any, settings: Synthesis
) -> tuple[list[Dialogue], pd.DataFrame, list[RejectedReply]]:
    """Return all dialogues that pass the checks, and a table (REJECTED) of the other requests.

    The third value has every rejected reply, in the order of the requests: of a retried request
    several, of a request without a reply none.

    `ledger` (`Ledger` or `runs.Journal`) stores each raw reply before it is parsed, so a resumed
    run repeats no query. With RETRY_VARIABLE in the environment, rejected dialogues are requested
    again (see `Synthesizer`). Raises TeacherStop if the run cannot continue with this endpoint.
    """
    dialogues, rejected, order = [], [], {}
    retry_failed = os.environ.get(RETRY_VARIABLE, "") == "1"
    synthesizer = Synthesizer(teacher, ledger, settings, retry_failed)
    total = len(requests) if hasattr(requests, "__len__") else None
    name = f"{teacher.name} teacher"
    outcomes = synthesizer.run(requests)
    for outcome in tqdm(outcomes, total=total, desc=name, unit="dialogue", file=sys.stdout):
        order[outcome.request.id] = len(order)
        if outcome.result:
            dialogues.append(outcome.result)
        else:
            rejected.append((outcome.request.id, outcome.request.source, outcome.reason))
    others = sorted(synthesizer.rejected_replies, key=lambda reply: order[reply.dialogue.id])
    return dialogues, pd.DataFrame(rejected, columns=REJECTED), others
