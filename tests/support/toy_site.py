"""A repository of one study for the site, whose notebook quotes hostile texts."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.project import Project

SKIPPED = "needs the extra `site`: pip install -r requirements.lock"
PNG = base64.b64encode(
    bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de")
    + bytes.fromhex("0000000c49444154789c63f8ffff3f0005fe02fe0def46b80000000049454e44ae426082")
).decode()
HOSTILE = '<script>window.planted = 1</script><img src="x" onerror="window.planted = 2">'
HOSTILE += (
    '<a href="javascript:window.planted=3">click</a><iframe src="https://example.org"></iframe>'
)
HOSTILE += (
    '<p style="background:url(https://example.org/x.png)" onclick="window.planted = 4">text</p>'
)
README = """\
# Toy

> **Research only: not for use in care.**

## What is this?

A toy. See [the guide](docs/running.md#how) and `[not a link](nowhere.md)`.

## What we found

Nothing.

## Studies

| study |
| --- |
| [toy](params/toy) |
"""


def code(id_: str, source: str, *tags: str, outputs: tuple = ()) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": 1,
        "id": id_,
        "metadata": {"tags": list(tags)},
        "outputs": list(outputs),
        "source": source,
    }


def prose(id_: str, source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": id_, "metadata": {}, "source": source}


def notebook(*cells: dict[str, Any]) -> dict[str, Any]:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    language = {"name": "python"}
    metadata = {"kernelspec": kernel, "language_info": language}
    return {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def display(metadata: dict[str, Any] | None = None, **data: str) -> dict[str, Any]:
    """An output; `text_html="..."` is data of kind text/html."""
    kinds = {kind.replace("_", "/"): value for kind, value in data.items()}
    return {"output_type": "display_data", "data": kinds, "metadata": metadata or {}}


def stream(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


def write_toy(root: Path) -> Project:
    """Write the repository. Its executed notebook has old prose, and hostile texts as outputs."""
    project = Project(root)
    project.file("README.md", README)
    project.file("pyproject.toml", '[project]\nname = "toy"\nversion = "1"\nlicense = "MIT"\n')
    project.file("docs/running.md", "# Running\n\n## How\n\nText with $x_1$.\n")
    project.file("docs/glossary.md", "# Glossary\n")
    project.file("params/toy/01_first.yaml", "# A toy study.\nstudy: toy\nseed: 3\n")
    title = "# 01 First\n\n*Research only.* [guide](../docs/running.md)"
    settings = 'study: str = "mini"  # folder\nseed: int = 0'
    current = [prose("a", title), code("s", "install()", "setup")]
    current += [
        code("p", settings, "parameters"),
        prose("b", "New words, $x^2$."),
        code("c", "f(1)"),
    ]
    project.file("notebooks/01_first.ipynb", json.dumps(notebook(*current)))
    alt = {"image/png": {"alt": 'Points & a "line".'}}
    outputs = (
        stream(f"10%|###   | 1/9\n{HOSTILE}\n"),
        display(text_html=f"<table><tr><td>cell</td></tr></table>{HOSTILE}"),
        display(text_markdown=f"**bold** {HOSTILE}\n\n{HOSTILE}"),
        display(text_plain=HOSTILE),
        display(alt, image_png=PNG),
    )
    executed = [prose("a", title.replace("../", "../../")), code("p", settings, "parameters")]
    executed += [code("i", '# Parameters\nstudy = "toy"\nseed = 3\n', "injected-parameters")]
    executed += [prose("b", "Old words."), code("c", "f(1)  # comment", outputs=outputs)]
    project.file("outputs/toy/01_first.ipynb", json.dumps(notebook(*executed)))
    project.file("outputs/toy/01_first/scores.csv", "a\n1\n")
    record = {"commit": "0123456789abcdef", "started": "2026-11-29T05:00:00+00:00", "seconds": 5.0}
    record |= {"device": {"cpu": "Toy"}, "status": "complete"}
    project.file("outputs/toy/01_first/run.json", json.dumps(record))
    return project


def require_extra() -> None:
    """Skip the tests of a module where the packages of the extra `site` are missing."""
    for package in ("sphinx", "myst_nb", "furo", "nh3"):
        pytest.importorskip(package, reason=SKIPPED)
