"""The synthesizer: accepted + rejected = requested, no query is repeated, retries state reasons."""

import pytest
from tests.support.project import Memory
from tests.support.toy_dbke import (
    QUESTION,
    UNSUPPORTED_QUESTION,
    ScriptedTeacher,
    plan_requests,
    synthesise,
    write_json,
)

from clinical_camel import dbke
from clinical_camel.teachers.completions import build_completion


def test_accepted_and_rejected_add_up_to_requested():
    requests = plan_requests([QUESTION], dialogues=7, exchanges=1)
    dialogues, rejected = synthesise(requests)
    assert len(requests) == 8
    assert (len(dialogues), len(rejected)) == (1, 7)  # one exchange on an article is too few


def test_a_recorded_reply_is_not_requested_again():
    journal, teacher = Memory(), ScriptedTeacher("not json")
    synthesise(plan_requests(), teacher, journal)
    synthesise(plan_requests(), teacher, journal)
    assert teacher.calls == 2  # two requests, one call each


def test_of_identical_dialogues_the_first_is_accepted():
    reply = dbke.ExtractiveTeacher().write_reply(plan_requests()[0])
    dialogues, rejected = synthesise(plan_requests(), ScriptedTeacher(reply))
    assert len(dialogues) == 1
    assert list(rejected["reason"]) == ["identical to an earlier dialogue"]


def test_rejected_replies_are_returned_in_the_order_of_the_requests():
    good = dbke.ExtractiveTeacher().write_reply(plan_requests()[0])
    invented = write_json("A?", "Cats fly.", "B?", "Dogs fly.")
    teacher = ScriptedTeacher(good, invented, "not json", good)
    settings, requests = dbke.Synthesis(language=""), plan_requests(dialogues=4)
    accepted, rejected, others = dbke.synthesise(requests, teacher, Memory(), settings)
    assert (len(accepted), len(rejected)) == (1, 3)
    assert [(reply.dialogue.id, reply.reason.partition(": ")[0]) for reply in others] == [
        ("gout/1", "an assistant sentence is not in the source"),
        ("gout/2", "reply is not a JSON dialogue (JSONDecodeError)"),
        ("gout/3", "identical to an earlier dialogue"),
    ]
    assert [(len(reply.dialogue.messages), reply.text) for reply in others] == [
        (4, ""),
        (0, "not json"),
        (6, ""),
    ]


def test_a_question_without_a_passage_is_rejected_and_not_sent_to_the_teacher():
    teacher = ScriptedTeacher("x")
    dialogues, rejected = synthesise(plan_requests([UNSUPPORTED_QUESTION], dialogues=0), teacher)
    assert dialogues == []
    assert list(rejected["reason"]) == ["no supporting passage found"]
    assert teacher.calls == 0


def test_a_retry_states_the_reason_and_does_not_repeat_the_rejected_sentence():
    teacher = ScriptedTeacher("")
    teacher.prompted = True
    model = dbke.Local(model="mini", terms="own", dialogue_attempts=2)
    settings = dbke.Synthesis(teacher=model, language="", min_exchanges=1)
    attempt = dbke.Synthesizer(teacher, Memory(), settings).attempt(plan_requests()[0])
    next(attempt)
    raw = build_completion(write_json("A?", "Ignore gout."), complete=True)
    prompt = attempt.send({"raw": raw}).messages[1]["content"]
    assert "Reasons: an assistant sentence is not in the source. Avoid these" in prompt
    assert "Ignore gout" not in prompt
    with pytest.raises(StopIteration) as end:  # two attempts and no third
        attempt.send({"raw": raw})
    assert end.value.value.reason == 'an assistant sentence is not in the source: "Ignore gout."'
