"""The tasks of a sweep: several at once, each in a process, after the tasks that it needs.

A process is `python -m clinical_camel run <study>`, with all checks and records of a study. A
signal reaches every process as SIGTERM, once; a failure stops only the tasks that need its result.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clinical_camel.core.paths import root
from clinical_camel.core.settings import AT_ONCE_VARIABLE
from clinical_camel.runner.execution import SWEEP, SignalForwarder
from clinical_camel.runner.jobs import Job
from clinical_camel.runner.state import COMPLETE, ENDED, STOPPED, State, find_states, read_record
from clinical_camel.runner.summary import format_seconds

KILLED = 3  # exit code of a process that a signal killed: most often memory ran out, as in a kernel
DONE = (COMPLETE, ENDED)  # such a task starts no process
LOG = ".run.log"  # what the process of a run printed, in its folder


@dataclass(slots=True)
class Task:
    """The steps of a run that have one result folder: its first step, or its later steps."""

    study: str
    jobs: list[Job]
    kind: tuple[str, str]  # arm and steps; tasks of one kind take about as long
    needs: set[str] = field(default_factory=set)  # studies of other tasks
    is_forced: bool = False  # runs although it is complete
    code: int | None = None  # exit code; None until it has ended
    state: State = field(default_factory=lambda: State("not run"))
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    attempts: list[str] = field(default_factory=list)  # of its steps, before its process started

    @property
    def name(self) -> str:
        """The name of the run, without that of the sweep."""
        return self.study.rpartition("/")[2]

    @property
    def log(self) -> Path:
        """The file with what its process prints."""
        return root() / "outputs" / self.study / LOG

    def find_state(self, all_states: Mapping[tuple[str, str], State] | None = None) -> State:
        """Return the state of the first step that is not complete, else of the last step.

        `all_states`: of the steps of many tasks, read together, which takes less time.
        """
        all_states = all_states or find_states(self.jobs)
        states = [(job.step, all_states[job.study, job.step]) for job in self.jobs]
        seconds = sum(state.seconds for _, state in states)
        for step, state in states:
            if state.status != COMPLETE:
                reason = f"{step}: {state.reason}" if state.reason else step
                return State(state.status, reason, seconds=seconds)
        commits = ", ".join(dict.fromkeys(state.commit for _, state in states if state.commit))
        return State(COMPLETE, "", states[-1][1].headline, seconds, commits)

    def read_attempts(self) -> list[str]:
        """Return the name of the latest attempt of each step; "" for none."""
        return [read_record(job).get("attempt", "") for job in self.jobs]


class Queue:
    """Runs tasks in their order, at most `processes` at once, with these options of `run`.

    `show` gets each task at its end. A task that is DONE starts no process, unless it is forced.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        options: Sequence[str],
        processes: int,
        show: Callable[[Task], None],
    ) -> None:
        self.tasks = list(tasks)
        self.options, self.processes = options, processes
        self.seconds: dict[tuple[str, str], list[float]] = {}  # by kind, of complete tasks
        self._by_study = {task.study: task for task in tasks}
        self._show = show
        states = find_states(job for task in self.tasks for job in task.jobs)
        for task in self.tasks:
            task.state = task.find_state(states)
            if task.state.status == COMPLETE:
                self.seconds.setdefault(task.kind, []).append(task.state.seconds)

    @property
    def waiting(self) -> list[Task]:
        return [task for task in self.tasks if task.code is None and task.process is None]

    @property
    def running(self) -> list[Task]:
        return [task for task in self.tasks if task.code is None and task.process]

    def run(self, signals: SignalForwarder) -> None:
        """Run every task; afterwards each has a `code` and a `state`."""
        received = 0
        try:
            while self.waiting or self.running:
                if signals.received > received:
                    received = signals.received
                    self._stop()
                for task in self.running:
                    if task.process.poll() is not None:
                        self._finish(task, signals)
                for task in self.waiting:
                    self._start(task, signals)
                time.sleep(0.1 if self.running else 0.0)
        finally:
            self._stop()  # after an error of ours, such as a full disk: a run resumes

    def _stop(self) -> None:
        for task in self.running:
            task.process.terminate()

    def _is_to_run(self, task: Task) -> bool:
        needed = [self._by_study[study] for study in task.needs]
        return task.is_forced or any(t.state.status not in DONE for t in (task, *needed))

    def _start(self, task: Task, signals: SignalForwarder) -> None:
        """Start a task if its turn has come, or end it without a process."""
        needed = [self._by_study[study] for study in task.needs]
        failed = [other for other in needed if other.code]
        if signals.signum:
            reason = f"stopped by {signals.name}"
            self._end(task, 128 + signals.signum, State("not started", reason))
        elif failed:
            self._end(task, failed[0].code or 0, State("not started", f"{failed[0].name} failed"))
        elif all(other.code == 0 for other in needed):
            if task.state.status in DONE and not task.is_forced:
                self._end(task, int(task.state.status == ENDED), task.state)
            elif len(self.running) < self.processes:
                self._launch(task)

    def _launch(self, task: Task) -> None:
        task.log.parent.mkdir(parents=True, exist_ok=True)
        task.attempts = task.read_attempts()
        steps = [job.step for job in task.jobs]
        command = [sys.executable, "-m", "clinical_camel", "run", task.study, *steps]
        with task.log.open("wb") as log:
            task.process = subprocess.Popen(
                [*command, *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {SWEEP: str(os.getpid()), AT_ONCE_VARIABLE: str(self.processes)},
                start_new_session=True,  # Ctrl-C reaches it through us, once
            )
        task.started = time.monotonic()

    def _finish(self, task: Task, signals: SignalForwarder) -> None:
        """Set the code and the state of a task whose process has ended."""
        code, state = task.process.returncode, task.find_state()
        is_refused = task.read_attempts() == task.attempts  # its states are those of earlier runs
        if code == 0 and state.status == COMPLETE:
            seconds = time.monotonic() - task.started
            self.seconds.setdefault(task.kind, []).append(seconds)
            state = State(state.status, state.reason, state.headline, seconds)
        elif is_refused and signals.signum:
            code, state = 128 + signals.signum, State("not started", f"stopped by {signals.name}")
        elif code < 0:
            code, state = KILLED, State("killed", f"by signal {-code}")
        elif code and (is_refused or state.status not in (*STOPPED, ENDED)):
            state = State("not started", _read_last_line(task.log))
        self._end(task, code or int(state.status != COMPLETE), state)
        others = [other for other in self.waiting if task.study in other.needs]
        states = find_states(job for other in others for job in other.jobs)
        for other in others:  # its input may have changed
            other.state = other.find_state(states)

    def _end(self, task: Task, code: int, state: State) -> None:
        task.code, task.state = code, state
        self._show(task)

    def forecast(self) -> str:
        """Return the remaining time in words; "" without a complete task to measure."""
        tasks = [*self.running, *filter(self._is_to_run, self.waiting)]
        expected = [self._expect_seconds(task) for task in tasks]
        if not expected or None in expected:
            return ""
        seconds = max(sum(expected) / self.processes, *expected)
        if seconds < 1:  # the last ones take longer than the mean
            return ""
        if seconds > 90:
            seconds = round(seconds / 60) * 60
        return f"about {format_seconds(seconds).removesuffix(' 0 s')} left"

    def _expect_seconds(self, task: Task) -> float | None:
        """Return the mean of the complete tasks of this kind, or else of the same steps."""
        others = [
            n for kind, values in self.seconds.items() if kind[1] == task.kind[1] for n in values
        ]
        values = self.seconds.get(task.kind, others)
        if not values:
            return None
        elapsed = time.monotonic() - task.started if task.process else 0.0
        return max(0.0, sum(values) / len(values) - elapsed)


def _read_last_line(file: Path) -> str:
    lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "it printed nothing")
