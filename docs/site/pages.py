"""The sources of the site: Markdown pages and notebooks, written into a folder for Sphinx."""

import json
import re
import subprocess
import tomllib
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from docs.site.links import EXTRA, Links
from docs.site.notebooks import (
    add_run_box,
    convert_outputs,
    show_settings_of_run,
    source_of,
    use_current_prose,
)

EMBEDDED = "mini_camel"
STUDIES_FIRST = ("results", EMBEDDED, "mini_camel_raw", "mini_camel_controls", "mini_camel_llm")
GUIDE = {  # pages of the site by file; other files of docs/ follow in the order of their names
    "docs/running.md": "guide/running.md",
    "docs/teachers.md": "guide/teachers.md",
    "docs/recipes.md": "guide/recipes.md",
    "docs/exams.md": "guide/exams.md",
    "docs/notes.md": "guide/notes.md",
    "docs/replies.md": "guide/replies.md",
    "docs/glossary.md": "guide/glossary.md",
}
CHECKS = {
    "benchmarks/README.md": "checks/benchmarks.md",
    "benchmarks/PENDING.md": "checks/pending.md",
    "drills/README.md": "checks/drills.md",
    "experiments/README.md": "checks/experiments.md",
    "experiments/preregistration.md": "checks/preregistration.md",
    "src/clinical_camel/mini/README.md": "checks/material.md",
    "src/clinical_camel/grounding/lexicons/README.md": "checks/lexicons.md",
    "outputs/LOG.md": "checks/log.md",
}
HOW_TO_READ = """
## How to read this site

- **Results** has the executed notebooks of each study. Start with {first}. The box at the top of a
  notebook names the settings, the tables and the commit that it was made with.
- **Guide** explains the parts of the study and how to run them. The
  [glossary](docs/glossary.md) has one meaning for each term.
- **Checks** has measurements of this code and the log of everything that was tried.
"""


def list_executed(root: Path) -> dict[str, list[str]]:
    """Return the steps with a committed executed notebook, by study; STUDIES_FIRST come first."""
    command = ["git", "-C", str(root), "ls-files", "outputs"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    files = done.stdout.splitlines() if done.returncode == 0 else []
    files = files or [f.relative_to(root).as_posix() for f in root.glob("outputs/*/*.ipynb")]
    steps: dict[str, list[str]] = {}
    for file in sorted(files):
        if match := re.fullmatch(r"outputs/([^/.]+)/([0-9]{2}_\w+)\.ipynb", file):
            steps.setdefault(match[1], []).append(match[2])
    order = [
        *(s for s in STUDIES_FIRST if s in steps),
        *(s for s in steps if s not in STUDIES_FIRST),
    ]
    return {study: steps[study] for study in order}


def list_studies(root: Path) -> list[str]:
    """Return all studies, those with executed notebooks first."""
    executed = list_executed(root)
    others = sorted(p.name for p in (root / "params").iterdir() if p.is_dir())
    return [*executed, *(study for study in others if study not in executed)]


def map_pages(root: Path) -> dict[str, str]:
    """Return the page of the site for each file and folder of the repository that has one."""
    pages = {"README.md": "index.md", **GUIDE, **CHECKS}
    for file in sorted((root / "docs").glob("*.md")):
        pages.setdefault(f"docs/{file.name}", f"guide/{file.name}")
    for file in sorted((root / "docs").glob("*/*.md")):
        if file.parent.name != "site":
            name = file.relative_to(root / "docs").as_posix()
            pages.setdefault(f"docs/{name}", f"guide/{name}")
    pages = {path: page for path, page in pages.items() if (root / path).exists()}
    for study in list_studies(root):
        pages |= {f"{kind}/{study}": f"results/{study}/index.md" for kind in ("params", "outputs")}
    for study, steps in reversed(list_executed(root).items()):
        for step in steps:
            page = f"results/{study}/{step}.ipynb"
            pages |= {f"outputs/{study}/{step}.ipynb": page, f"notebooks/{step}.ipynb": page}
    return pages


def read_repository(root: Path) -> str:
    """Return the address of the repository in pyproject.toml, or ""."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project.get("urls", {}).get("Repository", "")


def read_stale(root: Path) -> dict[str, str]:
    """Return why a result is older than its code or parameters, by study/step: outputs/STALE.md."""
    file = root / "outputs/STALE.md"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return dict(re.findall(r"^- ([\w/-]+): \w+ (.+)$", text, re.MULTILINE))


def write_sources(root: Path, source: Path) -> None:
    """Write the sources of the site into a new folder. Raises LinkError for a broken link."""
    pages = map_pages(root)
    links = Links(root, source, pages, read_repository(root))
    (source / EXTRA).mkdir(parents=True)
    for path, page in pages.items():
        if path.endswith(".md") and path != "README.md":
            text = (root / path).read_text(encoding="utf-8")
            _write(source / page, links.move_markdown(text, path, page))
    executed, stale = list_executed(root), read_stale(root)
    for study in list_studies(root):
        steps = executed.get(study, [])
        page = f"results/{study}/index.md"
        _write(source / page, make_study_page(root, study, steps, links))
        for step in steps:
            notebook = make_notebook(root, study, step, links, stale.get(f"{study}/{step}", ""))
            _write(source / f"results/{study}/{step}.ipynb", json.dumps(notebook))
    _write(source / "results/index.md", make_results_page(root, links))
    _write(source / "results/others.md", make_others_page(root))
    for folder, title in (("guide", "Guide"), ("checks", "Checks")):
        names = [page for page in dict.fromkeys(pages.values()) if page.startswith(f"{folder}/")]
        entries = [name.removeprefix(f"{folder}/").removesuffix(".md") for name in names]
        _write(source / f"{folder}/index.md", f"# {title}\n\n{_make_toctree(entries)}")
    _write(source / "index.md", make_index(root, links))


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _make_toctree(entries: list[str], *options: str) -> str:
    lines = "\n".join(["```{toctree}", *options, "", *entries, "```"])
    return f"{lines}\n"


# --------------------------------------------------------------------------------- the front page


def read_section(text: str, heading: str) -> str:
    """Return a section of a Markdown text with its heading. Raises ValueError if it is missing."""
    match = re.search(rf"^## {re.escape(heading)}\n.*?(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    if match is None:
        raise ValueError(f"README.md: no section {heading}; the front page of the site shows it")
    return match[0]


def make_index(root: Path, links: Links) -> str:
    """Return the front page: what the study is and what it found, from README.md."""
    text = (root / "README.md").read_text(encoding="utf-8")
    head = text.partition("\n## ")[0]
    parts = [read_section(text, name) for name in ("What is this?", "What we found")]
    study, steps = next(iter(list_executed(root).items()))
    first = f"[{study}](outputs/{study}/{steps[0]}.ipynb)"
    body = "\n".join([head, *parts, HOW_TO_READ.format(first=first)])
    body = links.move_markdown(body, "README.md", "index.md")
    options = (":hidden:", ":maxdepth: 2")
    return f"{body}\n{_make_toctree(['results/index', 'guide/index', 'checks/index'], *options)}"


# ------------------------------------------------------------------------------- pages of results


def make_results_page(root: Path, links: Links) -> str:
    """Return the page that lists all studies: the table of README.md."""
    section = read_section((root / "README.md").read_text(encoding="utf-8"), "Studies")
    body = section.partition("\n")[2]
    body = links.move_markdown(body, "README.md", "results/index.md")
    entries = [*(f"{study}/index" for study in list_executed(root)), "others"]
    return f"# Results\n\n{body}\n{_make_toctree(entries, ':hidden:', ':maxdepth: 1')}"


def make_others_page(root: Path) -> str:
    """Return the page that lists the studies without notebooks."""
    executed = list_executed(root)
    entries = [f"{study}/index" for study in list_studies(root) if study not in executed]
    text = "These studies have tables without notebooks, or have not been run yet."
    return f"# Studies without notebooks\n\n{text}\n\n{_make_toctree(entries, ':maxdepth: 1')}"


def read_title(root: Path, study: str, step: str) -> str:
    """Return the title of an executed notebook."""
    file = root / f"outputs/{study}/{step}.ipynb"
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    return source_of(cells[0]).partition("\n")[0].removeprefix("# ")


def list_tables(root: Path, study: str, step: str) -> list[str]:
    """Return the paths of the committed tables of a result."""
    folder = f"outputs/{study}/{step}"
    command = ["git", "-C", str(root), "ls-files", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    files = done.stdout.splitlines() if done.returncode == 0 else []
    files = files or [f.relative_to(root).as_posix() for f in (root / folder).glob("*.csv")]
    return sorted(file for file in files if re.fullmatch(rf"{folder}/\w+\.csv", file))


def read_record(root: Path, study: str, step: str) -> dict[str, Any]:
    """Return the run.json of a result; {} if it has none."""
    file = root / f"outputs/{study}/{step}/run.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def describe_run(record: dict[str, Any], links: Links) -> str:
    """Return one line on a run: commit, day, machine and duration."""
    day = datetime.fromisoformat(record["started"]).strftime("%d %B %Y").lstrip("0")
    device = record["device"].get("gpu") or f"{record['device'].get('cpu', 'unknown')} (CPU)"
    seconds = record["seconds"]
    duration = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
    return f"commit {links.link_commit(record['commit'])}, {day}, {device}, {duration}"


def make_study_page(root: Path, study: str, steps: list[str], links: Links) -> str:
    """Return the page of a study: its purpose, notebooks, tables and parameter files."""
    page = f"results/{study}/index.md"
    files = sorted((root / "params" / study).glob("*.yaml"))
    comments = (f.read_text(encoding="utf-8").partition("\n")[0] for f in files)
    purpose = next((c.removeprefix("#").strip() for c in comments if c.startswith("#")), "")
    parts = [f"# {study}\n\n{purpose}\n"]
    if steps:
        entries = [f"{read_title(root, study, step)} <{step}>" for step in steps]
        parts.append(f"## Notebooks\n\n{_make_toctree(entries, ':maxdepth: 1')}")
    folders = sorted(p.parent.name for p in root.glob(f"outputs/{study}/*/run.json"))
    rows = []
    for step in (f for f in folders if f[0] != "."):
        if tables := list_tables(root, study, step):
            rows.append(f"- **{step}** ({describe_run(read_record(root, study, step), links)}): ")
            rows[-1] += ", ".join(f"[{Path(t).stem}]({links.link_file(t, page)})" for t in tables)
    if rows:
        parts.append(
            "## Tables\n\nEach file has comma-separated values.\n\n" + "\n".join(rows) + "\n"
        )
    elif not steps:
        parts.append(describe_unrun(root, study))
    if files:
        parts.append(f"(params-{study})=\n## Parameters\n")
    for file in files:
        text = file.read_text(encoding="utf-8")
        parts.append(f"### {file.stem}\n\n`````yaml\n{text}`````\n")
    return "\n".join(parts)


def describe_unrun(root: Path, study: str) -> str:
    """Return what the page of a study without results says: how to estimate its cost."""
    text = (
        "This study has not been run yet. `python -m clinical_camel plan "
        f"{study}` estimates its hours, memory and cost.\n"
    )
    file = root / "params/published/10_published.yaml"
    is_published = file.exists() and re.search(rf"^  \S+: {study}$", file.read_text("utf-8"), re.M)
    if is_published and "10_published" in list_executed(root).get("published", []):
        text += (
            "\nThe accuracies that its authors published, and what it would cost on a rented GPU: "
            "[published systems](../published/10_published.ipynb).\n"
        )
    return text


def make_notebook(root: Path, study: str, step: str, links: Links, stale: str) -> dict[str, Any]:
    """Return an executed notebook as the site shows it."""
    place, page = f"outputs/{study}/{step}.ipynb", f"results/{study}/{step}.ipynb"
    executed = json.loads((root / place).read_text(encoding="utf-8"))
    file = root / f"notebooks/{step}.ipynb"
    current = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"cells": []}
    notebook, is_current = use_current_prose(executed, current)
    notebook = show_settings_of_run(notebook)
    up = "../" * page.count("/")
    move_links = partial(links.move_html, place=place, page=page)
    figures = links.source / EXTRA / "figures"
    notebook = convert_outputs(notebook, figures, f"{up}figures", move_links)
    origin = f"notebooks/{step}.ipynb" if is_current else place
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = links.move_markdown(source_of(cell), origin, page)
    title = source_of(notebook["cells"][0]).partition("\n")[0].removeprefix("# ")
    title = title if study in ("results", EMBEDDED) else f"{title} ({study})"
    return add_run_box(notebook, title, make_run_box(root, study, step, links, stale))


def make_run_box(root: Path, study: str, step: str, links: Links, stale: str) -> str:
    """Return the box at the top of a result: how it was made, and where its numbers are."""
    page = f"results/{study}/{step}.ipynb"
    record = read_record(root, study, step)
    tables = (
        f"[{Path(t).stem}]({links.link_file(t, page)})" for t in list_tables(root, study, step)
    )
    params = f"params/{study}/{step}.yaml"
    settings = f"[{step}.yaml]({links.link_file(params, page)})" if (root / params).exists() else ""
    lines = [
        f"**Study:** [{study}](index.md), with its [parameters](index.md#parameters)",
        f"**Run:** {describe_run(record, links)}" if record else "",
        f"**Settings:** {settings}" if settings else "",
        f"**Tables:** {', '.join(tables)}",
    ]
    source = f"notebooks/{step}.ipynb"
    if (root / source).exists() and (colab := links.link_colab(source)):
        lines.append(f"**Run it yourself:** {colab}")
    box = "\n".join(f"- {line}" for line in lines if line)
    if stale:
        box += f"\n- **Older than the code:** {stale.replace(';', ',')}."
    return f":::{{admonition}} This result\n:class: run-box\n\n{box}\n:::"
