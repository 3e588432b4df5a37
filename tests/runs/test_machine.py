"""What run.json says of the machine and of the checkout."""

import subprocess

import pytest

from clinical_camel.runs import machine


@pytest.mark.parametrize(
    ("setting", "threads"), [("4", 4), ("4,2", 4), ("", 1), ("banana", 1), ("-2", 1)]
)
def test_the_number_of_threads_is_read_from_any_setting(setting, threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", setting)
    monkeypatch.delitem(machine.sys.modules, "torch", raising=False)
    assert machine.describe_device()["threads"] == threads


def test_results_do_not_make_a_checkout_changed_but_its_code_does(tmp_path, monkeypatch):
    package = tmp_path / "src/clinical_camel/runs"
    package.mkdir(parents=True)
    (package / "machine.py").write_text("")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *command], check=True)
    monkeypatch.setattr(machine, "__file__", str(package / "machine.py"))
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(tmp_path))
    for name in machine.RESULTS:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "table.csv").write_text("a\n1\n")
    commit, is_changed = machine.read_commit()
    assert len(commit) == 40
    assert not is_changed
    (tmp_path / "experiments/new.py").write_text("")
    assert machine.read_commit() == (commit, True)
