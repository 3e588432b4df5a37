"""The kernel is this interpreter's, whatever kernelspecs are installed."""

import json
import os

from tests.support.two_steps import find_status, read_result, run_first


def test_a_foreign_kernelspec_and_a_backend_with_windows_are_not_used(done, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "TkAgg")
    spec = {"argv": ["/gone/bin/python", "{connection_file}"], "display_name": "Python 3"}
    done.file("jupyter/kernels/python3/kernel.json", json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(done.root / "jupyter"))
    assert run_first("--force") == 0
    assert find_status() == "complete"


def test_a_kernel_that_cannot_start_is_not_reported_as_out_of_memory(done, monkeypatch, capfd):
    before = read_result(done)
    done.file("broken/ipykernel_launcher.py", "raise ImportError('no module named zmq')\n")
    path = os.pathsep.join([str(done.root / "broken"), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    assert run_first("--force") == 3
    printed = capfd.readouterr().out
    assert "kernel died" in printed
    assert "before its first cell" in printed
    assert "too little memory" not in printed
    assert read_result(done) == before
