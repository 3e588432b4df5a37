"""The shape of the repository itself: each check reads a project folder and returns problems.

Files are found by glob, so nothing here needs upkeep. Every check runs on this repository, and
on a small good project with one thing broken, where it must say so.
"""

import ast
import itertools
import json
import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from tests.support.project import Project

from clinical_camel import runs
from clinical_camel.runs.notebooks import code_hash, read_cells
from clinical_camel.runs.params_files import read_yaml

REPOSITORY = Path(__file__).parents[1]
SHARED = {"data", "models", "stats", "runs", "grounding", "planning", "doctor", "release"}
STEP_MAY = {"data", "models", "stats", "grounding"}
BANNED = [
    "trust_remote_code",
    "evaluate.load",
    "pickle.load",
    "torch.load",
    "shell=True",
    "0.0.0.0",
]
# not preceded by a letter or a dot: https://host/home/x is an address, not a place
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(home/\w|root/\w|Users/\w|\S*/site[-]packages/)")
BINARY = {".png", ".safetensors", ".gz"}
MAX_CELLS, MAX_LINES, MAX_OUTPUT_LINES = 15, 14, 80

Problems = Iterator[str]


# ----------------------------------------------------------------------------- what is there


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


def results(root: Path) -> list[Path]:
    """Committed executed notebooks: outputs/<study>/<step>.ipynb."""
    place = root / "outputs"
    found = [f for f in tracked(root) if f.suffix == ".ipynb" and f.is_relative_to(place)]
    return [f for f in found if len(f.relative_to(place).parts) == 2 and f.name[0] != "."]


def name_of(result: Path) -> str:
    return f"{result.parent.name}/{result.stem}"


def code_cells(notebook: Path) -> list[dict]:
    return [cell for cell in read_cells(notebook) if cell["cell_type"] == "code"]


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def check_something_is_found(root: Path) -> Problems:
    """A glob that finds nothing passes everything."""
    if not notebooks(root):
        yield "notebooks/: no notebook"
    if not params_files(root):
        yield "params/: no params file"


# ------------------------------------------------------------------------ notebooks and params


def check_params_fit_their_notebook(root: Path) -> Problems:
    for file in params_files(root):
        try:
            runs.load_params(file.parent.name, file.stem)
        except runs.ParamsError as error:
            yield str(error)


def check_defaults_are_the_embedded_study(root: Path) -> Problems:
    for notebook in notebooks(root):
        file = root / "params/mini_camel" / f"{notebook.stem}.yaml"
        if not file.exists():
            yield f"params/mini_camel/{notebook.stem}.yaml: missing"
            continue
        params = read_yaml(file)
        for name, param in runs.declared_params(notebook).items():
            if params.get(name) != param.default:
                yield f"{file.name}: {name}: {params.get(name)!r}, the cell has {param.default!r}"


def check_notebooks_argue(root: Path) -> Problems:
    for notebook in notebooks(root):
        content = json.loads(notebook.read_text(encoding="utf-8"))
        cells = read_cells(notebook)
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        first = cells[0]
        title = f"# {notebook.stem[:2]} "
        facts = {
            "the name is not NN_stem": not re.fullmatch(r"\d\d_[a-z0-9_]+", notebook.stem),
            f"the first cell is no title {title}...": first["cell_type"] != "markdown"
            or not first["source"].startswith(title),
            "not one parameters cell": sum("parameters" in tags(cell) for cell in code) != 1,
            "an output or an execution count": any(
                cell["outputs"] or cell["execution_count"] for cell in code
            ),
            f"more than {MAX_CELLS} code cells": len(code) > MAX_CELLS,
            "the kernel is not python3": content["metadata"].get("kernelspec", {}).get("name")
            != "python3",
        }
        yield from (f"{notebook.name}: {fact}" for fact, wrong in facts.items() if wrong)
        for i, cell in enumerate(code, start=1):
            yield from (f"{notebook.name}: code cell {i}: {p}" for p in _cell_problems(cell))
        if runs.declared_params(notebook)["study"].default != "mini_camel":
            yield f"{notebook.name}: the default study is not mini_camel"


def _cell_problems(cell: dict) -> Problems:
    lines = len(cell["source"].splitlines())
    if lines > MAX_LINES and "parameters" not in tags(cell):
        yield f"{lines} lines"
    if re.search(r"^\s*(async def|def|class) ", cell["source"], re.MULTILINE):
        yield "a function or a class; it belongs in the module, with a test"


def check_banner(root: Path) -> Problems:
    readme = root / "README.md"
    if not readme.exists() or "Research only" not in readme.read_text(encoding="utf-8"):
        yield "README.md: does not say Research only"
    for notebook in notebooks(root):
        if "Research only" not in read_cells(notebook)[0]["source"]:
            yield f"{notebook.name}: the first cell does not say Research only"


def check_papermill_commands_work(root: Path) -> Problems:
    """papermill makes no folders, and takes a misspelt parameter without a word."""
    folders = {file.parent for file in tracked(root)}
    for notebook in notebooks(root):
        text = "\n".join(c["source"] for c in read_cells(notebook) if c["cell_type"] == "markdown")
        for command in re.findall(r"^papermill (.+)$", text, re.MULTILINE):
            source, target, *options = shlex.split(command)
            if not (root / source).exists():
                yield f"{notebook.name}: {source}: no such notebook"
                continue
            if (root / target).parent not in folders:
                yield f"{notebook.name}: {Path(target).parent}: not there in a fresh clone"
            given = {name for flag, name in itertools.pairwise(options) if flag == "-p"}
            for flag, text in itertools.pairwise(options):
                given |= set(yaml.safe_load(text)) if flag == "-y" else set()
            for name in sorted(given - set(runs.declared_params(root / source))):
                yield f"{notebook.name}: {name}: no parameter of {source}"


# ----------------------------------------------------------------------------------- modules


def modules(root: Path) -> dict[str, list[Path]]:
    """The files of each module; a folder counts as one."""
    found: dict[str, list[Path]] = {}
    package = root / "src/clinical_camel"
    for file in sorted(package.rglob("*.py")):
        found.setdefault(file.relative_to(package).parts[0].removesuffix(".py"), []).append(file)
    return {name: files for name, files in found.items() if not name.startswith("__init__")}


def step_modules(root: Path) -> set[str]:
    return {notebook.stem[3:] for notebook in notebooks(root)}


def check_one_stem_per_step(root: Path) -> Problems:
    steps, there = step_modules(root), set(modules(root)) - {"__main__", "mini"}
    yield from (f"src/clinical_camel/{name}.py: missing" for name in sorted(steps - there))
    for name in sorted(there - steps - SHARED):
        yield f"src/clinical_camel/{name}: neither a step nor a shared module"
    for name in sorted(there):
        if not (root / f"tests/test_{name}.py").exists():
            yield f"tests/test_{name}.py: missing"


def allowed_imports(name: str, steps: set[str]) -> set[str]:
    """What a module may import from this package."""
    if name in steps:
        return STEP_MAY
    if name == "mini":  # the builder bakes the prompts of the steps into the base
        return steps | STEP_MAY
    if name == "planning":  # counts a step's work with the step's own functions, before it runs
        return steps | STEP_MAY | {"runs"}
    # compares this machine with the plan; asks the teacher of 01 what it lacks
    above = {"doctor": {"dbke", "models", "planning", "runs"}}
    above["release"] = {"models", "runs"}  # reads the records of runs; no step, no data
    # some only when asked for; dbke to fill the ledger of its notebook on many machines
    above["__main__"] = {"data", "dbke", "doctor", "planning", "release", "runs"}
    return above.get(name, {"data"} if name == "models" else set())


def imported(source: str) -> Iterator[str]:
    """Modules of this package that a source imports; `from . import x` counts as the package."""
    code = re.sub(r"^[%!].*", "", source, flags=re.MULTILINE)
    for node in ast.walk(ast.parse(code)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            names = [f"clinical_camel.{node.module or node.names[0].name}"]
        elif isinstance(node, ast.ImportFrom) and node.module == "clinical_camel":
            names = [f"clinical_camel.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            parts = name.split(".")
            if parts[0] == "clinical_camel" and len(parts) > 1:
                yield parts[1]


def check_layers(root: Path) -> Problems:
    steps = step_modules(root)
    for name, files in modules(root).items():
        allowed = {name, *allowed_imports(name, steps)}
        for file in files:
            for other in sorted(set(imported(file.read_text(encoding="utf-8"))) - allowed):
                yield f"{file.relative_to(root)}: may not import {other}"
    for notebook in notebooks(root):
        allowed = {notebook.stem[3:], "data", "models", "runs"}
        others = {o for cell in code_cells(notebook) for o in imported(cell["source"])}
        for other in sorted(others - allowed):
            yield f"{notebook.name}: may not import {other}"


def check_source(root: Path) -> Problems:
    """Nothing that runs foreign code, opens a shell or listens to the world."""
    files = [*sorted((root / "src").rglob("*.py")), *notebooks(root)]
    for file in files:
        text = file.read_text(encoding="utf-8")
        yield from (f"{file.relative_to(root)}: {word}" for word in BANNED if word in text)


def check_no_machine_paths(root: Path) -> Problems:
    for file in tracked(root, "--cached", "--others", "--exclude-standard"):
        if file.is_symlink() or file.suffix in BINARY:
            continue
        match = MACHINE_PATH.search(file.read_bytes().decode("utf-8", errors="ignore"))
        if match:
            yield f"{file.relative_to(root)}: names a place of one machine: {match.group()}..."


# -------------------------------------------------------------------------- committed results


def check_results_are_whole(root: Path) -> Problems:
    for result in results(root):
        name = name_of(result)
        content = json.loads(result.read_text(encoding="utf-8"))
        cells = [cell for cell in code_cells(result) if cell["source"].strip()]
        if [cell["execution_count"] for cell in cells] != list(range(1, len(cells) + 1)):
            yield f"{name}: not all cells were run in order"
        if "widgets" in content["metadata"]:
            yield f"{name}: metadata.widgets"
        for cell in cells:
            for output in cell["outputs"]:
                yield from (f"{name}: {problem}" for problem in _output_problems(output))
        yield from (f"{name}: {problem}" for problem in _record_problems(root, result))


def _output_problems(output: dict) -> Problems:
    if output["output_type"] == "error":
        yield f"an error output: {output['ename']}"
    data = output.get("data", {})
    text = "".join(output.get("text", "")) or "".join(data.get("text/plain", ""))
    table = "".join(data.get("text/html", "")).count("<tr")  # what a reader sees of a wide table
    if (lines := table or len(text.splitlines())) > MAX_OUTPUT_LINES:
        yield f"an output of {lines} lines"
    for kind in data:
        alt = output.get("metadata", {}).get(kind, {}).get("alt", "")
        if kind.startswith("image/") and not alt.strip():
            yield f"{kind} without alt text"


def _record_problems(root: Path, result: Path) -> Problems:
    file = result.with_suffix("") / "run.json"
    if file not in tracked(root):
        yield "no run.json is committed"
        return
    record = json.loads(file.read_text(encoding="utf-8"))
    if record["status"] != "complete":
        yield f"run.json says {record['status']}"
    if record["dirty"] or not record["commit"]:
        yield "run.json: the tree was not clean, or no commit is recorded"


def out_of_sync(root: Path, result: Path) -> str:
    """How a result differs from the params file and the notebook as they are now; "" if in sync."""
    study, step = result.parent.name, result.stem
    file, notebook = root / f"params/{study}/{step}.yaml", root / f"notebooks/{step}.ipynb"
    if not file.exists() or not notebook.exists():
        return "its params file or its notebook is gone"
    params = read_yaml(file)
    metadata = json.loads(result.read_text(encoding="utf-8"))["metadata"]
    record = json.loads((result.with_suffix("") / "run.json").read_text(encoding="utf-8"))
    if metadata.get("papermill", {}).get("parameters") != params or record["params"] != params:
        return "made with other parameters than its params file has now"
    if code_hash(read_cells(result)) != code_hash(read_cells(notebook)):
        return "made with other code cells than its notebook has now"
    return ""


def stale_list(root: Path) -> dict[str, tuple[str, str]]:
    """outputs/STALE.md: `- <study>/<step>: <commit> reason`, by study/step."""
    file = root / "outputs/STALE.md"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    rows = re.findall(r"^- ([\w-]+/\w+): ([0-9a-f]{7,40}) +(\S.*)$", text, re.MULTILINE)
    return {name: (commit, reason) for name, commit, reason in rows}


def check_results_are_traceable(root: Path) -> Problems:
    """In sync, absent, or listed as stale with its commit; nothing else."""
    listed, found = stale_list(root), {name_of(result): result for result in results(root)}
    for name, result in found.items():
        record = result.with_suffix("") / "run.json"
        why = out_of_sync(root, result) if record.exists() else "it has no run.json"
        if why and name not in listed:
            yield f"{name}: {why}; run it again or list it in outputs/STALE.md"
        elif name in listed and not why:
            yield f"{name}: listed in outputs/STALE.md, but in sync; delete its line"
        elif name in listed:
            commit = json.loads(record.read_text(encoding="utf-8")).get("commit", "")
            if not commit.startswith(listed[name][0]):
                yield f"{name}: outputs/STALE.md names another commit than run.json"
    yield from (
        f"{name}: in outputs/STALE.md, but absent" for name in sorted(set(listed) - set(found))
    )
    file = root / "outputs/STALE.md"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    if sum(line.startswith("- ") for line in lines) != len(listed):
        yield "outputs/STALE.md: a line is not `- <study>/<step>: <commit> reason`"


def check_tables_without_a_notebook_are_traceable(root: Path) -> Problems:
    """A result whose notebook stays out of git (it quotes real exams) is held by its run.json."""
    records = (root / "outputs").glob("*/*/run.json")
    for file in sorted(set(records) & set(tracked(root))):
        result = file.parent.with_suffix(".ipynb")
        if result in results(root):
            continue
        name = name_of(result)
        yield from (f"{name}: {problem}" for problem in _record_problems(root, result))
        record = json.loads(file.read_text(encoding="utf-8"))
        study, step = name.split("/")
        if record["params"] != read_yaml(root / f"params/{study}/{step}.yaml"):
            yield f"{name}: made with other parameters than its params file has now"
        if record["notebook_hash"] != code_hash(read_cells(root / f"notebooks/{step}.ipynb")):
            yield f"{name}: made with other code cells than its notebook has now"


# -------------------------------------------------------------------------------------- pins


def pins(lines: list[str]) -> dict[str, str]:
    """Version by normalised name, from `name[extra]==version`; "" where it is not pinned."""
    found = {}
    for line in lines:
        text = line.split("#")[0].split(";")[0].strip()
        if text and not text.startswith("-"):
            name, _, version = text.partition("==")
            found[re.sub(r"[-_.]+", "-", name.split("[")[0].strip()).lower()] = version.strip()
    return found


def check_pins_agree(root: Path) -> Problems:
    files = {
        name: root / name for name in ("pyproject.toml", "requirements.lock", "environment.yml")
    }
    missing = [name for name, file in files.items() if not file.exists()]
    if missing:
        yield from (f"{name}: missing" for name in missing)
        return
    text = files["requirements.lock"].read_text(encoding="utf-8")
    lock = pins(text.splitlines())
    yield from (f"requirements.lock: {n}: no exact version" for n, v in lock.items() if not v)
    if "--hash" in text:
        yield "requirements.lock: hashes"
    yield from (f"requirements.lock: {n}" for n in lock if re.match("nvidia|cuda|triton", n))
    project = tomllib.loads(files["pyproject.toml"].read_text(encoding="utf-8"))["project"]
    direct = pins(project["dependencies"])
    extras = pins([line for group in project["optional-dependencies"].values() for line in group])
    conda = yaml.safe_load(files["environment.yml"].read_text(encoding="utf-8"))["dependencies"]
    pip = next((entry["pip"] for entry in conda if isinstance(entry, dict)), [])
    yield from _differences("pyproject.toml", {**direct, **extras}, lock)
    yield from _differences("environment.yml", pins(pip), lock)
    yield from (f"environment.yml: {n}: missing" for n in sorted(set(direct) - set(pins(pip))))
    if not pip or pip[-1] != "-e .":
        yield "environment.yml: the last pip line is not -e ."
    if not any(re.fullmatch(r"python=\d+\.\d+(\.\d+)?", str(entry)) for entry in conda):
        yield "environment.yml: python is not pinned"


def _differences(name: str, pinned: dict[str, str], lock: dict[str, str]) -> Problems:
    for package, version in pinned.items():
        if version != lock.get(package) or not version:
            yield f"{name}: {package}: {version or 'any'}, the lock has {lock.get(package)}"


CHECKS = [check for name, check in list(globals().items()) if name.startswith("check_")]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_repository_keeps_its_shape(check: Callable[[Path], Problems], monkeypatch):
    monkeypatch.delenv("CLINICAL_CAMEL_ROOT", raising=False)
    problems = list(check(REPOSITORY))
    assert not problems, "\n".join(problems)


# ------------------------------------------------------- each check is seen to fail, on a toy

PARAMS_CELL = 'study: str = "mini_camel"\nseed: int = 0'
CODE = "from clinical_camel import data, dbke, runs\nprint(study, seed)"
COMMIT = "0123456789abcdef"
LOCK = "torch==2.13.0\npytest==9.2.0\nnumpy==2.4.6\n"
PYPROJECT = """\
[project]
dependencies = ["torch==2.13.0"]
[project.optional-dependencies]
test = ["pytest==9.2.0"]
"""
ENVIRONMENT = "dependencies:\n- python=3.11\n- pip\n- pip:\n  - torch==2.13.0\n  - -e .\n"


@pytest.fixture
def toy(project) -> Project:
    """The smallest project that keeps every rule, with one committed result."""
    notebook = project.notebook("01_dbke", PARAMS_CELL, CODE)
    for study in ("mini_camel", "big"):
        project.params(study, "01_dbke", f"study: {study}\nseed: 0\n")
    for name in ("__init__", "__main__", "dbke", "data", "models", "runs/__init__", "mini/build"):
        project.file(f"src/clinical_camel/{name}.py", '"""A module."""\n')
    for name in ("dbke", "data", "models", "runs"):
        project.file(f"tests/test_{name}.py", "")
    project.file("README.md", "Research only\n")
    project.file("requirements.lock", LOCK)
    project.file("pyproject.toml", PYPROJECT)
    project.file("environment.yml", ENVIRONMENT)
    content = json.loads(notebook.read_text())
    for i, cell in enumerate(content["cells"][1:], start=1):
        cell["execution_count"] = i
    content["metadata"]["papermill"] = {"parameters": {"study": "big", "seed": 0}}
    project.file("outputs/big/01_dbke.ipynb", json.dumps(content))
    record = {"status": "complete", "dirty": False, "commit": COMMIT}
    record["params"] = {"study": "big", "seed": 0}
    record["notebook_hash"] = code_hash(read_cells(notebook))
    project.file("outputs/big/01_dbke/run.json", json.dumps(record))
    return project


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_toy_project_has_no_problem(check, toy):
    assert list(check(toy.root)) == []


def write(place: str, text: str) -> Callable[[Project], object]:
    return lambda toy: toy.file(place, text)


def swap(place: str, old: str, new: str) -> Callable[[Project], object]:
    def change(toy: Project) -> None:
        text = (toy.root / place).read_text()
        assert old in text, f"{old} is not in {place}"
        toy.file(place, text.replace(old, new))

    return change


def delete(place: str) -> Callable[[Project], object]:
    return lambda toy: (toy.root / place).unlink()


def both(*changes: Callable[[Project], object]) -> Callable[[Project], object]:
    return lambda toy: [change(toy) for change in changes]


def cells(*sources: str) -> Callable[[Project], object]:
    return lambda toy: toy.notebook("01_dbke", PARAMS_CELL, CODE, *sources)


def command(words: str) -> Callable[[Project], object]:
    def change(toy: Project) -> None:
        content = json.loads((toy.root / NOTEBOOK).read_text())
        content["cells"][0]["source"] += f"\n```\npapermill {words}\n```\n"
        toy.file(NOTEBOOK, json.dumps(content))

    return change


def with_output(**output: object) -> Callable[[Project], object]:
    def change(toy: Project) -> None:
        file = toy.root / "outputs/big/01_dbke.ipynb"
        content = json.loads(file.read_text())
        content["cells"][-1]["outputs"] = [{"output_type": "display_data", **output}]
        file.write_text(json.dumps(content))

    return change


argue, whole = check_notebooks_argue, check_results_are_whole
commands = check_papermill_commands_work
traceable = check_results_are_traceable
bare = check_tables_without_a_notebook_are_traceable
NOTEBOOK, RESULT = "notebooks/01_dbke.ipynb", "outputs/big/01_dbke.ipynb"
RECORD, SOURCE = "outputs/big/01_dbke/run.json", "src/clinical_camel"
STALE = f"- big/01_dbke: {COMMIT[:7]} no GPU at hand\n"
HOME = "/" + "home/ada/x"

BROKEN = [
    (delete(NOTEBOOK), check_something_is_found, "no notebook"),
    (delete("params/big/01_dbke.yaml"), traceable, "params file or its notebook"),
    (swap("params/big/01_dbke.yaml", "seed", "sede"), check_params_fit_their_notebook, "mean seed"),
    (swap("params/big/01_dbke.yaml", "big", "bag"), check_params_fit_their_notebook, "its folder"),
    (
        swap("params/mini_camel/01_dbke.yaml", "0", "1"),
        check_defaults_are_the_embedded_study,
        "seed: 1, the cell has 0",
    ),
    (
        delete("params/mini_camel/01_dbke.yaml"),
        check_defaults_are_the_embedded_study,
        "mini_camel/01_dbke.yaml: missing",
    ),
    (swap(NOTEBOOK, "# 01 ", "# 02 "), argue, "no title # 01"),
    (swap(NOTEBOOK, "python3", "my-env"), argue, "kernel is not python3"),
    (swap(NOTEBOOK, "mini_camel", "big"), argue, "study is not mini_camel"),
    (swap(NOTEBOOK, '"execution_count": null', '"execution_count": 1'), argue, "count"),
    (cells("def f():\n    pass"), argue, "code cell 3: a function"),
    (cells("if seed:\n    class A: ..."), argue, "code cell 3: a function"),
    (cells("x = 1\n" * 15), argue, "code cell 3: 15 lines"),
    (cells(*["1"] * 14), argue, "more than 15 code cells"),
    (swap(NOTEBOOK, "Research only", "Only"), check_banner, "01_dbke.ipynb: the first cell"),
    (write("README.md", "For everyone\n"), check_banner, "README.md: does not say"),
    (command("gone.ipynb outputs/big/x.ipynb"), commands, "gone.ipynb: no such notebook"),
    (command(f"{NOTEBOOK} outputs/none/x.ipynb"), commands, "outputs/none: not there"),
    (command(f"{NOTEBOOK} outputs/big/x.ipynb -p sede 1"), commands, "sede: no parameter"),
    (command(f"{NOTEBOOK} outputs/big/x.ipynb -y '{{sede: 1}}'"), commands, "sede: no parameter"),
    (delete(f"{SOURCE}/dbke.py"), check_one_stem_per_step, "dbke.py: missing"),
    (write(f"{SOURCE}/utils.py", ""), check_one_stem_per_step, "utils: neither a step nor"),
    (delete("tests/test_dbke.py"), check_one_stem_per_step, "tests/test_dbke.py: missing"),
    (delete("tests/test_runs.py"), check_one_stem_per_step, "tests/test_runs.py: missing"),
    (
        write(f"{SOURCE}/dbke.py", "from clinical_camel import runs"),
        check_layers,
        "dbke.py: may not import runs",
    ),
    (write(f"{SOURCE}/data.py", "from . import models"), check_layers, "may not import models"),
    (
        write(f"{SOURCE}/models.py", "def f():\n    from clinical_camel.mini import build"),
        check_layers,
        "models.py: may not import mini",
    ),
    (write(f"{SOURCE}/runs/record.py", "import clinical_camel.data"), check_layers, "import data"),
    (write(f"{SOURCE}/runs/plan.py", "import clinical_camel.planning"), check_layers, "planning"),
    (write(f"{SOURCE}/dbke.py", "from clinical_camel import planning"), check_layers, "planning"),
    (write(f"{SOURCE}/doctor.py", "from clinical_camel import data"), check_layers, "import data"),
    (
        write(f"{SOURCE}/mini/build.py", "from clinical_camel import runs"),
        check_layers,
        "import runs",
    ),
    (cells("from clinical_camel import eval_fewshot"), check_layers, "may not import eval_fewshot"),
    (cells("import clinical_camel.stats"), check_layers, "may not import stats"),
    (write(f"{SOURCE}/data.py", "f(trust_remote_code=True)"), check_source, "trust_remote_code"),
    (cells("import subprocess; subprocess.run('ls', shell=True)"), check_source, "shell=True"),
    (write("params/big/note.md", f"see {HOME}"), check_no_machine_paths, "names a place"),
    (
        with_output(data={"text/plain": HOME}),
        check_no_machine_paths,
        "01_dbke.ipynb: names a place",
    ),
    (swap(RESULT, '"execution_count": 2', '"execution_count": 3'), whole, "in order"),
    (swap(RESULT, '"papermill"', '"widgets": {}, "papermill"'), whole, "widgets"),
    (with_output(data={"image/png": "x"}), whole, "image/png without alt text"),
    (with_output(data={"text/plain": "x\n" * 81}), whole, "output of 81 lines"),
    (with_output(data={"text/html": "<tr></tr>" * 82}), whole, "output of 82 lines"),
    (with_output(text=["x\n"] * 81), whole, "output of 81 lines"),
    (with_output(output_type="error", ename="E"), whole, "an error output: E"),
    (swap(RECORD, "false", "true"), whole, "the tree was not clean"),
    (swap(RECORD, COMMIT, ""), whole, "no commit is recorded"),
    (swap(RECORD, "complete", "running"), whole, "run.json says running"),
    (delete(RECORD), whole, "no run.json is committed"),
    (swap("params/big/01_dbke.yaml", "0", "1"), traceable, "other parameters"),
    (swap(RECORD, '"seed": 0', '"seed": 1'), traceable, "other parameters"),
    (cells("print(seed + 1)"), traceable, "other code cells"),
    (write("outputs/STALE.md", STALE), traceable, "in sync; delete its line"),
    (
        write("outputs/STALE.md", STALE.replace("big", "gone")),
        traceable,
        "in outputs/STALE.md, but absent",
    ),
    (write("outputs/STALE.md", "- big/01_dbke: later\n"), traceable, "a line is not"),
    (both(delete(RESULT), swap(RECORD, '"seed": 0', '"seed": 1')), bare, "other parameters"),
    (both(delete(RESULT), cells("print(seed + 1)")), bare, "other code cells"),
    (both(delete(RESULT), swap(RECORD, "false", "true")), bare, "the tree was not clean"),
    (delete("environment.yml"), check_pins_agree, "environment.yml: missing"),
    (swap("environment.yml", "2.13.0", "2.12.0"), check_pins_agree, "torch: 2.12.0, the lock"),
    (swap("environment.yml", "  - torch==2.13.0\n", ""), check_pins_agree, "torch: missing"),
    (swap("environment.yml", "python=3.11", "python"), check_pins_agree, "python is not pinned"),
    (swap("environment.yml", "-e .", "numpy==2.4.6"), check_pins_agree, "last pip line"),
    (swap("pyproject.toml", "9.2.0", "9.1.0"), check_pins_agree, "pyproject.toml: pytest: 9.1.0"),
    (swap("pyproject.toml", "torch==", "torch>="), check_pins_agree, "pyproject.toml: torch"),
    (
        swap("requirements.lock", "numpy==2.4.6", "numpy"),
        check_pins_agree,
        "numpy: no exact version",
    ),
    (
        write("requirements.lock", LOCK + "nvidia-cublas-cu12==12.1\n"),
        check_pins_agree,
        "requirements.lock: nvidia-cublas-cu12",
    ),
    (
        swap("requirements.lock", "2.4.6", "2.4.6 --hash=sha256:ab"),
        check_pins_agree,
        "requirements.lock: hashes",
    ),
]


@pytest.mark.parametrize(
    ("change", "check", "message"),
    BROKEN,
    ids=[f"{check.__name__} {message}" for _, check, message in BROKEN],
)
def test_a_check_sees_what_it_is_for(change, check, message, toy):
    change(toy)
    problems = "\n".join(check(toy.root))
    assert message in problems


def test_a_stale_result_with_its_commit_is_legal(toy):
    cells("print(seed + 1)")(toy)
    toy.file("outputs/STALE.md", f"# Not run again\n\n{STALE}")
    assert list(check_results_are_traceable(toy.root)) == []


def test_a_stale_line_with_another_commit_is_not(toy):
    cells("print(seed + 1)")(toy)
    toy.file("outputs/STALE.md", STALE.replace(COMMIT[:7], "fedcba9"))
    assert "another commit" in "\n".join(check_results_are_traceable(toy.root))


def test_prose_and_layout_of_a_notebook_may_change_under_a_result(toy):
    toy.notebook("01_dbke", PARAMS_CELL, CODE.replace("seed)", "\n    seed,  # shown\n)"))
    assert list(check_results_are_traceable(toy.root)) == []


def test_only_what_git_tracks_counts_as_a_committed_result(toy):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(toy.root)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    subprocess.run([*git, "init", "-q"], check=True, env=environment)
    assert results(toy.root) == []
    subprocess.run([*git, "add", "outputs"], check=True, env=environment)
    assert [name_of(result) for result in results(toy.root)] == ["big/01_dbke"]
