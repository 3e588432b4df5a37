"""An endpoint as the teacher: every reply recorded before it is parsed, retries, stops."""

import itertools
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pandas as pd
import pytest
from tests.support import toy_teacher
from tests.support.project import Memory
from tests.support.teacher_runs import (
    BILL,
    MONEY_CAP,
    REQUEST_ATTEMPTS,
    MixedServer,
    audit,
    count_lost,
    kill_runs,
    make_settings,
    plan_requests,
    run,
)
from tests.support.toy_dbke import UNUSABLE_REPLIES
from tests.support.toy_teacher import FORMS, HARMLESS, KEY, STOPPING, TEMPORARY, Server

from clinical_camel import dbke, teachers
from clinical_camel.core.paths import root
from clinical_camel.estimate import doctor
from clinical_camel.teachers.secrets import KEY_VARIABLE

ROOT = Path(__file__).parents[2]


def read_spending(file: Path) -> teachers.Spending:
    ledger = teachers.Ledger(file)
    spending = ledger.spending()
    ledger.close()
    return spending


@pytest.mark.parametrize("fault", TEMPORARY)
def test_a_passing_fault_costs_a_second_request_and_no_dialogue(fault, file):
    with Server(fault) as server:
        dialogues, reasons, stopped = run(file, 3, make_settings(server.base_url))
        assert audit(file, server, MONEY_CAP, REQUEST_ATTEMPTS) == (0, 0, 6)
        assert count_lost(file, server) == 0
    assert (len(dialogues), reasons, stopped) == (3, [], "")


@pytest.mark.parametrize("fault", HARMLESS)
def test_a_reply_in_another_form_is_read(fault, file):
    with Server(fault) as server:
        dialogues, reasons, stopped = run(file, 2, make_settings(server.base_url))
        assert (len(dialogues), reasons, stopped, server.requests) == (2, [], "", 2)


@pytest.mark.parametrize(
    "fault",
    [
        "cut at the token limit, still JSON",
        "the prompt comes back",
        "nested 200,000 deep",
        "reasoning without an answer",
        "turns of a million letters",
    ],
)
def test_a_reply_that_cannot_be_used_is_requested_again_with_the_reason(fault, file):
    with Server(fault) as server:
        dialogues, reasons, stopped = run(file, 3, make_settings(server.base_url))
        assert (len(dialogues), reasons, stopped, server.requests) == (3, [], "", 6)


@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_requests_is_agreed_once_and_remembered(form, file):
    with Server(form) as server:
        settings = make_settings(server.base_url, concurrency=1)
        dialogues, reasons, stopped = run(file, 3, settings)
        assert (len(dialogues), reasons, stopped) == (3, [], "")
        refused = server.requests - 3
        assert 1 <= refused <= 4
        more, _, _ = run(file, 5, settings)
        assert (len(more), server.requests) == (5, 5 + refused)


def test_what_the_endpoint_refuses_is_left_out_and_the_run_says_so(file):
    with Server("none of these") as server:
        settings = make_settings(server.base_url)
        teacher, ledger = dbke.load_teacher(settings.teacher), teachers.Ledger(file)
        list(dbke.Synthesizer(teacher, ledger, settings).run(plan_requests(1)))
        (message,) = server.bodies[-1].pop("messages")
        assert server.bodies[-1] == {"model": "toy", "max_completion_tokens": 1024}
        assert message["role"] == "user"
        assert message["content"].startswith("You write conversations")
        assert teacher.describe()["request_form"] == (
            "max_completion_tokens instead of max_tokens, no temperature, no seed, instructions"
            " inside the user's turn"
        )


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("500 for ever", "no reply after 3 attempts: HTTP 500: internal error"),
        (
            "400 for every prompt",
            "refused: HTTP 400: context length exceeded; lower context or max_new_tokens",
        ),
        ("the same dialogue for all", "an assistant sentence is not in the source"),
    ],
)
def test_a_fault_of_every_request_rejects_the_dialogue_with_its_reason(fault, reason, file):
    with Server(fault) as server:
        assert run(file, 3, make_settings(server.base_url)) == ([], [reason] * 3, "")


STOPS = {
    "401 that repeats the key": "the key in TEACHER_API_KEY was refused",
    "400 invalid key": "the key in TEACHER_API_KEY was refused",
    "404 unknown model": "has no model 'toy'",
    "404 no such path": "nothing answers at http://127.0.0.1:",
    "308 elsewhere": "redirects to https://elsewhere.example/v1; write the final address",
    "402 no money": "has no money left",
    "429 quota used up": "has no money left",
    "429 with Retry-After of a day": "asks to wait 86400 seconds",
}


@pytest.mark.parametrize("fault", STOPPING)
def test_a_fault_of_the_endpoint_stops_the_run_and_states_the_spending(fault, file):
    with Server(fault) as server:
        _, _, stopped = run(file, 9, make_settings(server.base_url))
    assert STOPS[fault] in stopped
    assert "ledger.sqlite contains 0 replies" in stopped
    assert KEY not in stopped
    assert KEY.encode() not in file.read_bytes()
    assert read_spending(file).tokens == 0


def test_no_request_follows_a_refusal_that_stops_the_run(file):
    with Server("401 that repeats the key") as server:
        run(file, 9, make_settings(server.base_url, concurrency=1))
        assert server.requests == 1


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("500 for ever", "20 requests in a row brought no reply, the last because HTTP 500"),
        ("400 for every prompt", "20 requests in a row were refused, the last with HTTP 400"),
        ("prose in place of JSON", "20 replies in a row contain no dialogue: reply is not a JSON"),
        ("roles human and gpt", "20 replies in a row contain no dialogue: its turns are not of"),
    ],
)
def test_an_endpoint_that_never_gives_a_usable_reply_stops_the_run(
    fault, message, file, monkeypatch
):
    content = json.dumps({"messages": [{"role": "human", "content": "Gout?"}]})
    roles = {"roles human and gpt": lambda prompt: toy_teacher.respond(content)}
    monkeypatch.setattr(toy_teacher, "FAULTS", toy_teacher.FAULTS | roles)
    settings = {"dialogue_attempts": 1, "backoff": 0.0}
    with Server(fault) as server:
        _, _, stopped = run(file, 40, make_settings(server.base_url, **settings))
    assert message in stopped


def test_no_reply_stops_the_run_if_any_share_of_accepted_dialogues_is_wanted(file):
    settings = {"dialogue_attempts": 1, "backoff": 0.0}
    with Server("prose in place of JSON") as server:
        settings = make_settings(server.base_url, **settings)
        settings = settings.model_copy(update={"min_acceptance_rate": 0.0})
        _, reasons, stopped = run(file, 40, settings)
    assert (len(reasons), stopped) == (40, "")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_an_endpoint_that_is_down_stops_the_run_costs_nothing_and_is_asked_again(file):
    url = f"http://127.0.0.1:{free_port()}/v1"
    dialogues, reasons, stopped = run(file, 12, make_settings(url, money_cap=0.03))
    assert (dialogues, reasons) == ([], [])
    assert f"{url} cannot be reached: no connection to 127.0.0.1:" in stopped
    assert "connection refused: no server listens there" in stopped
    assert read_spending(file) == teachers.Spending(attempts=0, replies=0, tokens=0, money=0.0)
    with Server() as server:
        assert len(run(file, 3, make_settings(server.base_url, money_cap=0.03))[0]) == 3


@pytest.mark.parametrize(
    "name", ["connection dropped before the reply", "slower than the time-out"]
)
def test_what_brought_no_reply_costs_nothing_once_the_run_has_ended(name, file):
    with Server(name) as server:
        assert len(run(file, 2, make_settings(server.base_url))[0]) == 2
        assert server.billed == 4
    assert read_spending(file).money == pytest.approx(2 * BILL)


def test_within_a_run_what_may_be_billed_counts_against_the_cap(file):
    with Server("slower than the time-out") as server:
        settings = make_settings(server.base_url, money_cap=0.0121, concurrency=1)
        _, _, stopped = run(file, 9, settings)
        assert "money_cap" in stopped
        assert server.billed * BILL <= 0.0121


def test_a_dialogue_that_got_no_reply_is_requested_again_by_the_next_run(file):
    with Server("500 for ever") as server:
        assert run(file, 3, make_settings(server.base_url))[1][0].startswith("no reply after 3")
        server.fault = ""
        dialogues, reasons, stopped = run(file, 3, make_settings(server.base_url))
    assert (len(dialogues), reasons, stopped) == (3, [], "")


def test_rejected_dialogues_are_requested_again_only_if_the_user_asks(file, monkeypatch):
    def synthesise(server):
        settings = make_settings(server.base_url)
        ledger, teacher = teachers.Ledger(file), dbke.load_teacher(settings.teacher)
        dialogues, *_ = dbke.synthesise(plan_requests(3), teacher, ledger, settings)
        ledger.close()
        return len(dialogues), server.requests

    with Server("the same dialogue for all") as server:
        assert synthesise(server) == (0, 6)
        server.fault = ""
        assert synthesise(server) == (0, 6)  # what a checked reply decided is final
        monkeypatch.setenv("CLINICAL_CAMEL_RETRY_FAILED", "1")
        assert synthesise(server) == (3, 9)
        monkeypatch.delenv("CLINICAL_CAMEL_RETRY_FAILED")
        assert synthesise(server) == (3, 9)  # the further round is recorded


@pytest.mark.parametrize(
    ("body", "cost"),
    [
        (b'{"choices": [' + b"[" * 200_000, None),  # damaged: counts with its maximum
        (b"<html>sign in</html>", 0),
        (b"", 0),
        (b'{"usage": {"prompt_tokens": 7, "completion_tokens": 3}, "error": "late"}', 30),
    ],
)
def test_a_body_that_is_no_completion_costs_only_what_it_states(body, cost, file, monkeypatch):
    with patch_fault(monkeypatch, body) as server:
        _, reasons, _ = run(file, 1, make_settings(server.base_url))
    assert reasons[0].startswith("no reply after 3 attempts: HTTP 200, but no chat completion")
    spent = read_spending(file).tokens
    assert spent == cost if cost is not None else spent > 3 * 1024


def patch_fault(monkeypatch, body: bytes, status: int = 200, **headers: str) -> Server:
    """A server that answers every request like this."""
    response = toy_teacher.Response(
        body, status, {k.replace("_", "-"): v for k, v in headers.items()}
    )
    monkeypatch.setitem(toy_teacher.FAULTS, "odd", lambda prompt: response)
    return Server("odd")


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (
            202,
            b'{"status": "queued"}',
            "no reply after 3 attempts: HTTP 202, but no chat completion",
        ),
        (204, b"", "no reply after 3 attempts: HTTP 204, but no chat completion: an empty body"),
        (400, b'{"error": "\\u001b[31mred\\u0007"}', "refused: HTTP 400: [31mred"),
    ],
)
def test_an_answer_without_a_reply_rejects_with_its_status(status, body, reason, file, monkeypatch):
    with patch_fault(monkeypatch, body, status) as server:
        _, reasons, _ = run(file, 1, make_settings(server.base_url))
    assert reasons[0].startswith(reason)


def test_a_completion_with_another_2xx_status_is_a_reply(file, monkeypatch):
    change = {"odd": lambda prompt: toy_teacher.Response(toy_teacher.good(prompt).body, 201)}
    monkeypatch.setattr(toy_teacher, "FAULTS", toy_teacher.FAULTS | change)
    with Server("odd") as server:
        assert len(run(file, 2, make_settings(server.base_url))[0]) == 2


def test_a_server_of_another_interface_stops_the_run_at_its_first_reply(file, monkeypatch):
    body = b'{"model": "x", "message": {"role": "assistant", "content": "Hi"}, "done": true}'
    with patch_fault(monkeypatch, body) as server:
        settings = make_settings(server.base_url.removesuffix("/v1"), concurrency=1)
        _, _, stopped = run(file, 3, settings)
        assert "speaks Ollama's own interface, not OpenAI's; most servers want /v1" in stopped
        assert server.requests == 1


@pytest.mark.parametrize("value", ["30, 60", "soon", "-5", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_pause_that_cannot_be_read_leaves_the_backoff(value, file, monkeypatch):
    with patch_fault(monkeypatch, b"slow down", 429, Retry_After=value) as server:
        started = time.monotonic()
        run(file, 1, make_settings(server.base_url, backoff=0.4))
    assert 0.6 <= time.monotonic() - started < 5  # at least half of 0.4 and of 0.8 s


def test_a_second_run_sends_nothing_and_gives_the_same_dialogues(file):
    with Server() as server:
        first = run(file, 5, make_settings(server.base_url))
        assert run(file, 5, make_settings(server.base_url)) == first
        assert server.requests == 5
        run(file, 5, make_settings(server.base_url, temperature=0.1))
        assert server.requests == 10  # other sampling, other replies


def test_the_order_of_dialogues_does_not_depend_on_the_order_of_replies(tmp_path):
    with Server() as server:
        settings = make_settings(server.base_url, concurrency=1)
        expected = run(tmp_path / "a.sqlite", 12, settings)
    with MixedServer(delay=0.01) as server:
        server.kinds = ["slower than the time-out", "500"]  # some late, some twice
        settings = make_settings(server.base_url, concurrency=12, timeout_seconds=9)
        mixed = run(tmp_path / "b.sqlite", 12, settings)
    assert mixed == expected
    assert len(expected[0]) == 12


def is_interrupt(ledger):
    return KeyboardInterrupt


def fill_disk(ledger):
    """The fifth reply cannot be recorded."""
    record, numbers = ledger.record_reply, itertools.count(1)

    def fail(*row):
        if next(numbers) == 5:
            raise sqlite3.OperationalError("database or disk is full")
        return record(*row)

    ledger.record_reply = fail
    return sqlite3.OperationalError


@pytest.mark.parametrize(("stop", "lost"), [(is_interrupt, 0), (fill_disk, 1)])
def test_a_run_that_is_stopped_waits_for_the_replies_that_are_open(stop, lost, file):
    with Server(delay=0.3) as server:
        settings = make_settings(server.base_url, timeout_seconds=9)
        ledger, teacher = teachers.Ledger(file), dbke.load_teacher(settings.teacher)
        synthesizer = dbke.Synthesizer(teacher, ledger, settings)
        outcomes = teacher.run_attempts(plan_requests(40), synthesizer)
        error = stop(ledger)
        next(outcomes)
        while server.requests < 6:
            time.sleep(0.01)
        with pytest.raises(error):
            outcomes.throw(error) if error is KeyboardInterrupt else list(outcomes)
        ledger.close()
        assert server.requests < 20
        assert read_spending(file).replies == server.requests - lost


def test_an_endpoint_needs_a_ledger():
    settings = make_settings("http://127.0.0.1:9/v1")
    teacher = dbke.load_teacher(settings.teacher)
    with pytest.raises(TypeError, match="needs a Ledger"):
        dbke.synthesise(plan_requests(1), teacher, Memory(), settings)


def test_an_endpoint_far_away_needs_a_key(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "")
    with pytest.raises(ValueError, match="a key in the environment as TEACHER_API_KEY"):
        dbke.load_teacher(make_settings("https://api.example.org/v1").teacher)


def test_a_killed_run_resumes_with_the_same_dialogues(tmp_path):
    total = kill_runs(2, tmp_path, count=40)
    assert (total["lost"], total["paid_twice"], total["over_cap"]) == (0, 0, 0)
    assert total["same"] == total["runs"]


def is_ready(port: str) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The address of `transformers serve` with the shipped base model, and its folder."""
    folder = tmp_path_factory.mktemp("hub")
    (folder / "hub").mkdir()
    model = str(root() / "src/clinical_camel/mini/base")
    port = str(free_port())
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", model]
    command += ["--host", "127.0.0.1", "--port", port, "--device", "cpu"]
    environment = {**os.environ, "HF_HOME": str(folder), "OMP_NUM_THREADS": "1"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 500  # imports take minutes on a busy machine
            while not is_ready(port):
                log_text = (folder / "log").read_text()[-2000:]
                assert process.poll() is None, log_text
                assert time.monotonic() < deadline, log_text
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}/v1", model
        finally:
            process.kill()
            process.wait()


def test_every_reply_of_a_real_server_is_recorded(served, file):
    base_url, model = served
    settings = make_settings(base_url, model=model, max_new_tokens=24, timeout_seconds=600)
    ledger, teacher = teachers.Ledger(file), dbke.load_teacher(settings.teacher)
    outcomes = list(dbke.Synthesizer(teacher, ledger, settings).run(plan_requests(3)))
    total = ledger.spending()
    assert (total.attempts, total.replies) == (6, 6)
    assert total.tokens > 6 * 1000  # as the server counts its prompts
    assert [o.result for o in outcomes] == [None] * 3  # expected of a million parameters
    assert {o.reason for o in outcomes} <= UNUSABLE_REPLIES


def test_the_doctor_tries_a_real_server(served):
    base_url, model = served
    finding, limits = doctor.check_teacher(make_settings(base_url, model=model).teacher)
    assert f"{base_url} answers" in finding.text  # in TIMEOUT, with 64 tokens of a tiny model
    assert finding.status in ("ok", "warning")
    assert limits.text == "money_cap 10.0, no token_cap"


def test_the_documented_rate_is_the_measured_one():
    rows = pd.read_csv(ROOT / "benchmarks/results/dbke_scale.csv").set_index("client")
    ours = rows.loc["ours (aiohttp)"]
    assert (ours["requests"], ours["share_of_bare"] >= 0.9) == (100_000, True)
    share, page = f"{ours['share_of_bare']:.2f}", (ROOT / "benchmarks/README.md").read_text()
    link = f"[{share} of the rate](../benchmarks/results/dbke_scale.csv)"
    assert link in (ROOT / "docs/teachers.md").read_text()
    assert f"{share} of the bare client's rate" in page
    growth = ours["peak_mb"] / ours["peak_mb_at_a_tenth"] - 1
    assert f"{100 * growth:.0f} % more memory" in page
