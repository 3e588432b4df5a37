"""A project for the tests of estimates."""

import shutil

import pytest

from clinical_camel.core.paths import root


@pytest.fixture
def fresh_project(tmp_path, monkeypatch):
    """The real notebooks and params in a project in which no step has run; its root."""
    for name in ("notebooks", "params"):
        shutil.copytree(root() / name, tmp_path / name)
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(tmp_path))
    return tmp_path
