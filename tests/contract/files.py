"""Which files a repository has, for the checks of its shape."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from clinical_camel.runs.notebooks import read_cells

Problems = Iterator[str]


def notebooks(root: Path) -> list[Path]:
    return sorted((root / "notebooks").glob("*.ipynb"))


def params_files(root: Path) -> list[Path]:
    return sorted((root / "params").glob("*/*.yaml"))


def tracked(root: Path, *options: str) -> list[Path]:
    """Files that git knows; in a copy without git, all files."""
    if not (root / ".git").exists():
        return sorted(f for f in root.rglob("*") if f.is_file())
    command = ["git", "-C", str(root), "ls-files", "-z", *options]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    return [root / name for name in sorted(set(names)) if name and (root / name).is_file()]


def code_cells(notebook: Path) -> list[dict]:
    return [cell for cell in read_cells(notebook) if cell["cell_type"] == "code"]


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])
