"""Committed results: whole, of one generation, and in step with their notebook and params.

A result is a step of a study with a committed `run.json`. Its notebook is committed too, unless it
quotes real exams or visits. To list the stale ones in outputs/STALE.md:

    python -m tests.contract.results
"""

import json
import re
from datetime import datetime
from pathlib import Path

from tests.contract.files import Problems, code_cells, tracked

from clinical_camel.core.hashing import hash_file
from clinical_camel.core.settings import changed_settings
from clinical_camel.runs.notebooks import hash_code, read_cells
from clinical_camel.runs.params_files import read_yaml

MAX_OUTPUT_LINES = 80
STALE = """# Results of an earlier commit

These results were made by the code, texts and base model of the commit that each line names. They
are made again before the issue that changed them is closed.

"""
LINK = re.compile(r"\]\(([^)\s]+)\)")


def list_notebooks(root: Path) -> list[Path]:
    """Return the committed executed notebooks: outputs/<study>/<step>.ipynb."""
    place = root / "outputs"
    executed = [f for f in tracked(root) if f.suffix == ".ipynb" and f.is_relative_to(place)]
    return [f for f in executed if len(f.relative_to(place).parts) == 2 and f.name[0] != "."]


def records(root: Path) -> dict[str, dict]:
    """Return the committed run.json of every result, by study/step."""
    files = set((root / "outputs").glob("*/*/run.json")) & set(tracked(root))
    return {
        f"{file.parts[-3]}/{file.parts[-2]}": json.loads(file.read_text(encoding="utf-8"))
        for file in sorted(files)
    }


def name_of(result: Path) -> str:
    return f"{result.parent.name}/{result.stem}"


def check_results_are_whole(root: Path) -> Problems:
    for result in list_notebooks(root):
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
        if name not in records(root):
            yield f"{name}: no run.json is committed"
    for name, record in records(root).items():
        yield from (f"{name}: {problem}" for problem in _record_problems(record))


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


def _record_problems(record: dict) -> Problems:
    if record["status"] != "complete":
        yield f"run.json says {record['status']}"
    if record["dirty"] or not record["commit"]:
        yield "run.json: the tree was not clean, or no commit is recorded"


def find_differences(root: Path, name: str, record: dict, made: dict[str, str]) -> Problems:
    """Yield how a result differs from what it should have been made with and from what it wrote.

    `made` is the hash of every artefact of every committed result, by path.
    """
    study, step = name.split("/")
    file, notebook = root / f"params/{study}/{step}.yaml", root / f"notebooks/{step}.ipynb"
    if not file.exists() or not notebook.exists():
        yield "its params file or its notebook is gone"
        return
    if changed_settings(record["params"], read_yaml(file)):
        yield "made with other parameters than its params file has now"
    code = hash_code(read_cells(notebook))
    if record["notebook_hash"] != code:
        yield "made with other code cells than its notebook has now"
    result = root / f"outputs/{name}.ipynb"
    if result.exists():
        yield from _notebook_differences(result, record)
    for artefact in tracked(root):
        if artefact.is_relative_to(result.with_suffix("")) and artefact.name != "run.json":
            key = artefact.relative_to(result.with_suffix("")).as_posix()
            if record["artefacts"].get(key) != hash_file(artefact):
                yield f"{key} is not the file that its run wrote"
    yield from _input_differences(root, record, made)


def _notebook_differences(result: Path, record: dict) -> Problems:
    metadata = json.loads(result.read_text(encoding="utf-8"))["metadata"].get("papermill", {})
    if metadata.get("parameters") != record["params"]:
        yield "made with other parameters than its run.json says"
    if hash_code(read_cells(result)) != record["notebook_hash"]:
        yield "made with other code cells than its run.json says"
    start, end = (datetime.fromisoformat(metadata[f"{word}_time"]) for word in ("start", "end"))
    if not start <= datetime.fromisoformat(record["started"]) <= end:
        yield "its notebook is of another run than its run.json"


def _input_differences(root: Path, record: dict, made: dict[str, str]) -> Problems:
    """Yield the inputs that are not the shipped file, or not what the step before wrote."""
    notes = record["notes"]
    inputs = dict(record.get("inputs", {}))
    for source in (*notes.get("sources", []), *notes.get("evaluation_sets", [])):
        shipped = root / "src/clinical_camel/mini" / source["path"]
        if source["rows_from"] == "shipped" and hash_file(shipped) != source["sha256"]:
            yield "a shipped text has changed since"
        elif source["rows_from"] == "file":
            inputs[source["path"]] = source["sha256"]
    for path, sha256 in inputs.items():
        if path in made and sha256 != made[path]:
            yield f"its input {path} was made again since"
    build = root / "src/clinical_camel/mini/build.json"
    bases = [notes.get("base", {}), *notes.get("models", {}).values()]
    current = json.loads(build.read_text())["weights_sha256"] if build.exists() else ""
    model = record["params"].get("model", "mini")
    for base in bases:
        if base.get("model", model) == "mini" and base.get("model_sha256", current) != current:
            yield "its base model has changed since"
            return


def find_stale(root: Path) -> dict[str, list[str]]:
    """Return how each committed result differs from the tree, by study/step; [] if it does not."""
    committed = records(root)
    made = {
        f"outputs/{name}/{path}": sha256
        for name, record in committed.items()
        for path, sha256 in record["artefacts"].items()
    }
    return {name: list(find_differences(root, name, r, made)) for name, r in committed.items()}


def write_stale_list(root: Path) -> None:
    """Write outputs/STALE.md; delete it if no result is stale."""
    file, committed = root / "outputs/STALE.md", records(root)
    lines = [
        f"- {name}: {committed[name]['commit'][:7]} {'; '.join(dict.fromkeys(reasons))}\n"
        for name, reasons in find_stale(root).items()
        if reasons
    ]
    file.unlink(missing_ok=True)
    if lines:
        file.write_text(STALE + "".join(lines), encoding="utf-8")


def stale_list(root: Path) -> dict[str, tuple[str, str]]:
    """Return outputs/STALE.md: `- <study>/<step>: <commit> reason`, by study/step."""
    file = root / "outputs/STALE.md"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    rows = re.findall(r"^- ([\w-]+/\w+): ([0-9a-f]{7,40}) +(\S.*)$", text, re.MULTILINE)
    return {name: (commit, reason) for name, commit, reason in rows}


def check_results_are_traceable(root: Path) -> Problems:
    """In step and of one generation, absent, or listed as stale with its commit; nothing else."""
    listed, committed = stale_list(root), records(root)
    for name, reasons in find_stale(root).items():
        record = committed[name]
        if name not in listed:
            yield from (
                f"{name}: {why}; run it again or list it in outputs/STALE.md" for why in reasons
            )
        elif not reasons:
            yield f"{name}: listed in outputs/STALE.md, but in step; delete its line"
        elif not record["commit"].startswith(listed[name][0]):
            yield f"{name}: outputs/STALE.md names another commit than run.json"
    yield from (
        f"{name}: in outputs/STALE.md, but absent" for name in sorted(set(listed) - set(committed))
    )
    file = root / "outputs/STALE.md"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    if sum(line.startswith("- ") for line in lines) != len(listed):
        yield "outputs/STALE.md: a line is not `- <study>/<step>: <commit> reason`"


def check_links_of_notebooks(root: Path) -> Problems:
    """Relative links of notebooks and of executed copies point to files of the repository.

    Links that code wrote count, too, except in a stale result.
    """
    stale = stale_list(root)
    for notebook in [*sorted((root / "notebooks").glob("*.ipynb")), *list_notebooks(root)]:
        for cell in read_cells(notebook):
            texts = ["".join(cell["source"])] if cell["cell_type"] == "markdown" else []
            outputs = [] if name_of(notebook) in stale else cell.get("outputs", [])
            texts += ["".join(o.get("data", {}).get("text/markdown", "")) for o in outputs]
            for link in LINK.findall("\n".join(texts)):
                path = link.partition("#")[0]
                if path and "://" not in path and not (notebook.parent / path).exists():
                    yield f"{notebook.relative_to(root)}: link to nothing: {link}"


if __name__ == "__main__":
    write_stale_list(Path(__file__).parents[2])
