"""The clock of the replaced functions: their seconds, and the cores that were free meanwhile."""

from types import SimpleNamespace

import pytest

from clinical_camel.rehearse import task
from clinical_camel.rehearse.record import Measured
from clinical_camel.rehearse.task import Task


@pytest.fixture
def measure(tmp_path, monkeypatch):
    """Return what is measured in ten seconds on four cores, with so much other work."""

    def run(other_work: float) -> Measured:
        now, others = [100.0], [5000.0]
        monkeypatch.setattr(task, "time", SimpleNamespace(monotonic=lambda: now[0]))
        monkeypatch.setattr(task, "os", SimpleNamespace(cpu_count=lambda: 4))
        monkeypatch.setattr(task, "measure_other_work", lambda: others[0])
        file = tmp_path / "measured.json"
        clock = Task("02_sft_qlora", 5.0, str(file), measured=Measured("02_sft_qlora"))
        with clock.replace():
            now[0] += 10.0
            others[0] += other_work
        return Measured.read(file)

    return run


def test_threads_that_wait_on_an_idle_machine_have_all_cores(measure):
    measured = measure(0.0)
    assert (measured.replaced, measured.free) == (10.0, 40.0)
    assert measure(-0.1).free == 40.0  # rounded ticks


def test_the_cores_that_others_use_are_not_free(measure):
    assert measure(30.0).free == 10.0
