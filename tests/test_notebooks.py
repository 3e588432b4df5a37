"""All five notebooks with their defaults, in order, in a copy of the project: one chain."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from tests.support import toy_comparison

from clinical_camel import note_synthesis

REPOSITORY = Path(__file__).parents[1]
STEPS = ["01_dbke", "02_sft_qlora", "03_eval_fewshot", "04_note_synthesis", "05_loss_curves"]

pytestmark = pytest.mark.notebook


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A project whose notebooks and params are ours and whose outputs are its own, after a run."""
    root = tmp_path_factory.mktemp("project")
    for name in ("notebooks", "params"):
        (root / name).symlink_to(REPOSITORY / name)
    (root / "outputs").mkdir()
    environment = os.environ | {"CLINICAL_CAMEL_ROOT": str(root)}
    command = [sys.executable, "-m", "clinical_camel", "run", "mini_camel"]
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return root / "outputs" / "mini_camel", done.stdout, environment


def table(chain, step, name):
    return pd.read_csv(chain[0] / step / f"{name}.csv")


def test_every_step_is_complete_with_a_line_and_a_row(chain):
    for step in STEPS:
        assert json.loads((chain[0] / step / "run.json").read_text())["status"] == "complete"
        assert chain[1].count(step) >= 3  # running, complete, closing table


def test_requested_dialogues_are_accepted_or_rejected(chain):
    summary = table(chain, "01_dbke", "summary")
    assert (summary["requested"] == summary["accepted"] + summary["rejected"]).all()
    assert summary["accepted"].sum() > 400


def test_the_loss_fell(chain):
    loss = table(chain, "02_sft_qlora", "train_log")["loss"]
    assert loss.tail(20).mean() < 0.5 * loss.head(20).mean()


def test_the_base_is_at_chance_and_tuning_lifts_the_exam(chain):
    keys = ["benchmark", "model", "protocol", "num_shots"]
    scores = table(chain, "03_eval_fewshot", "scores").set_index(keys)
    base, tuned = (scores.loc[("mini_exam", name, "option_text", 0)] for name in ("base", "tuned"))
    assert base["n"] == tuned["n"] == 312
    assert base["low"] <= 0.25 <= base["high"]
    assert tuned["low"] > base["high"]
    comparison = table(chain, "03_eval_fewshot", "comparison")
    assert comparison.iloc[0]["low"] > 0


def test_every_model_wrote_about_every_consultation(chain):
    counts = table(chain, "04_note_synthesis", "statuses").set_index("model")
    assert set(counts.index) == {"base", "tuned", "lead copy", "majority section"}
    assert set(counts[list(note_synthesis.STATUSES)].sum(axis=1)) == {28}
    decodings = table(chain, "04_note_synthesis", "decodings")
    assert set(decodings["decoding"]) == {"as set", "clinmed_llama3"}
    for name in ("raw", "raw_clinmed_llama3"):
        raw = (chain[0] / f"04_note_synthesis/{name}.jsonl").read_text().splitlines()
        assert len(raw) == 2 * 28


def test_the_reference_is_mostly_supported_and_a_note_about_others_is_not(chain):
    summary = table(chain, "04_note_synthesis", "faithfulness_summary")
    shares = summary.set_index(["model", "kind"])["share"]
    assert shares["reference", "supported"] > 0.9
    assert shares["majority section", "supported"] < 0.3
    assert shares["reference", "all"] > 0.9
    for name in ("faithfulness", "fact_coverage"):
        models = set(table(chain, "04_note_synthesis", name)["model"])
        assert models == {"reference", "base", "tuned", "lead copy", "majority section"}


def test_the_curves_end_with_the_log_of_step_02(chain):
    curves = table(chain, "05_loss_curves", "curves")
    assert curves["loss"].iloc[-1] == table(chain, "02_sft_qlora", "train_log")["loss"].iloc[-1]


def test_the_executed_notebooks_name_no_path_of_this_machine(chain):
    for step in STEPS:
        text = (chain[0] / f"{step}.ipynb").read_text()
        assert str(chain[0].parents[1]) not in text
        assert str(Path.home()) not in text
        assert "site-packages" not in text


def test_a_second_run_skips_what_is_complete(chain):
    command = [sys.executable, "-m", "clinical_camel", "run", "mini_camel"]
    again = subprocess.run(command, env=chain[2], capture_output=True, text=True, check=True)
    assert "running" not in again.stdout


def test_plain_papermill_runs_a_notebook_with_its_params(chain):
    """The cheapest step stands for all; the runner uses the same call."""
    root = chain[0].parents[1]
    command = [
        *(sys.executable, "-m", "papermill", "notebooks/05_loss_curves.ipynb", "out.ipynb"),
        *("-f", "params/mini_camel/05_loss_curves.yaml", "--no-progress-bar"),
    ]
    subprocess.run(command, cwd=root, env=chain[2], capture_output=True, check=True)
    cells = nbformat.read(root / "out.ipynb", 4).cells
    assert all(cell.execution_count for cell in cells if cell.cell_type == "code")


def test_the_controlled_comparison_judges_a_sweep(tmp_path, monkeypatch):
    """By plain papermill, on the fake runs of tests/support/toy_comparison.py."""
    toy_comparison.build(tmp_path, monkeypatch)
    command = [
        *(sys.executable, "-m", "papermill", "notebooks/06_controlled_comparison.ipynb"),
        *("out.ipynb", "-f", "params/toy_sweep/06_controlled_comparison.yaml"),
        "--no-progress-bar",
    ]
    subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, check=True)
    folder = tmp_path / "outputs/toy_sweep/06_controlled_comparison"
    verdicts = pd.read_csv(folder / "contrasts.csv").query("is_primary")
    assert verdicts["verdict"].tolist() == ["helps", "cannot tell"]
    record = json.loads((folder / "run.json").read_text())
    assert record["status"] == "complete"
    assert record["headline"].startswith("dialogue \N{MINUS SIGN} raw: helps, 34.0 points")
    assert "The analysis rests on 6 of 6 runs." in record["notes"]["what_we_saw"]
    figures = "contrasts design exposures forgetting scores specialties"
    assert {file.stem for file in folder.glob("*.png")} >= set(figures.split())
