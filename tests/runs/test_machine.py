"""What run.json says of the machine."""

import pytest

from clinical_camel.runs import machine


@pytest.mark.parametrize(
    ("setting", "threads"), [("4", 4), ("4,2", 4), ("", 1), ("banana", 1), ("-2", 1)]
)
def test_the_number_of_threads_is_read_from_any_setting(setting, threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", setting)
    monkeypatch.delitem(machine.sys.modules, "torch", raising=False)
    assert machine.describe_device()["threads"] == threads
