"""Run the runs of a sweep, several at once, and then the sweep's own steps; print its state.

A run has two tasks: its first step, which arms may share, and its later steps. Exit codes are those
of `study`: that of the first task that is not complete.
"""

import fnmatch
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from clinical_camel.core.settings import RETRY_VARIABLE
from clinical_camel.core.values import nearest
from clinical_camel.runner.consistency import check_study
from clinical_camel.runner.display import echo, print_rows, print_steps
from clinical_camel.runner.execution import SignalForwarder
from clinical_camel.runner.jobs import (
    Job,
    PlanError,
    check_files,
    load_job,
    load_jobs,
    load_sweep_jobs,
    sort_jobs,
)
from clinical_camel.runner.places import check_machine, check_places
from clinical_camel.runner.state import State, find_state
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
from clinical_camel.runner.tasks import COMPLETE, Queue, Task
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
    """Run what is not complete, then the sweep's own steps; return the exit code.

    Own steps start once every run that they read is complete; if a choice names one and also runs,
    once these are. Raises ParamsError or PlanError before any step starts.
    """
    own = sort_jobs(load_jobs(sweep))
    tasks = _select_tasks(sweep, own, choice)
    own = [job for job in own if _is_chosen(job, choice)]
    _require_ready(sweep, tasks, own, choice)
    try:
        with lock_study(sweep), SignalForwarder() as signals:
            code = _run_tasks(sweep, tasks, choice, signals) if tasks else 0
            if signals.signum:
                return code
            own_code = _run_own(sweep, own, choice, signals)
            return own_code if signals.signum else code or own_code
    except BlockingIOError as error:
        echo(error, file=sys.stderr)
        return LOCKED


def show_sweep_status(sweep: str) -> int:
    """Print the state of each arm with each pair of seeds; return 0 only if all is complete."""
    runs, own = list_runs(sweep), sort_jobs(load_jobs(sweep))
    states = {(job.study, job.step): find_state(job) for job in load_sweep_jobs(sweep)}
    columns = dict.fromkeys((run.data_seed, run.training_seed) for run in runs)
    cells, reasons = {}, {}
    for run in runs:
        pairs = [(params["study"], step) for step, params in run.params.items()]
        cells[run.arm, run.data_seed, run.training_seed] = _describe_cell(
            [(step, states[study, step]) for study, step in pairs]
        )
        for study, step in pairs:
            state = states[study, step]
            if state.reason and state.status != COMPLETE:
                reasons[study, step] = f"{step} {state.status}: {state.reason}"
    header = [f"d{data} t{training}" for data, training in columns]
    rows = [["arm", *header]]
    rows += [
        [arm, *(cells[arm, *c] for c in columns)] for arm in dict.fromkeys(r.arm for r in runs)
    ]
    print_rows(rows)
    lines = [f"{study}: {text}" for (study, _), text in reasons.items()]
    echo("\n".join(["", *_shorten(lines)]) if lines else "")
    own_states = [find_state(job) for job in own]
    if own:
        print_steps(own, own_states)
    every = [*states.values(), *own_states]
    complete = sum(state.status == COMPLETE for state in every)
    echo(f"{complete}/{len(every)} steps complete, of {len(runs)} runs")
    return 0 if complete == len(every) else FAILED


def load_sample(study: str) -> list[Job]:
    """Return the steps of a study; of a sweep, those of its first run of each arm and its own.

    Raises PlanError for values that contradict others.
    """
    own = load_study(study)
    if not is_sweep(study):
        return own
    jobs = _list_first_jobs(list_runs(study), load_sweep_jobs(study))
    if problems := list(check_study(jobs)):
        raise PlanError("\n".join(problems))
    return [*jobs, *own]


def _list_first_jobs(runs: Sequence[SweepRun], jobs: Sequence[Job]) -> list[Job]:
    """Return those of the jobs that belong to the first pair of seeds: one of each arm."""
    pair = (runs[0].data_seed, runs[0].training_seed)
    firsts = [run for run in runs if (run.data_seed, run.training_seed) == pair]
    studies = {params["study"] for run in firsts for params in run.params.values()}
    return [job for job in jobs if job.study in studies]


# ------------------------------------------------------------------------------ what to run


def _is_chosen(job: Job, choice: Choice) -> bool:
    return not choice.steps or bool({job.step, job.step[:2]} & set(choice.steps))


def _select_studies(sweep: str, choice: Choice) -> set[str]:
    """Return the studies of the chosen runs. Raises PlanError for a pattern that matches none."""
    runs = list_runs(sweep)
    for pattern in choice.only:
        if not any(_matches(run, pattern) for run in runs):
            arms = dict.fromkeys(run.arm for run in runs)
            raise PlanError(f"--only {pattern}: matches no arm and no run{nearest(pattern, arms)}")
    return set(
        find_arms(r for r in runs if not choice.only or any(_matches(r, p) for p in choice.only))
    )


def _select_tasks(sweep: str, own: Sequence[Job], choice: Choice) -> list[Task]:
    """Return the tasks of the chosen runs and steps, in the order of the runs.

    Raises PlanError, with the nearest name, for a step or a pattern that matches nothing.
    """
    runs, studies = list_runs(sweep), _select_studies(sweep, choice)
    arms = find_arms(runs)
    steps = dict.fromkeys([*runs[0].params, *(job.step for job in own)])
    for name in choice.steps:
        if not any(name in (step, step[:2]) for step in steps):
            raise PlanError(f"{sweep} has no step {name}{nearest(name, steps)}")
    by_study: dict[str, list[Job]] = {}
    for job in load_sweep_jobs(sweep):
        if job.study in studies and _is_chosen(job, choice):
            by_study.setdefault(job.study, []).append(job)
    tasks = []
    for study, jobs in by_study.items():
        needs = {other for job in jobs for other, _ in job.find_dependencies()}
        kind = arms[study], " ".join(job.step for job in jobs)
        needs &= by_study.keys() - {study}
        is_forced = choice.force or any(map(is_retried, jobs))
        tasks.append(Task(study, jobs, kind, needs, is_forced))
    return tasks


def _matches(run: SweepRun, pattern: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for name in (run.arm, run.name))


def _require_ready(sweep: str, tasks: Sequence[Task], own: Sequence[Job], choice: Choice) -> None:
    """Raise PlanError, with all problems, if a task or an own step cannot run.

    Runs of one arm differ only in seeds and paths, so one of each arm is checked.
    """
    if launch.world_size() > 1:
        example = tasks[-1].study if tasks else sweep
        raise PlanError(
            f"{sweep}: a sweep starts its own processes; run it without a launcher, or one run "
            f"with it: {COMMAND} run {example}"
        )
    every = [*load_sweep_jobs(sweep), *own]
    jobs = [job for task in tasks for job in task.jobs]
    kinds = {task.kind: task for task in reversed(tasks)}  # the first of each kind
    sample = [job for task in reversed(kinds.values()) for job in task.jobs]
    problems = list(check_study([*sample, *own]))
    for job in [*sample, *own]:
        problems += [*check_files(job), *check_machine(job)]
    missing = [problem for job in jobs for problem in check_inputs(job, jobs)]
    for job in own:  # the runs that it reads come later: `_run_own`
        runs = (load_job(*pair) for pair in job.find_dependencies() if "/" in pair[0])
        missing += check_inputs(job, [*every, *runs])
    problems += _shorten(missing)
    if not tasks and not problems and (text := _find_incomplete(sweep, own, choice)):
        problems = [f"{own[0].source}: {text}"]
    if problems := problems or list(check_places(sweep)):
        raise PlanError("\n".join(dict.fromkeys(problems)))


def _shorten(lines: Sequence[str]) -> list[str]:
    more = len(lines) - SHOWN
    return [*lines[:SHOWN], *([f"... and {more} more of this kind"] if more > 0 else [])]


def _find_incomplete(sweep: str, own: Sequence[Job], choice: Choice) -> str:
    """Return how many results that these steps need are not complete; "" for none.

    They need every run; of runs and a step that were both named, these runs.
    """
    inputs = {pair for job in own for pair in job.find_dependencies() if "/" in pair[0]}
    if choice.steps and choice.only:
        studies = _select_studies(sweep, choice)
        inputs = {pair for pair in inputs if pair[0] in studies}
    incomplete = sorted(p for p in inputs if find_state(load_job(*p)).status != COMPLETE)
    if not incomplete:
        return ""
    study, step = incomplete[0]
    return (
        f"{len(incomplete)} of {len(inputs)} results that it reads are not complete "
        f"({study}/{step}); first {COMMAND} run {study.partition('/')[0]}"
    )


# ------------------------------------------------------------------------------- running it


def _run_tasks(sweep: str, tasks: Sequence[Task], choice: Choice, signals: SignalForwarder) -> int:
    """Run the tasks, print a line for each; return the exit code of the first that failed."""
    is_retrying = os.environ.get(RETRY_VARIABLE) == "1"
    options = ["--force"] * choice.force + ["--retry-failed"] * is_retrying
    width, digits = max(len(task.name) for task in tasks), len(str(len(tasks)))

    def show(task: Task) -> None:
        if task.process:  # neither complete before nor without its turn
            ended = sum(other.code is not None for other in tasks)
            count, state = f"[{ended:>{digits}}/{len(tasks)}]", task.state
            parts = [
                f"{count} {task.name:<{width}}",
                f"{state.status:<11}",
                f"{state.seconds:.0f} s",
            ]
            echo("  ".join([*parts, *filter(None, (queue.forecast(), state.headline))]))

    started = time.monotonic()
    queue = Queue(tasks, options, choice.processes, show)
    complete = sum(task.state.status == COMPLETE for task in tasks)
    parts = [f"{len(tasks)} tasks", f"{complete} complete", f"{choice.processes} at once"]
    echo(f"{sweep}: {', '.join([*parts, *filter(None, [queue.forecast()])])}")
    queue.run(signals)
    _print_end(tasks, time.monotonic() - started, choice.rate)
    if signals.signum:
        how = "without --force, the same command" if choice.force else "the same command"
        echo(f"stopped by {signals.name}; {how} resumes")
        return 128 + signals.signum
    return next((task.code for task in tasks if task.code), 0)


def _print_end(tasks: Sequence[Task], seconds: float, rate: float) -> None:
    """Print the runs that are not complete with their reasons, the time and the cost."""
    failed = [task for task in tasks if task.code and task.process]
    others = sum(bool(task.code) for task in tasks) - len(failed)
    if failed or others:
        echo(f"\n{len(failed) + others} of {len(tasks)} tasks are not complete:")
    for task in failed:
        echo(f"  {task.study}  {task.state.status}: {task.state.reason}")
    if others:
        reasons = dict.fromkeys(t.state.reason for t in tasks if t.code and not t.process)
        echo(f"  {others} not started: {', '.join(reasons)}")
    cost = f", cost {seconds / 3600 * rate:.2f} at {rate:g} per hour" if rate else ""
    echo(f"{format_seconds(seconds)}{cost}")


def _run_own(sweep: str, own: Sequence[Job], choice: Choice, signals: SignalForwarder) -> int:
    """Run the sweep's own steps, unless runs that they need are missing."""
    if not own:
        return 0
    if text := _find_incomplete(sweep, own, choice):
        for job in own:
            echo(f"{job.step}  not started: {text}")
        return 0 if choice.only else FAILED
    return run_jobs(list(own), choice.force, signals, choice.rate)


# ------------------------------------------------------------------------------- its state


def _describe_cell(states: Sequence[tuple[str, State]]) -> str:
    """Return the state of a run in a word or two: `complete`, `not run`, `02 failed`."""
    for step, state in states:
        if state.status != COMPLETE:
            is_begun = any(s.status not in ("not run", "not started") for _, s in states)
            return f"{step[:2]} {state.status}" if is_begun else state.status
    return COMPLETE
