"""Processor time of this process and of others."""

import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from clinical_camel.rehearse import cores

WORK = "import time\nwhile time.process_time() < 0.3: pass"


def test_the_work_of_a_child_is_own_work():
    start, alone = cores.measure_own_work(), time.process_time()
    subprocess.run([sys.executable, "-c", WORK], check=True)
    alone = time.process_time() - alone
    assert cores.measure_own_work() - start - alone > 0.2


def test_other_work_is_what_the_cores_did_less_the_own(monkeypatch):
    names = "user nice system idle iowait irq softirq steal guest guest_nice"
    seconds = dict(zip(names.split(), (20, 1, 2, 500, 50, 3, 4, 5, 19, 1), strict=True))
    monkeypatch.setattr(cores.psutil, "cpu_times", lambda: SimpleNamespace(**seconds))
    monkeypatch.setattr(cores, "measure_own_work", lambda: 7.0)
    assert cores.measure_other_work() == pytest.approx(35 - 7)
    monkeypatch.setattr(cores.psutil, "cpu_times", lambda: SimpleNamespace(user=9.0, idle=5.0))
    assert cores.measure_other_work() == pytest.approx(9 - 7)  # a system that counts less


def test_a_rehearsed_step_without_a_model_does_not_import_torch():
    code = "import sys, clinical_camel.rehearse.task; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
