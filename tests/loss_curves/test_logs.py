"""Tests of loss_curves.logs: logs of others are read rightly, or refused with file and line."""

import json
import math
import re

import pytest

from clinical_camel import loss_curves
from clinical_camel.loss_curves.logs import describe_faults

HEADER = "step,fraction,loss,learning_rate,grad_norm,tokens,validation_loss"
ROWS = [f"{n},{n / 4},{5 - n}.0,0.0002,1.0,{1000 * n}," for n in range(1, 5)]
PLAIN = "\n".join([HEADER, *ROWS, ""])
PERCENT = "\n".join([HEADER, *(f"{n},{25 * n},{5 - n},0.0002,1,{1000 * n}," for n in range(1, 5))])
COMMA = PLAIN.replace(",", ";").replace(".", ",")
STEPS_ONLY = "Step,Value\n" + "".join(f"{n},{5 - n}\n" for n in range(1, 5))
EPOCHS = "epoch,global_step,train_loss,lr\n" + "".join(
    f"{n / 2},{n},{5 - n},1\n" for n in (1, 2, 3, 4)
)


def read(tmp_path, text, name="log.csv"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return loss_curves.read_log(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace(",", ";"),
        COMMA,
        PERCENT,
        "\n".join([HEADER, *(f"{n},{25 * n}%,{5 - n},1,1,{1000 * n}," for n in range(1, 5))]),
        "\n".join([HEADER, ROWS[0], "2,0.5,,,,,2.1", *ROWS[1:]]),  # a row of an evaluation
        "\n".join([HEADER, *ROWS[2:], *ROWS[:2]]),  # parts out of order
        "\n".join([HEADER, ROWS[0], "2,0.5,9.9,0.0002,1,2000,", *ROWS[1:]]),  # resumed
        "\n".join([HEADER, *ROWS, *ROWS]),
        "\n".join([HEADER, *ROWS[:2], HEADER, *ROWS[2:]]),  # two files in one
        STEPS_ONLY,
        EPOCHS,
        "epoch,step,train_loss_step,val_loss\n0,1,4,\n0,2,3,\n1,2,,3\n1,3,2,\n1,4,1,\n",
    ],
)
def test_every_form_of_a_log_gives_the_same_curve(tmp_path, text):
    table = read(tmp_path, text).table
    assert table["step"].tolist() == [1, 2, 3, 4]
    assert table["fraction"].tolist() == [0.25, 0.5, 0.75, 1.0]
    assert table["loss"].tolist() == [4.0, 3.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("lines", "remark"),
    [
        (ROWS, ""),
        ([*ROWS, ROWS[1]], "step 2 occurs more than once"),
        ([*ROWS, *ROWS[2:]], r"2 steps \(3 to 4\) occur more than once, as in a resumed run"),
        ([*ROWS[2:], *ROWS[:2]], "the parts of the log were not in order"),
        (PERCENT.splitlines()[1:], "fractions are percent"),
        ([*ROWS[:3], "4,1.0,1.0,0.0002,1,500,"], "the count of tokens restarts"),
        ([*ROWS[:3], "4,1.0,1.0,0.0002,inf,4000,"], "grad_norm .* at 1 steps, the first is step 4"),
    ],
)
def test_what_was_changed_is_said(tmp_path, lines, remark):
    remarks = read(tmp_path, "\n".join([HEADER, *lines])).remarks
    assert len(remarks) == bool(remark)
    assert re.search(remark, "".join(remarks))


STATE = {
    "log_history": [
        {"epoch": 0.5, "step": 1, "loss": 4.0, "learning_rate": 1e-4, "num_tokens": 1000},
        {"epoch": 0.5, "step": 1, "eval_loss": 3.9},
        {"epoch": 1.0, "step": 2, "loss": 3.0, "learning_rate": 0.0, "num_tokens": 2000},
        {"epoch": 1.0, "step": 2, "train_runtime": 9.0, "train_loss": 3.5},
    ],
    "max_steps": 2,
}


LINES = "\n".join(map(json.dumps, STATE["log_history"]))
LLAMA_FACTORY = """
{"current_steps": 5, "total_steps": 20, "loss": 4.0, "lr": 1e-4, "epoch": 0.25, "percentage": 25.0}
{"current_steps": 9, "total_steps": 20, "eval_loss": 3.9, "epoch": 0.5, "percentage": 45.0}
{"current_steps": 10, "total_steps": 20, "loss": null, "lr": 1e-5, "epoch": 0.5, "percentage": 50.0}
{"current_steps": 20, "total_steps": 20, "epoch": 1.0, "percentage": 100.0}
"""


def test_the_lines_of_llama_factory_are_a_log_and_null_is_nan(tmp_path):
    log = read(tmp_path, LLAMA_FACTORY, "trainer_log.jsonl")
    assert log.table["fraction"].tolist() == [0.25, 0.5]
    assert describe_faults(log.table) == "loss is NaN from step 10 on"


@pytest.mark.parametrize("text", [json.dumps(STATE), json.dumps(STATE["log_history"]), LINES])
@pytest.mark.parametrize("name", ["trainer_state.json", "LOG.JSONL"])
def test_the_state_of_a_trainer_is_a_log(tmp_path, text, name):
    log = read(tmp_path, text, name)
    assert log.table["loss"].tolist() == [4.0, 3.0]
    assert log.table["fraction"].tolist() == [0.5, 1.0]
    assert log.table["tokens"].tolist() == [1000, 2000]
    assert log.remarks == []


def test_a_loss_that_is_no_number_in_json_is_kept_as_a_fault(tmp_path):
    state = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": math.nan}]
    log = read(tmp_path, json.dumps(state), "x.json")
    assert describe_faults(log.table) == "loss is NaN from step 2 on"


@pytest.mark.parametrize(
    ("losses", "fault"),
    [
        (["2", "1", "nan", "NaN"], "loss is NaN from step 3 on"),
        (["nan"] * 4, "loss is NaN from step 1 on"),
        (["2", "inf", "inf", "inf"], "loss is infinite from step 2 on"),
        (["2", "nan", "1", "1"], "loss is NaN at 1 of 4 steps, the first is step 2"),
        (["2", "0.0", "0.0", "0.0"], "loss is 0 from step 2 on"),  # as transformers write a NaN
        (["2", "2", "2", "2"], ""),
    ],
)
def test_a_loss_that_is_no_number_is_named_in_table_and_headline(tmp_path, losses, fault):
    rows = [f"{n},{n / 4},{loss},1,1,{n}," for n, loss in enumerate(losses, 1)]
    log = read(tmp_path, "\n".join([HEADER, *rows])).table
    assert describe_faults(log) == fault
    stacked = loss_curves.stack_logs({"a": log}, 0.5)
    table = loss_curves.tabulate_losses(stacked)
    assert table.get("problem", [""])[0] == fault
    assert fault in loss_curves.format_headline(stacked)
    assert math.isfinite(table["100 %"][0]) == math.isfinite(float(losses[-1]))
    loss_curves.plot_curves(stacked)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("step,fraction,tokens\n1,1,1\n", "log.csv has no column loss; it has step, fraction"),
        (PLAIN.replace("3.0,0.0002", "-3.0,0.0002"), "log.csv: line 3: loss is -3"),
        (COMMA.replace("2000", "2.000"), "log.csv: line 3: tokens: '2.000' has a point"),
        (PLAIN.replace("2,0.5", "1e30,0.5"), "log.csv: line 3: step 1e+30 is not a whole number"),
        ("a,b\n1,2\n", "log.csv has no column step, loss"),
        (PLAIN.replace("2000", ""), "log.csv: line 3: tokens is empty"),
        (PLAIN.replace("3.0,0.0002", ",0.0002"), "log.csv: line 3: loss is empty"),
        (PLAIN.replace("2000", "many"), "log.csv: line 3: tokens: 'many' is not a number"),
        (PLAIN.replace("2000", "nan"), "log.csv: line 3: tokens is nan, not a finite number"),
        (PLAIN.replace("2,0.5", "2.5,0.5"), "log.csv: line 3: step 2.5 is not a whole number"),
        (PLAIN.replace("2,0.5", "2,0.1"), "log.csv: line 3: fraction falls from 0.25 to 0.1"),
        (PLAIN.replace("4,1.0", "4,3.0"), "log.csv: fraction goes up to 3; write shares"),
        (PLAIN.replace("3.0,0.0002", "3,0,0.0002"), "log.csv: line 3: 8 cells, but 7 columns"),
        ("loss,train_loss,step\n1,1,1\n", "loss and train_loss both are loss; delete one"),
        (HEADER + "\n", "log.csv: no step with a loss"),
        ("", "log.csv: empty"),
    ],
)
def test_a_log_that_cannot_be_read_is_refused_by_file_and_line(tmp_path, text, problem):
    with pytest.raises(ValueError, match="log.csv") as caught:
        read(tmp_path, text)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "x.json: not JSON"),
        ("[" * 100_000, "x.json: not JSON"),
        ('{"a": 1}', "x.json: no log_history"),
        ("[1]", "x.json: no log_history"),
        ('[{"step": 1, "eval_loss": 2.0}]', "x.json: no step with a loss"),
        ('[{"step": 1, "loss": 2.0, "train_loss": 9.0}]', "loss and train_loss both are loss"),
        ('[{"step": 1, "loss": "x"}]', "x.json: entry 1: loss: 'x' is not a number"),
    ],
)
def test_json_that_is_no_log_is_refused(tmp_path, text, problem):
    with pytest.raises(ValueError, match=problem):
        read(tmp_path, text, "x.json")
