"""Fixtures for all tests of data: an empty project folder and a toy hub."""

import pytest

from clinical_camel.data import registry


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty project folder."""
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def hub(monkeypatch):
    """A hub with the rows put into this dict, by (config, split); "calls" lists the downloads."""
    shelves = {"calls": []}

    def download(name, source, config, split):
        shelves["calls"].append((source.hub, config, split, source.revision))
        return shelves[config, split]

    monkeypatch.setattr(registry, "_download", download)
    return shelves
