"""The order of tasks and the forecast of the remaining time, without processes."""

import pytest

from clinical_camel.runner import tasks
from clinical_camel.runner.execution import SignalForwarder
from clinical_camel.runner.state import State
from clinical_camel.runner.tasks import Queue, Task


class Process:
    """A process that has ended."""

    def __init__(self, code: int) -> None:
        self.returncode = code

    def poll(self) -> int:
        return self.returncode


@pytest.fixture
def start(project, monkeypatch):
    """Replace processes: `start(codes)` returns the studies in the order in which they start."""

    def prepare(codes: dict[str, int]) -> list[str]:
        started = []

        def popen(command, **_):
            started.append(command[4])
            return Process(codes.get(command[4], 0))

        def find_state(task, all_states=None):
            code = codes.get(task.study, 0)
            is_complete = task.study in started and not code
            return State("complete" if is_complete else "failed", "why", seconds=60.0)

        monkeypatch.setattr(tasks.subprocess, "Popen", popen)
        monkeypatch.setattr(Task, "find_state", find_state)
        monkeypatch.setattr(Task, "read_attempts", lambda task: [object()])  # each is another
        return started

    return prepare


def make_tasks(**needs: str) -> list[Task]:
    return [
        Task(f"s/{name}", [], (name, name[0]), {f"s/{n}" for n in text.split()})
        for name, text in needs.items()
    ]


def test_a_task_starts_after_those_that_it_needs(start):
    started = start({})
    queue = Queue(make_tasks(b1="a1", a1="", b2="a1", a2=""), [], 1, lambda _: None)
    queue.run(SignalForwarder())
    assert started == ["s/a1", "s/b1", "s/b2", "s/a2"]
    assert [task.code for task in queue.tasks] == [0, 0, 0, 0]


def test_a_failure_stops_what_needs_it_and_nothing_else(start):
    started, ended = start({"s/a1": 3, "s/a2": -9}), []
    queue = Queue(make_tasks(a1="", b1="a1", a2="", b2=""), [], 2, ended.append)
    queue.run(SignalForwarder())
    assert started == ["s/a1", "s/a2", "s/b2"]
    facts = {task.name: (task.code, task.state.status, task.state.reason) for task in queue.tasks}
    assert facts == {
        "a1": (3, "failed", "why"),
        "b1": (3, "not started", "a1 failed"),
        "a2": (3, "killed", "by signal 9"),
        "b2": (0, "complete", "why"),
    }
    assert len(ended) == 4


def test_a_process_that_is_stopped_before_its_first_step_was_not_killed(start, monkeypatch):
    start({"s/a1": -15})
    monkeypatch.setattr(Task, "read_attempts", lambda task: [])
    signals = SignalForwarder()
    queue = Queue(make_tasks(a1=""), [], 1, lambda _: None)
    queue._launch(queue.tasks[0])
    signals._receive(15, None)
    monkeypatch.setattr(Process, "terminate", lambda _: None, raising=False)
    queue.run(signals)
    state = queue.tasks[0].state
    assert (queue.tasks[0].code, state.status, state.reason) == (
        143,
        "not started",
        "stopped by SIGTERM",
    )


def test_after_a_signal_nothing_starts(start):
    started, signals = start({}), SignalForwarder()
    signals._receive(15, None)
    queue = Queue(make_tasks(a1="", b1="a1"), [], 2, lambda _: None)
    queue.run(signals)
    assert not started
    assert [(task.code, task.state.reason) for task in queue.tasks] == [
        (143, "stopped by SIGTERM"),
        (143, "stopped by SIGTERM"),
    ]


def test_an_error_of_ours_stops_the_processes(start, monkeypatch):
    def fail(_):
        raise OSError(28, "No space left on device")

    stopped = []
    start({})
    monkeypatch.setattr(Process, "poll", lambda _: None)
    monkeypatch.setattr(Process, "terminate", lambda self: stopped.append(self), raising=False)
    monkeypatch.setattr(tasks.time, "sleep", fail)
    with pytest.raises(OSError, match="No space left"):
        Queue(make_tasks(a1="", a2="", a3=""), [], 2, lambda _: None).run(SignalForwarder())
    assert len(stopped) == 2


def test_the_last_line_of_a_refused_task_says_why(project):
    file = project.file("outputs/s/a1/.run.log", "first\nparams/x: no\n\n")
    assert tasks._read_last_line(file) == "params/x: no"
    assert tasks._read_last_line(project.file("empty", "")) == "it printed nothing"


def test_the_forecast_is_the_mean_of_the_arm_or_else_of_the_same_steps(start):
    start({})
    queue = Queue(make_tasks(a1="", a2="", b1="", b2="", b3=""), [], 2, lambda _: None)
    assert queue.forecast() == ""
    queue.seconds = {("a9", "a"): [10.0, 30.0]}
    assert queue.forecast() == ""  # nothing is known about b
    queue.seconds[("b9", "b")] = [600.0]
    assert queue.forecast() == "about 15 min left"  # 2 x 20 s and 3 x 600 s, two at a time
    queue.seconds[("b1", "b")] = [1200.0]  # for b2 and b3, the mean of both
    assert queue.forecast() == "about 25 min left"
    queue.tasks = queue.tasks[:1]
    assert queue.forecast() == "about 20 s left"
    queue.tasks[0].state = State("complete")
    assert queue.forecast() == ""
