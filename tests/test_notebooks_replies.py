"""Notebooks 07 and 08 with few prompts and one step of training, from the shipped adapter."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import yaml

REPOSITORY = Path(__file__).parents[1]
ADAPTER = "outputs/mini_camel/02_sft_qlora/adapter"  # in git, so that no step runs before
STEPS = {
    "07_reward_and_rl": {
        "adapter": ADAPTER,
        "prompts": {"mini_triples": 0.02},
        "held_out_by": "subject",
        "max_new_tokens": 48,
        "replies_per_prompt": 4,
        "rankers": ["rule", "judge"],
        "temperature": 1.0,
        "methods": ["ppo", "dpo"],
        "seeds": [0],
        "rl_steps": 1,
        "prompts_per_step": 2,
        "num_generations": 2,
        "eval_steps": 1,
        "eval_limit": 4,
        "primer_exam": "",
        "exam_key": "",
    },
    "08_eval_replies": {
        "adapters": {
            "base": "",
            "sft": ADAPTER,
            "ppo": "outputs/scratch/07_reward_and_rl/policies/ppo_0/adapter",
        },
        "rl_prompts": "outputs/scratch/07_reward_and_rl/prompts.csv",
        "case_limit": 6,
        "max_new_tokens": 24,
    },
}
each_step = pytest.mark.parametrize("step", STEPS)

pytestmark = pytest.mark.notebook


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The results of both steps, executed by papermill in a project of their own."""
    root = tmp_path_factory.mktemp("project")
    (root / "outputs").mkdir()
    for name in ("notebooks", "params", "outputs/mini_camel"):
        (root / name).symlink_to(REPOSITORY / name)
    environment = os.environ | {"CLINICAL_CAMEL_ROOT": str(root)}
    for step, values in STEPS.items():
        text = yaml.safe_dump({"study": "scratch", **values})
        (root / f"{step}.yaml").write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "papermill", f"notebooks/{step}.ipynb", f"{step}.ipynb"]
        command += ["-f", f"{step}.yaml", "--no-progress-bar"]
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return root / "outputs/scratch"


def read(results, step, name):
    return pd.read_csv(results / step / f"{name}.csv")


@each_step
def test_every_cell_runs_and_the_step_is_complete(results, step):
    file = results.parents[1] / f"{step}.ipynb"
    cells = nbformat.read(file, 4).cells
    assert all(cell.execution_count for cell in cells if cell.cell_type == "code")
    record = json.loads((results / step / "run.json").read_text(encoding="utf-8"))
    assert record["status"] == "complete"
    text = file.read_text(encoding="utf-8")
    assert not [path for path in (REPOSITORY, Path.home(), "site-packages") if str(path) in text]


def test_each_method_trains_a_policy_and_no_subject_is_in_both_parts(results):
    trainings = read(results, "07_reward_and_rl", "policy_trainings")
    assert trainings["method"].tolist() == ["ppo", "dpo"]
    for method in trainings["method"]:
        folder = results / f"07_reward_and_rl/policies/{method}_0/adapter"
        assert (folder / "adapter_model.safetensors").is_file()
    prompts = read(results, "07_reward_and_rl", "prompts")
    for column in ("group", "question_hash"):
        training, held_out = (
            set(prompts.loc[prompts["part"] == part, column]) for part in ("training", "held out")
        )
        assert training
        assert held_out
        assert not training & held_out


def test_win_rates_on_held_out_subjects_are_separate(results):
    wins = read(results, "08_eval_replies", "wins")
    assert set(zip(wins["part"], wins["model"], strict=True)) == {
        (part, model) for part in ("in training", "held out of RL") for model in ("base", "ppo")
    }
    assert wins.groupby("model")["n"].sum().to_dict() == {"base": 6, "ppo": 6}
    record = json.loads((results / "08_eval_replies/run.json").read_text(encoding="utf-8"))
    assert "win rate of ppo on mini_triples, held out of RL: " in record["headline"]


def test_every_writer_is_measured_in_every_task(results):
    statuses = read(results, "08_eval_replies", "statuses")
    writers = ["base", "sft", "ppo", "typical reply", "copied question"]
    assert statuses.groupby("task")["model"].agg(list).map(sorted).tolist() == [sorted(writers)] * 3
    assert (statuses["words"] > 1).all()
    assert (statuses["distinct"] >= 1).all()
    comparison = read(results, "08_eval_replies", "overlap_comparison")
    families = comparison.groupby("family")["metric"].nunique().to_dict()
    assert families == {"primary": 1, "secondary": 7}
    typical = read(results, "08_eval_replies", "overlap_typical")
    assert set(typical["model"]) == {"base", "sft", "ppo"}
    corpus = read(results, "08_eval_replies", "overlap_corpus")
    several = corpus[corpus["groups"] > 1]
    assert len(several)
    assert (several["bleu1_low"] <= several["bleu1_high"]).all()
    for name in ("overlap", "outcomes", "diagnoses", "wins"):
        assert (results / f"08_eval_replies/{name}.png").is_file()
