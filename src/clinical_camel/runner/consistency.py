"""Values of one step that contradict another step, or name what its producer does not make.

The settings of a step are checked alone (`core.settings`); here is what only the study knows. Only
params files and notebooks are read.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from clinical_camel.core.paths import find_producer
from clinical_camel.core.values import nearest, show
from clinical_camel.runner.jobs import Job, load_job
from clinical_camel.runs.notebooks import (
    ParamsError,
    find_data_step,
    list_steps,
    notebook_path,
    read_cells,
)
from clinical_camel.runs.params_files import list_studies

SAVES = ("save_table", "save_rows", "save_figure")
SAME_WEIGHTS = ({"nf4", "nf4_dequantized"},)  # quantizations with the same values


def check_study(jobs: list[Job]) -> Iterator[str]:
    """Yield every contradiction between these steps and those that they read, one line each."""
    for job in jobs:
        for check in CHECKS:
            yield from (f"{job.source}: {problem}" for problem in check(job))


# ------------------------------------------------------------------------- files of other steps


def _check_output_names(job: Job) -> Iterator[str]:
    """Yield inputs whose name does not occur in the notebook of the step that should make them."""
    for text in job.inputs:
        study, step = find_producer(text) or ("", "")
        parts = PurePosixPath(text).parts[3 + study.count("/") :]
        if step in list_steps() and parts:
            name, names = parts[0].split(".")[0], _list_output_names(step)
            if names and name not in names and parts != ("run.json",):
                yield f"{job.find_place(text)}: {step} makes no {parts[0]}{nearest(name, names)}"


def _list_output_names(step: str) -> list[str]:
    """Return what a notebook's code saves: `run.save_table(rows, "name")` or `run.dir / "name"`.

    Returns [] if a name is computed, as in `run.save_table(rows, f"rows_{i}")`, or if a function
    gets `run` and may save anything.
    """
    names: list[ast.expr] = []
    for cell in read_cells(notebook_path(step)):
        try:
            tree = ast.parse(cell["source"] if cell["cell_type"] == "code" else "")
        except SyntaxError:  # a % or ! line
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                if "run" in map(ast.unparse, node.args):
                    return []
                if isinstance(node.func, ast.Attribute) and node.func.attr in SAVES:
                    names += node.args[1:2] or [k.value for k in node.keywords if k.arg == "name"]
            elif isinstance(node, ast.BinOp) and ast.unparse(node.left) == "run.dir":
                names.append(node.right)
    if not all(isinstance(name, ast.Constant) for name in names):
        return []
    return list(dict.fromkeys(str(name.value).partition(".")[0] for name in names))


def _check_curve_names(job: Job) -> Iterator[str]:
    """Yield logs and scores under the name of another study, and tables that are neither."""
    studies = list_studies()
    for key, table in (("logs", "train_log"), ("scores", "scores"), ("compare_with", "scores")):
        for name, text in job.params.get(key, {}).items():
            study, _ = find_producer(text) or ("", "")
            if study in studies and name in studies and name != study:
                yield f"{key}.{name}: {text} is of the study {study}; write {study}: {text}"
            if study in studies and text.endswith(".csv") and PurePosixPath(text).stem != table:
                yield f"{key}.{name}: {text} is not a table of {key}; name a {table}.csv"


# --------------------------------------------------------------------- the adapter and its exam


def _find_trainings(job: Job) -> Iterator[tuple[str, Job]]:
    """Yield (name, training step) for each adapter of a step that another step trains."""
    adapters = job.params.get("adapters")
    for name, text in adapters.items() if isinstance(adapters, dict) else ():
        if producer := find_producer(text):
            try:
                training = load_job(*producer)
            except ParamsError:  # reported where it is
                continue
            if "mixture" in training.params:
                yield name, training


def _check_model(job: Job) -> Iterator[str]:
    """Yield values of base, template and quantization that are not those of the training."""
    for name, training in _find_trainings(job):
        for key in ("model", "chat_template", "quantize"):
            here, there = job.params.get(key), training.params.get(key)
            is_same = here == there or any({here, there} <= group for group in SAME_WEIGHTS)
            if key in job.params and not is_same:
                yield (
                    f"{key}: {show(here)} is not that of the adapter {name}: "
                    f"{training.source} has {show(there)}"
                )


def _check_training_sources(job: Job) -> Iterator[str]:
    """Yield training sources that no adapter was trained on, and none where there should be one.

    The adapters are those of the exam step whose answers are checked.
    """
    if "training_sources" not in job.params:
        return
    study, step = find_producer(job.params.get("answers", "")) or ("", "")
    try:
        exam = load_job(study, step)
    except ParamsError:  # reported where it is
        return
    trainings = [training for _, training in _find_trainings(exam)]
    if not trainings:
        return
    mixture = {spec for t in trainings for spec, share in t.params["mixture"].items() if share}
    sources = job.params["training_sources"]
    files = ", ".join(sorted({t.source for t in trainings}))
    for spec in sources:
        if spec not in mixture:
            yield f"training_sources: {spec} is not in the mixture of {files}" + nearest(
                spec, mixture
            )
    own = [t for t in trainings if t.study == job.study]
    for training in own:
        if not set(sources) & set(training.params["mixture"]):
            yield f"training_sources: none is in the mixture of {training.source}; name its texts"


def _check_exam(job: Job) -> Iterator[str]:
    """Yield exams that step 01 of this study does not keep out of the dialogues, or asks itself."""
    synthesis = _find_synthesis(job)
    if synthesis is None or "benchmarks" not in job.params:
        return
    protected = synthesis.params["evaluation_sets"]
    for spec in job.params["benchmarks"]:
        if spec in synthesis.params["questions"]:
            yield f"benchmarks: {spec} is a set of training questions in {synthesis.source}"
        elif spec not in protected:
            yield (
                f"benchmarks: {spec} is not in evaluation_sets of {synthesis.source}, so dialogues "
                "may contain its questions; add it there"
            )


def _check_exemplars(job: Job) -> Iterator[str]:
    """Yield sets of few-shot examples of which step 01 reserves fewer than are needed."""
    synthesis = _find_synthesis(job)
    if synthesis is None or "num_shots" not in job.params:
        return
    shots, count = max(job.params["num_shots"]), synthesis.params["exemplar_count"]
    used = {spec for spec in job.params["exemplars"].values() if spec}
    for spec in sorted(used & set(synthesis.params["questions"])):
        if shots > count:
            yield (
                f"num_shots: {shots} is more than exemplar_count, {count}, in {synthesis.source}: "
                f"the model was trained on the other questions of {spec}"
            )


def _find_synthesis(job: Job) -> Job | None:
    """Return step 01 of the same study, if there is one that can be read."""
    try:
        first = load_job(job.study, find_data_step())
    except ParamsError:
        return None
    return first if "evaluation_sets" in first.params and first.step != job.step else None


CHECKS: tuple[Callable[[Job], Iterator[str]], ...] = (
    _check_output_names,
    _check_curve_names,
    _check_model,
    _check_training_sources,
    _check_exam,
    _check_exemplars,
)
