"""The disks that a study writes to."""

from types import SimpleNamespace

import pytest

from clinical_camel.estimate import disks
from clinical_camel.estimate.costs import Cost
from clinical_camel.estimate.work import Work

GB = 10**9


@pytest.fixture
def cost():
    disk = {"download": 140 * GB, "checkpoints": 3 * GB, "tables": GB}
    return Cost("s", "02_a", "cpu", Work(), None, disk=disk)


def test_one_disk_has_models_and_results(cost, project, monkeypatch):
    monkeypatch.setattr(disks, "HF_HUB_CACHE", str(project.root / "not/yet"))
    usage = SimpleNamespace(free=100 * GB)
    monkeypatch.setattr(disks.shutil, "disk_usage", lambda _: usage)
    (disk,) = disks.list_disks([cost, cost])
    assert (disk.name, disk.need, disk.free) == ("disk", 288 * GB, 100 * GB)
    assert "HF_HOME" in disk.remedy


def test_models_on_a_disk_of_their_own_need_no_room_beside_the_results(cost, project, monkeypatch):
    hub = project.root / "hub"
    hub.mkdir()
    monkeypatch.setattr(disks, "HF_HUB_CACHE", str(hub / "models"))
    number = {hub: 2}
    monkeypatch.setattr(disks, "_read_device", lambda place: number.get(place, 1))
    free = {hub: 2000 * GB}
    monkeypatch.setattr(
        disks.shutil, "disk_usage", lambda place: SimpleNamespace(free=free.get(place, 5 * GB))
    )
    results, models = disks.list_disks([cost])
    assert (results.need, results.free) == (4 * GB, 5 * GB)
    assert (models.need, models.free) == (140 * GB, 2000 * GB)
    assert "outputs/" in results.remedy
    assert "HF_HOME" in models.remedy
