"""Several studies at once, each a process of its own, after those that it needs.

A process is `python -m clinical_camel run <study>`: what holds for a study alone holds here too. A
signal reaches every process as SIGTERM, once; a failure stops only what needs its result.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clinical_camel.core.paths import root
from clinical_camel.runner.execution import CHILD, SignalForwarder
from clinical_camel.runner.jobs import Job
from clinical_camel.runner.state import State, find_state
from clinical_camel.runner.summary import format_seconds

COMPLETE = "complete"
KILLED = 3  # exit code of a process that a signal killed: most often memory ran out, as in a kernel
LOG = ".run.log"  # what the process of a run printed, in its folder


@dataclass(slots=True)
class Task:
    """The steps of one study to run; `kind`, arm and steps: such tasks take about as long."""

    study: str
    jobs: list[Job]
    kind: tuple[str, str]
    needs: set[str] = field(default_factory=set)  # studies among the tasks
    is_forced: bool = False  # runs although it is complete
    code: int | None = None  # exit code; None until it has ended
    state: State = field(default_factory=lambda: State("not run"))
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0

    @property
    def name(self) -> str:
        """The name of the run, without that of the sweep."""
        return self.study.rpartition("/")[2]

    @property
    def log(self) -> Path:
        """The file with what its process prints."""
        return root() / "outputs" / self.study / LOG

    def find_state(self) -> State:
        """Return the state of the first step that is not complete, else of the last step."""
        states = [(job.step, find_state(job)) for job in self.jobs]
        seconds = sum(state.seconds for _, state in states)
        for step, state in states:
            if state.status != COMPLETE:
                reason = f"{step}: {state.reason}" if state.reason else step
                return State(state.status, reason, seconds=seconds)
        return State(COMPLETE, headline=states[-1][1].headline, seconds=seconds)


class Queue:
    """Runs tasks in their order, at most `processes` at once, with these options of `run`.

    `show` gets each task that has ended. A complete task starts no process, unless it is forced.
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
        for task in self.tasks:
            task.state = task.find_state()
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
                        self._finish(task)
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
        return task.is_forced or any(t.state.status != COMPLETE for t in (task, *needed))

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
            if task.state.status == COMPLETE and not task.is_forced:
                self._end(task, 0, task.state)
            elif len(self.running) < self.processes:
                self._launch(task)

    def _launch(self, task: Task) -> None:
        task.log.parent.mkdir(parents=True, exist_ok=True)
        steps = [job.step for job in task.jobs]
        command = [sys.executable, "-m", "clinical_camel", "run", task.study, *steps]
        with task.log.open("wb") as log:
            task.process = subprocess.Popen(
                [*command, *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {CHILD: "1"},
                start_new_session=True,  # Ctrl-C reaches it through us, once
            )
        task.started = time.monotonic()

    def _finish(self, task: Task) -> None:
        """Note how a process ended."""
        code = task.process.returncode
        state = task.find_state()
        if code == 0 and state.status == COMPLETE:
            seconds = time.monotonic() - task.started
            self.seconds.setdefault(task.kind, []).append(seconds)
            state = State(state.status, state.reason, state.headline, seconds)
        elif code < 0:
            code, state = KILLED, State("killed", f"by signal {-code}")
        elif state.status in (COMPLETE, "not run", "running"):  # it was refused before its start
            state = State("not started", _read_last_line(task.log))
        self._end(task, code or int(state.status != COMPLETE), state)
        for other in self.waiting:
            if task.study in other.needs:  # its input may have changed
                other.state = other.find_state()

    def _end(self, task: Task, code: int, state: State) -> None:
        task.code, task.state = code, state
        self._show(task)

    def forecast(self) -> str:
        """Return the remaining time in words; "" if no complete task tells how long one takes."""
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
