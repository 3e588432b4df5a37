"""For all tests: no network but this machine's own, and a project folder to break."""

import os
import shutil
import socket

import pytest
from tests.support.project import Project

# Subprocesses and kernels too: the hub is off, and any proxy-minded client meets a closed door.
os.environ["HF_HUB_OFFLINE"] = "1"
for _name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
    os.environ[_name] = os.environ[_name.lower()] = "http://127.0.0.1:9"
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")

LOCAL = {"127.0.0.1", "::1", "localhost"}


def _local_only(method: str):
    real = getattr(socket.socket, method)

    def guarded(self: socket.socket, address, *rest):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOCAL:
            raise OSError(f"tests have no network: {address[0]}")
        return real(self, address, *rest)

    return guarded


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """Only 127.0.0.1 answers; a name is not even looked up."""
    real_lookup = socket.getaddrinfo

    def lookup(host, *rest, **options):
        if host not in (*LOCAL, None, ""):
            raise OSError(f"tests have no network: {host}")
        return real_lookup(host, *rest, **options)

    monkeypatch.setattr(socket.socket, "connect", _local_only("connect"))
    monkeypatch.setattr(socket.socket, "connect_ex", _local_only("connect_ex"))
    monkeypatch.setattr(socket, "getaddrinfo", lookup)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    """An empty project that `runs` takes for its own (CLINICAL_CAMEL_ROOT)."""
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(tmp_path))
    return Project(tmp_path)


@pytest.fixture
def done(finished, tmp_path, monkeypatch) -> Project:
    """A copy of the module's `finished` project, free to be broken."""
    shutil.copytree(finished, tmp_path / "copy")
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(tmp_path / "copy"))
    return Project(tmp_path / "copy")
