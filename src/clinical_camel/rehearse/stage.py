"""A copy of the project in which a rehearsal runs, so that no result and no ledger changes.

It consists of links to the project, except for the notebooks, which get one more cell, and for the
results of the rehearsed steps. A later step reads what the earlier ones left there, unless the
project has results of its own.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat

from clinical_camel import data
from clinical_camel.core.base_models import find_folder
from clinical_camel.core.files import write_json
from clinical_camel.core.paths import root
from clinical_camel.data import registry
from clinical_camel.rehearse import stand_ins
from clinical_camel.rehearse.random_model import make_lora_config
from clinical_camel.runner.jobs import Job

CELL = """\
from clinical_camel import rehearse

rehearse.take_part({file!r})"""
STAND_INS = "stand_ins"  # folder of the stage
OURS = {"notebooks", "outputs", "data", STAND_INS}


@dataclass(slots=True)
class Stage:
    """The staged project. `remarks`: what stands in for what is missing, one sentence each."""

    project: Path
    folder: Path
    remarks: list[str] = field(default_factory=list)

    def prepare_step(self, job: Job, facts: dict[str, Any]) -> Job:
        """Return the job with stand-ins for models, texts and adapters that are missing."""
        self.add_models(job)
        params = dict(job.params)
        match job.step:
            case "01_dbke":
                for name in ("articles", "questions", "evaluation_sets"):
                    params[name] = self.keep_local(job, name)
            case "02_sft_qlora":
                params = self.replace_mixture(params, facts)
            case "03_eval_fewshot":
                params = self.replace_exams(job, params)
            case "04_note_synthesis":
                params["consultations"] = self.keep_local(job, "consultations")
                params["consultations"] = params["consultations"] or ["mini_consultations"]
                params["note_exemplars"] = {
                    name: spec
                    for name, spec in params["note_exemplars"].items()
                    if is_here(spec) and any(name in corpus for corpus in params["consultations"])
                }
        for adapter in filter(None, params.get("adapters", {}).values()):
            self.add_adapter(adapter)
        return Job(job.study, job.step, params, job.inputs)

    def add_models(self, job: Job) -> None:
        """Write the folder of each base model whose weights are not here, or too large to read."""
        settings = job.settings
        loaded = getattr(settings, "teacher", settings)
        model = getattr(loaded, "model", "") if job.step != "01_dbke" else ""
        if getattr(loaded, "kind", "") == "local":
            model = loaded.model
        if not model or stand_ins.is_own(model):
            return
        place = find_folder(model)
        if (place / stand_ins.MARK).is_file():
            return
        with staged_root(self.project):
            relative = find_folder(model).relative_to(self.project)
        folder = self.open_folder(relative.parent) / relative.name
        if folder.is_symlink():
            folder.unlink()
        with staged_root(self.project):
            template = getattr(loaded, "chat_template", "")
            remark = stand_ins.write_model(folder, model, template)
        if remark:
            self.remarks.append(remark)

    def open_folder(self, relative: Path) -> Path:
        """Return a folder of the stage that is no link, but has links to the project's entries."""
        place, source = self.folder, self.project
        for name in relative.parts:
            place, source = place / name, source / name
            if place.is_symlink():
                place.unlink()
            if not place.exists():
                place.mkdir()
                link_entries(source, place)
        return place

    def keep_local(self, job: Job, name: str) -> list[str]:
        """Return the specs of a setting that are on this machine; note the others."""
        specs = list(job.params[name])
        missing = [spec for spec in specs if not is_here(spec)]
        if missing:
            self.remarks.append(f"{job.step}: {name} not on this machine: {', '.join(missing)}")
        return [spec for spec in specs if is_here(spec)]

    def replace_mixture(self, params: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters of step 02 with dialogues that stand in for missing sets."""
        names = {}
        for spec in params["mixture"]:
            if is_here(spec):
                continue
            file = f"{STAND_INS}/{spec.rpartition('@')[2].replace('/', '_').split('.')[0]}.jsonl"
            names[spec] = file
            stand_ins.write_dialogues(
                self.folder / file,
                int(facts["row_tokens"]),
                longest=params["max_length"],
                count=2 * params["batch_size"],  # two batches are measured
            )
            self.remarks.append(f"02_sft_qlora: {spec} not on this machine: dialogues stand in")
        facts["rows_complete"] = not names
        mixture = {names.get(spec, spec): share for spec, share in params["mixture"].items()}
        mixture |= {name: 1.0 for name in names.values()}
        marked = [names.get(spec, spec) for spec in params["loss_on_all"]]
        return params | {"mixture": mixture, "loss_on_all": marked}

    def replace_exams(self, job: Job, params: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters of step 03 with the exams and texts that are on this machine."""
        benchmarks = self.keep_local(job, "benchmarks")
        exemplars = {n: spec for n, spec in params["exemplars"].items() if is_here(spec)}
        if not benchmarks:
            benchmarks, exemplars = ["mini_exam"], {"mini_exam": "mini_exam_train"}
        labels = {data.label(spec) for spec in benchmarks}
        others = {n: f for n, f in params["compare_with"].items() if (root() / f).is_file()}
        return params | {
            "benchmarks": benchmarks,
            "exemplars": {name: spec for name, spec in exemplars.items() if name in labels},
            "compare_with": others,
        }

    def add_adapter(self, adapter: str) -> None:
        """Write the folder of an adapter that no step has trained yet: its shape alone."""
        if (root() / adapter).exists():
            return
        config = make_lora_config(adapter)
        folder = self.open_folder(Path(adapter))
        targets = config.target_modules
        values = {
            "r": config.r,
            "target_modules": targets if isinstance(targets, str) else sorted(targets),
        }
        write_json(folder / "adapter_config.json", values)

    def write_notebook(self, step: str, task_file: Path) -> str:
        """Write the notebook of a step with the cell of the rehearsal; return its relative path."""
        notebook = nbformat.read(self.project / "notebooks" / f"{step}.ipynb", as_version=4)
        cells = notebook.cells
        tagged = next(i for i, c in enumerate(cells) if "parameters" in c.metadata.get("tags", []))
        cells.insert(tagged + 1, nbformat.v4.new_code_cell(CELL.format(file=str(task_file))))
        place = f"notebooks/{step}.ipynb"
        nbformat.write(notebook, self.folder / place)
        return place

    def begin_step(self, job: Job) -> Path:
        """Remove the link to the project's own result; return the folder of the rehearsed one."""
        study = self.open_folder(Path("outputs", job.study))
        result = study / job.step
        if result.is_symlink():
            result.unlink()
        return result

    def end_step(self, job: Job) -> None:
        """Let later steps read the project's own result, if there is one."""
        own = self.project / "outputs" / job.study / job.step
        result = self.folder / "outputs" / job.study / job.step
        is_complete = own.is_dir() and (job.step != "02_sft_qlora" or (own / "adapter").is_dir())
        if is_complete:
            shutil.rmtree(result, ignore_errors=True)
            result.symlink_to(own)


def is_here(spec: str) -> bool:
    """Return whether the rows of a spec are on this machine, or in the stage."""
    place = spec.rpartition("@")[2]
    if "/" in place or place.endswith((".jsonl", ".jsonl.gz", ".json", ".parquet")):
        return (root() / place).is_file()
    return bool(registry.find_source(place).shipped)


def link_entries(source: Path, place: Path, skip: frozenset[str] = frozenset()) -> None:
    """Link every entry of a folder, hidden ones of the project itself left out."""
    if not source.is_dir():
        return
    for entry in source.iterdir():
        if entry.name not in skip and not (place / entry.name).exists():
            (place / entry.name).symlink_to(entry.absolute())


@contextlib.contextmanager
def staged_root(folder: Path) -> Iterator[None]:
    """Within this context, `folder` is the project, for this process and its kernels."""
    before = os.environ.get("CLINICAL_CAMEL_ROOT")
    os.environ["CLINICAL_CAMEL_ROOT"] = str(folder)
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        if before is None:
            del os.environ["CLINICAL_CAMEL_ROOT"]
        else:
            os.environ["CLINICAL_CAMEL_ROOT"] = before


@contextlib.contextmanager
def open_stage(study: str, paid: bool) -> Iterator[Stage]:
    """Make the stage of a study; it is deleted at the end.

    `paid`: replies of an endpoint go to the study's own ledger, so that none is paid for twice.
    """
    project = root()
    scratch = project / "outputs" / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="rehearsal-", dir=scratch))
    try:
        stage = Stage(project, folder)
        (folder / "notebooks").mkdir()
        for entry in project.iterdir():
            if entry.name not in OURS and not entry.name.startswith("."):
                (folder / entry.name).symlink_to(entry.absolute())
        stage.open_folder(Path("data"))
        stage.open_folder(Path("outputs"))
        (folder / "outputs" / "scratch").unlink(missing_ok=True)
        stage.open_folder(Path("outputs", study))
        for hidden in (folder / "outputs" / study).glob(".*"):
            hidden.unlink()  # locks and unfinished runs of the project
        if paid:
            ledger = Path("outputs", study, ".01_dbke.persistent")
            (project / ledger).mkdir(parents=True, exist_ok=True)
            (folder / ledger).symlink_to(project / ledger)
        yield stage
    finally:
        shutil.rmtree(folder, ignore_errors=True)
