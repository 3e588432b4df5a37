"""The sweep is trained as its preregistration says."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from clinical_camel.runs import list_runs

ROOT = Path(__file__).parents[1]
CHOSEN = ROOT / "experiments/results/chosen_rates.csv"
PRIMARY = ("raw", "monologue", "qa", "dialogue", "unmasked")


def test_every_arm_has_its_chosen_rate():
    if not CHOSEN.is_file():
        pytest.skip("dbke_rates has not been run: no rate is chosen")
    rates = pd.read_csv(CHOSEN).set_index("arm")["learning_rate"].to_dict()
    used = {
        run.arm: run.params["02_sft_qlora"]["learning_rate"] for run in list_runs("dbke_effect")
    }
    assert used == rates


def test_the_primary_arms_have_ten_pairs_of_seeds_and_run_first():
    runs = list_runs("dbke_effect")
    assert {run.arm for run in runs[:50]} == set(PRIMARY)
    assert len({(run.data_seed, run.training_seed) for run in runs[:50]}) == 10


def test_the_ceiling_is_asked_with_the_article():
    runs = [run for run in list_runs("dbke_effect") if run.arm == "open_book"]
    assert len(runs) == 2
    for run in runs:
        exam = run.params["03_eval_fewshot"]
        assert exam["variants"] == ["as_given", "open_book"]
        assert list(exam["adapters"]) == ["base", "tuned"]


def test_the_excluded_questions_are_those_that_were_known_before_the_runs():
    table = ROOT / "outputs/dbke_effect/06_controlled_comparison/overlaps.csv"
    if not table.is_file():
        pytest.skip("step 06 of dbke_effect has not been run")
    excluded = pd.read_csv(table, dtype=str)["id"]
    planned = pd.read_csv(ROOT / "experiments/results/excluded_questions.csv", dtype=str)
    assert set(excluded) == set(planned.loc[planned["benchmark"] == "mini_exam", "id"])
    assert excluded.nunique() == 136


@pytest.mark.parametrize(("sweep", "count"), [("dbke_smollm2", 312), ("dbke_reworded", 156)])
def test_a_real_model_is_asked_the_questions_that_were_listed_before_its_runs(sweep, count):
    folder = ROOT / "outputs" / sweep / "06_controlled_comparison"
    runs = folder / "runs.csv"
    if not runs.is_file() or pd.read_csv(runs)["status"].eq("missing").any():
        pytest.skip(f"step 06 of {sweep} has not been run on all runs")
    planned = pd.read_csv(ROOT / f"experiments/results/excluded_{sweep}.csv", dtype=str)
    overlaps = planned.loc[planned["reason"] == "overlap", "id"]
    assert set(pd.read_csv(folder / "overlaps.csv", dtype=str)["id"]) == set(overlaps)
    contrasts = pd.read_csv(folder / "contrasts.csv")
    remain = count - planned["id"].nunique()
    assert set(contrasts.loc[contrasts["is_primary"], "n"]) == {remain}


def test_only_the_main_sweep_and_its_taste_have_verdicts():
    """The learning rates of the other sweeps were not chosen per arm."""
    files = ROOT.glob("params/*/06_controlled_comparison.yaml")
    designs = {f.parent.name: yaml.safe_load(f.read_text(encoding="utf-8")) for f in files}
    assert {name for name, design in designs.items() if design["has_verdict"]} == {
        "dbke_effect",
        "dbke_taste",
    }


def test_what_three_pairs_of_seeds_can_detect_was_calculated():
    """The secondary sweeps have three."""
    table = pd.read_csv(ROOT / "experiments/results/power.csv").set_index("seeds")
    assert table.loc[3, "detectable"].tolist() == [10.7, 8.5]
    counts = {
        sweep: {run.seeds for run in list_runs(sweep)}
        for sweep in ("dbke_smollm2", "dbke_reworded", "dbke_scaling", "dbke_sizes")
    }
    assert {len(pairs) for pairs in counts.values()} == {3}
