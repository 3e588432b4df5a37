"""Dialogues rehearsed: one request to an endpoint, a batch for a model, all for rules."""

from pathlib import Path

import pytest
from tests.support.teacher_runs import BILL, make_settings
from tests.support.toy_teacher import KEY, Server

from clinical_camel import dbke
from clinical_camel.rehearse import dialogues
from clinical_camel.rehearse.record import Measured
from clinical_camel.rehearse.task import Task
from clinical_camel.teachers import Ledger
from clinical_camel.teachers.rate_limits import TeacherStop
from clinical_camel.teachers.secrets import KEY_VARIABLE

ENDPOINT = {"terms": "permitted", "model": "m", "base_url": "http://localhost/v1"}
ENDPOINT |= {"money_cap": 1.0, "price_in": 1.0, "concurrency": 10}


def endpoint(**changes) -> dbke.OpenAI:
    terms = next(iter(dbke.OpenAI.model_fields["terms"].annotation.__args__))
    return dbke.OpenAI(**ENDPOINT | {"terms": terms} | changes)


def test_an_endpoint_gets_one_request_and_a_model_here_one_batch():
    requests = list(range(1000))
    assert dialogues.choose_requests(requests, endpoint()) == [0]
    assert dialogues.choose_requests(requests, dbke.Extractive()) == requests
    local = dbke.Local(terms=endpoint().terms, model="mini", token_budget=10_000)
    assert len(dialogues.choose_requests(requests, local)) == 4
    assert len(dialogues.choose_requests(list(range(9000)), dbke.Extractive())) <= dialogues.RULES


def test_requests_to_an_endpoint_are_sent_at_once_within_its_limit():
    part = dialogues._forecast(6.0, 1, 500, endpoint())
    assert part.seconds == pytest.approx(6 * 500 / 10)
    assert (part.low, part.high) == (part.seconds / 2, part.seconds * 2)
    slow = dialogues._forecast(6.0, 1, 500, endpoint(requests_per_minute=5))
    assert slow.seconds == pytest.approx(6000)


def test_the_notebook_plans_and_times_the_chosen_requests(tmp_path):
    task = Task("01_dbke", 5.0, str(tmp_path / "measured.json"), {"rows": 0})
    task.measured = Measured("01_dbke")
    prepare = dialogues.replace_prepare(task, dbke.prepare)
    plan = prepare(dbke.Synthesis())
    synthesise = dialogues.replace_synthesise(task, lambda requests, *_: len(requests))
    assert synthesise(plan.requests, plan.teacher, None, dbke.Synthesis()) == len(plan.requests)
    (part,) = task.measured.parts
    assert part.total == part.done == len(plan.requests) > 100


def rehearse(server: Server, file: Path, **teacher) -> Measured:
    """Step 01 as notebook 01 computes it, rehearsed against the toy endpoint."""
    settings = make_settings(server.base_url, **teacher)
    task = Task("01_dbke", 5.0, str(file.with_name("measured.json")), {"rows": 0})
    task.measured = Measured("01_dbke")
    plan = dialogues.replace_prepare(task, dbke.prepare)(settings)
    ledger = Ledger(file)
    synthesise = dialogues.replace_synthesise(task, dbke.synthesise)
    try:
        synthesise(plan.requests, plan.teacher, ledger, settings)
    finally:
        ledger.close()
    return task.measured


def test_a_rehearsal_pays_for_one_reply_and_for_none_beyond_the_cap(tmp_path, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with Server() as server:
        (part,) = rehearse(server, tmp_path / "ledger.sqlite").parts
        assert (part.done, part.total) == (1, 442)
        assert server.billed == 1
        rehearse(server, tmp_path / "ledger.sqlite")
        assert server.billed == 1  # its reply is in the ledger
        with pytest.raises(TeacherStop, match="money_cap"):
            rehearse(server, tmp_path / "other.sqlite", money_cap=BILL / 100)
        assert server.billed == 1
