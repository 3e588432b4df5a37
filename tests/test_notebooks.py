"""The notebooks of the embedded study with their defaults, in order, in a copy: one chain."""

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
STEPS += ["09_score_checks"]

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


def test_the_score_checks_are_about_the_answers_of_step_03(chain):
    scores = table(chain, "03_eval_fewshot", "scores")
    clean = table(chain, "09_score_checks", "clean_scores")
    assert clean["accuracy"].tolist() == scores["accuracy"].tolist()
    assert clean["low"].tolist() == scores["low"].tolist()
    assert 0 < clean["overlapping"].max() < 312
    record = json.loads((chain[0] / "09_score_checks/run.json").read_text())
    text = "\n".join(record["notes"]["what_we_saw"])
    for name in ("Variants", "Training data", "Calibration", "Subgroups", "Images"):
        assert f"**{name}.**" in text


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


def test_the_published_numbers_need_no_result_of_ours(tmp_path):
    for name in ("notebooks", "params"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    (tmp_path / "outputs").mkdir()
    command = [
        *(sys.executable, "-m", "papermill", "notebooks/10_published.ipynb", "out.ipynb"),
        *("-f", "params/published/10_published.yaml", "--no-progress-bar"),
    ]
    environment = os.environ | {"CLINICAL_CAMEL_ROOT": str(tmp_path)}
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
    folder = tmp_path / "outputs/published/10_published"
    assert set(pd.read_csv(folder / "audit.csv")["verdict"]) == {"not run"}
    record = json.loads((folder / "run.json").read_text())
    assert "not run: needs an H100, about" in "\n".join(record["notes"]["what_we_saw"])


def test_the_page_of_results_reads_committed_tables_only(tmp_path):
    for name in ("notebooks", "params", "experiments"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/mini_camel_raw").symlink_to(REPOSITORY / "outputs/mini_camel_raw")
    command = [
        *(sys.executable, "-m", "papermill", "notebooks/00_results.ipynb", "out.ipynb"),
        *("-f", "params/results/00_results.yaml", "--no-progress-bar"),
    ]
    environment = os.environ | {"CLINICAL_CAMEL_ROOT": str(tmp_path)}
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
    folder = tmp_path / "outputs/results/00_results"
    numbers = pd.read_csv(folder / "numbers.csv")
    assert {"forgetting"} == set(numbers["finding"])
    assert (folder / "forms.png").is_file()
    record = json.loads((folder / "run.json").read_text())
    assert "(one training each)" in record["headline"]
    assert record["headline"].endswith("; 13 not run, or not finished")


def test_the_controlled_comparison_judges_a_sweep(tmp_path, monkeypatch):
    """By plain papermill, on the fake runs of tests/support/toy_comparison.py; one diverged."""
    toy_comparison.write_divergence(toy_comparison.build(tmp_path, monkeypatch)[-1])
    params = tmp_path / "params/toy_sweep/06_controlled_comparison.yaml"
    text = params.read_text(encoding="utf-8")
    params.write_text(text.replace('rate_sweep: ""', "rate_sweep: toy_sweep"), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "papermill", "notebooks/06_controlled_comparison.ipynb"),
        *("out.ipynb", "-f", "params/toy_sweep/06_controlled_comparison.yaml"),
        "--no-progress-bar",
    ]
    subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, check=True)
    folder = tmp_path / "outputs/toy_sweep/06_controlled_comparison"
    verdicts = pd.read_csv(folder / "contrasts.csv").query("is_primary")
    assert verdicts["verdict"].tolist() == ["helps", "cannot tell"]
    further = pd.read_csv(folder / "further_contrasts.csv")
    assert further.loc[0, ["treatment", "control", "seeds"]].tolist() == ["qa", "raw", 1]
    assert further["difference"].isna().all()  # one pair of seeds is too few
    record = json.loads((folder / "run.json").read_text())
    assert record["status"] == "complete"
    assert record["headline"].startswith("dialogue \N{MINUS SIGN} raw: helps, 35.1 points")
    sentence = "The analysis rests on 5 of 6 runs. Training diverged, so the contrasts of the arm"
    assert any(line.startswith(sentence) for line in record["notes"]["what_we_saw"])
    rates = pd.read_csv(folder / "rates.csv").set_index("arm")
    assert rates["is_chosen"].to_dict() == {"dialogue": True, "qa": False, "raw": True}
    figures = "contrasts design exposures forgetting scores specialties"
    assert {file.stem for file in folder.glob("*.png")} >= set(figures.split())
