"""Energy: measured where there are meters, estimated and marked as such where there are none."""

import sys
import time
from types import SimpleNamespace

import pytest

from clinical_camel.runs import energy


def write_zone(folder, name, joules, wraps_at=1000.0):
    zone = folder / name
    zone.mkdir(exist_ok=True)
    (zone / "energy_uj").write_text(str(int(joules * 1e6)))
    (zone / "max_energy_range_uj").write_text(str(int(wraps_at * 1e6)))


@pytest.fixture
def rapl(tmp_path, monkeypatch):
    monkeypatch.setattr(energy, "RAPL", tmp_path)
    return tmp_path


def test_without_a_meter_energy_is_estimated_from_processor_time(rapl):
    meter, start = energy.EnergyMeter(), time.process_time()
    while time.process_time() < start + 0.2:
        pass
    used = meter.read()
    assert used["energy_from"] == "estimated: 10 W per busy core"
    spent = time.process_time() - start
    assert used["energy_wh"] == pytest.approx(energy.WATTS_PER_CORE * spent / 3600, abs=1e-3)


def test_meters_of_processors_are_summed_without_their_parts_and_may_wrap(rapl):
    write_zone(rapl, "intel-rapl:0", 900)
    write_zone(rapl, "intel-rapl:1", 10)
    write_zone(rapl, "intel-rapl:0:0", 5)  # a part of the first
    meter = energy.EnergyMeter()
    write_zone(rapl, "intel-rapl:0", 620)  # wrapped at 1,000
    write_zone(rapl, "intel-rapl:1", 10)
    write_zone(rapl, "intel-rapl:0:0", 500)
    used = meter.read()
    assert used == {"energy_wh": pytest.approx(721 / 3600, abs=2e-3), "energy_from": "RAPL"}


def test_only_visible_gpus_are_counted(rapl, monkeypatch):
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
    write_zone(rapl, "intel-rapl:0", 0)
    meter = energy.EnergyMeter()
    counts["GPU-a"], counts["GPU-b"] = 900_000, 367_000  # the first is another user's
    assert meter.read()["energy_wh"] == pytest.approx(0.1, abs=1e-3)
    assert meter.read()["energy_from"].startswith("NVML")


def test_a_gpu_that_was_not_metered_from_the_start_is_not_counted(rapl, monkeypatch):
    """torch may be imported during the step; the GPU's count began when its driver was loaded."""
    meter = energy.EnergyMeter()
    cuda = SimpleNamespace(is_available=lambda: True, device_count=lambda: 1)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    monkeypatch.setattr(energy, "read_gpu_joules", lambda: {"GPU-a": 9e9})
    used = meter.read()
    assert used["energy_wh"] < 1
    assert used["energy_from"].startswith("no GPU counted, ")
