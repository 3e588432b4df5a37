"""Peak memory of this process, of the device that a model is on; the profile of this machine."""

import contextlib
from pathlib import Path

import psutil
import torch

from clinical_camel.estimate import speed
from clinical_camel.runs.machine import measure_peak_memory

RESET = "5"  # what Linux's clear_refs takes to set the peak back to what is resident now


def measure_peak() -> int:
    """Return the peak since the last `reset_peak`, in bytes: of the GPU, or resident.

    The states of a paged optimizer on a GPU are not among them (`variants.replace_paged`).
    """
    peak = measure_peak_memory()
    return peak.get("peak_gpu_memory_mb", peak["peak_memory_mb"]) * 2**20


def reset_peak() -> None:
    """Let the peak begin at what is used now; on a system without clear_refs nothing happens."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text(RESET)


def has_gpu() -> bool:
    """Return whether models are loaded onto a GPU here."""
    return torch.cuda.is_available()


def measure_available() -> int:
    """Return the memory that a step of this machine may use: of the GPU, or free and resident."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_properties(0).total_memory
    return psutil.virtual_memory().available + psutil.Process().memory_info().rss


def choose_profile() -> tuple[str, str]:
    """Return the profile with which `plan` estimates this machine, and a text that names it."""
    if not has_gpu():
        return "cpu", "this CPU"
    gpu = torch.cuda.get_device_name(0)
    profile = speed.choose_nearest(gpu, measure_available())
    rule = "" if speed.find_profile(gpu) else ", the nearest by its memory"
    return profile, f"{gpu} (profile {profile}{rule})"
