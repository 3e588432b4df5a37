"""Every file of a user is read before a model is loaded."""

import json

import pytest
from tests.support.project import make_messages

from clinical_camel import eval_replies
from clinical_camel.eval_replies import EvalReplies

REMOTE = {
    "kind": "openai", "model": "m", "terms": "own", "base_url": "https://host.example/v1",
    "money_cap": 1.0, "price_in": 1.0, "price_out": 1.0,
}  # fmt: skip
REPLIES = "task,corpus,id,reply\ndiagnosis,records,r,Gout.\nquestion,questions,q,Acid.\n"
FILES = {
    "my/replies.csv": REPLIES,
    "my/diagnoses.csv": "name,code\ngout,M10.9\n",
    "a/anna.csv": "item,choice\nx,a\n",
    "b/ben.csv": "item,choice\nx,tie\n",
}
SETTINGS = {
    "adapters": {"base": ""}, "baseline": "base", "trained_on": [], "rl_prompts": "",
    "consultations": [], "records": ["my/records.jsonl"], "questions": ["my/questions.jsonl"],
    "other_replies": {"gpt": "my/replies.csv"}, "diagnosis_names": "my/diagnoses.csv",
    "human_sheets": ["a/anna.csv", "b/ben.csv"],
}  # fmt: skip


def load(project, settings, **files):
    for name, texts in (("records", ("Sign?", "It is gout.")), ("questions", ("Cause?", "Acid."))):
        row = {"id": name[0], "source": "toy", "messages": make_messages(*texts)}
        project.file(f"my/{name}.jsonl", f"{json.dumps(row)}\n")
    for name, text in (FILES | files).items():
        project.file(name, text)
    return eval_replies.load_cases(EvalReplies.require(SETTINGS | settings))


def test_the_cases_are_returned_if_all_files_are_right(project):
    assert [case.id for case in load(project, {})] == ["r", "q"]
    assert [case.id for case in load(project, {"records": [], "diagnosis_names": ""})] == ["q"]


@pytest.mark.parametrize(
    ("settings", "files", "problem"),
    [
        ({}, {"my/replies.csv": "task,corpus,id,reply\n"}, "replies.csv: no reply to 2 of 2 cases"),
        (
            {},
            {"my/diagnoses.csv": "name,code\ngout,X\n"},
            "diagnoses.csv: line 2: 'X' is no ICD-10",
        ),
        (
            {},
            {"my/diagnoses.csv": "name,code\nflu,J11.1\n"},
            "reference replies name not exactly one",
        ),
        ({}, {"b/ben.csv": "item,choice\nx,c\n"}, "ben.csv: unknown rating: x 'c'"),
        ({"human_sheets": ["a/anna.csv", "b/anna.csv"]}, {"b/anna.csv": ""}, "two files have one"),
        ({"judge": REMOTE}, {}, "judge.base_url: .* needs a key in the environment"),
    ],
)
def test_a_wrong_file_is_an_error_before_a_model_is_loaded(
    project, monkeypatch, settings, files, problem
):
    monkeypatch.delenv("TEACHER_API_KEY", raising=False)
    with pytest.raises(ValueError, match=problem):
        load(project, settings, **files)
