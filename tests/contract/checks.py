"""The shape of the repository itself: each check reads a project folder and yields problems.

Files are found by glob, so nothing here needs upkeep.
"""

import ast
import graphlib
import itertools
import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import yaml
from tests.contract import prose, quotes, results, setup_cells
from tests.contract.files import Problems, code_cells, notebooks, params_files, tags, tracked

from clinical_camel.core.settings import parameters_cell
from clinical_camel.runs.notebooks import ParamsError, read_cells, read_parameters_cell
from clinical_camel.runs.params_files import SWEEP_FILE, load_params, read_yaml
from clinical_camel.runs.schema import settings_class
from clinical_camel.runs.sweeps import list_runs

STEP_MAY = {"core", "data", "stats", "two_way", "exam_results", "grounding", "models", "teachers"}
BANNED_CALLS = [
    "trust_remote_code",
    "evaluate.load",
    "pickle.load",
    "torch.load",
    "shell=True",
    "0.0.0.0",
]
# not preceded by a letter or a dot: the path of a web address is no path of a machine
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(home/\w|root/\w|Users/\w|\S*/site[-]packages/)")
BINARY = {".png", ".safetensors", ".gz"}
MAX_CELLS, MAX_LINES, MAX_PARAMETERS = 15, 14, 7
# steps that the first embedded study, mini_camel, does not have
OTHER_STUDIES = {  # of steps that the embedded study does not have
    "00_results": "results",
    "06_controlled_comparison": "dbke_effect",
    "07_reward_and_rl": "clinicalgpt_mini",
    "08_eval_replies": "clinicalgpt_mini",
    "10_published": "published",
}
# words of an old dialect; `held_out` is a term of statistics
BANNED_WORDS = set(
    "told asked found said held kept known left given heard laid aside beside".split()  # noqa: SIM905
)
TERMS = ("held_out", "left_padding", "left_pad", "pad_left", "padding_left")


def check_globs_match(root: Path) -> Problems:
    """A glob that finds nothing passes everything."""
    if not notebooks(root):
        yield "notebooks/: no notebook"
    if not params_files(root):
        yield "params/: no params file"


# ------------------------------------------------------------------------ notebooks and params


def check_params_fit_their_notebook(root: Path) -> Problems:
    for file in params_files(root):
        try:
            if file.name == SWEEP_FILE:
                list_runs(file.parent.name)
            else:
                load_params(file.parent.name, file.stem)
        except ParamsError as error:
            yield str(error)


def check_defaults_are_the_embedded_study(root: Path) -> Problems:
    for notebook in notebooks(root):
        study = OTHER_STUDIES.get(notebook.stem, "mini_camel")
        file = root / "params" / study / f"{notebook.stem}.yaml"
        if not file.exists():
            yield f"params/{study}/{notebook.stem}.yaml: missing"
            continue
        params = read_yaml(file)
        for name, param in read_parameters_cell(notebook).items():
            if params.get(name) != param.default:
                yield f"{file.name}: {name}: {params.get(name)!r}, the cell has {param.default!r}"


def check_cells_repeat_the_settings(root: Path) -> Problems:
    """The parameters cell of a notebook is what its settings class says, comments included."""
    for notebook in notebooks(root):
        if not (root / f"src/clinical_camel/{notebook.stem[3:]}/settings.py").exists():
            continue
        cell = next(c["source"] for c in code_cells(notebook) if "parameters" in tags(c))
        if cell != (right := parameters_cell(settings_class(notebook.stem))):
            yield f"{notebook.name}: the parameters cell must be:\n{right}"


def check_every_setting_is_read(root: Path) -> Problems:
    """A setting that nothing reads would change nothing."""
    read: set[str] = set()
    for place, tree in sources(root):
        if place.startswith("src/") and not place.endswith("/settings.py") or ".ipynb" in place:
            read |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
            loads = (n for n in ast.walk(tree) if isinstance(n, ast.Name))
            read |= {n.id for n in loads if isinstance(n.ctx, ast.Load)}
    for notebook in notebooks(root):
        if not (root / f"src/clinical_camel/{notebook.stem[3:]}/settings.py").exists():
            continue  # the runner refuses a parameter of a cell that no later cell reads
        for name in settings_class(notebook.stem).model_fields:
            if name not in read:
                yield f"{notebook.name}: {name}: no code reads this setting"


def read_staged(root: Path, notebook: Path) -> dict:
    """A notebook as git would commit it: JupyterLab saves outputs into a working copy."""
    command = ["git", "-C", str(root), "show", f":{notebook.relative_to(root).as_posix()}"]
    done = subprocess.run(command, capture_output=True, check=False)
    is_own = (root / ".git").exists() and done.returncode == 0
    return json.loads(done.stdout if is_own else notebook.read_bytes())


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
                cell.get("outputs") or cell.get("execution_count")
                for cell in read_staged(root, notebook)["cells"]
            ),
            f"more than {MAX_CELLS} code cells": sum("setup" not in tags(c) for c in code)
            > MAX_CELLS,
            "the kernel is not python3": content["metadata"].get("kernelspec", {}).get("name")
            != "python3",
        }
        yield from (f"{notebook.name}: {fact}" for fact, wrong in facts.items() if wrong)
        for i, cell in enumerate(code, start=1):
            yield from (f"{notebook.name}: code cell {i}: {p}" for p in _cell_problems(cell))
        study = OTHER_STUDIES.get(notebook.stem, "mini_camel")
        if read_parameters_cell(notebook)["study"].default != study:
            yield f"{notebook.name}: the default study is not {study}"


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
            passed = {name for flag, name in itertools.pairwise(options) if flag == "-p"}
            for flag, text in itertools.pairwise(options):
                passed |= set(yaml.safe_load(text)) if flag == "-y" else set()
            for name in sorted(passed - set(read_parameters_cell(root / source))):
                yield f"{notebook.name}: {name}: no parameter of {source}"


# ----------------------------------------------------------------------------------- modules


def modules(root: Path) -> dict[str, list[Path]]:
    """The files of each module; a folder counts as one."""
    files: dict[str, list[Path]] = {}
    package = root / "src/clinical_camel"
    for file in sorted(package.rglob("*.py")):
        files.setdefault(file.relative_to(package).parts[0].removesuffix(".py"), []).append(file)
    return {name: files for name, files in files.items() if not name.startswith("__init__")}


def step_modules(root: Path) -> set[str]:
    return {notebook.stem[3:] for notebook in notebooks(root)}


def layers(root: Path) -> list[str]:
    """The packages that the package's docstring lists, from the lowest to the highest."""
    file = root / "src/clinical_camel/__init__.py"
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")), clean=False) or ""
    return re.findall(r"^ {4}(\w+)  +\S", docstring, re.MULTILINE)


def check_one_stem_per_step(root: Path) -> Problems:
    packages = set(modules(root)) - {"__main__"}
    for name in sorted(step_modules(root) - packages):
        yield f"src/clinical_camel/{name}: missing"
    listed = layers(root)
    for name in sorted(packages - set(listed)):
        yield f"src/clinical_camel/__init__.py: its docstring does not list {name}"
    for name in sorted(set(listed) - packages):
        yield f"src/clinical_camel/__init__.py: its docstring lists {name}, which does not exist"
    for name in sorted(packages):
        if (
            not list((root / "tests").glob(f"{name}/**/test_*.py"))
            and not (root / f"tests/test_{name}.py").exists()
        ):
            yield f"tests/{name}: no test"


def check_tests_mirror_the_source(root: Path) -> Problems:
    """tests/<package>/test_<module>.py has src/clinical_camel/<package>/<module>.py."""
    for file in sorted((root / "tests").glob("*/**/test_*.py")):
        place = file.relative_to(root / "tests").parent
        if place.parts[0] in ("contract", "params", "public_data", "real_model", "support"):
            continue
        module = root / "src/clinical_camel" / place / file.name.removeprefix("test_")
        if not module.exists() and not module.with_suffix("").is_dir():
            yield f"{file.relative_to(root)}: no module {module.relative_to(root)}"


def allowed_imports(name: str, steps: set[str], order: list[str]) -> set[str]:
    """What a package may import: the packages below it, with less for steps and `runs`."""
    if name in steps:
        return STEP_MAY
    if name in ("runs", "runner"):  # they find the settings of the steps by name, import none
        return {"core", "runs"}
    if name == "__main__":
        return {"cli"}
    return set(order[: order.index(name)]) if name in order else set()


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
    steps, order = step_modules(root), layers(root)
    for name, files in modules(root).items():
        allowed = {name, *allowed_imports(name, steps, order)}
        for file in files:
            for other in sorted(set(imported(file.read_text(encoding="utf-8"))) - allowed):
                yield f"{file.relative_to(root)}: may not import {other}"
    for notebook in notebooks(root):
        allowed = {notebook.stem[3:], "data", "exam_results", "models", "runs"}
        others = {o for cell in code_cells(notebook) for o in imported(cell["source"])}
        for other in sorted(others - allowed):
            yield f"{notebook.name}: may not import {other}"


def check_no_import_circle(root: Path) -> Problems:
    """Modules that import each other when they are loaded (imports inside functions are free)."""
    package = root / "src"
    files = {
        ".".join(f.relative_to(package).with_suffix("").parts).removesuffix(".__init__"): f
        for f in sorted(package.rglob("*.py"))
    }
    graph = {}
    for name, file in files.items():
        graph[name] = set()
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.module:
                places = [f"{node.module}.{alias.name}" for alias in node.names]
                graph[name] |= {p if p in files else node.module for p in places} & files.keys()
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        yield f"import circle: {' -> '.join(error.args[1])}"


def check_tests_stand_alone(root: Path) -> Problems:
    """Tests import from src and tests/support, never from a script that a person runs."""
    for file in sorted((root / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                if name.split(".")[0] in ("benchmarks", "drills", "experiments"):
                    yield f"{file.relative_to(root)}: may not import {name}"


# ------------------------------------------------------------------------------------- names


def python_files(root: Path) -> list[Path]:
    places = ("src", "tests", "benchmarks", "drills", "experiments", "docs")
    return sorted(file for place in places for file in (root / place).rglob("*.py"))


def sources(root: Path) -> Iterator[tuple[str, ast.Module]]:
    """Every Python file and every code cell, parsed, with its name for a message."""
    for file in python_files(root):
        yield str(file.relative_to(root)), ast.parse(file.read_text(encoding="utf-8"))
    for notebook in notebooks(root):
        for i, cell in enumerate(code_cells(notebook), start=1):
            code = re.sub(r"(?m)^[%!].*", "", cell["source"])
            yield f"{notebook.name}: code cell {i}", ast.parse(code)


def identifiers(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The names that a source defines, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.alias) and node.asname:
            yield node.lineno, node.asname


def banned_word(name: str) -> str:
    """The word of the old dialect in an identifier or a column name, or ""."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().replace(" ", "_")
    for term in TERMS:
        text = text.replace(term, "")
    return next((word for word in re.split(r"\W|_", text) if word in BANNED_WORDS), "")


def check_identifiers(root: Path) -> Problems:
    for place, tree in sources(root):
        for line, name in identifiers(tree):
            is_test = name.startswith("test_") and "tests/" in place
            if not is_test and (word := banned_word(name)):
                yield f"{place}: line {line}: {name}: {word!r} is no name for a thing"


def check_columns(root: Path) -> Problems:
    """Columns of committed tables and keys of params files."""
    for file in tracked(root):
        if file.suffix == ".csv" and "src" not in file.relative_to(root).parts:
            header = file.read_text(encoding="utf-8").partition("\n")[0]
            for column in header.split(","):
                if word := banned_word(column):
                    yield f"{file.relative_to(root)}: column {column}: {word!r} is no name"
    for file in params_files(root):
        for key in read_yaml(file):
            if word := banned_word(key):
                yield f"{file.relative_to(root)}: {key}: {word!r} is no name"


def check_imports_need_no_alias(root: Path) -> Problems:
    """A module of ours is called by its name; two things of one name are renamed instead."""
    for place, tree in sources(root):
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                ("clinical_camel", "tests", "drills", "benchmarks", "experiments")
            ):
                for alias in node.names:
                    if alias.asname:
                        yield f"{place}: {alias.name} is imported as {alias.asname}"


def check_validation_has_two_families(root: Path) -> Problems:
    """`check_*` returns problems and raises nothing; `require_*` raises."""
    for file in sorted((root / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            name = node.name.lstrip("_")
            place = f"{file.relative_to(root)}: {node.name}"
            raises = any(isinstance(part, ast.Raise) for part in ast.walk(node))
            if name.startswith(("refuse_", "ensure_", "validate_", "verify_")):
                yield f"{place}: call it check_* (returns problems) or require_* (raises)"
            if name.startswith("check_") and raises:
                yield f"{place}: a check_* returns problems; one that raises is a require_*"
            calls = [c.func for c in ast.walk(node) if isinstance(c, ast.Call)]
            called = {getattr(f, "id", getattr(f, "attr", "")).lstrip("_") for f in calls}
            delegates = any(c.startswith("require") for c in called - {name})
            if name.startswith("require_") and not (raises or delegates):
                yield f"{place}: a require_* raises"


def check_functions_take_few_parameters(root: Path) -> Problems:
    for file in sorted((root / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                names = [a.arg for a in arguments if a.arg not in ("self", "cls")]
                if len(names) > MAX_PARAMETERS:
                    yield f"{file.relative_to(root)}: {node.name}: {len(names)} parameters"


def check_source(root: Path) -> Problems:
    """Nothing that runs foreign code, opens a shell or listens to the world."""
    files = [*sorted((root / "src").rglob("*.py")), *notebooks(root)]
    for file in files:
        lines = file.read_text(encoding="utf-8").splitlines()  # weights_only: tensors, no pickles
        text = "\n".join(line for line in lines if "weights_only=True" not in line)
        yield from (f"{file.relative_to(root)}: {word}" for word in BANNED_CALLS if word in text)


def check_no_machine_paths(root: Path) -> Problems:
    for file in tracked(root, "--cached", "--others", "--exclude-standard"):
        if file.is_symlink() or file.suffix in BINARY:
            continue
        match = MACHINE_PATH.search(file.read_bytes().decode("utf-8", errors="ignore"))
        if match:
            yield f"{file.relative_to(root)}: names a place of one machine: {match.group()}..."


# -------------------------------------------------------------------------------------- pins


def pins(lines: list[str]) -> dict[str, str]:
    """Version by normalised name, from `name[extra]==version`; "" where it is not pinned."""
    versions = {}
    for line in lines:
        text = line.split("#")[0].split(";")[0].strip()
        if text and not text.startswith("-"):
            name, _, version = text.partition("==")
            versions[re.sub(r"[-_.]+", "-", name.split("[")[0].strip()).lower()] = version.strip()
    return versions


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


def check_data_files_are_packaged(root: Path) -> Problems:
    """Without its line in package-data, a file is missing after an ordinary installation."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    package = root / "src/clinical_camel"
    patterns = project["tool"]["setuptools"]["package-data"]["clinical_camel"]
    packaged = {file for pattern in patterns for file in package.glob(pattern)}
    for file in tracked(root):
        if file.is_relative_to(package) and file.suffix != ".py" and file not in packaged:
            yield f"pyproject.toml: package-data lacks {file.relative_to(package).as_posix()}"


CHECKS = [
    check
    for module in (globals(), vars(results), vars(quotes), vars(prose), vars(setup_cells))
    for name, check in list(module.items())
    if name.startswith("check_")
]
