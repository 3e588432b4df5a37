"""The settings of step 08."""

import pytest

from clinical_camel.eval_replies import EvalReplies
from clinical_camel.eval_replies.settings import CONSULTATION


def check(**values):
    return EvalReplies.check({"adapters": {"base": ""}, "baseline": "base", **values})


def test_the_defaults_with_one_model_are_valid():
    assert check() == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"baseline": "bas"}, 'baseline: "bas" is no model here; did you mean base?'),
        ({"adapters": {"typical reply": ""}, "baseline": "typical reply"}, "name of a baseline of"),
        ({"other_replies": {"base": "outputs/x/r.csv"}}, "other_replies.base: a model in adapters"),
        ({"other_replies": {"gpt": "data/none.csv"}}, 'other_replies: "data/none.csv": no such'),
        ({"diagnosis_names": "data/none.csv"}, 'diagnosis_names: "data/none.csv": no such file'),
        ({"human_sheets": ["data/none.csv"]}, 'human_sheets: "data/none.csv": no such file'),
        ({"consultations": [], "records": [], "questions": []}, "all empty; name a dataset"),
        ({"records": ["mini_exam"]}, "mini_exam holds Question rows, not Dialogue rows"),
        ({"questions": ["mini_triple"]}, "not a registered dataset. Did you mean"),
        ({"trained_on": ["mini_records_test"]}, "is an evaluation set: no model may train on it"),
        ({"top_p": 0.5}, "top_p: 0.5 has no effect at temperature 0.0; write 1.0"),
        ({"top_k": 5}, "top_k: 5 has no effect at temperature 0.0; write 0"),
        ({"icd_level": "chapters"}, "icd_level"),
        ({"judge": {"kind": "overlap", "margin": 2.0}}, "judge.margin: 2.0 is not allowed"),
        ({"human_sheets": ["outputs/a.csv"], "questions": []}, "without questions nothing is"),
        ({"rl_prompts": "data/none.csv"}, 'rl_prompts: "data/none.csv": no such file'),
        ({"trained_on": []}, 'rl_prompts: without trained_on no results are separate; write ""'),
        ({"max_new_tokens": 32000}, "max_new_tokens: 32000 is more than the"),
    ],
)
def test_a_wrong_setting_is_named_with_the_remedy(values, message):
    problems = check(**values)
    assert any(message in problem for problem in problems), problems


def test_two_files_of_one_name_are_rejected(project):
    spec = "data/{}/visits.jsonl"
    row = '{"id": "a", "source": "x", "messages": [{"role": "user", "content": "?"},'
    row += ' {"role": "assistant", "content": "Yes."}]}\n'
    for folder in ("a", "b"):
        project.file(spec.format(folder), row)
    specs = [spec.format(folder) for folder in ("a", "b")]
    assert any("two datasets are called visits" in p for p in check(consultations=specs))
    assert not any("visits" in p for p in check(consultations=specs[:1], questions=specs[1:]))


def test_the_models_are_followed_by_other_systems():
    settings = EvalReplies(
        adapters={"base": ""}, baseline="base", other_replies={"gpt": "outputs/x/r.csv"}
    )
    assert settings.list_models() == ["base", "gpt"]
    assert settings.list_specs()[CONSULTATION] == ["mini_consultations"]
