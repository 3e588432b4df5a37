"""Teachers that are language models: asked once, kept before they are read, within their caps."""

import asyncio
import dataclasses
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from drills import teacher as teacher_drill
from drills.teacher import articles, run, settings
from tests.support import toy_teacher
from tests.support.toy_teacher import KEY, Server

from clinical_camel import data, dbke
from clinical_camel.data import Article, Section
from clinical_camel.dbke import licences, requests
from clinical_camel.dbke.teachers import openai
from clinical_camel.estimate import doctor
from clinical_camel.runner.jobs import load_job

ROOT = Path(__file__).parents[3]
LONG = Article(
    id="long",
    title="gout",
    licence="CC BY 4.0",
    sections=[
        Section(
            heading=f"Part {i}", text=" ".join([f"Sentence {i}.{j} is here." for j in range(9)])
        )
        for i in range(6)
    ],
)


MINI_REASONS = {
    "reply was cut at the token limit",
    "reply is not a JSON dialogue (JSONDecodeError)",
    "reply is empty",
}


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv(openai.KEY, KEY)


def plan(count=3):
    return dbke.plan_requests(articles(count), [], 1, 5, seed=0)


# ------------------------------------------------------------------------------ the ledger


def test_a_ledger_takes_nothing_back(tmp_path):
    ledger = dbke.Ledger(tmp_path / "l.sqlite")
    ledger.append("k", {"raw": "{}"})
    ledger.close()
    with sqlite3.connect(tmp_path / "l.sqlite") as db:
        for change in ("DELETE FROM replies", "UPDATE attempts SET price_in = 0"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute(change)


def test_an_attempt_without_a_reply_counts_with_the_most_it_can_cost(tmp_path):
    ledger = dbke.Ledger(tmp_path / "l.sqlite")
    ledger.begin("k", {}, (1000, 500), (2.0, 4.0))
    assert ledger.spent() == dbke.Spent(attempts=1, replies=0, tokens=1500, money=0.004)
    attempt = ledger.begin("j", {}, (1000, 500), (2.0, 4.0))
    usage = {"prompt_tokens": 10, "completion_tokens": 20}
    ledger.receive(attempt, "j", 200, json.dumps({"usage": usage}).encode())
    assert ledger.spent().tokens == 1530


def test_a_second_process_is_not_let_into_a_ledger(tmp_path):
    ledger = dbke.Ledger(tmp_path / "l.sqlite")
    ledger.append("k", {"raw": "{}"})
    code = f"from clinical_camel.dbke import Ledger; Ledger({str(tmp_path / 'l.sqlite')!r})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "l.sqlite is in use by another process" in found.stderr


def test_the_same_process_takes_its_own_ledger_over(tmp_path):
    dbke.Ledger(tmp_path / "l.sqlite").append("k", {"raw": "{}"})
    again = dbke.Ledger(tmp_path / "l.sqlite")  # Run All, after a run that was stopped
    assert again.done["k"] == {"raw": "{}"}


def test_what_was_received_is_there_after_a_kill(tmp_path):
    code = (
        "import os, signal; from clinical_camel.dbke import Ledger;"
        f"l = Ledger({str(tmp_path / 'l.sqlite')!r});"
        "[l.append(str(i), {'raw': 'x' * 5000}) for i in range(500)];"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    assert dbke.Ledger(tmp_path / "l.sqlite").spent().replies == 500


def scribble(ledger: dbke.Ledger, commits: Sequence = (), count: int = 20) -> list:
    """So many at once: an attempt and its reply each; commits after each, or why there is none."""

    async def one(scribe: openai.Scribe, key: str) -> tuple[int, int]:
        attempt = await scribe.begin(key, {}, (1, 1), (0.0, 0.0))
        begun = len(commits)
        await scribe.receive(attempt, key, 200, b"{}")
        return begun, len(commits)

    async def together() -> list:
        scribe = openai.Scribe(ledger)
        ones = (one(scribe, str(i)) for i in range(count))
        return await asyncio.gather(*ones, return_exceptions=True)

    return asyncio.run(together())


def test_writes_of_one_moment_share_a_commit_and_are_on_disk_when_they_return(
    tmp_path, monkeypatch
):
    ledger, commits = dbke.Ledger(tmp_path / "l.sqlite"), []
    commit = dbke.Ledger.commit
    monkeypatch.setattr(dbke.Ledger, "commit", lambda self: commits.append(commit(self)))
    assert scribble(ledger, commits) == [(1, 2)] * 20
    assert (len(commits), ledger.spent().replies) == (2, 20)


@pytest.mark.parametrize("broken", ["commit", "receive"])
def test_a_full_disk_is_told_to_all_whose_writes_are_lost(broken, tmp_path, monkeypatch):
    ledger = dbke.Ledger(tmp_path / "l.sqlite")

    def full(*_):
        ledger._db.execute("ROLLBACK")  # as SQLite does
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(dbke.Ledger, broken, full)
    assert {str(error) for error in scribble(ledger)} == {"database or disk is full"}
    assert ledger.spent().replies == 0


# ---------------------------------------------------------------------------- an endpoint


@pytest.mark.parametrize(
    ("fault", "sends"),
    [
        ("", 3),
        ("429 with Retry-After", 6),
        ("half a body", 6),
        ("slower than the time-out", 6),
        ("200 with an HTML page", 6),
        ("cut at the token limit, still JSON", 6),
        ("the prompt comes back", 6),
        ("usage that is nonsense", 3),
    ],
)
def test_a_fault_that_passes_costs_a_second_send_and_no_dialogue(fault, sends, tmp_path):
    with Server(fault) as server:
        dialogues, aside, ended = run(tmp_path / "l.sqlite", 3, settings(server))
        twice, over, sent = teacher_drill.account(tmp_path / "l.sqlite", server, 10.0, 3)
        lost = teacher_drill.missing(tmp_path / "l.sqlite", server)
    assert (len(dialogues), aside, ended) == (3, [], "")
    assert (twice, over, sent) == (0, 0, sends)
    assert lost == 0


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("500 for ever", "no reply after 3 attempts: HTTP 500: internal error"),
        ("400 for every prompt", "refused: HTTP 400: context length exceeded"),
        ("the same dialogue for all", "an assistant sentence is not in the source"),
    ],
)
def test_a_fault_that_stays_sets_aside_with_its_reason(fault, reason, tmp_path):
    with Server(fault) as server:
        assert run(tmp_path / "l.sqlite", 3, settings(server)) == ([], [reason] * 3, "")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("401 that repeats the key", "the key in TEACHER_API_KEY was refused"),
        ("404 unknown model", "has no model 'toy'"),
        ("402 no money", "has no money left"),
        ("429 quota used up", "has no money left"),
        ("429 with Retry-After of a day", "asks to wait 86400 seconds"),
    ],
)
def test_what_no_request_can_pass_ends_the_run_and_says_what_is_kept(fault, says, tmp_path):
    with Server(fault) as server:
        _, _, ended = run(tmp_path / "l.sqlite", 9, settings(server))
    assert says in ended
    assert "Kept in l.sqlite: 0 replies" in ended
    assert KEY not in ended
    assert KEY.encode() not in (tmp_path / "l.sqlite").read_bytes()


def test_nothing_leaves_after_a_refusal_that_ends_the_run(tmp_path):
    with Server("401 that repeats the key") as server:
        run(tmp_path / "l.sqlite", 9, settings(server, in_flight=1))
        assert server.requests == 1


def test_the_retry_says_why_and_does_not_send_the_failure_again(tmp_path):
    with Server("an invented sentence") as server:
        run(tmp_path / "l.sqlite", 1, settings(server))
        first, second = server.seen
    assert "Earlier attempts" not in first
    assert "The reasons: an assistant sentence is not in the source." in second
    assert "All is well." not in second


def test_a_second_run_asks_for_nothing_and_says_the_same(tmp_path):
    with Server() as server:
        once = run(tmp_path / "l.sqlite", 5, settings(server))
        assert run(tmp_path / "l.sqlite", 5, settings(server)) == once
        assert server.requests == 5
        run(tmp_path / "l.sqlite", 5, settings(server, temperature=0.1))
        assert server.requests == 10  # other settings, other replies


def test_the_order_of_replies_does_not_order_the_dialogues(tmp_path):
    with Server() as server:
        once = run(tmp_path / "a.sqlite", 12, settings(server, in_flight=1))
    with teacher_drill.Mixed(delay=0.01) as server:
        server.kinds = ["slower than the time-out", "500"]  # some come late, some twice
        again = run(tmp_path / "b.sqlite", 12, settings(server, in_flight=12, timeout_seconds=9))
    assert once == again
    assert len(once[0]) == 12


def test_money_does_not_pass_its_cap_and_a_higher_cap_goes_on(tmp_path):
    cap = 0.012  # eight replies at 0.0015, of which each may cost some 0.006
    with Server() as server:
        dialogues, _, ended = run(tmp_path / "l.sqlite", 12, settings(server, money_cap=cap))
        assert "money_cap: " in ended
        assert 3 <= server.requests < 9
        assert teacher_drill.account(tmp_path / "l.sqlite", server, cap, 3)[1] == 0
        more, _, ended = run(tmp_path / "l.sqlite", 12, settings(server))
        assert (len(more), ended, server.requests) == (12, "", 12)
        assert more[: len(dialogues)] == dialogues


def test_without_a_cap_on_money_a_price_stops_before_the_first_request(tmp_path):
    with Server() as server:
        _, _, ended = run(tmp_path / "l.sqlite", 2, settings(server, money_cap=0.0))
        assert "money_cap: 0.0000 of 0.0000 is spent" in ended
        assert server.requests == 0


def test_tokens_do_not_pass_their_cap(tmp_path):
    with Server() as server:
        _, _, ended = run(tmp_path / "l.sqlite", 12, settings(server, token_cap=9000))
        assert "token_cap: " in ended
        assert 0 < server.requests <= 7


def test_requests_a_minute_are_kept(tmp_path):
    with Server() as server:
        began = time.monotonic()
        run(tmp_path / "l.sqlite", 6, settings(server, requests_per_minute=600))
        assert time.monotonic() - began >= 0.5  # the sixth leaves five tenths after the first


def test_attempts_of_killed_runs_count(tmp_path):
    with Server() as server:
        given = settings(server)
        ledger, teacher = dbke.Ledger(tmp_path / "l.sqlite"), dbke.load_teacher("openai", given)
        desk = dbke.Desk(teacher, ledger, 2)
        ask = next(desk.pursue(plan(1)[0]))
        for _ in range(given.attempts):  # begun, and nothing came
            ledger.begin(ask.key, ask.facts, (10, 10), (0.0, 0.0))
        (verdict,) = dbke.verdicts(plan(1), desk)
        assert verdict.reason == "no reply after 3 attempts: no reply in earlier runs"
        assert server.requests == 0


@pytest.mark.parametrize(
    ("base_url", "key", "says"),
    [
        ("http://api.example.org/v1", KEY, "needs https"),
        ("https://api.example.org/v1", "", "a key in the environment as TEACHER_API_KEY"),
        ("ftp://127.0.0.1/v1", KEY, "an address"),
    ],
)
def test_an_endpoint_that_would_show_the_key_is_refused(base_url, key, says, monkeypatch):
    monkeypatch.setenv(openai.KEY, key)
    with pytest.raises(ValueError, match=says):
        dbke.load_teacher("openai", dbke.Settings(model="toy", base_url=base_url))


def test_a_run_that_is_killed_goes_on_and_ends_in_the_same_dialogues(tmp_path):
    (row,) = teacher_drill.kills(2, tmp_path, count=40)
    assert (row.lost, row.twice, row.over, row.dialogues) == (0, 0, 0, "the same")


# -------------------------------------------------------------------------- other teachers


def test_a_recorded_ledger_gives_the_same_dialogues_without_a_server(tmp_path, monkeypatch):
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(tmp_path))
    with Server("an invented sentence") as server:
        recorded = run(tmp_path / "lesson.sqlite", 4, settings(server))[0]
    teacher = dbke.load_teacher("replay", dbke.Settings(recorded="lesson.sqlite"))
    ledger = dbke.Ledger(tmp_path / "new.sqlite")
    desk = dbke.Desk(teacher, ledger, 2, teacher_drill.TRIES)
    found = list(dbke.verdicts(plan(5), desk))
    said = [json.dumps(data.to_dict(v.dialogue), ensure_ascii=False) for v in found if v.dialogue]
    assert said == recorded
    assert found[4].reason == "the recorded ledger has no reply to this prompt"


def test_a_model_on_this_machine_writes_and_is_not_asked_twice(tmp_path):
    given = dbke.Settings(model="mini", max_new_tokens=16, temperature=0.7, token_budget=8192)
    teacher, ledger = dbke.load_teacher("local", given), dbke.Ledger(tmp_path / "l.sqlite")
    desk = dbke.Desk(teacher, ledger, 2, tries=2)
    once = list(dbke.verdicts(plan(3), desk))
    assert [v.dialogue for v in once] == [None] * 3  # a model of a million parameters cannot
    assert {v.reason for v in once} <= MINI_REASONS
    assert ledger.spent() == dbke.Spent(attempts=6, replies=6, tokens=0, money=0.0)
    again = list(dbke.verdicts(plan(3), desk))
    assert (again, ledger.spent().attempts) == (once, 6)


def test_a_prompt_that_does_not_fit_a_local_model_is_set_aside(tmp_path):
    given = dbke.Settings(model="mini", max_new_tokens=4090)
    desk = dbke.Desk(dbke.load_teacher("local", given), dbke.Ledger(tmp_path / "l.sqlite"), 2)
    (verdict,) = dbke.verdicts(plan(1), desk)
    assert verdict.reason == "prompt is longer than the teacher's context (4096 tokens)"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The address of `transformers serve` on the shipped base."""
    folder = tmp_path_factory.mktemp("hub")
    (folder / "hub").mkdir()
    place = str(data.root() / "src/clinical_camel/mini/base")
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", place]
    with Server() as free:  # a port that was free a moment ago
        port = free.base_url.rsplit(":", 1)[1].removesuffix("/v1")
    environment = {**os.environ, "HF_HOME": str(folder), "OMP_NUM_THREADS": "1"}
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", port, "--device", "cpu"],
        env=environment,
        stdout=log,
        stderr=log,
    )
    try:
        for _ in range(600):
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health").close()
                break
            except OSError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1", place
    finally:
        process.kill()
        process.wait()
        log.close()


def test_a_real_server_on_loopback_is_asked_and_every_reply_is_kept(served, tmp_path):
    base_url, model = served
    given = dbke.Settings(model=model, base_url=base_url, max_new_tokens=24, in_flight=2)
    ledger = dbke.Ledger(tmp_path / "l.sqlite")
    desk = dbke.Desk(dbke.load_teacher("openai", given), ledger, 2, tries=2)
    found = list(dbke.verdicts(plan(3), desk))
    spent = ledger.spent()
    assert (spent.attempts, spent.replies) == (6, 6)
    assert spent.tokens > 6 * 1000  # as the server counts its prompts
    assert [v.dialogue for v in found] == [None] * 3  # expected of a million parameters
    assert {v.reason for v in found} <= MINI_REASONS


def test_the_doctor_asks_that_server_too(served):
    base_url, model = served
    given = load_job("mini_camel", "01_dbke").params | {"teacher": "openai", "base_url": base_url}
    (found,) = doctor.teacher_of({**given, "teacher_model": model})
    assert found.status == "warning"  # it serves a folder, and lists what the hub's cache holds
    assert found.found == f"{base_url} answers, and lists not {model} but none"


# --------------------------------------------------------------------- prompt and articles


def test_the_prompt_is_the_same_again_and_another_with_another_seed():
    first, again, other = (
        dbke.shown(dbke.build_messages(dbke.plan_requests(articles(1), [], 1, 5, seed)[0]))
        for seed in (0, 0, 1)
    )
    assert first == again != other


def test_the_prompt_holds_all_that_is_asked():
    sent = dbke.shown(dbke.build_messages(plan(1)[0]))
    for part in ("You write conversations", "velmar ague", "Write 5 exchanges", '"required"'):
        assert part in sent
    assert toy_teacher.TEXT.search(sent)[2].startswith("# ")


def test_an_exam_question_is_asked_with_its_key_and_its_passages():
    question = data.Question(
        id="q", question="What prevents gout?", options=["naproxen", "allopurinol"], answer=1
    )
    found = dbke.plan_requests(
        [
            dataclasses.replace(
                LONG, sections=[Section(heading="", text="Gout: allopurinol prevents it.")]
            )
        ],
        [question],
        0,
        3,
        0,
    )
    sent = dbke.build_messages(found[0])[1]["content"]
    assert "(B) allopurinol" in sent
    assert 'first turn is "allopurinol."' in sent
    assert toy_teacher.TEXT.search(sent)[2] == "Gout: allopurinol prevents it."


def test_a_long_article_is_cut_at_headings_and_loses_nothing():
    room = 2 * requests.tokens(LONG.sections[0]) + 5
    parts = dbke.pieces(LONG, room)
    assert [len(part.sections) for part in parts] == [2, 2, 2]
    assert [s for part in parts for s in part.sections] == LONG.sections
    assert dbke.pieces(LONG, 0) == [LONG]


def test_a_long_section_is_cut_between_sentences():
    parts = dbke.pieces(LONG, 40)
    assert all(sum(map(requests.tokens, part.sections)) <= 40 for part in parts)
    assert " ".join(s.text for p in parts for s in p.sections) == " ".join(
        s.text for s in LONG.sections
    )


def test_each_piece_of_a_long_article_is_asked_about():
    room = 2 * requests.tokens(LONG.sections[0]) + 5
    found = dbke.plan_requests([LONG], [], 5, 3, 0, room)
    assert [r.id for r in found] == [f"long/{i}" for i in range(5)]
    assert [(r.article.sections[0].heading, r.variant) for r in found] == [
        ("Part 0", 0),
        ("Part 2", 0),
        ("Part 4", 0),
        ("Part 0", 1),
        ("Part 2", 1),
    ]


# -------------------------------------------------------------------------------- licences

PERMITTED = ["CC0", "CC BY 4.0", "CC BY-SA 3.0", "CC BY-NC 4.0", "Apache-2.0", "own"]
FORBIDDEN = [
    "CC BY-ND 4.0",
    "CC BY-NC-ND 4.0",
    "All rights reserved",
    "NoDerivatives",
    "Elsevier TDM",
]


@pytest.mark.parametrize("licence", PERMITTED)
def test_a_licence_that_permits_it_is_no_reason(licence):
    assert licences.refusal(licence) == ""


@pytest.mark.parametrize("licence", FORBIDDEN)
def test_an_article_whose_licence_does_not_permit_it_is_set_aside(licence, tmp_path):
    article = dataclasses.replace(LONG, licence=licence)
    with Server() as server:
        desk = dbke.Desk(
            dbke.load_teacher("openai", settings(server)), dbke.Ledger(tmp_path / "l"), 2
        )
        (verdict,) = dbke.verdicts(dbke.plan_requests([article], [], 1, 3, 0), desk)
        assert server.requests == 0
    assert verdict.reason.startswith(f"licence {licence} ")


def test_an_override_is_per_source_and_in_the_open():
    closed = dataclasses.replace(LONG, licence="CC BY-ND 4.0")
    (kept,) = dbke.licensed([closed], "theirs", "", {"theirs": "with permission, 2024"})
    assert licences.refusal(kept.licence) == ""
    (other,) = dbke.licensed([closed], "others", "", {"theirs": "with permission, 2024"})
    assert other == closed


def test_articles_that_state_no_licence_stop_with_the_remedy():
    silent = dataclasses.replace(LONG, licence="")
    assert dbke.licensed([silent], "mine", "CC BY", {})[0].licence == "CC BY"
    with pytest.raises(ValueError, match="licences: {mine: own}"):
        dbke.licensed([silent], "mine", "", {})


def asked_at(model, base_url):
    return dbke.load_teacher("openai", dbke.Settings(model=model, base_url=base_url))


LOCAL = "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize(
    ("model", "base_url", "terms", "student", "licence", "says"),
    [
        ("gpt", "https://a.org/v1", "acknowledged", "mini", "restricted", "may not leave"),
        (
            "gpt",
            "https://a.org/v1",
            "open",
            "mini",
            "PhysioNet Credentialed 1.5.0",
            "may not leave",
        ),
        ("gpt", "https://a.org/v1", "own", "mini", "Data Use Agreement", "may not leave"),
        ("gpt", "https://a.org/v1", "none", "mini", "CC0", "not stated"),
        ("qwen", LOCAL, "none", "mini", "CC0", "not stated"),
        ("gpt", "https://a.org/v1", "fine", "mini", "CC0", "is not one of"),
        ("meta-llama/Llama-2-70b-chat-hf", LOCAL, "open", "mini", "CC0", "Llama 2 only"),
        ("x", LOCAL, "llama2", "meta-llama/Llama-3.1-8B", "CC0", "Llama 2 only"),
        ("x", LOCAL, "llama2", "bigscience/bloom-7b1", "CC0", "Llama 2 only"),
        ("lmsys/vicuna-13b-v1.5", LOCAL, "open", "huggyllama/llama-7b", "CC0", "Llama 2 only"),
        ("x", LOCAL, "llama3", "bigscience/bloom-7b1", "CC0", "must bear Llama"),
        ("x", LOCAL, "llama3", "mini", "CC0", "must bear Llama"),
    ],
)
def test_a_forbidden_pair_stops_before_the_first_request(
    model, base_url, terms, student, licence, says
):
    with pytest.raises(ValueError, match=says):
        dbke.check_terms(asked_at(model, base_url), terms, student, [licence])


@pytest.mark.parametrize(
    ("model", "base_url", "terms", "student", "licence"),
    [
        ("gpt", "https://a.org/v1", "acknowledged", "mini", "CC0"),
        ("gpt", "https://a.org/v1", "own", "meta-llama/Llama-2-13b-hf", "CC BY 4.0"),
        ("qwen", LOCAL, "open", "mini", "restricted"),
        ("qwen", LOCAL, "open", "bigscience/bloom-7b1", "PhysioNet Credentialed 1.5.0"),
        ("qwen", "http://localhost:1/v1", "open", "mini", "restricted"),
        ("meta-llama/Llama-2-70b-chat-hf", LOCAL, "llama2", "meta-llama/Llama-2-13b-hf", "CC0"),
        ("lmsys/vicuna-13b-v1.5", LOCAL, "llama2", "meta-llama/Llama-2-70b-hf", "CC0"),
        ("x", LOCAL, "llama2", "TinyLlama-Llama2-1.1B", "CC0"),
        ("meta-llama/Llama-3.1-70B", LOCAL, "llama3", "meta-llama/Llama-3.1-8B", "CC0"),
        ("x", LOCAL, "llama3", "our-Llama-3-8b", "CC BY-SA"),
        ("mistral", "https://a.org/v1", "open", "mini", "Apache-2.0"),
        ("mistral", "https://a.org/v1", "open", "meta-llama/Llama-3.1-8B", "MIT"),
    ],
)
def test_a_permitted_pair_passes(model, base_url, terms, student, licence):
    dbke.check_terms(asked_at(model, base_url), terms, student, [licence])


def test_the_extractive_teacher_needs_no_terms():
    dbke.check_terms(dbke.load_teacher("extractive"), "none", "mini", ["restricted"])


# -------------------------------------------------------------------------------- the rate


def test_the_rate_that_is_told_is_the_measured_one():
    rows = pd.read_csv(ROOT / "benchmarks/results/dbke_scale.csv").set_index("client")
    ours = rows.loc["ours (aiohttp)"]
    assert (ours["requests"], ours["share_of_bare"] >= 0.9) == (100_000, True)
    told = f"{ours['share_of_bare']:.2f} of the"
    assert f"[{told} rate](benchmarks/results/dbke_scale.csv)" in (ROOT / "README.md").read_text()
    assert f"{told} bare client's rate" in (ROOT / "benchmarks/README.md").read_text()
    grown = ours["peak_mb"] / ours["peak_mb_at_a_tenth"] - 1
    assert f"{100 * grown:.0f} % more memory" in (ROOT / "benchmarks/README.md").read_text()
