"""The settings of step 05: what they reject."""

import pytest

from clinical_camel.loss_curves import Curves

LOG = "step,fraction,loss,learning_rate,tokens\n"
SCORES = "benchmark,protocol,num_shots,model,n,accuracy,low,high,chance\n"


@pytest.fixture(autouse=True)
def tables(project):
    """A valid log, valid scores, and a log without two columns."""
    for name, text in (("log", LOG), ("scores", SCORES), ("other", "step,fraction,tokens\n")):
        project.file(f"{name}.csv", text)


def test_a_table_has_all_columns_or_is_that_of_a_step_that_has_not_run():
    assert Curves.check({"logs": {"a": "log.csv"}, "scores": {"a": "scores.csv"}}) == []
    assert Curves.check({"logs": {"mini_camel": "outputs/x/02_sft_qlora/train_log.csv"}}) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"logs": {"a": "other.csv"}}, "logs.a: other.csv has no column loss, learning_rate"),
        ({"scores": {"mini_camel": "log.csv"}}, "log.csv has no column benchmark, protocol"),
        ({"logs": {"a": "log.json"}}, 'logs.a: "log.json" is not a table'),
        ({"logs": {"a": "absent.csv"}}, "logs.a: absent.csv does not exist"),
        ({"scores": {"mini_caml": "scores.csv"}}, "scores.mini_caml: logs has no mini_caml"),
        ({"smoothing": 0.0}, "smoothing: 0.0 is not allowed"),
        ({"smoothing": 1.5}, "smoothing: 1.5 is not allowed"),
    ],
)
def test_each_problem_is_named_by_its_key(values, message):
    problems = Curves.check(values)
    assert any(message in problem for problem in problems), problems
