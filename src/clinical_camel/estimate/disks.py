"""The disks of a study: results go to outputs/, downloaded models to the cache of the hub."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub.constants import HF_HUB_CACHE

from clinical_camel.core.paths import root
from clinical_camel.estimate.costs import Cost


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes that a study needs on a disk, bytes that are free, and what to do if it needs more."""

    name: str
    need: int
    free: int
    remedy: str


def list_disks(costs: Sequence[Cost]) -> list[Disk]:
    """Return the disks that a study needs: two, or one for all if results and models share it."""
    downloads = sum(cost.disk.get("download", 0) for cost in costs)
    results = sum(sum(cost.disk.values()) for cost in costs) - downloads
    own, hub = (_find_existing(folder) for folder in (root() / "outputs", Path(HF_HUB_CACHE)))
    if _read_device(own) == _read_device(hub):
        remedy = "free some, or put outputs/ (a link) or HF_HOME on a larger disk"
        return [Disk("disk", results + downloads, shutil.disk_usage(own).free, remedy)]
    return [
        Disk(name, need, shutil.disk_usage(place).free, f"free some, or {how} a larger disk")
        for name, need, place, how in (
            ("disk", results, own, "link outputs/ to"),
            ("disk of HF_HOME", downloads, hub, "set HF_HOME to a folder on"),
        )
    ]


def _read_device(folder: Path) -> int:
    """Return the number of the file system."""
    return folder.stat().st_dev


def _find_existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())
