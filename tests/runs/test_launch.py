"""Several processes of a launcher: each executes the step, one writes, any may fail."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
import yaml
from tests.support.processes import start_two
from tests.support.project import Project

from clinical_camel import cli, sft_qlora
from clinical_camel.core.settings import parameters_cell
from clinical_camel.runs import launch
from clinical_camel.runs.record import persistent_path

# no torch in these kernels: it takes two seconds to import
START = """\
import os, sys, time
sys.modules.update(torch=None, seaborn=None)
from pathlib import Path
from clinical_camel import runs
run = runs.start(study, "{step}", seed)
rank = os.environ["RANK"]"""
WRITE = """\
run.save_rows([{"rank": rank}], "rows")
run.note(rank=rank)
print(lora_rank, run.dir)
Path(f"{run.step}_{rank}").write_text(str(os.getpid()))"""
FAIL = """\
assert not (rank == "1" and Path("broken").exists()), "out of memory on this GPU"
while Path("broken").exists() or Path("hang").exists():
    time.sleep(0.1)"""
FINISH = """\
run.finish(f"written by rank {rank}")"""
STEPS = ("01_sft_qlora", "02_sft_qlora")  # have the settings of the training step


def build(project: Project) -> Project:
    """Two steps that may run in several processes, and one that may not."""
    for step, middle in zip(STEPS, ((WRITE,), (WRITE, FAIL)), strict=True):
        cell = parameters_cell(sft_qlora.Recipe)
        project.notebook(step, cell, START.format(step=step), *middle, FINISH)
        recipe = sft_qlora.Recipe(study="toy", mixture={"mini_chat": 1.0})
        project.params("toy", step, yaml.safe_dump(recipe.model_dump()))
    project.notebook("03_count", "study: str = 'mini_camel'\n", "study")
    project.params("toy", "03_count", "study: toy\n")
    return project


@pytest.fixture
def toy(project):
    return build(project)


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """That study after a run in which rank 1 failed in the second step: root, code, output."""
    project = build(Project(tmp_path_factory.mktemp("failed")))
    project.file("broken", "")
    process = start_two("-m", "clinical_camel", "run", "toy", "01", "02", root=project.root)
    output, _ = process.communicate()
    return project.root, process.returncode, output


def read_record(root: Path, step: str) -> dict:
    return json.loads((root / f"outputs/toy/.records/{step}.json").read_text())


def test_every_process_executes_the_step_and_one_writes(failed):
    root, _, output = failed
    assert {f"{STEPS[0]}_0", f"{STEPS[0]}_1"} <= {file.name for file in root.iterdir()}
    assert output.count(f"{STEPS[0]}  complete") == 2  # the line of the step, and the table
    results = root / "outputs/toy"
    visible = sorted(file.name for file in results.iterdir() if file.name[0] != ".")
    assert visible == [STEPS[0], f"{STEPS[0]}.ipynb"]
    assert (results / STEPS[0] / "rows.jsonl").read_text() == '{"rank": "0"}\n'
    record = json.loads((results / STEPS[0] / "run.json").read_text())
    assert record["headline"] == "written by rank 0"
    assert record["notes"] == {"rank": "0"}
    assert record["device"]["processes"] == 2


def test_the_failure_of_a_worker_ends_all_processes_and_is_recorded(failed):
    root, code, output = failed
    assert code == 1
    record = read_record(root, STEPS[1])
    assert record["status"] == "failed"
    assert record["reason"].startswith("rank 1: In [5]: AssertionError: out of memory on this GPU")
    assert output.count("out of memory on this GPU") == 2  # the line of the step, and the table


def test_sigterm_at_the_launcher_ends_every_kernel_and_complete_steps_are_skipped(failed):
    root = failed[0]
    (root / "broken").rename(root / "hang")
    files = [root / f"{step}_{rank}" for step in STEPS for rank in range(2)]
    for file in files:
        file.unlink()
    process = start_two("-m", "clinical_camel", "run", "toy", "01", "02", root=root)
    deadline = time.monotonic() + 300  # four kernels may start on one core
    while not all(file.exists() and file.read_text() for file in files[2:]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert f"{STEPS[0]}  already complete" in output
    assert read_record(root, STEPS[1])["status"] == "interrupted"
    assert not any(file.exists() for file in files[:2])
    for file in files[2:]:
        with pytest.raises(ProcessLookupError):
            os.kill(int(file.read_text()), 0)


def set_environment(monkeypatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_a_step_for_one_process_is_rejected_by_the_main_process_alone(toy, monkeypatch, capsys):
    set_environment(monkeypatch, WORLD_SIZE="4", RANK="0", TORCHELASTIC_USE_AGENT_STORE="True")
    assert cli.main(["run", "toy"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("03_count runs in one process, and the other 3 would wait")
    monkeypatch.setenv("RANK", "1")
    assert cli.main(["run", "toy"]) == 2
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        # accelerate launch --cpu --num_processes 2 sets these variables, and no RANK
        (
            {"ACCELERATE_MIXED_PRECISION": "no", "MASTER_PORT": "29500"},
            "starts one process on a CPU",
        ),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "only accelerate launch and torchrun"),
    ],
)
def test_processes_that_cannot_communicate_are_rejected(
    variables, expected, toy, monkeypatch, capsys
):
    monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
    set_environment(monkeypatch, **variables)
    assert cli.main(["run", "toy", "01"]) == 2
    assert expected in capsys.readouterr().err


def test_without_a_launcher_there_is_only_the_main_process(project, monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert (launch.rank(), launch.world_size()) == (0, 1)
    assert launch.wait_for("failure", give_up=lambda: False) == ""
    assert launch.results_folder("toy") == project.root / "outputs/toy"


FOREIGN = [
    ({"RANK": "1"}, "RANK: ignored"),
    ({"RANK": "1", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}, "RANK, WORLD_SIZE, LOCAL_RANK: ignored"),
    ({"RANK": "abc"}, "RANK: ignored"),
    ({"RANK": "", "WORLD_SIZE": ""}, "RANK, WORLD_SIZE: ignored"),
]


@pytest.mark.parametrize(("variables", "message"), FOREIGN)
def test_variables_that_no_launcher_set_make_no_worker(
    variables, message, project, monkeypatch, capsys
):
    for name in (*launch.VARIABLES, "TORCHELASTIC_USE_AGENT_STORE"):
        monkeypatch.setenv(name, "")  # so that they are restored
        monkeypatch.delenv(name)
    set_environment(monkeypatch, **variables)
    assert cli.main(["list"]) == 0
    assert message in capsys.readouterr().err
    assert not set(launch.VARIABLES) & os.environ.keys()  # kernels would wait for the others
    assert (launch.rank(), launch.world_size()) == (0, 1)


@pytest.mark.parametrize("tool", ["JupyterLab", "VS Code", "Colab"])
def test_an_executed_notebook_that_is_opened_and_run_again_is_a_trial(tool, project, monkeypatch):
    monkeypatch.setitem(launch.sys.modules, "ipykernel", launch)
    main = launch.sys.modules["__main__"]
    monkeypatch.setattr(main, "In", ["", "# Parameters\nseed = 1\n"], raising=False)
    set_environment(monkeypatch)
    assert launch.results_folder("toy") == project.root / "outputs/toy"  # plain papermill
    if tool == "JupyterLab":
        monkeypatch.setenv("JPY_SESSION_NAME", "outputs/toy/01_first.ipynb")
    elif tool == "VS Code":
        monkeypatch.setattr(main, "__vsc_ipynb_file__", "01_first.ipynb", raising=False)
    else:
        monkeypatch.setitem(launch.sys.modules, "google.colab", launch)
    assert launch.results_folder("toy") == project.root / "outputs/scratch/toy"


@pytest.mark.parametrize(
    ("cells", "runner", "study", "folder"),
    [
        ([], "", "toy", "outputs/scratch/toy"),
        ([], "", "scratch", "outputs/scratch"),
        ([], "123", "toy", "outputs/toy"),
        (["", "# Parameters\nseed = 1\n"], "", "toy", "outputs/toy"),
    ],
)
def test_jupyterlab_writes_beside_the_results_of_the_runner(
    cells, runner, study, folder, project, monkeypatch
):
    monkeypatch.setitem(launch.sys.modules, "ipykernel", launch)
    monkeypatch.setattr(launch.sys.modules["__main__"], "In", cells, raising=False)
    set_environment(monkeypatch, **({launch.RUNNER: runner} if runner else {}))
    assert launch.results_folder(study) == project.root / folder
    ledger = persistent_path(study, "01_first", "ledger")  # no reply is paid for twice
    assert ledger == project.root / f"outputs/{study}/.01_first.persistent/ledger.sqlite"
