"""A language model on this machine as the teacher."""

import pytest
from tests.support.teacher_runs import plan_requests
from tests.support.toy_dbke import UNUSABLE_REPLIES

from clinical_camel import dbke, teachers


def build_synthesizer(file, min_acceptance_rate=0.5, **values):
    local = dbke.Local(model="mini", terms="own", **values)
    settings = dbke.Synthesis(teacher=local, language="", min_acceptance_rate=min_acceptance_rate)
    return dbke.Synthesizer(dbke.load_teacher(local), teachers.Ledger(file), settings)


def test_a_model_on_this_machine_writes_each_reply_once(file):
    synthesizer = build_synthesizer(file, max_new_tokens=16, dialogue_attempts=2)
    outcomes = list(synthesizer.run(plan_requests(3)))
    assert [o.result for o in outcomes] == [None] * 3  # expected of a million parameters
    assert {o.reason for o in outcomes} <= UNUSABLE_REPLIES
    expected = teachers.Spending(attempts=6, replies=6, tokens=0, money=0.0)
    assert synthesizer.ledger.spending() == expected
    assert list(synthesizer.run(plan_requests(3))) == outcomes
    assert synthesizer.ledger.spending() == expected


def test_a_prompt_that_exceeds_the_context_length_is_rejected(file):
    synthesizer = build_synthesizer(file, max_new_tokens=4090)
    (outcome,) = synthesizer.run(plan_requests(1))
    assert outcome.reason == "prompt is longer than the teacher's context (4096 tokens)"


def test_a_useless_teacher_is_stopped_unless_any_yield_is_wanted(file):
    values = {"max_new_tokens": 2, "dialogue_attempts": 1}
    requests = plan_requests(22)
    synthesizer = build_synthesizer(file, **values)
    with pytest.raises(teachers.TeacherStop, match="20 replies in a row contain no dialogue"):
        list(synthesizer.run(requests))
    synthesizer = build_synthesizer(file, min_acceptance_rate=0.0, **values)
    assert len(list(synthesizer.run(requests))) == 22
    assert synthesizer.ledger.spending().replies == 22  # those before the stop included
