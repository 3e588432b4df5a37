"""The recorded replies of an earlier run as the teacher: no model, no network."""

import functools
from typing import Any

from clinical_camel.core.paths import root
from clinical_camel.dbke.synthesis import Query, Reply, Teacher
from clinical_camel.dbke.teachers.cache import Ledger
from clinical_camel.dbke.teachers.settings import Replay


class ReplayTeacher(Teacher):
    """Replies from a recorded ledger, by the prompt that they answered."""

    name = "replay"
    prompted = True

    def __init__(self, settings: Replay) -> None:
        self._file = root() / settings.ledger
        if not self._file.is_file():
            raise ValueError(f"teacher.ledger: {settings.ledger} is not a file; name a ledger")
        self.settings, self.model, self.terms = settings, settings.ledger, settings.terms

    @functools.cached_property
    def _replies(self) -> tuple[Ledger, dict[str, int]]:
        """The ledger, opened for the first query, and the attempt that answered each prompt."""
        ledger = Ledger(self._file)
        return ledger, ledger.list_answered_prompts()

    def fetch_reply(self, query: Query, ledger: Any) -> Reply:
        recorded, attempts = self._replies
        attempt = attempts.get(query.provenance["prompt"])
        if attempt is None:
            return {"failed": "the recorded ledger has no reply to this prompt"}
        return {"raw": recorded.read_body(attempt)}
