"""An article on gout, an exam question, and a teacher that returns given replies."""

import json

from tests.support.project import Memory, make_messages

from clinical_camel import dbke, teachers
from clinical_camel.data import Article, Question, Section

GOUT = Article(
    id="gout",
    title="gout",
    licence="CC0",
    sections=[
        Section(heading="Symptoms", text="Gout hurts. The big toe swells. It comes at night."),
        Section(
            heading="Treatment", text="Naproxen helps the attack. Allopurinol later prevents it."
        ),
        Section(heading="History", text="Kings had it once."),
    ],
)
QUESTION = Question(
    id="q1", question="What prevents gout?", options=["naproxen", "allopurinol"], answer=1
)
UNSUPPORTED_QUESTION = Question(
    id="q2", question="Which planet?", options=["Mars", "Venus"], answer=0
)
PREVENTION = Question(
    id="q",
    question="Which drug prevents further attacks of gout?",
    options=["naproxen", "allopurinol", "aspirin"],
    answer=1,
)
PREVENTION_KEY = "Allopurinol prevents further attacks of gout."


class ScriptedTeacher(teachers.Teacher):
    """Returns the given replies in turn, then the last one again and again."""

    name = "scripted"

    def __init__(self, *replies: str) -> None:
        self.replies, self.calls = list(replies), 0

    def write_reply(self, request: dbke.Request) -> str:
        self.calls += 1
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


def write_json(*turns: str) -> str:
    """A raw reply in which user and assistant speak in turn."""
    return json.dumps({"messages": make_messages(*turns)})


def plan_requests(questions=(), dialogues=2, exchanges=3, **more) -> list[dbke.Request]:
    return dbke.plan_requests([GOUT], questions, dialogues, exchanges, seed=0, **more)


def synthesise(requests, teacher=None, journal=None, **settings):
    """Return dialogues and rejected requests; in memory, any language, by default extractive."""
    settings = dbke.Synthesis(**{"language": "", **settings})
    journal = Memory() if journal is None else journal
    return dbke.synthesise(requests, teacher or dbke.ExtractiveTeacher(), journal, settings)[:2]


# Rejection reasons of the shipped base model, which is too small to write JSON.
UNUSABLE_REPLIES = {
    "reply was cut at the token limit",
    "reply is not a JSON dialogue (JSONDecodeError)",
    "reply is empty",
}
