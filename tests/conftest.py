"""For all tests: no network but this machine's own, and a project folder to break."""

import os
import shutil
import socket
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

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


class Project:
    """A small project folder: notebooks and params files written as text."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("notebooks", "params", "outputs"):
            (root / folder).mkdir(parents=True, exist_ok=True)

    def notebook(self, step: str, params: str, *cells: str) -> Path:
        """A notebook with a title, one tagged parameters cell and these code cells."""
        v4 = nbformat.v4
        title = f"# {step[:2]} A step\n\nResearch only: not for use in care."
        notebook = v4.new_notebook(
            cells=[
                v4.new_markdown_cell(title),
                v4.new_code_cell(params, metadata={"tags": ["parameters"]}),
                *[v4.new_code_cell(cell) for cell in cells],
            ],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        )
        file = self.root / "notebooks" / f"{step}.ipynb"
        nbformat.write(notebook, file)
        return file

    def params(self, study: str, step: str, text: str) -> Path:
        """params/<study>/<step>.yaml with this text."""
        return self.file(f"params/{study}/{step}.yaml", text)

    def file(self, place: str, text: str) -> Path:
        """Any text file of the project, by its path from the root."""
        file = self.root / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file


def in_turn(*said: str) -> list[dict[str, str]]:
    """Messages of user and assistant, who speak in turn."""
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": text} for i, text in enumerate(said)]


def dialogue(name: str, exchanges: int = 3):
    """Questions and answers on one subject: a row to train on."""
    from clinical_camel.data import Dialogue  # after the environment above is set

    pairs = [(f"Question {i} on {name}?", f"Answer {i} on {name}.") for i in range(exchanges)]
    return Dialogue(id=name, source="test", messages=in_turn(*sum(pairs, ())))


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


class Memory:
    """A journal in memory, with what steps use of `runs.Journal`."""

    def __init__(self) -> None:
        self.done: dict[str, dict] = {}

    def append(self, name: str, payload: dict) -> None:
        self.done[name] = payload


SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)> $$\\href{javascript:x}{y}$$"


class Tags(HTMLParser):
    """What is live on a page, and what is read on it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data):
        self.text += data


def skip_if_run_again() -> None:
    """For tests of the committed figures: after `make study` on another machine they are others."""
    root = Path(__file__).parents[1]
    changed = ["git", "diff", "--quiet", "HEAD", "--", "outputs"]
    if subprocess.run(changed, cwd=root, check=False).returncode:
        pytest.skip("a study was run again here: this test is of the committed figures")
