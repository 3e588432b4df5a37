"""Our scores of a study that reproduces a published system."""

import json

import pandas as pd
import pytest
from tests.support.toy_scores import answers_of

from clinical_camel import eval_fewshot, published
from clinical_camel.data import Question
from clinical_camel.published.plans import Plan

EXAM = "outputs/a/03_eval_fewshot"
PLAN = Plan("a", "h100", 67.7, False, 10, 0.0)


@pytest.fixture
def study(project):
    """A study with two models on a toy exam and on two subjects of MMLU."""
    questions = [
        Question(id=str(i), question="?", options=list("abcd"), answer=0, subset="xy"[i % 2])
        for i in range(4)
    ]
    models = {"base": [False] * 4, "tuned": [True, True, False, True]}
    subsets = ["x", "y"] * 4
    answers = pd.concat(
        [answers_of("toy", **models), answers_of("mmlu_medical", **models).assign(subset=subsets)]
    )
    changed = answers.assign(variant="options_only", correct=False)
    answers = pd.concat([answers, changed], ignore_index=True)
    exams = {"toy": questions, "mmlu_medical": questions}
    scores = eval_fewshot.compute_scores(answers, exams)
    params = {"adapters": {"base": "", "tuned": "x"}}
    record = {"study": "a", "step": "03_eval_fewshot", "status": "complete", "params": params}
    project.file(f"{EXAM}/run.json", json.dumps(record))
    project.file(f"{EXAM}/scores.csv", scores.to_csv(index=False))
    project.file(f"{EXAM}/answers.csv", answers.to_csv(index=False))
    return project


def test_the_scores_are_those_of_the_last_model_and_of_each_subject(study):
    table = published.read_runs({"s:1": "a"})["s:1"].set_index("benchmark")
    assert list(table.index) == ["toy", "mmlu_medical", "mmlu_x", "mmlu_y"]
    assert set(table["model"]) == {"tuned"}
    assert table["accuracy"].tolist() == [0.75, 0.75, 0.5, 1.0]
    assert table["n"].tolist() == [4, 4, 2, 2]
    assert set(table["chance"]) == {0.25}


def test_without_answers_there_are_no_subjects(study):
    (study.root / EXAM / "answers.csv").unlink()
    assert published.read_runs({"s:1": "a"})["s:1"]["benchmark"].tolist() == ["toy", "mmlu_medical"]


def test_a_study_that_has_not_run_says_what_it_would_take(study):
    systems = {"s:1": "a", "s:2": "b", "s:3": "c"}
    runs = published.read_runs(systems)
    assert runs["s:2"].empty
    lines = published.describe_runs(systems, runs, {"b": PLAN}, 2.5)
    assert lines[0] == "`s:1`, study `a`: 4 scores of ours"
    assert lines[1].endswith("*not run: needs an H100, about 68 hours, about 169 dollars*")
    assert "run `python -m clinical_camel plans`" in lines[2]


def test_a_subject_may_have_a_name_that_pandas_takes_for_missing(study):
    file = study.root / EXAM / "answers.csv"
    file.write_text(file.read_text().replace(",x,", ",NA,"))
    table = published.read_runs({"s:1": "a"})["s:1"].set_index("benchmark")
    assert table.loc["mmlu_NA", "n"] == 2


@pytest.mark.parametrize(
    "record",
    [{"status": "incomplete", "params": {"adapters": {"tuned": ""}}}, {"status": "complete"}],
)
def test_a_run_that_is_not_complete_does_not_count(record, study):
    study.file(f"{EXAM}/run.json", json.dumps(record))
    assert published.read_runs({"s:1": "a"})["s:1"].empty
