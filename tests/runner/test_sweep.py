"""All runs of a sweep: what is executed, what survives a kill, what is printed and refused."""

import json
import re
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
from clinical_camel.core.hashing import hash_file
from clinical_camel.runner import jobs, state, study, sweep, tasks
from clinical_camel.runner.jobs import PlanError
from clinical_camel.runs import sweeps

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


def leave_tables(project: Project, name: str) -> Path:
    """Leave of a run what is copied from another machine: run.json and a table; return that."""
    folder = project.root / f"outputs/many/{name}"
    shutil.rmtree(folder / ".records")
    (folder / "02_second.ipynb").unlink()
    (folder / "02_second/copy.jsonl").unlink()
    table, file = folder / "02_second/scores.csv", folder / "02_second/run.json"
    table.write_text("score\n0.5\n")
    record = json.loads(file.read_text())
    file.write_text(json.dumps(record | {"artefacts": {"scores.csv": hash_file(table)}}))
    return table


def test_of_a_run_on_another_machine_the_tables_are_enough(complete, capsys):
    leave_tables(complete, "slow_d0_t1")
    assert run() == 0
    assert "8 tasks, 8 complete" in capsys.readouterr().out
    assert read_ledger(complete) == []
    assert cli.main(["status", "many"]) == 0
    assert "9/9 steps complete" in capsys.readouterr().out
    cli.main(["list"])
    assert "9/9" in capsys.readouterr().out
    assert cli.main(["run", "many/slow_d0_t1"]) == 0  # its name alone: repeats it
    assert read_ledger(complete) == ["slow_d0_t1"]


def test_of_a_first_step_the_texts_that_other_runs_read_must_be_here(complete):
    folder = complete.root / "outputs/many/qa_d0"
    shutil.rmtree(folder / ".records")
    file, table = folder / "01_first/run.json", folder / "01_first/counts.csv"
    table.write_text("count\n1\n")
    record = json.loads(file.read_text())
    record["artefacts"]["counts.csv"] = hash_file(table)
    file.write_text(json.dumps(record))
    job = jobs.load_job("many/qa_d0", "01_first")
    (status,) = state.find_states([job]).values()
    assert status.status == "complete"
    (folder / "01_first/rows.jsonl").unlink()
    (status,) = state.find_states([job]).values()
    assert status.status == "not run"


def change_table(project: Project, table: Path) -> None:
    table.write_text("score\n0.9\n")


def delete_table(project: Project, table: Path) -> None:
    table.unlink()


def change_text(project: Project, table: Path) -> None:
    file = table.with_name("run.json")
    text = {"path": "outputs/many/raw_d0/01_first/rows.jsonl", "sha256": "0" * 64}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"notes": {"sources": [text]}}))


def change_recipe(project: Project, table: Path) -> None:
    change_rate(project)


@pytest.mark.parametrize("change", [change_table, delete_table, change_text, change_recipe])
def test_a_copied_run_that_differs_is_run_again(change, complete, capsys):
    change(complete, leave_tables(complete, "slow_d0_t1"))
    assert cli.main(["status", "many"]) == 1
    capsys.readouterr()
    assert run("02_second", "--only", "slow_d0_t1") == 0
    assert read_ledger(complete) == ["slow_d0_t1"]


def test_a_run_is_a_study_of_its_own(complete, capsys):
    assert cli.main(["status", "many/slow_d0_t1"]) == 0
    assert "outputs/many/slow_d0_t1/02_second.ipynb" in capsys.readouterr().out
    assert cli.main(["run", "many/slow_d0_t1"]) == 0
    assert "[1/1] 02_second  already complete" in capsys.readouterr().out
    assert cli.main(["run", "many/slow_d0_t2"]) == 2
    assert "many has no run slow_d0_t2; did you mean slow_d0_t" in capsys.readouterr().err


def test_a_sweep_does_not_start_if_torch_cannot_use_the_gpu(complete, monkeypatch, capsys):
    monkeypatch.setattr(sweep, "check_gpu", lambda jobs: [f"no GPU for {len(jobs) > 1}"])
    assert run() == 2
    assert "no GPU for True" in capsys.readouterr().err


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


def test_a_step_that_is_named_with_runs_needs_another_sweep_completely(complete, monkeypatch):
    """The learning rates of step 06 come from a sweep with other arms."""
    rates = [jobs.Job(f"rates/{name}_d0_t0", "02_second", {}) for name in ("qa_1", "raw_1")]
    states = dict.fromkeys([(job.study, job.step) for job in rates], state.State("not run"))
    monkeypatch.setattr(sweep, "_load_inputs", lambda _: rates)
    monkeypatch.setattr(sweep, "find_states", lambda inputs: states if inputs == rates else {})
    choice = sweep.Choice(steps=["03"], only=["qa"])
    text = sweep._find_incomplete("many", [], choice)
    assert text.startswith("2 of 2 results that it reads are not complete (rates/qa_1_d0_t0/02")


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


def test_status_has_no_cell_for_a_pair_of_seeds_that_an_arm_does_not_have(complete, capsys):
    complete.file("params/many/sweep.yaml", SWEEP.replace("common:", "pairs: {slow: 1}\ncommon:"))
    assert cli.main(["status", "many"]) == 1  # the final step has read another run
    assert "slow  complete  -\n" in capsys.readouterr().out


def test_runs_by_other_code_are_counted_in_one_line(complete, monkeypatch, capsys):
    change_rate(complete)
    for file in complete.root.glob("outputs/many/**/.records/*.json"):
        file.write_text(re.sub(r'"source_hash": "\w+"', '"source_hash": "today"', file.read_text()))
    monkeypatch.setattr(state, "hash_source", lambda: "today")
    assert cli.main(["status", "many"]) == 1
    assert "other code" not in capsys.readouterr().out
    monkeypatch.setattr(state, "hash_source", lambda: "other")
    pattern = r"4 runs by other code than today's \(commit \w{7}( with changes)?\); --force repeats"
    assert cli.main(["status", "many"]) == 1
    assert len(re.findall(pattern, capsys.readouterr().out)) == 1
    assert run("--only", "raw", "qa") == 0
    assert len(re.findall(pattern, capsys.readouterr().out)) == 1
    assert read_ledger(complete) == []


def test_the_states_of_a_sweep_need_one_hash_of_the_code_and_one_reading_of_its_runs(
    complete, monkeypatch
):
    for name in ("slow_d0_t1", "raw_d0_t1"):
        leave_tables(complete, name)
    loaded, calls = jobs.load_sweep_jobs("many"), []

    def count(module, name: str) -> None:
        original = getattr(module, name)

        def counted(*arguments):
            calls.append(name)
            return original(*arguments)

        monkeypatch.setattr(module, name, counted)

    for name in ("hash_source", "load_sweep_jobs"):
        count(state, name)
    states = state.find_states(loaded)
    assert {step.status for step in states.values()} == {"complete"}
    assert sorted(calls) == ["hash_source", "load_sweep_jobs"]
    count(tasks, "find_states")
    queue = tasks.Queue([tasks.Task(job.study, [job], ("", "")) for job in loaded], [], 1, print)
    assert {task.state.status for task in queue.tasks} == {"complete"}
    assert calls.count("find_states") == 1


def test_the_steps_of_all_runs_come_from_one_reading_of_the_files(toy, monkeypatch):
    calls = []

    def count(name: str, original=sweeps.list_runs):
        calls.append(name)
        return original(name)

    for module in (sweeps, jobs):
        monkeypatch.setattr(module, "list_runs", count)
    loaded = jobs.load_sweep_jobs("many")
    assert calls == ["many"]
    assert loaded == [jobs.load_job(job.study, job.step) for job in loaded]


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


def test_a_run_that_was_refused_has_the_reason_of_today(complete, capsys):
    change_rate(complete)
    complete.file("fail_slow_d0_t0", "")
    assert run("--only", "slow_d0_t0") == 1
    assert "many/slow_d0_t0  failed: 02_second: In [5]: ValueError" in capsys.readouterr().out
    with study.lock_study("many/slow_d0_t0"):
        assert run("--only", "slow_d0_t0") == 4
    reason = "not started: many/slow_d0_t0 is being run by process"
    assert f"many/slow_d0_t0  {reason}" in capsys.readouterr().out


def test_a_training_that_diverged_is_not_repeated_with_the_same_settings(complete, capsys):
    change_rate(complete)
    complete.file("diverge_slow_d0_t0", "")
    assert run() == 1  # the other arm and the final step run
    assert read_ledger(complete) == ["slow_d0_t0", "slow_d0_t1"]
    assert find_status("slow_d0_t0") == "ended"
    record = complete.root / "outputs/many/slow_d0_t0/.records/02_second.json"
    assert '"status": "failed"' in record.read_text()
    printed = capsys.readouterr().out
    ended = "many/slow_d0_t0  ended: 02_second: loss is not a number\n"
    assert ended in printed
    assert "[1/1] 03_third  complete" in printed
    before = record.read_bytes()
    assert run() == 1
    printed = capsys.readouterr().out
    assert ended in printed
    assert "runs again only with other settings or with --force" in printed
    assert "[1/1] 03_third  already complete" in printed
    assert record.read_bytes() == before
    assert cli.main(["status", "many"]) == 1
    printed = capsys.readouterr().out
    assert "many/slow_d0_t0: 02_second ended: loss is not a number" in printed
    assert "8/9 steps complete, of 6 runs" in printed
    (complete.root / "diverge_slow_d0_t0").unlink()
    assert run("02", "--only", "slow_d0_t0", "--force") == 0
    assert find_status("slow_d0_t0") == "complete"
    assert find_status("slow_d0_t1") == "complete"
    assert run() == 0  # the final step reads the new run
    assert "6 runs" in (complete.root / "outputs/many/03_third/run.json").read_text()


def test_a_training_that_diverged_is_repeated_with_other_settings(complete):
    change_rate(complete)
    complete.file("diverge_slow_d0_t0", "")
    assert run("--only", "slow_d0_t0") == 1
    (complete.root / "diverge_slow_d0_t0").unlink()
    complete.file("params/many/sweep.yaml", SWEEP.replace("rate: 1.0", "rate: 2.5"))
    assert run("--only", "slow_d0_t0") == 0
    assert find_status("slow_d0_t0") == "complete"


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


def test_a_sweep_that_is_killed_at_its_start_leaves_no_process(complete):
    change_rate(complete)
    process = subprocess.Popen(COMMAND, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    log = complete.root / "outputs/many/slow_d0_t0/.run.log"
    log.unlink()
    wait_for(lambda: log.exists() and psutil.Process(process.pid).children(), process)
    children = psutil.Process(process.pid).children()
    process.kill()
    process.wait()
    assert not psutil.wait_procs(children, timeout=60)[1]
    assert read_ledger(complete) == []
    assert "stopped by SIGTERM" in log.read_text()


def test_the_final_step_of_another_sweep_is_needed_before_the_first_run(toy, capsys):
    parameters = (
        "study: str = ''\nsweep: str = ''\nother_points: dict[str, str] = {}\nseed: int = 0"
    )
    end = "run.finish(f'{len(other_points)} points')"
    toy.notebook("03_third", parameters, *toy_sweep.THIRD[:-1], end)
    toy.params("many", "03_third", "study: many\nsweep: many\nother_points: {}\nseed: 0\n")
    toy.file("params/more/sweep.yaml", SWEEP)
    points = "{x: many/raw}"
    text = f"study: more\nsweep: more\nother_points: {points}\nseed: 0\n"
    toy.params("more", "03_third", text)
    assert cli.main(["run", "more"]) == 2
    assert capsys.readouterr().err.strip() == (
        "params/more/03_third.yaml: other_points: needs 03_third of many, which is not run; first "
        "python -m clinical_camel run many"
    )
    assert not read_ledger(toy)


def test_of_the_final_step_of_another_sweep_the_committed_tables_are_enough(complete):
    job = jobs.Job("other", "03_third", {}, ["outputs/many/03_third"])
    shutil.rmtree(complete.root / "outputs/many/.records")
    text = sweep._find_incomplete("other", [job], sweep.Choice())
    assert text.startswith("1 of 1 results that it reads are not complete (many/03_third); first")
    table = complete.file("outputs/many/03_third/counts.csv", "count\n1\n")
    file = table.with_name("run.json")
    record = json.loads(file.read_text())
    file.write_text(json.dumps(record | {"artefacts": {"counts.csv": hash_file(table)}}))
    assert sweep._find_incomplete("other", [job], sweep.Choice()) == ""
    assert list(sweep._check_other_sweeps([job])) == []
    table.write_text("count\n2\n")
    assert len(list(sweep._check_other_sweeps([job]))) == 1


# ------------------------------------------------------------------ what is refused at the start

CYCLES = {
    "a first step that reads a later one": (
        "{form: qa}",
        "{form: outputs/toy/02_second/copy.jsonl}",
        "qa_d0: 01_first: form: outputs/many/qa_d0_t0/02_second/copy.jsonl makes a cycle: ",
        "many/qa_d0/01_first needs many/qa_d0_t0/02_second needs many/qa_d0/01_first",
    ),
    "a run that reads the final step": (
        "{rate: 1.0}",
        "{rows: outputs/many/03_third/all.jsonl}",
        "slow_d0_t0: 02_second: rows: outputs/many/03_third/all.jsonl makes a cycle: ",
        "many/slow_d0_t0/02_second needs many/03_third needs many/slow_d0_t0/02_second",
    ),
    "a step that reads itself": (
        "{rate: 1.0}",
        "{rows: outputs/toy/02_second/copy.jsonl}",
        "slow_d0_t0: 02_second: rows: outputs/many/slow_d0_t0/02_second/copy.jsonl makes a cycle",
        "many/slow_d0_t0/02_second needs many/slow_d0_t0/02_second",
    ),
}


@pytest.mark.parametrize("case", CYCLES)
def test_steps_that_need_each_other_are_named(case, toy, capsys):
    before, after, place, members = CYCLES[case]
    toy_sweep.add_third(toy)
    toy.file("params/many/sweep.yaml", SWEEP.replace(before, after).replace(", [0, 1]", ""))
    assert run() == 2
    message = capsys.readouterr().err
    assert message.startswith(f"params/many/sweep.yaml: {place}")
    assert message.count("\n") == 1
    assert f"{members}; " in message or f"needs {members.partition(' needs ')[0]}" in message
    assert not read_ledger(toy)


def test_two_runs_that_need_each_other_are_named(toy, capsys):
    rows = "rows: outputs/many/{}_d0_t0/02_second/copy.jsonl"
    text = SWEEP.replace("{rate: 1.0}", f"{{{rows.format('raw')}}}").replace(", [0, 1]", "")
    text = text.replace("raw: {}", f"raw: {{02_second: {{{rows.format('slow')}}}}}")
    toy.file("params/many/sweep.yaml", text)
    assert run() == 2
    message = capsys.readouterr().err
    for name in ("raw", "slow"):
        assert f"many/{name}_d0_t0/02_second needs many/" in message


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
        (["toy", "--jobs", "2"], "--jobs and --only are for sweeps; toy is an ordinary study"),
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
