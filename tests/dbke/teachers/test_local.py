"""A language model on this machine as the teacher."""

from tests.support.teacher_runs import plan_requests
from tests.support.toy_dbke import UNUSABLE_REPLIES

from clinical_camel import dbke


def build_synthesizer(file, **values):
    local = dbke.Local(model="mini", terms="own", **values)
    settings = dbke.Synthesis(teacher=local, language="")
    return dbke.Synthesizer(dbke.load_teacher(local), dbke.Ledger(file), settings)


def test_a_model_on_this_machine_writes_each_reply_once(file):
    synthesizer = build_synthesizer(file, max_new_tokens=16, dialogue_attempts=2)
    outcomes = list(synthesizer.run(plan_requests(3)))
    assert [o.dialogue for o in outcomes] == [None] * 3  # expected of a million parameters
    assert {o.reason for o in outcomes} <= UNUSABLE_REPLIES
    expected = dbke.Spending(attempts=6, replies=6, tokens=0, money=0.0)
    assert synthesizer.ledger.spending() == expected
    assert list(synthesizer.run(plan_requests(3))) == outcomes
    assert synthesizer.ledger.spending() == expected


def test_a_prompt_that_exceeds_the_context_length_is_rejected(file):
    synthesizer = build_synthesizer(file, max_new_tokens=4090)
    (outcome,) = synthesizer.run(plan_requests(1))
    assert outcome.reason == "prompt is longer than the teacher's context (4096 tokens)"
