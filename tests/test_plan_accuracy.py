"""Tests of benchmarks/plan_accuracy.py on a few made-up runs."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clinical_camel.runner.jobs import load_job
from clinical_camel.runs import machine

ROOT = Path(__file__).parents[1]
CPU, GPU = {"cpu": "a", "threads": 3}, {"cpu": "a", "threads": 3, "gpu": ["NVIDIA H100"]}


@pytest.fixture
def toy(project):
    """A project with the real params and runs of some steps."""
    shutil.copytree(ROOT / "params", project.root / "params", dirs_exist_ok=True)
    shutil.copytree(ROOT / "notebooks", project.root / "notebooks", dirs_exist_ok=True)

    def add_run(study, step, device, place="", **changed):
        record = {"study": study, "step": step, "status": "complete", "headline": "", "notes": {}}
        record |= {"params": load_job(study, step).params | changed, "device": device}
        record |= {"seconds": 100.0, "peak_memory_mb": 800, "attempts": [{"seconds": 50.0}, {}]}
        record |= {"artefacts": {}}
        project.file(f"outputs/{place or study}/{step}/run.json", json.dumps(record))

    add_run("mini_camel", "02_sft_qlora", CPU)
    add_run("mini_camel", "03_eval_fewshot", GPU)
    add_run("mini_camel", "05_loss_curves", CPU)
    add_run("mini_camel_llm", "02_sft_qlora", CPU)
    add_run("mini_camel_raw", "02_sft_qlora", CPU, seed=77)
    add_run("mini_camel", "02_sft_qlora", CPU, place="dbke_effect/raw_d0_t0")
    return project


def run_benchmark(project):
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
        "CLINICAL_CAMEL_ROOT": str(project.root),
        "BENCHMARK_RESULTS": str(project.root),
    }
    command = [sys.executable, "-m", "benchmarks.plan_accuracy"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def read_table(project):
    text = (project.root / "plan_accuracy.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def test_each_run_on_a_cpu_has_a_row_with_its_ratios(toy):
    toy.file("plan_accuracy.csv", "an older table\n")
    result = run_benchmark(toy)
    assert result.returncode == 0, result.stderr
    rows = read_table(toy)
    assert [(row["study"], row["step"], row["fitted"]) for row in rows] == [
        ("mini_camel", "02_sft_qlora", "time"),
        ("mini_camel_llm", "02_sft_qlora", ""),
    ]
    row = rows[0]
    assert (row["seconds_run"], row["memory_mb_run"]) == ("150.0", "800")
    assert (row["cpu"], row["threads_run"], row["cores_plan"]) == ("a", "3", "1")
    assert row["estimated"] == "True"  # its dialogues are not in this project
    ratio = float(row["seconds_plan"]) / float(row["seconds_run"])
    assert float(row["time_ratio"]) == pytest.approx(ratio, abs=0.01)
    ratio = float(row["memory_mb_plan"]) / float(row["memory_mb_run"])
    assert float(row["memory_ratio"]) == pytest.approx(ratio, abs=0.01)


def test_a_run_without_a_row_is_named_with_the_reason(toy):
    lines = run_benchmark(toy).stderr.splitlines()
    assert "mini_camel/03_eval_fewshot is left out: it ran on a GPU" in lines
    assert any(line.startswith("mini_camel_raw/02_sft_qlora is left out: not c") for line in lines)


def test_a_rehearsal_must_not_replace_the_constants(toy):
    device = {"cpu": machine.describe_device()["cpu"], "threads": 1}
    content = {"machine": device, "speeds": {"training": 1e9}}
    toy.file("outputs/mini_camel/rehearsal.json", json.dumps(content | {"date": "2026-11-30"}))
    toy.file("plan_accuracy.csv", "an older table\n")
    result = run_benchmark(toy)
    assert result.returncode == 1
    assert "outputs/mini_camel/rehearsal.json: replaces the constants" in result.stderr
    assert (toy.root / "plan_accuracy.csv").read_text() == "an older table\n"
