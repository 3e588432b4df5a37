"""Every notebook has the same set-up cell for Google Colab, after its title.

If pyproject.toml names a repository on GitHub, a badge below the title opens the notebook on Colab.
To write both into the notebooks that lack it:

    python -m tests.contract.setup_cells
"""

import json
import re
from pathlib import Path

from tests.contract.files import Problems, notebooks, tags

from clinical_camel.release.colab import COLAB, make_badge, read_address, setup_cell
from clinical_camel.runs.notebooks import read_cells

COMMAND = "python -m tests.contract.setup_cells"
BADGE = re.compile(rf"^\[!\[[^\]]*\]\({re.escape(COLAB)}\S*\n\n?", re.MULTILINE)


def check_notebooks_have_the_setup_cell(root: Path) -> Problems:
    if not (root / "src/clinical_camel/release/colab.py").exists():
        return
    address = read_address(root)
    source = setup_cell(address)
    for notebook in notebooks(root):
        cells = read_cells(notebook)
        if place_badge(cells[0]["source"], address, notebook.name) != cells[0]["source"]:
            yield f"{notebook.name}: the badge of Colab is missing or another; run {COMMAND}"
        places = [i for i, cell in enumerate(cells) if "setup" in tags(cell)]
        if places != [1] or cells[1]["source"] != source:
            yield f"{notebook.name}: the second cell is not the set-up cell; run {COMMAND}"


def place_badge(source: str, address: str, name: str) -> str:
    """Return the source of a first cell with the badge below its title, or without a badge."""
    title, _, rest = BADGE.sub("", source).partition("\n")
    badge = make_badge(address, f"notebooks/{name}")
    if not badge:
        return f"{title}\n{rest}" if rest else title
    return f"{title}\n\n{badge}\n\n{rest.lstrip()}".rstrip("\n")


def write_setup_cells(root: Path) -> None:
    """Write the badge and the set-up cell into every notebook, and change nothing else."""
    address = read_address(root)
    source = setup_cell(address).splitlines(keepends=True)
    for notebook in notebooks(root):
        content = json.loads(notebook.read_text(encoding="utf-8"))
        cells = [cell for cell in content["cells"] if "setup" not in tags(cell)]
        cell = {
            "cell_type": "code",
            "execution_count": None,
            "id": f"{notebook.stem[:2]}-setup",
            "metadata": {"jupyter": {"source_hidden": True}, "tags": ["setup"]},
            "outputs": [],
            "source": source,
        }
        title = place_badge("".join(cells[0]["source"]), address, notebook.name)
        cells[0]["source"] = title.splitlines(keepends=True)
        content["cells"] = [cells[0], cell, *cells[1:]]
        text = json.dumps(content, indent=1, ensure_ascii=False)
        notebook.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    write_setup_cells(Path(__file__).parents[2])
