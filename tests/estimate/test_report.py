"""What the command `plan` prints."""

import dataclasses
import subprocess
import sys

import pytest

from clinical_camel.estimate import report
from clinical_camel.estimate.costs import Cost
from clinical_camel.estimate.work import Work
from clinical_camel.runner.jobs import PlanError, load_jobs


def join_lines(cost: Cost) -> str:
    return " ".join(" ".join(report.format_step(cost)).split())


def test_a_step_that_does_not_fit_is_marked():
    cost = Cost("s", "02_a", "h100", Work(), memory={"base": 81 * 10**9})
    assert "DOES NOT FIT: MORE THAN THE H100 HAS" in join_lines(cost)
    assert "FIT" not in join_lines(dataclasses.replace(cost, machine="h200"))


def test_the_cost_of_a_teacher_is_printed_with_its_cap():
    cost = Cost("s", "01_dbke", "cpu", Work(rows=442), money=2.5, money_cap=1.0)
    text = "  teacher   2.50 at price_in and price_out; money_cap stops it at 1.00"
    assert text in report.format_step(cost)
    assert report.format_total([cost], rate=0.0)[-1].split()[-1] == "2.50"


def test_the_table_has_a_total_and_the_cost():
    done = Work(training_tokens=10, unknown=("x: not counted",))
    one = Cost("s", "02_a", "h100", done, memory={"a": 10**9}, seconds={"work": 7200.0})
    two = dataclasses.replace(one, step="03_b", work=Work(), seconds={"work": 3600.0})
    lines = report.format_total([one, two], rate=2.5)
    assert lines[1].split() == ["02_a", "10", "1.00", "0.00", "at", "least", "2.00", "5.00"]
    assert lines[-1].split() == ["total", "1.00", "0.00", "at", "least", "3.00", "7.50"]


def test_the_report_has_each_step_the_total_the_error_and_the_sources(monkeypatch, capsys):
    monkeypatch.setattr(report, "read_measured", lambda job, cost: (10.0, 2 * 10**9))
    assert report.print_report(load_jobs("mini_camel_controls"), rate=2.0) == 0
    out = capsys.readouterr().out
    texts = ("03_eval_fewshot  mini, 1,115,264", "on cpu\n", "base in NF4", "last run", "  2.00 ")
    assert [text for text in texts if text not in out] == []
    assert "measured: mini_camel and mini_camel_raw" in " ".join(out.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"machine": "h10"}, "--machine: no machine h10; did you mean h100?"),
        ({"rate": -1.0}, "--rate: -1.0 is not allowed"),
        ({"tokens_per_second": float("nan")}, "--tokens-per-second: nan is not allowed"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(PlanError) as caught:
        report.print_report(load_jobs("mini_camel_controls"), **options)
    assert message in str(caught.value)


@pytest.mark.parametrize("command", ["plan", "doctor"])
def test_the_params_are_checked_before_torch_is_imported(command, fresh_project, capfd):
    file = fresh_project / "params/mini_camel_raw/02_sft_qlora.yaml"
    file.write_text(file.read_text().replace("batch_size: 4", "batch_size: 0"))
    line = [sys.executable, "-X", "importtime", "-m", "clinical_camel", command, "mini_camel_raw"]
    done = subprocess.run(line, timeout=300)
    errors = capfd.readouterr().err
    assert done.returncode == 2
    assert "batch_size: 0 is not allowed" in errors
    assert " torch\n" not in errors


def test_plan_imports_neither_torch_nor_a_library_that_does():
    program = (
        "import sys; from clinical_camel import cli; code = cli.main(['plan', 'mini_camel']);"
        "slow = {'torch', 'transformers', 'datasets', 'trl', 'peft', 'sklearn'} & set(sys.modules);"
        "sys.exit(code or ' '.join(sorted(slow)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (0, "")
    assert "02_sft_qlora  mini, 1,115,264 parameters" in done.stdout
