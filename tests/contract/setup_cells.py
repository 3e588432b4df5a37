"""Every notebook has the same set-up cell for Google Colab, after its title.

To write it into the notebooks that lack it:

    python -m tests.contract.setup_cells
"""

import json
from pathlib import Path

from tests.contract.files import Problems, notebooks, tags

from clinical_camel.release.colab import read_address, setup_cell
from clinical_camel.runs.notebooks import read_cells

COMMAND = "python -m tests.contract.setup_cells"


def check_notebooks_have_the_setup_cell(root: Path) -> Problems:
    if not (root / "src/clinical_camel/release/colab.py").exists():
        return
    source = setup_cell(read_address(root))
    for notebook in notebooks(root):
        cells = read_cells(notebook)
        places = [i for i, cell in enumerate(cells) if "setup" in tags(cell)]
        if places != [1] or cells[1]["source"] != source:
            yield f"{notebook.name}: the second cell is not the set-up cell; run {COMMAND}"


def write_setup_cells(root: Path) -> None:
    """Write the set-up cell into every notebook, and change nothing else."""
    source = setup_cell(read_address(root)).splitlines(keepends=True)
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
        content["cells"] = [cells[0], cell, *cells[1:]]
        text = json.dumps(content, indent=1, ensure_ascii=False)
        notebook.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    write_setup_cells(Path(__file__).parents[2])
