"""Which step needs which, read from the paths in the params.

A text such as `outputs/<study>/<step>/dialogues.jsonl`, anywhere in a params value, is an input.
So is the recipe of each study in the setting `recipes` of step 10.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Any

from clinical_camel.core.companions import list_companions
from clinical_camel.core.paths import find_producer, relative, root
from clinical_camel.core.values import iter_texts, nearest
from clinical_camel.runs.notebooks import ParamsError, list_steps
from clinical_camel.runs.params_files import list_params_files, list_studies, load_params
from clinical_camel.runs.schema import settings_class
from clinical_camel.runs.sweeps import (
    find_sweep_inputs,
    is_sweep,
    list_run_steps,
    list_runs,
    load_run_params,
)


class PlanError(ValueError):
    """Steps that cannot run: dependencies in a cycle, missing inputs, an unknown name."""


@dataclass(frozen=True, slots=True)
class Job:
    """One step of one study, with its checked parameters and the files that they name."""

    study: str
    step: str
    params: dict[str, Any]
    inputs: list[str] = field(default_factory=list)  # root-relative files and folders

    @property
    def source(self) -> str:
        """The params file, root-relative, for messages; of a sweep also the run and the step."""
        sweep, _, run = self.study.partition("/")
        file = f"sweep.yaml: {run}: {self.step}" if run else f"{self.step}.yaml"
        return f"params/{sweep}/{file}"

    @property
    def settings(self) -> Any:
        """The parameters as the settings of the step. Raises SettingsError."""
        return settings_class(self.step).require(self.params, self.source)

    def find_place(self, file: str) -> str:
        """Return the place of an input among the parameters, such as `adapters.tuned`."""
        texts = (place for name in self.params for place in iter_texts(self.params[name], name))
        default = "sweep" if "sweep" in self.params else "an input"
        return next((at for at, _, text in texts if file in text), default)

    def locate(self, file: str) -> str:
        """Return the start of a message about an input: params file, key, value."""
        return f"{self.source}: {self.find_place(file)}: {file}"

    def find_dependencies(self) -> list[tuple[str, str]]:
        """Return (study, step) of each step that produces an input, sorted."""
        return sorted({producer for text in self.inputs if (producer := find_producer(text))})


def load_job(study: str, step: str) -> Job:
    """Return one step of a study, or of a run of a sweep, with its parameters.

    Raises ParamsError.
    """
    if "/" in study:
        params = load_run_params(study, step)
        return _make_job(params["study"], step, params)  # 01 may be that of another run
    return _make_job(study, step, load_params(study, step))


def _make_job(study: str, step: str, params: dict[str, Any]) -> Job:
    try:
        inputs = {*_find_inputs(params), *_find_recipes(params), *find_sweep_inputs(params)}
    except ParamsError as error:
        raise ParamsError(f"params/{study}/{step}.yaml: {error}") from None
    return Job(study, step, params, sorted(inputs))


def load_jobs(study: str) -> list[Job]:
    """Return every step of a study; of a sweep its own steps, those that have a params file.

    Raises one ParamsError with all problems of all its files.
    """
    jobs, problems = [], []
    for step in _list_study_steps(study):
        try:
            jobs.append(load_job(study, step))
        except ParamsError as error:
            problems.append(str(error))
    if problems:
        raise ParamsError("\n".join(problems))
    return jobs


def _list_study_steps(study: str) -> list[str]:
    if "/" not in study:
        return [file.stem for file in list_params_files(study)]
    steps = list_run_steps(study)
    if not steps:
        load_run_params(study, "")  # raises with the nearest name
    return steps


def load_sweep_jobs(sweep: str) -> list[Job]:
    """Return every step of every run of a sweep, in the order of the runs; shared ones once."""
    steps = [(p["study"], step, p) for run in list_runs(sweep) for step, p in run.params.items()]
    unique = {(study, step): params for study, step, params in steps}
    return [_make_job(*pair, params) for pair, params in unique.items()]


def has_params(study: str, step: str) -> bool:
    """Return whether a study, or a run of a sweep, has this step."""
    if "/" not in study:
        return (root() / "params" / study / f"{step}.yaml").is_file()
    return is_sweep(study.partition("/")[0]) and step in list_run_steps(study)


def _find_inputs(params: dict[str, Any]) -> Iterator[str]:
    for name, value in params.items():
        for _, key, text in iter_texts(value, name):
            reader, _, file = text.rpartition("@")  # medqa_us@data/public/... names a reader
            file = file.rstrip("/")
            looks_like_file = "/" in file or file.endswith((".jsonl", ".jsonl.gz", ".csv"))
            if file.startswith(("outputs/", "data/")) or (
                looks_like_file and (root() / file).exists()
            ):
                yield file
                yield from map(relative, list_companions(root() / file, reader or key))


def _find_recipes(params: dict[str, Any]) -> Iterator[str]:
    for study in params.get("recipes", ()):
        yield f"params/{study}/02_sft_qlora.yaml"


def sort_jobs(jobs: list[Job]) -> list[Job]:
    """Return the jobs in an order in which each follows its dependencies; ties by step number.

    Raises PlanError for a cycle, and for inputs that no step produces.
    """
    problems = [problem for job in jobs for problem in _check_producers(job)]
    if problems := problems or list(check_cycle(jobs)):
        raise PlanError("\n".join(problems))
    by_step = {job.step: job for job in jobs}
    waiting = {
        job.step: {step for study, step in job.find_dependencies() if study == job.study}
        for job in jobs
    }
    ordered = []
    while waiting:
        step = min(step for step, needs in waiting.items() if not needs & waiting.keys())
        ordered.append(by_step[step])
        del waiting[step]
    return ordered


def _check_producers(job: Job) -> Iterator[str]:
    """Yield inputs under outputs/ that no step of any study produces, one line each."""
    for file in job.inputs:
        study, step = find_producer(file) or ("", "")
        if not study:
            continue
        at = job.locate(file)
        if study.partition("/")[0] not in list_studies():
            yield f"{at} names no study{nearest(study, list_studies())}"
        elif step not in list_steps():
            yield f"{at} names no step{nearest(step, list_steps())}"
        elif not has_params(study, step):
            yield f"{at} needs {step}, but params/{study}/{step}.yaml does not exist"


def check_cycle(jobs: Iterable[Job]) -> Iterator[str]:
    """Yield a cycle of steps that need each other, if there is one, in one line.

    Within a study, a step needs the steps that it reads; of another study it needs all.
    """
    by_name = {(job.study, job.step): job for job in jobs}
    needs: dict[tuple[str, str], dict[tuple[str, str], tuple[str, str]]] = {}
    for name, job in by_name.items():
        needs.setdefault((job.study, ""), {})[name] = "", ""  # a study ends with all its steps
        producers = [(file, *pair) for file in job.inputs if (pair := find_producer(file))]
        needs[name] = {(s, step * (s == job.study)): (step, file) for file, s, step in producers}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        cycle = error.args[1][::-1]
        links = [(name, *needs[name][other]) for name, other in pairwise(cycle)]
        # to name in the message: the input that a later step makes
        _, name, file = max((step >= name[1], name, file) for name, step, file in links if file)
        members = ["/".join(pair) for pair in cycle if pair[1]]
        members += members[:1] * (members[0] != members[-1])
        remedy = "name a file that none of these steps makes"
        yield f"{by_name[name].locate(file)} makes a cycle: {' needs '.join(members)}; {remedy}"


def select_jobs(jobs: Sequence[Job], names: Sequence[str]) -> list[Job]:
    """Return the jobs with these names (stem, or its two digits); all jobs if there are no names.

    Raises PlanError with the nearest name.
    """
    steps = dict.fromkeys(job.step for job in jobs)
    for name in names:
        if not any(name in (step, step[:2]) for step in steps):
            study = jobs[0].study.partition("/")[0]
            raise PlanError(f"{study} has no step {name}{nearest(name, steps)}")
    return [job for job in jobs if not names or {job.step, job.step[:2]} & set(names)]


def check_files(job: Job) -> Iterator[str]:
    """Yield inputs that no step produces and that are not on this machine, one line each."""
    for file in job.inputs:
        if find_producer(file) is None and not (root() / file).exists():
            yield f"{job.locate(file)} does not exist"
