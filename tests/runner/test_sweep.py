"""All runs of a sweep: what is executed, what survives a kill, what is printed and refused."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.support import toy_sweep
from tests.support.project import Project
from tests.support.toy_sweep import RUNS, SWEEP, find_status, read_ledger, run

from clinical_camel import cli
from clinical_camel.runner import sweep
from clinical_camel.runner.jobs import PlanError

COMMAND = [sys.executable, "-m", "clinical_camel", "run", "many"]


@pytest.fixture(scope="session")
def finished_sweep(tmp_path_factory) -> Path:
    """The project of `toy_sweep` after a complete run, two tasks at once."""
    project = Project(tmp_path_factory.mktemp("finished"))
    toy_sweep.build(project)
    toy_sweep.add_third(project)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLINICAL_CAMEL_ROOT", str(project.root))
        assert run("--jobs", "2") == 0
    return project.root


@pytest.fixture
def complete(finished_sweep, tmp_path, monkeypatch) -> Project:
    """A copy of the finished sweep with an empty ledger, free to be changed."""
    shutil.copytree(finished_sweep, tmp_path / "copy")
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(tmp_path / "copy"))
    (tmp_path / "copy/ledger").unlink()
    return Project(tmp_path / "copy")


@pytest.fixture
def toy(project) -> Project:
    """The project before its first run."""
    toy_sweep.build(project)
    return project


def change_rate(project: Project) -> None:
    """Make the second step of the arm `slow` stale."""
    project.file("params/many/sweep.yaml", SWEEP.replace("rate: 1.0", "rate: 3.0"))


# ----------------------------------------------------------------------------- what is executed


def test_every_run_is_executed_once_and_the_first_step_is_shared(finished_sweep):
    lines = (finished_sweep / "ledger").read_text().split()
    assert sorted(lines) == sorted(f"many/{name}" for name in RUNS)
    texts = (finished_sweep / "outputs/many/03_third/all.jsonl").read_text()
    assert '["slow_d0_t1", "slow", 0, 1, "\\"\\\\\\"raw 0\\\\\\"\\"\\n1.0\\n1\\n"]' in texts
    assert '["qa_d0_t1", "qa", 0, 1, "\\"\\\\\\"qa 0\\\\\\"\\"\\n2.0\\n1\\n"]' in texts


def test_a_complete_sweep_is_not_run_again(complete, capsys):
    assert run() == 0
    printed = capsys.readouterr().out
    assert "many: 8 tasks, 8 complete, 1 at once\n" in printed
    assert "[1/1] 03_third  already complete" in printed
    assert read_ledger(complete) == []


def test_status_and_list_count_what_is_complete(complete, capsys):
    change_rate(complete)
    assert cli.main(["status", "many"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:4]] == [
        ["arm", "d0", "t0", "d0", "t1"],
        ["raw", "complete", "complete"],
        ["slow", "02", "stale", "02", "stale"],
        ["qa", "complete", "complete"],
    ]
    assert "many/slow_d0_t0: 02_second stale: params changed: rate" in lines
    assert lines[-1] == "7/9 steps complete, of 6 runs"
    assert cli.main(["list"]) == 0
    assert capsys.readouterr().out.split()[:3] == ["many", "7/9", "complete"]


def test_a_run_is_a_study_of_its_own(complete, capsys):
    assert cli.main(["status", "many/slow_d0_t1"]) == 0
    assert "outputs/many/slow_d0_t1/02_second.ipynb" in capsys.readouterr().out
    assert cli.main(["run", "many/slow_d0_t1"]) == 0
    assert "[1/1] 02_second  already complete" in capsys.readouterr().out
    assert cli.main(["run", "many/slow_d0_t2"]) == 2
    assert "many has no run slow_d0_t2; did you mean slow_d0_t" in capsys.readouterr().err


def test_arms_and_runs_are_chosen_by_patterns(complete, capsys):
    complete.file("params/many/sweep.yaml", SWEEP.replace("2.0", "2.5"))  # raw and qa are stale
    assert run("--only", "qa_*t1", "sl*") == 0
    assert read_ledger(complete) == ["qa_d0_t1"]
    message = "03_third  not started: 3 of 8 results that it reads are not complete (many/qa_d0_t0"
    assert message in capsys.readouterr().out
    for options, message in (([], "3 of 8 results"), (["--only", "raw"], "2 of 3 results")):
        assert run("03", *options) == 2
        assert f"{message} that it reads are not complete (many/" in capsys.readouterr().err
    assert run("02", "--only", "slow_d0_t1") == 0
    assert len(read_ledger(complete)) == 1


def test_a_step_of_the_sweep_that_is_named_with_runs_needs_only_these(complete, capsys):
    shutil.rmtree(complete.root / "outputs/many/raw_d0_t1")
    cells = (
        toy_sweep.THIRD[0],
        "names = [r.name for r in runs.list_runs(sweep) if r.folders['02_second'].exists()]",
        "run.save_rows(names, 'all')\nrun.finish(f'{len(names)} runs')",
    )
    complete.notebook("03_third", "study: str = ''\nsweep: str = ''\nseed: int = 0", *cells)
    assert run("03", "--only", "qa") == 0
    assert "complete" in capsys.readouterr().out
    assert len((complete.root / "outputs/many/03_third/all.jsonl").read_text().split()) == 5
    assert cli.main(["status", "many"]) == 1
    third = capsys.readouterr().out.splitlines()[-2]
    assert third.split()[:2] == ["03_third", "stale"]
    assert "input missing: outputs/many/raw_d0_t1/02_second" in third


# ------------------------------------------------------------------------------- what can fail


def test_a_failed_run_stops_no_other_and_is_named_at_the_end(complete, capsys):
    change_rate(complete)
    complete.file("fail_slow_d0_t0", "")
    assert run() == 1
    printed = capsys.readouterr().out
    assert "[7/8] slow_d0_t0  failed" in printed
    assert "[8/8] slow_d0_t1  complete" in printed
    end = printed.partition("1 of 8 tasks are not complete:\n")[2]
    assert end.startswith("  many/slow_d0_t0  failed: 02_second: In [5]: ValueError: no such thing")
    assert "outputs/many/slow_d0_t0/.02_second.failed.ipynb" in end
    assert "03_third  not started: 1 of 8 results that it reads" in end
    assert read_ledger(complete) == ["slow_d0_t0", "slow_d0_t1"]
    (complete.root / "fail_slow_d0_t0").unlink()
    assert run() == 0
    assert len(read_ledger(complete)) == 2  # the journal of the failed run has the reply
    assert "[1/1] 03_third  complete" in capsys.readouterr().out


def test_a_failed_first_step_stops_only_what_needs_it(complete, capsys):
    text = SWEEP.replace("form: qa", "form: other").replace("rate: 1.0", "rate: 3.0")
    complete.file("params/many/sweep.yaml", text)
    complete.file("fail_qa_d0", "")
    assert run() == 1
    printed = capsys.readouterr().out
    assert "3 of 8 tasks are not complete:\n  many/qa_d0  failed: 01_first: In [5]" in printed
    assert "  2 not started: qa_d0 failed" in printed
    assert sorted(read_ledger(complete)) == ["qa_d0", "slow_d0_t0", "slow_d0_t1"]


def wait_for(condition, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)


@pytest.fixture
def hanging(complete) -> tuple[Project, subprocess.Popen]:
    """A sweep in which two runs wait in their kernels, after a journal entry each."""
    change_rate(complete)
    for name in ("slow_d0_t0", "slow_d0_t1"):
        complete.file(f"hang_{name}", "")
    process = subprocess.Popen(
        [*COMMAND, "--jobs", "2"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    wait_for(lambda: len(read_ledger(complete)) == 2, process)
    yield complete, process
    for child in (process.poll() is None and psutil.Process(process.pid).children(True)) or ():
        child.kill()
    process.kill()


def require_resumed(project: Project) -> None:
    """Both runs are interrupted; they resume without paying again."""
    statuses = [find_status(name) for name in ("slow_d0_t0", "slow_d0_t1")]
    assert statuses == ["interrupted", "interrupted"]
    for name in ("slow_d0_t0", "slow_d0_t1"):
        (project.root / f"hang_{name}").unlink()
    assert run("--jobs", "2") == 0
    assert sorted(read_ledger(project)) == ["slow_d0_t0", "slow_d0_t1"]


def test_sigterm_reaches_every_run_and_the_sweep_resumes(hanging, capsys):
    project, process = hanging
    assert run() == 4
    assert f"many is being run by process {process.pid}" in capsys.readouterr().err
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "many/slow_d0_t0  interrupted: 02_second: stopped by SIGTERM" in output
    assert "stopped by SIGTERM; the same command resumes" in output
    require_resumed(project)


def test_a_killed_sweep_leaves_no_process_and_resumes(hanging):
    project, process = hanging
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) == 4  # two runners, two kernels
    process.kill()
    process.wait()
    assert not psutil.wait_procs(children, timeout=60)[1]
    require_resumed(project)


# ------------------------------------------------------------------ what is refused at the start


def test_every_problem_is_named_before_a_process_starts(toy, capsys):
    toy_sweep.add_third(toy)
    missing = "{02_second: {rows: data/none.jsonl}}"
    toy.file("params/many/sweep.yaml", SWEEP.replace("raw: {}", f"raw: {missing}"))
    toy.params("many", "03_third", "study: many\nsweep: mani\nseed: 0\n")
    assert run() == 2
    message = "params/many/03_third.yaml: sweep: params/mani: no such study; did you mean many?"
    assert capsys.readouterr().err.strip() == message
    toy_sweep.add_third(toy)
    assert run() == 2
    message = "params/many/sweep.yaml: raw_d0_t0: 02_second: rows: data/none.jsonl does not exist"
    assert capsys.readouterr().err.strip() == message  # once, not for every pair of seeds
    assert not read_ledger(toy)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["many", "04"], "many has no step 04; known: 01_first, 02_second"),
        (["many", "--only", "rew"], "--only rew: matches no arm and no run; did you mean raw?"),
        (["toy", "--jobs", "2"], "--jobs and --only are for a sweep, and toy is none"),
        (["mani"], "params/mani: no such study; did you mean many?"),
        (["many", "02"], "rows: needs 01_first of many/raw_d0, which is not run"),
    ],
)
def test_a_choice_that_cannot_be_run_is_refused(arguments, message, toy, capsys):
    assert cli.main(["run", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not read_ledger(toy)


def test_a_launcher_is_refused(toy, monkeypatch):
    monkeypatch.setattr(sweep.launch, "world_size", lambda: 2)
    with pytest.raises(PlanError, match="a sweep starts its own processes; run it without a"):
        sweep.run_sweep("many", sweep.Choice())


def test_a_sample_has_one_run_of_each_arm_and_the_own_steps(toy):
    toy_sweep.add_third(toy)
    names = [(job.study, job.step[:2]) for job in sweep.load_sample("many")]
    assert names == [
        ("many/raw_d0", "01"),
        ("many/raw_d0_t0", "02"),
        ("many/slow_d0_t0", "02"),
        ("many/qa_d0", "01"),
        ("many/qa_d0_t0", "02"),
        ("many", "03"),
    ]
    assert [job.study for job in sweep.load_sample("toy")] == ["toy", "toy"]
