"""The code and the machine of a run, for run.json: versions, commit, device, peak memory."""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from clinical_camel.core.hashing import hash_file, key_hash
from clinical_camel.core.paths import root
from clinical_camel.runs import launch

# fmt: off
PACKAGES = (
    "torch", "transformers", "tokenizers", "accelerate", "peft", "bitsandbytes", "trl", "datasets",
    "safetensors", "pandas", "numpy", "scipy", "statsmodels", "seaborn", "matplotlib",
    "rouge-score", "bm25s", "papermill",
)
# fmt: on


# tables may be written beside a run: no run depends on them, or its record has their hash
RESULTS = ("outputs", "benchmarks/results", "drills/results", "experiments/results")


def read_commit() -> tuple[str, bool]:
    """Return the commit of the package's checkout, and whether anything outside RESULTS differs.

    A copy of the project that is not that checkout counts as changed.
    """
    checkout = Path(__file__).parents[3]
    top = _git(checkout, "rev-parse", "--show-toplevel")
    if not top or Path(top).resolve() != checkout.resolve():
        return "", True
    changes = _git(checkout, "status", "--porcelain", "--", ".", *(f":!{r}" for r in RESULTS))
    is_copy = root().resolve() != checkout.resolve()
    return _git(checkout, "rev-parse", "HEAD"), bool(changes) or is_copy


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def hash_source() -> str:
    """Return the hash of the package's Python files."""
    package = Path(__file__).parents[1]
    files = sorted(package.rglob("*.py"))
    return key_hash({f.relative_to(package).as_posix(): hash_file(f) for f in files})


def list_versions() -> dict[str, str]:
    """Return the versions of Python and of those PACKAGES that are installed."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def describe_process(process: psutil.Process) -> dict[str, Any]:
    """Return what tells a process from a later one with its number: pid and time since boot.

    Both terms of the difference follow a clock that is set, so it does not change.
    """
    return {"pid": process.pid, "process_started": process.create_time() - psutil.boot_time()}


def cuda() -> Any:
    """Return torch.cuda if torch is imported already and sees a GPU, else None."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_available() else None


def describe_device() -> dict[str, Any]:
    """Return models of CPU and GPUs, threads and processes; no host name, no address."""
    torch = sys.modules.get("torch")
    setting = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # 4,2 is two levels of them
    threads = torch.get_num_threads() if torch else int(setting) if setting.isdecimal() else 1
    device = {"cpu": _cpu_name(), "threads": threads}
    if gpus := cuda():
        device["gpu"] = [gpus.get_device_name(i) for i in range(gpus.device_count())]
    if launch.world_size() > 1:
        device["processes"] = launch.world_size()
    return device


def _cpu_name() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def measure_peak_memory() -> dict[str, int]:
    """Return peak resident memory, and the largest GPU allocator peak, in MB (2**20 bytes)."""
    peak = {"peak_memory_mb": _peak_resident() // 2**20}
    if gpus := cuda():
        peaks = (gpus.max_memory_allocated(i) for i in range(gpus.device_count()))
        peak["peak_gpu_memory_mb"] = max(peaks) // 2**20
    return peak


def _peak_resident() -> int:
    # VmHWM first: ru_maxrss of a kernel also counts the runner it was forked from
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if not importlib.util.find_spec("resource"):  # Windows
        return 0
    resource = importlib.import_module("resource")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
