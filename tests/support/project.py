"""A small project folder for tests, and small objects that several tests need."""

import subprocess
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest


class Project:
    """A small project folder: notebooks and params files written as text."""

    title = "# {} A step\n\nResearch only: not for use in care."  # "": no markdown cell

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("notebooks", "params", "outputs"):
            (root / folder).mkdir(parents=True, exist_ok=True)

    def notebook(self, step: str, params: str, *cells: str, kernel: str = "python3") -> Path:
        """Write a notebook with a title, one tagged parameters cell and these code cells."""
        v4 = nbformat.v4
        first = [v4.new_markdown_cell(self.title.format(step[:2]))] if self.title else []
        tagged = v4.new_code_cell(params, metadata={"tags": ["parameters"]})
        kernelspec = {"name": kernel, "display_name": kernel, "language": "python"}
        notebook = v4.new_notebook(
            cells=[*first, tagged, *map(v4.new_code_cell, cells)],
            metadata={"kernelspec": kernelspec},
        )
        file = self.root / "notebooks" / f"{step}.ipynb"
        nbformat.write(notebook, file)
        return file

    def params(self, study: str, step: str, text: str) -> Path:
        """Write params/<study>/<step>.yaml."""
        return self.file(f"params/{study}/{step}.yaml", text)

    def file(self, path: str, text: str) -> Path:
        """Write a text file by its root-relative path."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file


def make_messages(*texts: str) -> list[dict[str, str]]:
    """Return messages of alternating roles, the user first."""
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]


def make_dialogue(name: str, exchanges: int = 3):
    """Return a row to train on: questions and answers on one subject."""
    from clinical_camel.data import Dialogue  # imported late, so that conftest sets variables first

    pairs = [(f"Question {i} on {name}?", f"Answer {i} on {name}.") for i in range(exchanges)]
    return Dialogue(id=name, source="test", messages=make_messages(*sum(pairs, ())))


class Memory:
    """A journal in memory: `done` and `append`, as `runs.Journal` has them."""

    def __init__(self) -> None:
        self.done: dict[str, dict] = {}

    def append(self, name: str, payload: dict) -> None:
        self.done[name] = payload


SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)> $$\\href{javascript:x}{y}$$"


class Page(HTMLParser):
    """The tags of an HTML page with the names of their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data):
        self.text += data


def skip_if_rerun() -> None:
    """Skip a test of committed numbers after a study was run here: other machines differ."""
    root = Path(__file__).parents[2]
    compare = ["git", "diff", "--quiet", "HEAD", "--", "outputs"]
    if subprocess.run(compare, cwd=root, check=False).returncode:
        pytest.skip("outputs/ differs from the commit: this test checks committed numbers")


def skip_if_stale(result: str) -> None:
    """Skip a test of a committed result that other parameters made, as outputs/STALE.md says."""
    stale = Path(__file__).parents[2] / "outputs" / "STALE.md"
    if stale.is_file() and f"- {result}: " in stale.read_text(encoding="utf-8"):
        pytest.skip(f"{result} is to be made again: outputs/STALE.md")
