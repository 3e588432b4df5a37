"""Energy used by a run: measured by the machine's meters, *estimated* where there are none.

NVML counts each GPU's joules since its driver was loaded (package nvidia-ml-py). RAPL counts each
processor's on Linux, often readable by root only. Both include everything that ran on the machine.
"""

import contextlib
import importlib.util
import os
import time
from pathlib import Path
from typing import Any

from clinical_camel.runs.machine import cuda

RAPL = Path("/sys/class/powercap")
WATTS_PER_CORE = 10.0  # of a busy core: assumed
JOULES_PER_WH = 3600.0


class EnergyMeter:
    """Measures from its creation on; `read` returns the energy used since then."""

    def __init__(self) -> None:
        self._cpu_seconds = time.process_time()
        self._gpus, self._processors = read_gpu_joules(), read_rapl_joules()

    def read(self) -> dict[str, Any]:
        """Return `energy_wh`, and in `energy_from` the meters that were read or the assumption."""
        gpus_now = read_gpu_joules()
        gpus = sum(gpus_now[name] - self._gpus[name] for name in gpus_now.keys() & self._gpus)
        processors = sum(
            (joules - self._processors[name][0]) % wraps_at
            for name, (joules, wraps_at) in read_rapl_joules().items()
            if name in self._processors
        )
        sources = ["NVML"] if gpus else ["no GPU counted"] if cuda() else []
        if processors:
            sources.append("RAPL")
        else:
            processors = WATTS_PER_CORE * (time.process_time() - self._cpu_seconds)
            sources.append(f"estimated: {WATTS_PER_CORE:.0f} W per busy core")
        watt_hours = (gpus + processors) / JOULES_PER_WH
        return {"energy_wh": round(watt_hours, 3), "energy_from": ", ".join(sources)}


def read_gpu_joules() -> dict[str, float]:
    """Return the joules counted for each visible GPU; {} without torch, GPU or NVML."""
    gpus, joules = cuda(), {}
    if not gpus or not importlib.util.find_spec("pynvml"):
        return joules
    import pynvml

    with contextlib.suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        for i in range(gpus.device_count()):
            name = f"GPU-{gpus.get_device_properties(i).uuid}"
            handle = pynvml.nvmlDeviceGetHandleByUUID(name)
            joules[name] = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000
    return joules


def read_rapl_joules() -> dict[str, tuple[float, float]]:
    """Return for each processor the joules counted, and the count at which the meter wraps."""
    processors = {}
    for zone in sorted(RAPL.glob("*-rapl:*")):
        if zone.name.count(":") != 1 or not os.access(zone / "energy_uj", os.R_OK):
            continue  # a zone inside a processor is included in its count
        with contextlib.suppress(OSError, ValueError):
            joules = int((zone / "energy_uj").read_text()) / 1e6
            wraps_at = int((zone / "max_energy_range_uj").read_text()) / 1e6
            processors[zone.name] = joules, wraps_at
    return processors
