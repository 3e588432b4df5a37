"""Exams rehearsed: some questions of each evaluation, a complete table, a forecast of the time."""

from types import SimpleNamespace

import pytest
from tests.support.project import Memory

from clinical_camel import data, eval_fewshot, models
from clinical_camel.rehearse import answers
from clinical_camel.rehearse.record import Measured
from clinical_camel.rehearse.task import Task


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    """The rehearsal of an exam in two protocols: its task, the table, questions and journal."""
    design = eval_fewshot.Design(
        adapters={"base": ""},
        benchmarks=["mini_exam_dev"],
        exemplars={"mini_exam_dev": "mini_exam_train"},
        protocols=["option_text", "letter"],
        num_shots=[0, 1],
        question_limit=40,
        token_budget=2048,
    )
    file = tmp_path_factory.mktemp("run") / "measured.json"
    task = Task("03_eval_fewshot", 0.0, str(file))
    task.measured = Measured("03_eval_fewshot")
    questions, pools = eval_fewshot.load_exam(design)
    llms, journal = models.load("mini", {"base": ""}), Memory()
    answer_all = answers.replace_answers(task, eval_fewshot.answer_all)
    table = answer_all(llms, questions, pools, design, journal)
    return task, table, questions["mini_exam_dev"], journal


def test_every_evaluation_has_a_forecast_for_all_its_questions(rehearsed):
    parts = rehearsed[0].measured.parts
    assert [part.name for part in parts] == [
        f"mini_exam_dev as_given {protocol} {shots}-shot base"
        for protocol in ("option_text", "letter")
        for shots in (0, 1)
    ]
    for part in parts:
        assert (part.unit, part.total) == ("questions", 40)
        assert part.low < part.seconds < part.high


def test_one_batch_is_filled_to_measure_its_memory(rehearsed):
    task, _, _, journal = rehearsed
    counts = [part.done for part in task.measured.parts]
    assert min(counts) > answers.FIRST
    assert len(journal.done) == sum(counts) < 4 * 40


def test_a_batch_that_takes_too_long_is_not_filled_and_this_is_noted(rehearsed, monkeypatch):
    monkeypatch.setattr(answers, "LONGEST_FILL", 0.0)
    _, table, questions, _ = rehearsed
    llm = SimpleNamespace(counts={}, model=SimpleNamespace(device=None))
    rows = table.iloc[:8]
    measure = answers._Measurement(lambda _: rows, llm, questions, token_budget=10**9, fill=True)
    _, part = measure.run("an exam", seconds=0.0)
    assert (part.done, measure.is_filled) == (answers.FIRST, False)


@pytest.mark.parametrize(("budget", "count"), [(400, [2]), (10**9, [0])])
def test_as_many_batches_as_the_step_computes_at_once_are_measured(
    rehearsed, monkeypatch, budget, count
):
    """Of 100 tokens a question, four in a batch: a second chunk has whole pairs of batches."""
    _, table, questions, _ = rehearsed
    chosen = []
    monkeypatch.setattr(answers, "count_at_once", lambda batches, _: 2 if batches > 1 else 1)
    original = answers.compute_at_once
    monkeypatch.setattr(answers, "compute_at_once", lambda n: chosen.append(n) or original(n))
    llm = SimpleNamespace(counts={"row_tokens": 0}, model=SimpleNamespace(device=None))
    counts_of_chunks = []

    def answer(rows):
        counts_of_chunks.append(len(rows))
        llm.counts["row_tokens"] += 100 * len(rows)
        return table.iloc[: len(rows)]

    measure = answers._Measurement(answer, llm, questions, token_budget=budget, fill=False)
    measure.run("an exam", seconds=60.0)
    assert chosen == count
    assert counts_of_chunks[0] == answers.FIRST
    assert budget > 400 or counts_of_chunks[1] % 8 == 0


def test_the_largest_evaluations_are_those_of_the_last_model_on_one_exam():
    evaluations = [
        answers.Evaluation(exam, model, "as_given", "letter", shots)
        for model in ("base", "tuned")
        for exam in ("a", "b")
        for shots in (0, 5)
    ]
    chosen = answers.choose_largest(evaluations)
    assert chosen == {e for e in evaluations if e.model == "tuned" and e.benchmark == "a"}


def test_the_table_is_complete_and_its_measured_answers_are_real(rehearsed):
    _, table, questions, journal = rehearsed
    assert len(table) == 4 * len(questions)
    assert list(table["id"].iloc[: len(questions)]) == [question.id for question in questions]
    real = journal.done[f"mini_exam_dev/as_given/option_text/0/base/{questions[0].id}"]
    assert table.iloc[0]["logprobs"] == real["logprobs"]
    hashes = [data.content_hash(question) for question in questions]
    assert list(table["content_hash"].iloc[: len(questions)]) == hashes


def test_every_table_of_the_notebook_can_be_made_from_it(rehearsed):
    _, table, questions, _ = rehearsed
    by_name = {"mini_exam_dev": questions}
    scores = eval_fewshot.compute_scores(table, by_name)
    eval_fewshot.require_answers(scores)
    assert set(scores["n"]) == {40}
    assert scores["calibration_error"].notna().all()


def test_invented_answers_are_about_chance(rehearsed):
    _, table, questions, _ = rehearsed
    first = answers.Evaluation("mini_exam_dev", "base", "as_given", "option_text", 0)
    filled = answers.fill_table(table.iloc[:1], first, list(questions) * 20, seed=0)
    assert 0.15 < filled["correct"].mean() < 0.35
