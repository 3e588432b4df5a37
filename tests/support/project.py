"""A small project folder to break, and small pieces that several tests need."""

import subprocess
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest


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
    root = Path(__file__).parents[2]
    changed = ["git", "diff", "--quiet", "HEAD", "--", "outputs"]
    if subprocess.run(changed, cwd=root, check=False).returncode:
        pytest.skip("a study was run again here: this test is of the committed figures")
