"""The rehearsal of a study within its minutes: each notebook in a kernel of its own."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clinical_camel import dbke, estimate, sft_qlora
from clinical_camel.core.files import now, read_json
from clinical_camel.core.paths import root
from clinical_camel.core.settings import SettingsError
from clinical_camel.estimate.costs import Cost
from clinical_camel.rehearse import forecast, report
from clinical_camel.rehearse.process import choose_profile, has_gpu, measure_available
from clinical_camel.rehearse.record import Measured, Rehearsal, StepForecast
from clinical_camel.rehearse.stage import Stage, open_stage, staged_root
from clinical_camel.rehearse.task import Task
from clinical_camel.rehearse.variants import BATCH, BATCHES, LAYERS
from clinical_camel.runner.display import echo
from clinical_camel.runner.execution import SignalForwarder, StepFailed, execute
from clinical_camel.runner.jobs import Job, PlanError, sort_jobs
from clinical_camel.runner.places import check_gpu
from clinical_camel.runs import launch, machine
from clinical_camel.runs.sweeps import is_sweep

SHARES = {"01_dbke": 0.1, "02_sft_qlora": 0.5, "03_eval_fewshot": 0.25, "04_note_synthesis": 0.15}
FIXED = 0.35  # share of the minutes for imports, tables and figures, which are not shortened
LEAST, MOST = 1.0, 240.0  # minutes
ROOM_CPU, ROOM_GPU = 0.9, 1.5  # most that a step may need for a trial, by plan, of what is free
ROWS = 4000  # of each source of a training; more take minutes to tokenize
LEAST_TOKENS = 256  # of a row or a batch that is suggested
NO_ARTICLES = "none of its articles is on this machine; not rehearsed"
SERVER = "a server writes the notes; it cannot run beside the other rehearsals"
TABLES = "tables and figures only: not rehearsed"


def rehearse_study(study: str, jobs: Sequence[Job], minutes: float, rate: float) -> int:
    """Rehearse a study, print the forecast and write rehearsal.json; return 0 for go, 1 for no-go.

    It is written after each step: a rehearsal that is stopped leaves what it has measured.
    `rate`: price of the machine per hour. Raises PlanError for a sweep, for minutes outside LEAST
    to MOST, or for a GPU that torch cannot use.
    """
    require_options(study, minutes)
    if problems := list(check_gpu(jobs)):
        raise PlanError("\n".join(problems))
    start = time.monotonic()
    jobs = sort_jobs(list(jobs))
    profile, place = choose_profile()
    echo(f"{study}: what `plan` estimates for {place}, then {minutes:g} minutes of rehearsal")
    costs = estimate.estimate_study(jobs, machine=profile)
    paid = any(isinstance(getattr(job.settings, "teacher", None), dbke.OpenAI) for job in jobs)
    with open_stage(study, paid) as stage, SignalForwarder() as signals:
        clock = _Clock(60 * minutes, start, [job.step for job in jobs if job.step in SHARES])
        steps: list[StepForecast] = []
        for job, cost in zip(jobs, costs, strict=True):
            steps.append(_Step(stage, job, cost, clock, signals).rehearse())
            elapsed = (time.monotonic() - start) / 60
            rehearsal = conclude(study, costs, steps, rate, minutes, elapsed)
            file = rehearsal.write()
    echo("\n".join(["", *report.format_rehearsal(rehearsal)]))
    echo(f"\n{file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file}")
    return int(not rehearsal.go)


def require_options(study: str, minutes: float) -> None:
    """Raise PlanError for a sweep, several processes, or minutes that are not allowed."""
    if is_sweep(study):
        raise PlanError(f"rehearse: {study} is a sweep; name one of its runs, as {study}/arm_d0_t0")
    if launch.world_size() > 1:
        raise PlanError("rehearse: runs in one process; leave the launcher out")
    if not LEAST <= minutes <= MOST:
        raise PlanError(f"--minutes: {minutes:g} is not allowed; write {LEAST:g} to {MOST:g}")


def check_room(job: Job, cost: Cost, available: int, can_try: bool) -> str:
    """Return why a step must not even be tried on this machine, and what to set; "" if it may.

    On a CPU a process without memory is killed, and others with it. A GPU says that it has none, so
    that smaller variants can be tried (`can_try`), except of a step that is not rehearsed.
    """
    needed = sum(cost.memory.values())
    if needed <= (ROOM_GPU if can_try else ROOM_CPU) * available:
        return ""
    remedy = suggest_smaller(job, ROOM_CPU * available, cost.machine)
    return (
        f"needs about {needed / 1e9:.1f} GB (plan), {available / 1e9:.1f} are free here; {remedy}"
    )


def suggest_smaller(job: Job, room: float, profile: str) -> str:
    """Return the settings with which a step needs at most `room` bytes, as `plan` estimates.

    They are the first of `list_savings` that are enough together; if all are not, the machine.
    """
    params, changes, settings = dict(job.params), {}, job.settings
    teacher = settings.teacher if isinstance(settings, dbke.Synthesis) else None
    for name, value in list_savings(teacher or settings):
        changes[name] = value
        params |= {"teacher": params["teacher"] | changes} if teacher else changes
        smaller = Job(job.study, job.step, params, job.inputs)
        try:
            needed = estimate.estimate_step(smaller, profile).memory
        except SettingsError:  # another setting needs this length; those that follow are shorter
            break
        if sum(needed.values()) <= room:
            where = "teacher." if teacher else ""
            return "set " + ", ".join(f"{where}{key}: {text}" for key, text in changes.items())
    return "use a larger machine or a smaller model: no setting is enough"


def list_savings(settings: Any) -> Iterator[tuple[str, Any]]:
    """Yield settings that need less memory: first those that keep the result, last the lengths."""
    length = "token_budget"
    if isinstance(settings, sft_qlora.Recipe):
        length = "max_length"
        if settings.gradient_checkpointing_layers >= 0:
            yield LAYERS, -1
        if settings.batch_size > 1:
            yield BATCHES, settings.batch_size * settings.gradient_accumulation_steps
            yield BATCH, 1
    if getattr(settings, "quantize", "nf4") != "nf4":
        yield "quantize", "nf4"
    value = getattr(settings, length, 0) // 2
    while value >= LEAST_TOKENS:
        yield length, value
        value //= 2


def conclude(
    study: str,
    costs: Sequence[Cost],
    steps: list[StepForecast],
    rate: float,
    minutes: float,
    elapsed: float,
) -> Rehearsal:
    """Return the rehearsal of a study from the forecasts of its steps, of the first ones at least.

    Without all of them it is a no-go. `elapsed`: the minutes that it took.
    """
    reasons = list(forecast.find_reasons(steps, costs))
    if missing := [cost.step for cost in costs[len(steps) :]]:
        reasons.append(f"stopped before {', '.join(missing)}; rehearse the study again")
    files = (root() / "params" / study).glob("[0-9]*.yaml")
    omitted = sorted({file.stem for file in files} - {cost.step for cost in costs})
    measured = choose_machine([s.facts["device"] for s in steps if "device" in s.facts])
    measured = measured or machine.describe_device()
    threads = 1 if "gpu" in measured else measured.get("threads", 1)
    commit, is_dirty = machine.read_commit()
    return Rehearsal(
        study=study,
        date=now(),
        code={"commit": commit, "dirty": str(is_dirty), "source_hash": machine.hash_source()},
        machine=measured | {"memory": measure_available()},
        speeds=forecast.find_speeds(costs[: len(steps)], steps, threads),
        steps=steps,
        go=not reasons,
        omitted=omitted,
        reasons=reasons,
        rate=rate,
        minutes=minutes,
        elapsed=elapsed,
    )


def choose_machine(devices: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the device of a step that used the GPU, else of one with the most threads.

    A step without a model does not import torch, so its record has no GPU and one thread.
    """
    return dict(max(devices, key=lambda d: ("gpu" in d, d.get("threads", 1)), default={}))


@dataclass(slots=True)
class _Clock:
    """The seconds of a rehearsal, shared among the steps that remain."""

    seconds: float
    start: float
    remaining: list[str] = field(default_factory=list)

    def allot(self, step: str) -> float:
        """Return the seconds for the measured part of a step."""
        rest = self.seconds - (time.monotonic() - self.start)
        shares = sum(SHARES[name] for name in self.remaining)
        self.remaining.remove(step)
        return max(5.0, (1 - FIXED) * rest * SHARES[step] / shares)


@dataclass(slots=True)
class _Step:
    """The rehearsal of one step."""

    stage: Stage
    job: Job
    cost: Cost
    clock: _Clock
    signals: SignalForwarder

    def rehearse(self) -> StepForecast:
        """Return the forecast; a step that cannot be prepared has failed, and the others run."""
        try:
            return self.run()
        except (ValueError, OSError) as error:
            echo(f"{self.job.step}  failed: {error}")
            return forecast.forecast_planned(self.cost, failed=str(error))

    def run(self) -> StepForecast:
        """Run the notebook in the stage and return the forecast."""
        step = self.job.step
        if step not in SHARES and not self.cost.base:
            return forecast.forecast_planned(self.cost, [TABLES])
        can_try = step in SHARES and has_gpu()
        if problem := check_room(self.job, self.cost, measure_available(), can_try):
            if step in SHARES:
                self.clock.remaining.remove(step)
            echo(f"{step}  not started: {problem}")
            return forecast.forecast_planned(self.cost, failed=problem)
        if step not in SHARES:
            return forecast.forecast_planned(self.cost, [forecast.UNMEASURED])
        if getattr(self.job.settings, "server", ""):
            self.clock.remaining.remove(step)
            return forecast.forecast_planned(self.cost, [SERVER, forecast.UNMEASURED])
        remarks_before = len(self.stage.remarks)
        seconds, facts = self.clock.allot(step), self.list_facts()
        echo(f"{step}  {seconds:.0f} s for its measured part …")
        begin = time.monotonic()
        with staged_root(self.stage.folder):
            job = self.stage.prepare_step(self.job, facts)
            if step == "01_dbke" and not job.params["articles"]:
                remarks = [NO_ARTICLES, *[forecast.UNMEASURED] * bool(self.cost.base)]
                return forecast.forecast_planned(self.cost, remarks)
            results = self.stage.folder / f"{step}.measured.json"
            task_file = self.stage.folder / f"{step}.task.json"
            Task(step, seconds, str(results), facts).write(task_file)
            notebook = self.stage.write_notebook(step, task_file)
            result = self.stage.begin_step(job)
            failed = self.execute(job, notebook)
            measured = Measured.read(results)
            record = self.read_record(result)
        self.stage.end_step(job)
        remarks = self.stage.remarks[remarks_before:]
        echo(
            f"{step}  {'failed: ' + failed if failed else 'done'}  {time.monotonic() - begin:.0f} s"
        )
        if measured is None or (failed and not measured.parts):
            return forecast.forecast_planned(self.cost, remarks, failed or "measured nothing")
        step_forecast = forecast.forecast_step(
            self.cost, measured, record, measure_available(), self.find_ratio(job)
        )
        step_forecast.failed, step_forecast.remarks = failed, [*remarks, *step_forecast.remarks]
        step_forecast.facts["device"] = record.get("device") or machine.describe_device()
        return step_forecast

    def execute(self, job: Job, notebook: str) -> str:
        """Execute the notebook; return why it failed, or ""."""
        output = f"outputs/{job.study}/{job.step}.rehearsal.ipynb"
        try:
            execute(notebook, output, job.params, self.signals, lambda: None)
        except StepFailed as failure:
            if failure.status == "interrupted":
                raise KeyboardInterrupt(failure.reason) from failure
            if failure.status == "incomplete" and job.step == "01_dbke":
                return ""  # a sample of the dialogues is no result, and need not be one
            text = failure.reason
            return f"{failure.status}: {text}" if failure.status != "failed" else text
        return ""

    def read_record(self, result: Path) -> dict[str, Any]:
        """Return run.json of the rehearsed step; of an unfinished one, what it has so far."""
        partial = result.with_name(f".{result.name}.partial")
        return read_json(result / "run.json") or read_json(partial / "run.json")

    def list_facts(self) -> dict[str, Any]:
        """Return counts of the complete step for its kernel, from `plan`."""
        work, settings = self.cost.work, self.job.settings
        facts: dict[str, Any] = {"rows": work.rows}
        if model := getattr(settings, "model", ""):
            facts["model"] = model
        if self.job.step == "02_sft_qlora":
            epochs = work.rows * settings.num_epochs
            facts |= {
                "optimizer_steps": max(1, work.optimizer_steps),
                "training_tokens": work.training_tokens,
                "validation_tokens": work.forward_tokens,
                "row_tokens": work.training_tokens / epochs if epochs else settings.max_length,
                "rows_per_source": ROWS,
            }
        return facts

    def find_ratio(self, job: Job) -> float:
        """Return the work of the step over that of the sets that were rehearsed, as plan counts."""
        if job.params == self.job.params or job.step not in (
            "03_eval_fewshot",
            "04_note_synthesis",
        ):
            return 1.0
        jobs = (self.job, Job(job.study, job.step, job.params, job.inputs))
        # estimated together: the speeds that earlier steps measured change what `plan` says
        costs = [estimate.estimate_step(one, self.cost.machine) for one in jobs]
        total, part = (cost.seconds.get("work", 0.0) for cost in costs)
        return total / part if part else 1.0
