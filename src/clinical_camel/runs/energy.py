"""What a run used of electricity: by the machine's own meters, *estimated* where it has none.

NVML counts for each GPU since its driver was loaded (package nvidia-ml-py), RAPL for each processor
on Linux (often for root's eyes only). Both count all that ran on the machine meanwhile.
"""

import contextlib
import importlib.util
import os
import time
from pathlib import Path
from typing import Any

from clinical_camel.runs.machine import cuda

RAPL = Path("/sys/class/powercap")
WATTS = 10.0  # of a core at work: assumed
JOULES = 3600.0  # in a watt-hour


class Meter:
    """Started when a run starts; `used` says what it took since."""

    def __init__(self) -> None:
        self._processor = time.process_time()
        self._gpus, self._packages = gpu_joules(), rapl_joules()

    def used(self) -> dict[str, Any]:
        """`energy_wh` and `energy_from`: the meters that were read, or what was assumed."""
        begun, now = self._gpus, gpu_joules()
        gpus = sum(now[name] - begun[name] for name in now.keys() & begun.keys())
        packages = sum(
            (now - self._packages[name][0]) % wraps
            for name, (now, wraps) in rapl_joules().items()
            if name in self._packages
        )
        sources = ["NVML"] if gpus else ["no GPU counted"] if cuda() else []
        if packages:
            sources.append("RAPL")
        else:
            packages = WATTS * (time.process_time() - self._processor)
            sources.append(f"estimated: {WATTS:.0f} W a core at work")
        watt_hours = (gpus + packages) / JOULES
        return {"energy_wh": round(watt_hours, 3), "energy_from": ", ".join(sources)}


def gpu_joules() -> dict[str, float]:
    """For each GPU in view, since its driver was loaded; empty without torch, GPU or NVML."""
    gpus, found = cuda(), {}
    if not gpus or not importlib.util.find_spec("pynvml"):
        return found
    import pynvml

    with contextlib.suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        for i in range(gpus.device_count()):
            name = f"GPU-{gpus.get_device_properties(i).uuid}"
            handle = pynvml.nvmlDeviceGetHandleByUUID(name)
            found[name] = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000
    return found


def rapl_joules() -> dict[str, tuple[float, float]]:
    """For each processor: joules counted, and the count at which it begins again."""
    found = {}
    for zone in sorted(RAPL.glob("*-rapl:*")):
        if zone.name.count(":") != 1 or not os.access(zone / "energy_uj", os.R_OK):
            continue  # a part of a processor is counted in the whole
        with contextlib.suppress(OSError, ValueError):
            count = int((zone / "energy_uj").read_text()) / 1e6
            found[zone.name] = count, int((zone / "max_energy_range_uj").read_text()) / 1e6
    return found
