"""The settings of step 05: what they reject."""

import pytest

from clinical_camel.loss_curves import Curves

LOG = "step,fraction,loss,learning_rate,tokens\n1,1.0,2.0,0.1,10\n"
SCORES = (
    "benchmark,protocol,num_shots,model,n,accuracy,low,high,chance\ne,chat,0,m,9,.5,.4,.6,.25\n"
)
EMPTY = LOG.replace("0.1,10", "0.1,")


@pytest.fixture(autouse=True)
def tables(project):
    """A valid log, valid scores, and a log without two columns."""
    for name, text in (
        ("log", LOG),
        ("scores", SCORES),
        ("other", "step,fraction,tokens\n"),
        ("empty", EMPTY),
    ):
        project.file(f"{name}.csv", text)


def test_a_table_has_all_columns_or_is_that_of_a_step_that_has_not_run():
    assert Curves.check({"logs": {"a": "log.csv"}, "scores": {"a": "scores.csv"}}) == []
    assert Curves.check({"logs": {"mini_camel": "outputs/x/02_sft_qlora/train_log.csv"}}) == []


def test_a_table_that_a_step_writes_is_not_opened(project):
    project.file("outputs/x/02_sft_qlora/train_log.csv", "damaged")
    assert Curves.check({"logs": {"mini_camel": "outputs/x/02_sft_qlora/train_log.csv"}}) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"logs": {"a": "other.csv"}}, "logs.a: other.csv has no column loss"),
        ({"scores": {"mini_camel": "log.csv"}}, "log.csv has no column benchmark, protocol"),
        ({"logs": {"a": "log.txt"}}, 'logs.a: "log.txt" is not a table; name a file that ends in'),
        ({"scores": {"mini_camel": "x.json"}}, 'scores.mini_camel: "x.json" is not a table'),
        ({"logs": {"a": "empty.csv"}}, "logs.a: empty.csv: line 2: tokens is empty"),
        ({"logs": {"a": "absent.csv"}}, "logs.a: absent.csv does not exist"),
        ({"scores": {"mini_caml": "scores.csv"}}, "scores.mini_caml: logs has no mini_caml"),
        ({"smoothing": 0.0}, "smoothing: 0.0 is not allowed"),
        ({"smoothing": 1.5}, "smoothing: 1.5 is not allowed"),
    ],
)
def test_each_problem_is_named_by_its_key(values, message):
    problems = Curves.check(values)
    assert any(message in problem for problem in problems), problems
