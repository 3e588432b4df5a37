"""Google Colab: the badge and the set-up cell of every notebook, and what the cell runs there.

Colab opens a single notebook, in an environment with other versions of our packages. The set-up
cell clones the project and runs this file as a script, which installs the pinned versions. It does
so without this project's packages, so this file imports the standard library only.

JupyterLab and ipykernel stay as they are: Colab's own versions run the notebook.
"""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[3]
COLABS_OWN = {"jupyterlab", "ipykernel"}
CELL = """\
# On Google Colab, this cell installs the project. Elsewhere, it does nothing.
import os
import subprocess
import sys
from pathlib import Path

if "google.colab" in sys.modules:
    address = "{address}"  # of your copy of the project, as for `git clone`
    folder = Path("/content/clinical_camel")
    if not (folder / ".git").is_dir():
        subprocess.run(["git", "clone", "--quiet", address, folder], check=True)
    if subprocess.run([sys.executable, folder / "src/clinical_camel/release/colab.py"]).returncode:
        raise SystemExit("see the message above")
    os.chdir(folder)"""
COLAB = "https://colab.research.google.com"
BRANCH = "main"  # of which Colab opens the notebooks
GITHUB = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")


def read_address(root: Path) -> str:
    """Return the address of the repository in pyproject.toml; "" if it names none."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project.get("urls", {}).get("Repository", "")


def setup_cell(address: str) -> str:
    """Return the source of the cell tagged `setup`; `address` of the repository may be ""."""
    return CELL.format(address=address)


def make_badge(address: str, notebook: str) -> str:
    """Return the line that opens a notebook on Colab; "" if the repository is not on GitHub.

    >>> badge = make_badge("https://github.com/owner/name.git", "notebooks/01_dbke.ipynb")
    >>> badge.rpartition("(")[2]
    'https://colab.research.google.com/github/owner/name/blob/main/notebooks/01_dbke.ipynb)'
    """
    match = GITHUB.fullmatch(address)
    if not match:
        return ""
    link = f"{COLAB}/github/{match[1]}/blob/{BRANCH}/{notebook}"
    return f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({link})"


def list_requirements(root: Path) -> list[str]:
    """Return the pinned packages of the project that Colab has to install."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [line for line in project["dependencies"] if _name(line) not in COLABS_OWN]


def list_missing(requirements: list[str]) -> list[str]:
    """Return the requirements, name==version, that are not installed in this version."""
    missing = []
    for line in requirements:
        try:
            version = metadata.version(_name(line)).partition("+")[0]  # 2.13.0+cu130 is 2.13.0
        except metadata.PackageNotFoundError:
            version = ""
        if version != line.partition("==")[2]:
            missing.append(line)
    return missing


def _name(requirement: str) -> str:
    return re.split(r"[=\[]", requirement)[0].strip().lower()


def main(root: Path = ROOT) -> int:
    """Install what is missing; return 1 if the session must be restarted, 0 if it is ready."""
    missing = list_missing(list_requirements(root))
    try:
        is_ready = not missing and bool(metadata.version("clinical-camel-study"))
    except metadata.PackageNotFoundError:
        is_ready = False
    if is_ready:
        return 0
    print(f"installing {len(missing)} packages; this takes minutes", flush=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    if missing:
        subprocess.run([*pip, *missing], check=True)
    subprocess.run([*pip, "--no-deps", "--editable", str(root)], check=True)
    print("Installed. Choose Runtime > Restart session and run all.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
