"""Run the tasks of a sweep, several at once, and then its final steps; print its state.

A run has two tasks: its first step, which arms may share, and its later steps. The final steps have
params files beside sweep.yaml. Exit codes are those of `study`: that of the first task that is not
complete.
"""

import fnmatch
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from clinical_camel.core.settings import RETRY_VARIABLE
from clinical_camel.core.values import nearest
from clinical_camel.runner.consistency import check_study
from clinical_camel.runner.display import echo, print_rows, print_steps
from clinical_camel.runner.execution import SignalForwarder
from clinical_camel.runner.jobs import (
    Job,
    PlanError,
    check_cycle,
    check_files,
    load_jobs,
    load_sweep_jobs,
    select_jobs,
    sort_jobs,
)
from clinical_camel.runner.places import check_gpu, check_machine, check_places
from clinical_camel.runner.state import (
    COMPLETE,
    ENDED,
    State,
    find_state,
    find_states,
    has_tables,
)
from clinical_camel.runner.study import (
    COMMAND,
    FAILED,
    LOCKED,
    check_inputs,
    is_retried,
    load_study,
    lock_study,
    run_jobs,
)
from clinical_camel.runner.summary import format_seconds
from clinical_camel.runner.tasks import Queue, Task
from clinical_camel.runs import launch
from clinical_camel.runs.sweeps import SweepRun, find_arms, is_sweep, list_runs

SHOWN = 10  # problems of one kind in a message


@dataclass(frozen=True, slots=True)
class Choice:
    """What to run of a sweep, and how."""

    steps: Sequence[str] = ()  # names or two digits; none means all
    only: Sequence[str] = ()  # patterns of arms and runs; none means all
    processes: int = 1
    force: bool = False
    rate: float = 0.0  # price of the machine per hour


def run_sweep(sweep: str, choice: Choice) -> int:
    """Run the tasks that are not complete, then the final steps; return the exit code.

    Final steps start once every run that they read is complete, or has ended with a training that
    diverged. If the choice names steps and runs, they need only these runs. Raises ParamsError or
    PlanError before any step starts.
    """
    final = sort_jobs(load_jobs(sweep))
    chosen = select_jobs([*load_sweep_jobs(sweep), *final], choice.steps)
    tasks = _make_tasks(sweep, chosen, choice)
    final = [job for job in chosen if job.study == sweep]
    _require_ready(sweep, tasks, final, choice)
    try:
        with lock_study(sweep), SignalForwarder() as signals:
            code = _run_tasks(sweep, tasks, choice, signals) if tasks else 0
            if signals.signum:
                return code
            final_code = _run_final(sweep, final, choice, signals)
            return final_code if signals.signum else code or final_code
    except BlockingIOError as error:
        echo(error, file=sys.stderr)
        return LOCKED


def show_sweep_status(sweep: str) -> int:
    """Print the state of each arm with each pair of seeds; return 0 only if all is complete."""
    runs, final = list_runs(sweep), sort_jobs(load_jobs(sweep))
    states = find_states(load_sweep_jobs(sweep))
    columns = dict.fromkeys(run.seeds for run in runs)
    rows = {run.arm: dict.fromkeys(columns, "-") for run in runs}
    for run in runs:
        pairs = [(step, states[params["study"], step]) for step, params in run.params.items()]
        rows[run.arm][run.seeds] = _describe_cell(pairs)
    header = ["arm", *(f"d{data} t{training}" for data, training in columns)]
    print_rows([header, *([arm, *cells.values()] for arm, cells in rows.items())])
    reasons = [f"{a}: {b} {s.status}: {s.reason}" for (a, b), s in states.items() if s.reason]
    echo("\n".join(["", *_shorten(reasons)]))
    incomplete = {study for (study, _), state in states.items() if state.status != COMPLETE}
    commits = sorted((state.commit, study) for (study, _), state in states.items())
    _print_commits(runs, {study: text for text, study in commits if study not in incomplete})
    final_states = [find_state(job) for job in final]
    if final:
        print_steps(final, final_states)
    every = [*states.values(), *final_states]
    complete = sum(state.status == COMPLETE for state in every)
    echo(f"{complete}/{len(every)} steps complete, of {len(runs)} runs")
    return 0 if complete == len(every) else FAILED


def load_sample(study: str) -> list[Job]:
    """Return the steps of a study; of a sweep, those of the first run of each arm, and the final.

    Raises PlanError for values that contradict others.
    """
    final = load_study(study)
    if not is_sweep(study):
        return final
    runs = list_runs(study)  # the first pair of seeds has a run of every arm
    studies = {name for run in runs if run.seeds == runs[0].seeds for name in run.studies}
    jobs = [job for job in load_sweep_jobs(study) if job.study in studies]
    if problems := list(check_study(jobs)):
        raise PlanError("\n".join(problems))
    return [*jobs, *final]


# ------------------------------------------------------------------------------ what to run


def _select_studies(sweep: str, choice: Choice) -> set[str]:
    """Return the studies of the chosen runs. Raises PlanError for a pattern that matches none."""
    runs, chosen = list_runs(sweep), []
    for pattern in choice.only or ["*"]:
        matching = [run for run in runs if fnmatch.filter((run.arm, run.name), pattern)]
        if not matching:
            arms = dict.fromkeys(run.arm for run in runs)
            raise PlanError(f"--only {pattern}: matches no arm and no run{nearest(pattern, arms)}")
        chosen += matching
    return {study for run in chosen for study in run.studies}


def _make_tasks(sweep: str, jobs: Sequence[Job], choice: Choice) -> list[Task]:
    """Return the tasks of those jobs that belong to the chosen runs, in the order of the runs."""
    studies, arms = _select_studies(sweep, choice), find_arms(list_runs(sweep))
    by_study: dict[str, list[Job]] = {}
    for job in jobs:
        if job.study in studies:
            by_study.setdefault(job.study, []).append(job)
    tasks = []
    for study, jobs in by_study.items():
        needs = {other for job in jobs for other, _ in job.find_dependencies()}
        kind = arms[study], " ".join(job.step for job in jobs)
        needs &= by_study.keys() - {study}
        is_forced = choice.force or any(map(is_retried, jobs))
        tasks.append(Task(study, jobs, kind, needs, is_forced))
    return tasks


def _require_ready(sweep: str, tasks: Sequence[Task], final: Sequence[Job], choice: Choice) -> None:
    """Raise PlanError, with all problems, if a task or a final step cannot run.

    Runs of one arm differ only in seeds and paths, so one of each arm is checked.
    """
    if launch.world_size() > 1:
        example = tasks[-1].study if tasks else sweep
        raise PlanError(
            f"{sweep}: a sweep starts its own processes; run it without a launcher, or use the "
            f"launcher for one run: {COMMAND} run {example}"
        )
    every = [*load_sweep_jobs(sweep), *final]
    if problems := list(check_cycle(every)):
        raise PlanError("\n".join(problems))
    jobs = [job for task in tasks for job in task.jobs]
    kinds = {task.kind: task for task in reversed(tasks)}  # the first of each kind
    sample = [job for task in reversed(kinds.values()) for job in task.jobs]
    problems = list(check_study([*sample, *final]))
    for job in [*sample, *final]:
        problems += [*check_files(job), *check_machine(job)]
    problems += check_gpu([*sample, *final])
    missing = [problem for job in jobs for problem in check_inputs(job, jobs)]
    for job in final:  # `_run_final` checks the runs that it reads
        missing += check_inputs(job, [*every, *_load_inputs([job])])
    problems += _shorten(missing)
    problems += [] if choice.only else _check_other_sweeps(final)
    if not tasks and not problems and (text := _find_incomplete(sweep, final, choice)):
        problems = [f"{final[0].source}: {text}"]
    if problems := problems or list(check_places(sweep)):
        raise PlanError("\n".join(dict.fromkeys(problems)))


def _shorten(lines: Sequence[str]) -> list[str]:
    more = len(lines) - SHOWN
    return [*lines[:SHOWN], *([f"... and {more} more of this kind"] if more > 0 else [])]


def _load_inputs(jobs: Iterable[Job]) -> list[Job]:
    """Return the steps of runs, also of other sweeps, and their final steps that these read."""
    pairs = {pair for job in jobs for pair in job.find_dependencies()}
    sweeps = sorted({study.partition("/")[0] for study, _ in pairs})
    read = [[*load_sweep_jobs(sweep), *load_jobs(sweep)] for sweep in sweeps if is_sweep(sweep)]
    return [job for steps in read for job in steps if (job.study, job.step) in pairs]


def _check_other_sweeps(final: Iterable[Job]) -> Iterator[str]:
    """Yield the final steps of other sweeps that these steps read and that are not complete."""
    for job in final:
        others = [other for other in _load_inputs([job]) if is_sweep(other.study)]
        for (study, step), status in _find_statuses(others).items():
            if status != COMPLETE:
                yield (
                    f"{job.source}: other_points: needs {step} of {study}, which is {status}; "
                    f"first {COMMAND} run {study}"
                )


def _find_statuses(inputs: Sequence[Job]) -> dict[tuple[str, str], str]:
    """Return the status of results that final steps read, by study and step.

    Of a final step of another sweep, which takes hours, the committed tables are enough.
    """
    statuses = {pair: state.status for pair, state in find_states(inputs).items()}
    for job in inputs:
        pair = job.study, job.step
        if statuses.get(pair) == "not run" and is_sweep(job.study) and has_tables(job):
            statuses[pair] = COMPLETE
    return statuses


def _find_incomplete(sweep: str, final: Sequence[Job], choice: Choice) -> str:
    """Return how many results that final steps need are not complete; "" for none.

    They need every run that has not ended; of runs and a step that were both named, these runs.
    """
    inputs = _load_inputs(final)
    if choice.steps and choice.only:
        studies = _select_studies(sweep, choice)
        inputs = [
            job
            for job in inputs
            if job.study in studies or job.study.partition("/")[0] != sweep  # a sweep of rates
        ]
    states = _find_statuses(inputs)
    ended = {study for (study, _), status in states.items() if status == ENDED}
    incomplete = sorted(p for p, s in states.items() if s != COMPLETE and p[0] not in ended)
    if not incomplete:
        return ""
    study, step = incomplete[0]
    return (
        f"{len(incomplete)} of {len(inputs)} results that it reads are not complete "
        f"({study}/{step}); first {COMMAND} run {study.partition('/')[0]}"
    )


# ------------------------------------------------------------------------------------ running


def _run_tasks(sweep: str, tasks: Sequence[Task], choice: Choice, signals: SignalForwarder) -> int:
    """Run the tasks, print a line for each; return the code of the first that is not complete.

    No line has a score: a sweep is judged once, when it is complete.
    """
    is_retrying = os.environ.get(RETRY_VARIABLE) == "1"
    options = ["--force"] * choice.force + ["--retry-failed"] * is_retrying
    width, digits = max(len(task.name) for task in tasks), len(str(len(tasks)))

    def show(task: Task) -> None:
        if task.process:  # not complete before, and no task that it needs has failed
            ended = sum(other.code is not None for other in tasks)
            name, state = f"{ended:>{digits}}/{len(tasks)}] {task.name:<{width}}", task.state
            parts = [f"[{name}", f"{state.status:<11}", f"{state.seconds:.0f} s"]
            echo("  ".join([*parts, *filter(None, [queue.forecast()])]))

    started = time.monotonic()
    queue = Queue(tasks, options, choice.processes, show)
    complete = [task for task in tasks if task.state.status == COMPLETE]
    parts = [f"{len(tasks)} tasks", f"{len(complete)} complete", f"{choice.processes} at once"]
    echo(f"{sweep}: {', '.join([*parts, *filter(None, [queue.forecast()])])}")
    if not choice.force:
        _print_commits(list_runs(sweep), {task.study: task.state.commit for task in complete})
    queue.run(signals)
    _print_end(tasks, time.monotonic() - started, choice.rate)
    if signals.signum:
        how = "without --force, the same command" if choice.force else "the same command"
        echo(f"stopped by {signals.name}; {how} resumes")
        return 128 + signals.signum
    return next((task.code for task in tasks if task.code), 0)


def _print_end(tasks: Sequence[Task], seconds: float, rate: float) -> None:
    """Print the tasks that are not complete with their reasons, the time and the cost."""
    failed = [t for t in tasks if t.code and (t.process or t.state.status == ENDED)]
    others = sum(bool(task.code) for task in tasks) - len(failed)
    if failed or others:
        echo(f"\n{len(failed) + others} of {len(tasks)} tasks are not complete:")
    for task in failed:
        echo(f"  {task.study}  {task.state.status}: {task.state.reason}")
    if others:
        reasons = dict.fromkeys(t.state.reason for t in tasks if t.code and t not in failed)
        echo(f"  {others} not started: {', '.join(reasons)}")
    if any(task.state.status == ENDED for task in failed):
        echo("  a training that has ended runs again only with other settings or with --force")
    cost = f", cost {seconds / 3600 * rate:.2f} at {rate:g} per hour" if rate else ""
    echo(f"{format_seconds(seconds)}{cost}")


def _run_final(sweep: str, final: Sequence[Job], choice: Choice, signals: SignalForwarder) -> int:
    """Run the final steps, unless results of runs that they need are not complete."""
    if not final:
        return 0
    if text := _find_incomplete(sweep, final, choice):
        for job in final:
            echo(f"{job.step}  not started: {text}")
        return 0 if choice.only else FAILED
    return run_jobs(list(final), choice.force, signals, choice.rate)


# -------------------------------------------------------------------------------------- state


def _print_commits(runs: Iterable[SweepRun], commits: Mapping[str, str]) -> None:
    """Print how many runs other code than today's made; `commits`: those of complete studies."""
    made = [run for run in runs if run.studies[-1] in commits]
    if count := sum(any(map(commits.get, run.studies)) for run in made):
        names = ", ".join(sorted(set(filter(None, commits.values()))))
        number = f"{count} run{'s' * (count > 1)}"
        echo(f"{number} by other code than today's ({names}); --force repeats them")


def _describe_cell(states: Sequence[tuple[str, State]]) -> str:
    """Return the state of a run in a word or two: `complete`, `not run`, `02 failed`."""
    for step, state in states:
        if state.status != COMPLETE:
            is_begun = any(s.status not in ("not run", "not started") for _, s in states)
            return f"{step[:2]} {state.status}" if is_begun else state.status
    return COMPLETE
