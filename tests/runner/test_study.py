"""A study from its first step to its last: what is executed, published, preserved and printed."""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from tests.support.two_steps import (
    FINISH,
    FIRST,
    FIRST_PARAMS,
    START,
    change_params,
    find_states,
    find_status,
    read_ledger,
    read_outputs,
    read_published,
    read_result,
    run_cells,
    run_first,
)

from clinical_camel import cli
from clinical_camel.core import files
from clinical_camel.runner import jobs, state
from clinical_camel.runner.study import check_inputs

COMMAND = [sys.executable, "-m", "clinical_camel", "run", "toy"]


def test_the_second_step_reads_the_rows_of_the_first(done):
    assert (done.root / "outputs/toy/02_second/copy.jsonl").read_text() == '"5\\n"\n'


# ---------------------------------------------------------------------- the published notebook


def test_the_published_notebook_has_no_path_of_this_machine(done, finished):
    text = read_published(done)
    assert str(finished) not in text
    assert str(Path.home()) not in text
    papermill = json.loads(text)["metadata"]["papermill"]
    assert papermill["input_path"] == "notebooks/01_first.ipynb"
    assert papermill["output_path"] == "outputs/toy/01_first.ipynb"


def test_the_published_outputs_are_what_a_terminal_shows(done):
    printed = "".join(read_outputs(done)[0]["text"])
    assert printed == "100 %\noutputs/toy/.01_first.partial and .\n"


def test_a_figure_is_displayed_once_with_its_alternative_text(done):
    figures = [o for o in read_outputs(done) if "image/png" in o.get("data", {})]
    assert [o["metadata"]["image/png"]["alt"] for o in figures] == ["nothing yet"]
    assert base64.b64decode(figures[0]["data"]["image/png"])[1:4] == b"PNG"


def test_the_injected_parameters_are_published_collapsed(done):
    cells = json.loads(read_published(done))["cells"]
    hidden = [c["metadata"].get("tags") for c in cells if "jupyter" in c["metadata"]]
    assert hidden == [["injected-parameters"]]


# ------------------------------------------------------------------------------- what is run


def test_a_complete_and_unchanged_step_is_not_run_again(done, capsys):
    before = read_published(done)
    assert cli.main(["run", "toy"]) == 0
    assert read_published(done) == before
    assert "[1/2] 01_first  already complete" in capsys.readouterr().out


def test_a_step_whose_inputs_are_not_complete_is_rejected(done, capsys):
    done.params("other", "02_second", "study: other\nrows: outputs/toy/01_first/rows.jsonl\n")
    change_params(done)
    for study in ("toy", "other"):
        assert cli.main(["run", study, "02"]) == 2
        message = capsys.readouterr().err
        assert "needs 01_first of toy, which is stale (params changed: seed)" in message
        assert "python -m clinical_camel run toy 01_first" in message


COMMITTED = {
    "as its run wrote it": (lambda project: None, 0),
    "another file": (lambda project: project.file("outputs/toy/01_first/rows.jsonl", "6\n"), 2),
    "no file": (lambda project: (project.root / "outputs/toy/01_first/rows.jsonl").unlink(), 2),
    "other parameters": (change_params, 2),
}


@pytest.mark.parametrize("case", COMMITTED)
@pytest.mark.parametrize("place", ["outputs/toy/01_first/rows.jsonl", "outputs/toy/01_first"])
def test_a_clone_reads_committed_files_of_a_step_that_was_not_run_in_it(done, capsys, case, place):
    shutil.rmtree(done.root / "outputs/toy/.records")
    change, code = COMMITTED[case]
    change(done)
    done.params("other", "02_second", f"study: other\nrows: {place}\n")
    job = jobs.load_job("other", "02_second")
    problems = list(check_inputs(job, [job]))
    assert len(problems) == (code == 2)
    assert all("rows: needs 01_first of toy, which is not run" in text for text in problems)
    assert find_states()["01_first"][0] == "not run"


def test_the_list_counts_complete_steps(done, capsys):
    assert cli.main(["list"]) == 0
    assert capsys.readouterr().out.split() == ["toy", "2/2", "complete"]


# ------------------------------------------------------------------------------- what can fail


@pytest.mark.parametrize(
    ("cell", "code", "message"),
    [
        ("raise ValueError('no such thing')", 1, "In [7]: ValueError: no such thing; see"),
        ("run.finish('x'); raise ValueError('too late')", 1, "In [7]: ValueError: too late; see"),
        ("import sys; sys.exit(0)", 1, "stopped before run.finish(), in In [7]"),
        ("import os; os._exit(137)", 3, "kernel died"),
    ],
)
def test_a_failure_is_named_and_the_earlier_result_stays(cell, code, message, done, capsys):
    before = read_result(done)
    assert run_cells(done, *FIRST[:4], cell, FINISH) == code
    printed = capsys.readouterr().out
    assert message in printed
    assert "02_second  not started" in printed
    assert "summary" not in printed  # the result that stays is no new one
    assert read_result(done) == before
    assert find_status() == {1: "failed", 3: "kernel died"}[code]
    failed = nbformat.read(done.root / "outputs/toy/.01_first.failed.ipynb", as_version=4)
    if code == 3:
        statuses = [c.metadata.papermill.status for c in failed.cells if c.cell_type == "code"]
        assert statuses[-2:] == ["failed", "pending"]  # papermill marks both as completed


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("run.finish('x', ['2 of 9 answers are missing'])", "2 of 9 answers are missing; see"),
        (
            "run.save_rows([], 'rows'); run.finish('x')",
            "outputs/toy/01_first/rows.jsonl is empty, and 02_second needs it; see",
        ),
    ],
)
def test_a_step_without_the_result_that_was_requested_is_incomplete(cell, reason, done, capsys):
    before = read_result(done)
    assert run_cells(done, *FIRST[:4], cell) == 1
    printed = capsys.readouterr().out
    assert "01_first  incomplete" in printed
    assert reason in printed
    assert "02_second  not started" in printed
    assert (read_result(done), find_status()) == (before, "incomplete")


def test_a_clock_that_is_set_back_between_runner_and_kernel_changes_nothing(done):
    clock = (
        "from clinical_camel.runs import record\nrecord.now = lambda: '1999-12-31T00:00:00+00:00'"
    )
    assert run_cells(done, clock, *FIRST) == 0
    assert find_status() == "complete"


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp437"])
def test_a_terminal_without_our_letters_gets_question_marks(encoding, done):
    status = "import sys; from clinical_camel import cli; sys.exit(cli.main(['status', 'toy']))"
    letter = "from clinical_camel import cli; cli.main(['list']); print('a … b')"
    for code in (status, letter):
        process = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONIOENCODING": encoding},
            capture_output=True,
            check=False,
        )
        assert (process.returncode, process.stderr) == (0, b"")
    assert process.stdout.splitlines()[-1] == b"a ? b"


@pytest.mark.parametrize("streams", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_stop_a_command(streams, done):
    command = f"{sys.executable} -m clinical_camel status toy {streams}"
    assert subprocess.run(command, shell=True, check=False).returncode == 0


def test_a_folder_that_cannot_be_written_in_is_named_before_a_kernel_starts(
    done, monkeypatch, capsys
):
    change_params(done)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(done.file("file", "") / "runtime"))
    assert cli.main(["run", "toy"]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"{done.root}/file/runtime: cannot be written in (Not a directory)")
    assert "set JUPYTER_RUNTIME_DIR to another folder" in message


def test_sigterm_reaches_the_kernel_and_the_step_can_resume(done, capsys):
    wait = (
        "import time\nrun.journal('answers', 1).append('q1', 'paid for')\n"
        "try:\n    time.sleep(60)\nfinally:\n    run.save_rows(['closed'], 'last')"
    )
    done.notebook("01_first", FIRST_PARAMS, START, wait, "run.save_rows([], 'rows')", FINISH)
    process = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    partial = done.root / "outputs/toy/.01_first.partial"
    deadline = time.monotonic() + 60
    while not list(partial.glob("journal_*")) and time.monotonic() < deadline:
        time.sleep(0.1)

    assert cli.main(["run", "toy"]) == 4  # a second runner at the same time
    assert f"being run by process {process.pid}" in capsys.readouterr().err
    assert find_states()["01_first"] == ("running", f"in process {process.pid}")

    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert find_status() == "interrupted"
    assert "stopped by SIGTERM" in output
    assert "\r" not in output  # not a terminal
    assert not (done.root / "outputs/toy/.01_first.failed.ipynb").exists()
    assert (partial / "last.jsonl").exists()  # `finally` ran in the kernel
    assert "paid for" in (partial / "journal_answers.jsonl").read_text()


# ------------------------------------------------------------------------------- a full disk


def test_a_full_disk_in_the_kernel_loses_no_reply_and_no_earlier_result(done, capsys):
    before = read_result(done)
    done.file("full", "")
    assert run_first("--force") == 1
    assert "No space left on device" in capsys.readouterr().out
    assert (find_status(), read_result(done)) == ("failed", before)
    (done.root / "full").unlink()
    assert run_first() == 0
    assert (find_status(), read_ledger(done)) == ("complete", "abcdef")


def test_a_notebook_torn_by_a_full_disk_is_neither_published_nor_mentioned(done, monkeypatch):
    from papermill import engines

    before, saves = read_result(done), []

    def save(notebook, path):
        saves.append(path)
        if len(saves) > 4:
            Path(path).write_text('{"cells": [')
            raise OSError(28, "No space left on device")
        original(notebook, path)

    original = engines.write_ipynb
    monkeypatch.setattr(engines, "write_ipynb", save)
    assert run_first("--force") == 1
    reason = state.find_state(jobs.load_job("toy", "01_first")).reason
    assert "No space left on device" in reason
    assert "failed.ipynb" not in reason
    assert read_result(done) == before


def test_a_disk_that_is_full_for_the_last_record_leaves_the_earlier_result(done, monkeypatch):
    def write(file, value):
        if value["status"] == "complete":
            raise OSError(28, "No space left on device")
        original(file, value)

    before, original = read_result(done), state.write_json
    with monkeypatch.context() as patch:
        patch.setattr(state, "write_json", write)
        assert run_first("--force") == 1
    assert (find_status(), read_result(done)) == ("failed", before)
    assert run_first() == 0
    assert read_ledger(done) == "abcdef"


def test_a_full_disk_names_the_file_and_nothing_is_started(done, monkeypatch, capsys):
    def fsync(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", fsync)
    assert run_first("--force") == 1
    assert "No space left on device: '.lock.json'" in capsys.readouterr().err
    assert find_status() == "complete"


def test_a_run_that_cannot_print_still_runs(done):
    with Path("/dev/full").open("w") as full:
        assert subprocess.call(COMMAND, stdout=full, stderr=full) == 0
