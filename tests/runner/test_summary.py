"""What a run cost: meters where there are some, an estimate that says so where there are none."""

import json
import sys
import time
from types import SimpleNamespace

import pytest

from clinical_camel.runner.study import main
from clinical_camel.runner.summary import receipt
from clinical_camel.runs import energy

STEP = "import sys\nsys.modules.update(torch=None, seaborn=None)\n"


def zone(folder, name, joules, wraps=1000.0):
    place = folder / name
    place.mkdir(exist_ok=True)
    (place / "energy_uj").write_text(str(int(joules * 1e6)))
    (place / "max_energy_range_uj").write_text(str(int(wraps * 1e6)))


@pytest.fixture
def rapl(tmp_path, monkeypatch):
    monkeypatch.setattr(energy, "RAPL", tmp_path)
    return tmp_path


def test_without_a_meter_energy_is_estimated_from_processor_time_and_says_so(rapl):
    meter, start = energy.Meter(), time.process_time()
    while time.process_time() < start + 0.2:
        pass
    used = meter.used()
    assert used["energy_from"] == "estimated: 10 W a core at work"
    spent = time.process_time() - start
    assert used["energy_wh"] == pytest.approx(energy.WATTS * spent / 3600, abs=1e-3)


def test_processors_are_read_by_their_meters_parts_left_out_and_a_meter_begins_again(rapl):
    zone(rapl, "intel-rapl:0", 900)
    zone(rapl, "intel-rapl:1", 10)
    zone(rapl, "intel-rapl:0:0", 5)  # a part of the first
    meter = energy.Meter()
    zone(rapl, "intel-rapl:0", 620)  # went past its end at 1,000
    zone(rapl, "intel-rapl:1", 10)
    zone(rapl, "intel-rapl:0:0", 500)
    used = meter.used()
    assert used == {"energy_wh": pytest.approx(721 / 3600, abs=2e-3), "energy_from": "RAPL"}


def test_gpus_in_view_are_read_by_their_own_names(rapl, monkeypatch):
    counts = {"GPU-a": 5_000, "GPU-b": 7_000}
    nvml = SimpleNamespace(
        NVMLError=OSError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda name: name,
        nvmlDeviceGetTotalEnergyConsumption=counts.__getitem__,
    )
    cuda = SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: 1,
        get_device_properties=lambda i: SimpleNamespace(uuid="b"),
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    monkeypatch.setattr(energy.importlib.util, "find_spec", lambda name: name)
    zone(rapl, "intel-rapl:0", 0)
    meter = energy.Meter()
    counts["GPU-a"], counts["GPU-b"] = 900_000, 367_000  # the first is somebody else's
    assert meter.used()["energy_wh"] == pytest.approx(0.1, abs=1e-3)
    assert meter.used()["energy_from"].startswith("NVML")


def test_a_gpu_without_a_meter_from_start_to_end_is_said_to_be_left_out(rapl, monkeypatch):
    """torch may be imported while a step runs: what a GPU used since its driver was loaded is not
    what this step used."""
    meter = energy.Meter()
    cuda = SimpleNamespace(is_available=lambda: True, device_count=lambda: 1)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    monkeypatch.setattr(energy, "gpu_joules", lambda: {"GPU-a": 9e9})
    used = meter.used()
    assert used["energy_wh"] < 1
    assert used["energy_from"].startswith("no GPU counted, ")


def record(project, step, **facts):
    folder = project.root / "outputs/toy" / step
    folder.mkdir(parents=True)
    whole = {"status": "complete", "seconds": 60.0, "attempts": [{}], "peak_memory_mb": 700}
    (folder / "run.json").write_text(json.dumps(whole | facts))
    return SimpleNamespace(study="toy", step=step)


def test_a_receipt_counts_interrupted_attempts_and_takes_the_users_rate(project):
    first = record(project, "01_first", energy_wh=1.5, energy_from="RAPL")
    second = record(project, "02_second", attempts=[{"seconds": 3600.0}, {}], peak_memory_mb=1200)
    failed = record(project, "03_third", status="failed", seconds=9999.0)
    text = receipt([first, second, failed], rate=2.0)
    assert text == (
        "receipt: 1 h 2 min 0 s in 2 complete steps, at most 1,200 MB, 1.5 Wh (RAPL), "
        "2.07 at 2 an hour"
    )
    assert receipt([failed]) == ""


def test_a_run_ends_with_its_receipt_wherever_the_rate_stands(project, capsys):
    code = "from clinical_camel import runs\nrun = runs.start(study, '01_toy', 0)"
    project.notebook("01_toy", 'study: str = "toy"  # study', STEP + code, "run.finish('done')")
    project.params("toy", "01_toy", "study: toy\n")
    assert main(["run", "toy", "--rate", "3.5", "01"]) == 0
    told = capsys.readouterr().out.strip().splitlines()[-1]
    assert told.startswith("receipt: ")
    assert told.endswith("at 3.5 an hour")
    assert "(estimated: 10 W a core at work)" in told or "RAPL" in told
    assert "in 1 complete steps" in told
    assert main(["run", "toy", "--rate", "3.5"]) == 0  # nothing was run: nothing was spent
    assert "receipt" not in capsys.readouterr().out
    assert "energy_wh" in json.loads((project.root / "outputs/toy/01_toy/run.json").read_text())
