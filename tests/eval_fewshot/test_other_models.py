"""Scores of other studies: compared only on the same questions, asked in the same way."""

import json

import pytest
from tests.support.toy_scores import scores

from clinical_camel import eval_fewshot
from clinical_camel.eval_fewshot import Design


@pytest.fixture
def other(project):
    """Write the scores of the study `mini` and return the setting that names them."""

    def write(table, parameters=1_104_128):
        file = project.file("outputs/mini/03_eval_fewshot/scores.csv", table.to_csv(index=False))
        notes = {"parameters": parameters} if parameters else {}
        file.with_name("run.json").write_text(json.dumps({"notes": notes}))
        return {"mini": "outputs/mini/03_eval_fewshot/scores.csv"}

    return write


BASE, TUNED = {"model": "base", "correct": 320}, {"model": "tuned"}


def compare(own, compare_with):
    return eval_fewshot.compare_studies("large", own, 134_515_008, compare_with)


def test_the_same_evaluation_has_the_models_of_both_studies_with_their_sizes(other):
    own = scores(BASE, TUNED)
    page = eval_fewshot.format_other_models(compare(own, other(scores(BASE | {"correct": 318}))))
    assert page["study"].tolist() == ["mini, 1.1 M", "large, 135 M"]
    assert page["n"].tolist() == ["1,273", "1,273"]
    assert page["chance"].tolist() == ["25.0", "25.0"]
    assert page["base"].tolist() == ["25.0 [22.7, 27.4]", "25.1 [22.8, 27.6]"]
    assert page["tuned"].tolist()[0] == ""
    assert page["tuned"].tolist()[1].startswith("60.7 [")


def test_another_number_of_questions_is_not_compared_and_the_page_says_so(other):
    own, setting = scores(BASE), other(scores(BASE | {"n": 100, "correct": 25}))
    table = compare(own, setting)
    page = eval_fewshot.format_other_models(table)
    assert page["base"].tolist() == ["not compared", "25.1 [22.8, 27.6]"]
    text = eval_fewshot.describe_other_models("large", own, table, setting)
    ways = "harness_2023, 5-shot"
    assert f"`medqa_us` ({ways}) is not compared with `mini`: n is 100 there, 1,273 here." in text


def test_an_evaluation_of_one_study_alone_is_named_and_not_shown(other):
    own = scores(BASE, BASE | {"protocol": "chat"}, BASE | {"benchmark": "medmcqa"})
    setting = other(scores(BASE, BASE | {"num_shots": 0}))
    table = compare(own, setting)
    assert set(table["protocol"]) == {"harness_2023"}
    assert set(table["benchmark"]) == {"medqa_us"}
    text = eval_fewshot.describe_other_models("large", own, table, setting)
    assert text.startswith("1 of 3 evaluations of this study are also in `mini`.")
    assert "In no other study: `medqa_us` as chat, 5-shot; `medmcqa`." in text


def test_no_other_study_gives_an_empty_table():
    table = compare(scores(BASE), {})
    assert len(eval_fewshot.format_other_models(table)) == 0
    text = eval_fewshot.describe_other_models("large", scores(BASE), table, {})
    assert text == "`compare_with` is empty: no other study is compared."


def test_a_size_that_no_run_recorded_is_not_invented(other):
    page = eval_fewshot.format_other_models(compare(scores(BASE), other(scores(BASE), 0)))
    assert page["study"].tolist()[0] == "mini, size not recorded"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "compare_with.mini: scores.csv has no column benchmark, protocol"),
        (scores(BASE).assign(n=10.5).to_csv(index=False), "line 2: n is no whole number from 0"),
    ],
)
def test_a_table_of_something_else_is_refused_by_its_key(project, text, message):
    project.file("outputs/mini/03_eval_fewshot/scores.csv", text)
    setting = {"compare_with": {"mini": "outputs/mini/03_eval_fewshot/scores.csv"}}
    assert any(message in problem for problem in Design.check(setting)), Design.check(setting)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"mini": "outputs/mini/03_eval_fewshot"}, 'compare_with.mini: "outputs/mini/03_eval'),
        ({"mini": "my/scores.csv"}, "compare_with.mini: my/scores.csv does not exist"),
        ({"mini_camel": "outputs/a/03_eval_fewshot/scores.csv"}, "is this study itself"),
    ],
)
def test_a_wrong_entry_is_named_by_its_key(setting, message):
    problems = Design.check({"compare_with": setting})
    assert any(message in problem for problem in problems), problems
