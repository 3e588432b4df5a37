"""One notebook in one kernel: how it ended, signals, and the copy that is published."""

import os
import signal
import sys
from pathlib import Path

import nbformat
import pytest

from clinical_camel.runner import execution


def test_a_missing_ipykernel_comes_with_its_remedy(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ipykernel", None)
    error = RuntimeError("Kernel died before replying to kernel_info")
    failure = execution._convert_error(error, tmp_path / "partial.ipynb")
    assert failure.status == "failed"
    assert "pip install -r requirements.lock" in failure.reason


# ------------------------------------------------------------------- a session that is closed


@pytest.fixture
def sent(monkeypatch) -> list[int]:
    numbers: list[int] = []
    monkeypatch.setattr(execution, "_signal_kernels", numbers.append)
    return numbers


@pytest.mark.parametrize(
    ("handler", "result"),
    [(signal.SIG_DFL, ("SIGHUP", [signal.SIGTERM])), (signal.SIG_IGN, ("", []))],  # nohup ignores
)
def test_the_end_of_an_ssh_session_stops_a_run_except_under_nohup(handler, result, sent):
    before = signal.signal(signal.SIGHUP, handler)
    try:
        with execution.SignalForwarder() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.forward()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (signals.name, sent) == result


def test_a_second_signal_kills_the_kernel(sent):
    with execution.SignalForwarder() as signals:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
            signals.forward()
    assert sent == [signal.SIGTERM, signal.SIGKILL]


def test_windows_lacks_two_signals(sent, monkeypatch):
    for name in ("SIGHUP", "SIGKILL"):
        monkeypatch.delattr(signal, name)
    with execution.SignalForwarder() as signals:
        for _ in range(2):
            signal.raise_signal(signal.SIGTERM)
            signals.forward()
    assert sent == [signal.SIGTERM, signal.SIGTERM]


def test_a_process_of_a_sweep_stops_when_the_sweep_dies(sent, monkeypatch):
    parent = os.getppid()
    for started_by in ("", str(parent)):
        if started_by:
            monkeypatch.setenv(execution.SWEEP, started_by)
        with execution.SignalForwarder() as signals:
            assert execution.SWEEP not in os.environ  # a kernel is no process of the sweep
            assert signals.forward()
            monkeypatch.setattr(execution.os, "getppid", lambda: 1)
            assert signals.forward()
            monkeypatch.setattr(execution.os, "getppid", lambda: parent)
        # a run under nohup outlives its shell
        assert (signals.name, sent) == (("SIGTERM", [signal.SIGTERM]) if started_by else ("", []))


def test_a_process_of_a_sweep_that_died_earlier_starts_nothing(monkeypatch):
    monkeypatch.setenv(execution.SWEEP, str(os.getppid() + 1))
    with execution.SignalForwarder() as signals:
        assert signals.name == "SIGTERM"


# ------------------------------------------------------------------------- the cleaned copy


def clean_outputs(*outputs) -> list:
    cell = nbformat.v4.new_code_cell("x", outputs=list(outputs))
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": {"a": 1}})
    execution.clean(notebook, "notebooks/x.ipynb", "outputs/x.ipynb")
    assert "widgets" not in notebook.metadata
    return notebook.cells[0].outputs


def stream(text: str, name: str = "stdout"):
    return nbformat.v4.new_output("stream", name=name, text=text)


def test_adjacent_pieces_of_one_stream_become_one_output():
    pieces = (stream("1 %"), stream("\r2 %"), stream("\r3 %\n"), stream("oh\n", "stderr"))
    outputs = clean_outputs(*pieces)
    assert [(o.name, o.text) for o in outputs] == [("stdout", "3 %\n"), ("stderr", "oh\n")]


def test_widgets_are_removed():
    data = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}
    assert clean_outputs(nbformat.v4.new_output("display_data", data=data)) == []


def test_home_and_project_folders_are_removed_from_results_and_errors(project):
    home = Path.home().as_posix()
    result = nbformat.v4.new_output(
        "execute_result", data={"text/plain": f"{home}/x {project.root}/y"}
    )
    error = nbformat.v4.new_output("error", ename="E", evalue=f"{home}/x", traceback=[f"{home}/x"])
    first, second = clean_outputs(result, error)
    assert first.data["text/plain"] == "~/x y"
    assert (second.evalue, second.traceback) == ("~/x", ["~/x"])


@pytest.mark.parametrize(
    ("link", "moved"),
    [
        ("../docs/exams.md", "../../docs/exams.md"),
        ("../docs/exams.md#protocols", "../../docs/exams.md#protocols"),
        ("02_sft_qlora.ipynb", "../../notebooks/02_sft_qlora.ipynb"),
        ("../outputs/x/figure.png", "../x/figure.png"),
        ("https://arxiv.org/abs/2305.12031", "https://arxiv.org/abs/2305.12031"),
        ("mailto:a@b.org", "mailto:a@b.org"),
        ("#the-source", "#the-source"),
    ],
)
def test_a_link_of_the_executed_copy_leads_where_the_notebook_says(link, moved):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(f"See [x]({link}).")])
    execution.clean(notebook, "notebooks/01_x.ipynb", "outputs/study/01_x.ipynb")
    assert notebook.cells[0].source == f"See [x]({moved})."
