"""The key of the toy endpoint, and the file of a new ledger."""

import pytest
from tests.support.toy_teacher import KEY

from clinical_camel.teachers.secrets import KEY_VARIABLE


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "ledger.sqlite"
