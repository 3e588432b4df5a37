"""For all tests: no network except this machine's own, and an empty project folder."""

import asyncio
import os
import socket

import pytest
from tests.support.project import Project

# inherited by subprocesses and kernels: the hub is off, and every proxy refuses connections
os.environ["HF_HUB_OFFLINE"] = "1"
for _name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
    os.environ[_name] = os.environ[_name.lower()] = "http://127.0.0.1:9"
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")

if "PYTEST_XDIST_WORKER" in os.environ:  # one thread for each of the workers and their kernels
    os.environ.setdefault("OMP_NUM_THREADS", "1")

LONGEST = "test_notebooks.py"  # minutes: started first, so that no worker waits for it at the end

LOCAL = {"127.0.0.1", "::1", "localhost"}


def _allow_local(method: str):
    original = getattr(socket.socket, method)

    def guarded(self: socket.socket, address, *rest):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOCAL:
            raise OSError(f"tests have no network: {address[0]}")
        return original(self, address, *rest)

    return guarded


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest file first."""
    items.sort(key=lambda item: item.path.name != LONGEST)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """Allow connections to 127.0.0.1 only; do not look up other names."""
    original = socket.getaddrinfo

    def lookup(host, *rest, **options):
        if host not in (*LOCAL, None, ""):
            raise OSError(f"tests have no network: {host}")
        return original(host, *rest, **options)

    monkeypatch.setattr(socket.socket, "connect", _allow_local("connect"))
    monkeypatch.setattr(socket.socket, "connect_ex", _allow_local("connect_ex"))
    monkeypatch.setattr(socket, "getaddrinfo", lookup)


@pytest.fixture(autouse=True, scope="module")
def _no_running_event_loop():
    """Name the file that leaves an event loop running: later tests could not start theirs."""
    yield
    assert asyncio._get_running_loop() is None, "this file leaves an event loop running"


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    """An empty project that is the root for the package (CLINICAL_CAMEL_ROOT)."""
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(tmp_path))
    return Project(tmp_path)
