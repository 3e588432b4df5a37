"""What step 03 wrote is read with its questions, and only if these are still the same."""

import dataclasses
import json

import pandas as pd
import pytest
from tests.support.toy_scores import answers_of

from clinical_camel import data, eval_fewshot, score_checks

FOLDER = "outputs/a/03_eval_fewshot"
PARAMS = {"benchmarks": ["mini_exam"], "question_limit": 0, "image_questions": "in"}
PARAMS |= {"adapters": {"base": "", "tuned": "x"}, "protocols": ["option_text"], "num_shots": [0]}


def write(
    project, answers: pd.DataFrame, questions, spec: str = "mini_exam"
) -> score_checks.ScoreChecks:
    scores = eval_fewshot.compute_scores(answers, {data.label(spec): questions})
    project.file(f"{FOLDER}/answers.csv", answers.to_csv(index=False))
    project.file(f"{FOLDER}/scores.csv", scores.to_csv(index=False))
    project.file(f"{FOLDER}/run.json", json.dumps({"params": PARAMS | {"benchmarks": [spec]}}))
    files = {"answers": f"{FOLDER}/answers.csv", "exam_scores": f"{FOLDER}/scores.csv"}
    return score_checks.ScoreChecks(**files, training_sources=[])


@pytest.fixture
def exam_parts():
    """The second to fifth question of an exam, and answers to them."""
    questions = data.load_questions("mini_exam")[1:5]
    answers = answers_of("mini_exam", base=[True] * 4, tuned=[False] * 4)
    answers["id"] = [question.id for question in questions] * 2
    answers["content_hash"] = [data.content_hash(question) for question in questions] * 2
    return answers, questions


def test_only_the_questions_that_were_asked_are_read(project, exam_parts):
    answers, questions = exam_parts
    exam = score_checks.read_exam(write(project, answers, questions))
    assert exam.questions == {"mini_exam": questions}
    columns = ["id", "correct", "reply", "subset"]
    assert exam.answers[columns].equals(answers[columns].astype({"id": "str"}))
    assert (exam.model, len(exam.scores)) == ("tuned", 2)
    assert len(exam.answers.query(exam.first)) == 8


def test_an_id_may_be_one_that_pandas_takes_for_missing(project, exam_parts):
    answers, questions = exam_parts
    names = ["NA", "null", "None", "nan"]
    questions = [dataclasses.replace(q, id=name) for q, name in zip(questions, names, strict=True)]
    rows = [json.dumps(data.to_dict(question)) for question in questions]
    project.file("my_exam.jsonl", "\n".join(rows))
    answers = answers.assign(id=names * 2, benchmark="my_exam")
    answers["content_hash"] = [data.content_hash(question) for question in questions] * 2
    exam = score_checks.read_exam(write(project, answers, questions, "my_exam.jsonl"))
    assert exam.questions == {"my_exam": questions}
    assert list(exam.answers["id"]) == names * 2


@pytest.mark.parametrize("change", [("content_hash", "0"), ("id", "none")])
def test_a_question_that_has_changed_or_is_gone_is_refused(project, exam_parts, change):
    answers, questions = exam_parts
    settings = write(project, answers, questions)
    answers.loc[0, change[0]] = change[1]
    project.file(f"{FOLDER}/answers.csv", answers.to_csv(index=False))
    with pytest.raises(ValueError, match="of mini_exam is not the one that step 03 asked; run ste"):
        score_checks.read_exam(settings)


def test_answers_without_a_run_are_refused(project, exam_parts):
    settings = write(project, *exam_parts)
    (project.root / FOLDER / "run.json").unlink()
    with pytest.raises(ValueError, match=r"no run.json of step 03 beside outputs/a/"):
        score_checks.read_exam(settings)
