"""The shipped ledgers answer today's prompts of the studies that replay them."""

import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from clinical_camel import dbke
from clinical_camel.core.paths import root
from clinical_camel.runner.jobs import load_job

OPENSTAX = "data/public/openstax_anatomy/openstax_anatomy_modules.jsonl"


def list_queries(study, changes):
    settings = load_job(study, "01_dbke").settings.model_copy(update=changes)
    plan = dbke.prepare(settings)
    return plan.teacher, [*dbke.list_queries(plan, settings, "any", "").values()]


@pytest.mark.parametrize(
    ("study", "changes", "count"),
    [
        ("mini_camel_llm", {}, 69),
        ("development_llm", {}, 69),
        ("openstax_llm", {}, 28),
        ("mini_camel_llm", {"task": "paraphrase"}, 69),
        ("mini_camel_llm", {"task": "paraphrase", "articles": ["mini_articles_dev"]}, 69),
    ],
)
def test_every_prompt_of_today_has_its_reply(study, changes, count):
    if study == "openstax_llm" and not (root() / OPENSTAX).exists():
        pytest.skip(f"no {OPENSTAX}")
    teacher, queries = list_queries(study, changes)
    assert len(queries) == count
    assert [query.request.id for query in queries if not teacher.has_reply(query, None)] == []


def test_the_ledger_is_a_plain_file_with_all_replies():
    file = root() / load_job("mini_camel_llm", "01_dbke").settings.teacher.ledger
    assert file.read_bytes()[18:20] == b"\x01\x01"  # no write-ahead log
    db = sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True)
    rows = db.execute("SELECT prompt, status FROM attempts JOIN replies ON id = attempt").fetchall()
    db.close()
    assert (len({prompt for prompt, _ in rows}), len(rows)) == (270, 287)
    assert {status for _, status in rows} == {200}


def test_the_articles_that_both_kinds_of_replies_rewrite_are_those_of_the_sweep(tmp_path):
    """`experiments.recorded_replies common` writes the committed files again."""
    command = [sys.executable, "-m", "experiments.recorded_replies", "common", str(tmp_path)]
    subprocess.run(command, cwd=root(), check=True, capture_output=True)
    for name in ("common_articles.jsonl", "common_exam.jsonl"):
        assert (tmp_path / name).read_text() == (root() / "data/recorded" / name).read_text()


# ------------------------------------------------------------------------- recorded verdicts


def run_verdicts(command: str, folder: Path) -> None:
    args = [sys.executable, "-m", "experiments.recorded_verdicts", command, str(folder)]
    subprocess.run(args, cwd=root(), check=True, capture_output=True)


@pytest.fixture(scope="module")
def verdict_requests(tmp_path_factory) -> dict[str, dict]:
    """The prompts of the study clinicalgpt_mini_judge, by their keys."""
    folder = tmp_path_factory.mktemp("verdicts")
    run_verdicts("export", folder)
    return {file.stem: json.loads(file.read_text()) for file in folder.glob("requests/*.json")}


def test_the_judge_study_reads_the_replies_of_ppo_in_git(tmp_path):
    settings = load_job("clinicalgpt_mini_judge", "08_eval_replies").settings
    file = root() / settings.other_replies["ppo"]
    run_verdicts("replies", tmp_path)
    assert (tmp_path / file.name).read_text() == file.read_text()


def test_every_pair_of_different_answers_has_a_prompt_in_both_orders(verdict_requests):
    orders: dict[str, set[str]] = {}
    for request in verdict_requests.values():
        pair, _, order = request["id"].rpartition("/")
        orders.setdefault(pair, set()).add(order)
    assert [len(both) for both in orders.values()] == [2] * 80
    text = " ".join(m["content"] for r in verdict_requests.values() for m in r["messages"])
    assert not re.search(r"\b(ppo|sft)\b", text, re.IGNORECASE)


def test_every_prompt_of_today_has_its_verdict(verdict_requests):
    settings = load_job("clinicalgpt_mini_judge", "08_eval_replies").settings.judge
    file = root() / settings.ledger
    db = sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True)
    rows = db.execute("SELECT prompt FROM attempts JOIN replies ON id = attempt").fetchall()
    db.close()
    assert {prompt[:12] for (prompt,) in rows} >= verdict_requests.keys()  # a key begins the hash
