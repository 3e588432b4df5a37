"""Requests whose reply has a schema: the last valid object counts."""

import json

import pytest
from pydantic import BaseModel, Field, field_validator
from tests.support.project import Memory

from clinical_camel.core.settings import RETRY_VARIABLE
from clinical_camel.teachers import StructuredRequest, Teacher, run_requests
from clinical_camel.teachers.completions import build_completion
from clinical_camel.teachers.structured import ReplyForm, StructuredRunner


class Dose(BaseModel):
    """How much of a drug."""

    drug: str
    mg: int = Field(le=1000)


FORM = ReplyForm("dose", Dose)
GOOD = '{"drug": "naproxen", "mg": 500}'
HIGH = '{"drug": "naproxen", "mg": 5000}'
TOO_HIGH = "mg: Input should be less than or equal to 1000"


class ScriptedModel(Teacher):
    """Returns the given texts in turn, then the last one again and again."""

    name, model, prompted = "scripted", "toy", True

    def __init__(self, *texts):
        self.texts, self.prompts = list(texts), []

    def fetch_reply(self, query, ledger):
        if query.key not in ledger.done:
            self.prompts.append(query.messages[-1]["content"])
            text = self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]
            raw = build_completion(text, complete=True)
            ledger.append(query.key, {"raw": raw, **query.provenance})
        return ledger.done[query.key]


def make_request(name="a", text="How much naproxen?"):
    return StructuredRequest(name, [{"role": "user", "content": text}])


def run(teacher, requests=None, journal=None, attempts=3):
    requests = requests or [make_request()]
    return run_requests(requests, teacher, journal or Memory(), FORM, attempts)


def test_the_prompt_states_the_schema_without_names_of_our_classes():
    teacher = ScriptedModel(GOOD)
    run(teacher)
    text, _, schema = teacher.prompts[0].partition("schema:\n")
    assert text.startswith("How much naproxen?\n\nReply with one JSON object")
    properties = {"drug": {"type": "string"}, "mg": {"maximum": 1000, "type": "integer"}}
    assert json.loads(schema) == {
        "type": "object",
        "properties": properties,
        "required": ["drug", "mg"],
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD, ""),
        (f"First {HIGH}, no: {GOOD} is right.", ""),
        (f"{HIGH} is high, {{so}}: ```json\n{GOOD}\n```", ""),
        (json.dumps(GOOD), ""),
        (HIGH, f"reply is not a JSON dose ({TOO_HIGH})"),
        (
            '{"drug": "naproxen", "mg": "many"}',
            "reply is not a JSON dose (mg: Input should be a valid integer, unable to parse string"
            " as an integer)",
        ),
        (
            "[1]",
            "reply is not a JSON dose (Input should be a valid dictionary or instance of Dose)",
        ),
        ("{" * 50_000, "reply is not a JSON dose (JSONDecodeError)"),
    ],
)
def test_a_reply_is_accepted_or_has_a_reason(text, reason):
    (outcome,) = run(ScriptedModel(text), attempts=1)
    assert outcome.reason == reason
    assert (outcome.result is None) == bool(reason)


def test_the_next_prompt_states_the_reasons_so_no_prompt_is_sent_twice():
    teacher = ScriptedModel(HIGH, "None.", HIGH, GOOD)
    (outcome,) = run(teacher, attempts=4)
    assert outcome.result == Dose(drug="naproxen", mg=500)
    one, two = (f"reply is not a JSON dose ({why})" for why in (TOO_HIGH, "JSONDecodeError"))
    stated = [
        prompt.partition("Reasons: ")[2].partition(". Avoid")[0] for prompt in teacher.prompts
    ]
    assert stated == ["", one, f"{one}; {two}", f"{one}; {two}; {one}"]


def test_a_schema_that_fails_on_a_reply_rejects_it_and_stops_nothing():
    class Broken(Dose):
        @field_validator("mg")
        @classmethod
        def fail(cls, value):
            raise KeyError

    runner = StructuredRunner(ScriptedModel(GOOD), Memory(), ReplyForm("dose", Broken))
    query = runner.build_query(make_request(), [])
    raw = build_completion(GOOD, complete=True)
    assert runner.check_reply(raw, query) == (None, "reply cannot be checked (KeyError)")


def test_retry_failed_adds_one_round_under_other_keys(monkeypatch):
    journal, teacher = Memory(), ScriptedModel(HIGH)
    run(teacher, journal=journal, attempts=2)
    run(teacher, journal=journal, attempts=2)
    assert len(teacher.prompts) == 2
    monkeypatch.setenv(RETRY_VARIABLE, "1")
    teacher.texts = [GOOD]
    (outcome,) = run(teacher, journal=journal, attempts=2)
    assert (outcome.reason, len(teacher.prompts)) == ("", 3)


def test_without_requests_nothing_starts():
    assert run_requests([], None, None, FORM) == []


def test_two_requests_with_one_id_are_named():
    with pytest.raises(ValueError, match="two requests have the id 'a'"):
        run(ScriptedModel(GOOD), [make_request(), make_request(text="Other?")])
