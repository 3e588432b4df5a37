"""Tests of benchmarks/gpu_check.sh: its limits, the commands that it runs, one part on a CPU."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks/gpu_check.sh"
LONGEST, COMMAND = 720, 600  # seconds: all defaults, and one command of a lent machine
TORCH = """__version__ = "2.13.0"
class version: cuda = {cuda!r}
class cuda: is_available = lambda: {has_gpu}
"""
COUNT_STEPS = """
import argparse, json, sys
from benchmarks import sft_speed
rows = sft_speed.make_dialogues(int(sys.argv[1]), 32_000, int(sys.argv[2]))
tokens = sum(len(row["input_ids"]) for row in rows)
options = argparse.Namespace(size="13b", gradient_checkpointing_layers=0)
names = (sft_speed.REFERENCE, "ours, packed")
recomputed = [sft_speed.count_recomputed_layers(name, options) for name in names]
steps = tokens // int(sys.argv[2])
print(json.dumps([list(sft_speed.SUBJECTS), sft_speed.WARM_UP, steps, recomputed]))
"""
SET_ATTENTION = """
import argparse, json
from benchmarks import sft_speed
from transformers import LlamaForCausalLM
sft_speed.draw_weights = lambda config, quantize: LlamaForCausalLM(config)
options = argparse.Namespace(model="", size="", vocabulary=64, attention="flex_attention")
names = "ours, packed", "ours, eager attention", "TRL, packed"
bases = [sft_speed.make_base(name, options) for name in names]
print(json.dumps([base.config._attn_implementation for base in bases]))
"""


def run_script(**settings: str) -> subprocess.CompletedProcess:
    inherited = {k: v for k, v in os.environ.items() if k not in ("PARTS", "OUT", "WHEELS")}
    environment = inherited | {"PYTHON": sys.executable} | settings
    return subprocess.run(["bash", SCRIPT], env=environment, capture_output=True, text=True)


def run_python(*words: str, place: Path = ROOT) -> subprocess.CompletedProcess:
    """Run Python from the project root, with modules of `place` first."""
    environment = os.environ | {"PYTHONPATH": f"{place}:{ROOT / 'src'}:{ROOT}"}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def read_limits(parts: str) -> int:
    """Return the seconds that these parts may take."""
    text = SCRIPT.read_text(encoding="utf-8")
    limits = {name: int(limit) for name, limit in re.findall(r"\[(\w+)\]=(\d+)", text)}
    kill_after = int(re.search(r"^KILL_AFTER=(\d+)", text, re.MULTILINE)[1])
    return sum(limits[part] + kill_after for part in parts.split())


def read_defaults() -> str:
    return re.search(r'^DEFAULTS="(.+)"', SCRIPT.read_text(encoding="utf-8"), re.MULTILINE)[1]


def list_commands(**settings: str) -> dict[str, list[str]]:
    """Return the words of the last command of each part."""
    parts = re.split(r"^== (\w+) .*\n", run_script(PRINT="1", **settings).stdout, flags=re.M)[1:]
    texts = dict(zip(parts[::2], parts[1::2], strict=True))
    return {part: shlex.split(text.splitlines()[-1]) for part, text in texts.items()}


def test_the_limits_of_the_parts_keep_the_promise():
    assert read_limits(read_defaults()) <= LONGEST
    documented = re.findall(r'#     PARTS="([^"]+)" bash', SCRIPT.read_text(encoding="utf-8"))
    assert [parts for parts in documented if read_limits(parts) > COMMAND] == []
    assert " ".join(documented[:2]) == read_defaults()


def test_it_compares_training_with_the_defaults_of_trl():
    commands = list_commands()
    assert list(commands) == read_defaults().split()
    words = commands["sft_speed"]
    options = dict(zip(words[3::2], words[4::2], strict=False))
    subjects = words[words.index("--subjects") + 1 :]
    result = run_python("-c", COUNT_STEPS, options["--rows"], options["--max-length"])
    possible, warm_up, steps, recomputed = json.loads(result.stdout.splitlines()[-1])
    assert {"TRL, defaults", "TRL, packed", "TRL, Liger", "Unsloth"} < set(subjects)
    assert set(subjects) <= set(possible)
    assert steps >= 2 * warm_up  # of packed rows; the first are not counted
    assert recomputed == [-1, 0]  # the reference of the parity must fit at 13B


def test_large_models_are_loaded_once_for_a_rehearsal():
    commands = list_commands(PARTS="rehearse_70b rehearse_13b rehearse_8b")
    assert "02" in commands["rehearse_70b"]
    assert "02" in commands["rehearse_13b"]
    assert "02" not in commands["rehearse_8b"]
    text = SCRIPT.read_text(encoding="utf-8")
    assert "export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True" in text


def test_the_attention_code_of_our_subjects_is_chosen():
    result = run_python("-c", SET_ATTENTION)
    assert json.loads(result.stdout.splitlines()[-1]) == ["flex_attention", "eager", "sdpa"]


def test_an_unknown_part_and_a_missing_interpreter_end_it_at_once():
    result = run_script(PARTS="mini nosuch")
    assert (result.returncode, result.stderr[:15]) == (2, "no part nosuch;")
    assert run_script(PARTS="mini", PYTHON="false").returncode == 2


@pytest.mark.parametrize(
    ("cuda", "has_gpu", "problem"),
    [
        (None, False, "is built for CPUs, and this script installs no other"),
        ("13.0", False, "sees no GPU: compare its CUDA 13.0 with the driver"),
        ("13.0", True, ""),
    ],
)
def test_a_torch_without_a_gpu_is_named(cuda, has_gpu, problem, tmp_path):
    (tmp_path / "torch.py").write_text(TORCH.format(cuda=cuda, has_gpu=has_gpu))
    result = run_python("-m", "benchmarks.gpu_machine", place=tmp_path)
    assert result.returncode == (2 if problem else 0), result.stderr
    assert problem in result.stderr
    assert run_python("-m", "benchmarks.gpu_machine", "--cpu", place=tmp_path).returncode == 0


def test_a_bare_machine_is_named():
    result = run_python("-S", "-m", "benchmarks.gpu_machine", "--cpu")  # without site-packages
    assert result.returncode == 2
    assert "transformers==" in result.stderr
    assert "No module named 'torch'; name another interpreter in PYTHON" in result.stderr


@pytest.mark.notebook
def test_a_part_runs_on_a_cpu(tmp_path):
    result = run_script(DRY_RUN="1", PARTS="mini", OUT=str(tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / "parts.csv").read_text().startswith("mini,0,")
    assert "01_dbke  complete" in (tmp_path / "mini.log").read_text()
    assert (tmp_path / "mini_camel_01_dbke.json").is_file()  # copied before the next step


def test_each_part_commits_its_own_tables_only(tmp_path):
    """In a repository of its own, with an interpreter that does nothing."""
    (tmp_path / "benchmarks").mkdir()
    shutil.copy(SCRIPT, tmp_path / "benchmarks")
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    person = {
        f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }

    own = {name for name in os.environ if name.startswith("GIT_")}
    own |= {"PARTS", "OUT", "WHEELS", "COMMIT", "PRINT", "DRY_RUN"}

    def run(*words: str, **settings: str) -> str:
        environment = {k: v for k, v in os.environ.items() if k not in own}
        environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        environment |= person | settings
        command = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
        result = subprocess.run(words, **command)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    run("git", "init", "--quiet")
    run("git", "commit", "--quiet", "--allow-empty", "--message", "start")
    (tmp_path / "other.txt").write_text("of somebody else")
    run("git", "add", "other.txt")
    check = {"PYTHON": str(python), "PARTS": "rehearse_13b rehearse_8b"}
    run("bash", "benchmarks/gpu_check.sh", **check, OUT=str(tmp_path / "elsewhere"))
    assert run("git", "log", "--format=%s").splitlines() == ["start"]
    run("bash", "benchmarks/gpu_check.sh", **check, COMMIT="1")
    folder = "benchmarks/results/gpu"
    parts = run("git", "log", "--format=== %s", "--name-only").split("== ")[1:]
    assert [part.split("\n\n") for part in map(str.strip, parts)] == [
        ["GPU check: rehearse_8b", f"{folder}/parts.csv\n{folder}/rehearse_8b.log"],
        ["GPU check: rehearse_13b", f"{folder}/parts.csv\n{folder}/rehearse_13b.log"],
        ["start"],
    ]
