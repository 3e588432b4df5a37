"""Which step needs which: read from the paths in the params, never written down a second time.

A text such as `outputs/<study>/<step>/dialogues.jsonl`, anywhere in a params value, is an input.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from clinical_camel.core.paths import root
from clinical_camel.core.values import nearest, texts
from clinical_camel.runs.notebooks import ParamsError, steps
from clinical_camel.runs.params_files import load_params, studies, study_files


class PlanError(ValueError):
    """Steps that cannot be run in any order, or inputs that are not there."""


@dataclass(frozen=True, slots=True)
class Job:
    """One step of one study with its checked parameters and the files they name."""

    study: str
    step: str
    params: dict[str, Any]
    inputs: list[str] = field(default_factory=list)  # root-relative files and folders

    @property
    def source(self) -> str:
        """The params file, as it is named in messages."""
        return f"params/{self.study}/{self.step}.yaml"

    def needs(self) -> list[tuple[str, str]]:
        """(study, step) of each input that a step makes, each once, sorted."""
        return sorted({owner for text in self.inputs if (owner := owner_of(text))})


def load_job(study: str, step: str) -> Job:
    """One step as its params file has it. Raises ParamsError."""
    params = load_params(study, step)
    return Job(study, step, params, sorted(set(_input_texts(params))))


def load_jobs(study: str) -> list[Job]:
    """Every step of a study. Raises one ParamsError with all problems of all its files."""
    jobs, problems = [], []
    for file in study_files(study):
        try:
            jobs.append(load_job(study, file.stem))
        except ParamsError as error:
            problems.append(str(error))
    if problems:
        raise ParamsError("\n".join(problems))
    return jobs


def _input_texts(params: dict[str, Any]) -> Iterator[str]:
    for name, value in params.items():
        for _, _, text in texts(value, name):
            place = text.rpartition("@")[2].rstrip("/")  # medqa_us@data/public/... names a reader
            file_like = "/" in place or place.endswith((".jsonl", ".jsonl.gz", ".csv"))
            known = place.startswith(("outputs/", "data/"))
            if known or (file_like and (root() / place).exists()):
                yield place


def owner_of(text: str) -> tuple[str, str] | None:
    """(study, step) that makes this path, or None if it is not under outputs/.

    >>> owner_of("outputs/mini_camel/02_sft_qlora/adapter")
    ('mini_camel', '02_sft_qlora')
    """
    parts = text.split("/")
    if parts[0] != "outputs":
        return None
    return parts[1], (parts[2] if len(parts) > 2 else "").removesuffix(".ipynb")


def _at(job: Job, text: str) -> str:
    """The place of an input in its params file, for a message."""
    found = (at for name in job.params for at, _, t in texts(job.params[name], name) if text in t)
    return f"{job.source}: {next(found, 'an input')}: {text}"


def sort_jobs(jobs: list[Job]) -> list[Job]:
    """Jobs so that each stands after what it needs; ties by step number.

    Raises PlanError for a cycle, and one with all inputs that no step makes.
    """
    problems = [problem for job in jobs for problem in _made_by_none(job)]
    if problems:
        raise PlanError("\n".join(problems))
    by_step = {job.step: job for job in jobs}
    waiting = {
        job.step: {step for study, step in job.needs() if study == job.study} for job in jobs
    }
    ready = [step for step, needs in waiting.items() if not needs]
    heapq.heapify(ready)
    ordered = []
    while ready:
        done = heapq.heappop(ready)
        ordered.append(by_step[done])
        for step, needs in waiting.items():
            if done in needs:
                needs.discard(done)
                if not needs:
                    heapq.heappush(ready, step)
    if len(ordered) < len(jobs):
        circle = ", ".join(sorted(step for step, needs in waiting.items() if needs))
        raise PlanError(
            f"params/{jobs[0].study}: these steps need each other in a circle: {circle}"
        )
    return ordered


def _made_by_none(job: Job) -> Iterator[str]:
    """Inputs under outputs/ that belong to no step of any study, one line each."""
    for text in job.inputs:
        study, step = owner_of(text) or ("", "")
        if not study:
            continue
        at = _at(job, text)
        if study not in studies():
            yield f"{at} names no study{nearest(study, studies())}"
        elif step not in steps():
            yield f"{at} names no step{nearest(step, steps())}"
        elif not (root() / "params" / study / f"{step}.yaml").is_file():
            yield f"{at} needs {step}, but params/{study}/{step}.yaml is not there"


def choose(jobs: list[Job], wanted: list[str]) -> list[Job]:
    """The jobs named on the command line (stem, or its two digits), or all of them.

    Raises PlanError with the nearest name.
    """
    known = [job.step for job in jobs]
    chosen = set()
    for name in wanted:
        hits = [step for step in known if name in (step, step[:2])]
        if not hits:
            raise PlanError(f"{jobs[0].study} has no step {name}{nearest(name, known)}")
        chosen |= set(hits)
    return [job for job in jobs if job.step in chosen] if wanted else jobs


def missing_files(job: Job) -> list[str]:
    """Inputs that no step makes and that are not on this machine, one line each."""
    return [
        f"{_at(job, text)} is not there"
        for text in job.inputs
        if owner_of(text) is None and not (root() / text).exists()
    ]
