"""Many workers for step 01: its requests as blocks of a datatrove pipeline.

    python -m clinical_camel synthesise <study> --executor local --tasks 8 --workers 2

`PlanRequests` plans the requests of notebook 01 and gives each task its share. `QueryTeacher` runs
them through the teacher with the same prompts, checks and ledger keys, and writes one ledger per
task (see `shards`). The executor is datatrove's: processes on this machine, a Slurm array, or Ray.

The workers only fill ledgers. Notebook 01 then runs as always and finds every reply there. So all
sizes share one code path, and neither params nor results depend on how the work was distributed.

Caps and rate limits hold for all workers together: each task has an equal part of the rest. A task
that has used its part stops; run the command again to divide the rest anew.
"""

import contextlib
import dataclasses
import json
import multiprocessing
import multiprocessing.connection
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor, RayPipelineExecutor, SlurmPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.utils.logging import logger

from clinical_camel.dbke.plan import prepare
from clinical_camel.dbke.registry import load_teacher
from clinical_camel.dbke.settings import Synthesis
from clinical_camel.dbke.synthesis import Synthesizer
from clinical_camel.teachers import shards
from clinical_camel.teachers.cache import Ledger, Spending
from clinical_camel.teachers.settings import LanguageModel, Local, OpenAI

STARTS = 3  # of a task whose process is killed, in one run


class PlanRequests(PipelineStep):
    """Yields each task's share of the requests: every n-th, so that all tasks are equally long."""

    name, type = "requests of notebook 01", "DBKE"

    def __init__(self, settings: Synthesis) -> None:
        super().__init__()
        self.settings = settings

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        for request in prepare(self.settings).requests[rank::world_size]:
            self.stat_update("requested")
            yield Document(request.source_text, request.id, metadata={"request": request})


class QueryTeacher(PipelineStep):
    """Runs requests through the teacher; yields each dialogue as JSON, or its rejection reason.

    The key is read from the worker's environment (TEACHER_API_KEY). It is neither in this block nor
    in what an executor writes of it.
    """

    name, type = "teacher, ledger, checks", "DBKE"

    def __init__(self, settings: Synthesis, ledger: str, job: str) -> None:
        super().__init__()
        self.settings, self.ledger, self.job = settings, ledger, job

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        settings, file = self.settings, Path(self.ledger)
        teacher = load_teacher(settings.teacher, settings.seed)
        shard = shards.shards_folder(file) / f"{rank:05d}_of_{world_size:05d}.sqlite"
        with contextlib.closing(Ledger(shard, file)) as ledger:
            shards.require_job(file, self.job)
            synthesizer = Synthesizer(teacher, ledger, settings)
            requests = (document.metadata["request"] for document in data)
            for outcome in teacher.run_attempts(requests, synthesizer):
                self.stat_update("accepted" if outcome.result else "rejected")
                text = json.dumps(outcome.result.messages) if outcome.result else ""
                metadata = {"source": outcome.request.source, "reason": outcome.reason}
                yield Document(text, outcome.request.id, metadata=metadata)


class Processes(LocalPipelineExecutor):
    """datatrove's local executor with one process per task.

    datatrove's pool waits forever for a task whose process was killed, and ends all tasks if one
    fails. Here a killed task is restarted from its ledger, and a failed one does not affect others.
    `devices`: GPUs, at least as many as workers; a task sees one of them alone. Without any, tasks
    see what this process sees.
    """

    devices: tuple[str, ...] = ()

    def run_on(self, device: str, rank: int) -> None:
        """Run a task in its own process, on this GPU."""
        if device:
            os.environ["CUDA_VISIBLE_DEVICES"] = device
        self._run_for_rank(rank, 1)

    def run(self) -> list[int]:
        """Run all tasks; return those that failed."""
        context = multiprocessing.get_context("forkserver")  # imports once, then forks
        main = getattr(sys.modules["__main__"].__spec__, "name", "")
        ours = [main] if main.startswith("clinical_camel") else []
        context.set_forkserver_preload([__name__, *ours])
        self.save_executor_as_json()
        waiting, starts, failed = deque(self.get_incomplete_ranks()), Counter(), []
        running: dict[int, Any] = {}
        free = deque(self.devices or [""] * self.workers)
        while waiting or running:
            while waiting and len(running) < self.workers:
                rank = waiting.popleft()
                starts[rank] += 1
                device = free.popleft()
                process = context.Process(target=self.run_on, args=(device, rank))
                process.start()
                running[process.sentinel] = (rank, process, device)
            for sentinel in multiprocessing.connection.wait(list(running)):
                rank, process, device = running.pop(sentinel)
                process.join()
                free.append(device)
                if process.exitcode < 0 and starts[rank] < STARTS:
                    logger.warning(f"task {rank} was killed by signal {-process.exitcode}; retry")
                    waiting.append(rank)
                elif process.exitcode:
                    failed.append(rank)
        return sorted(failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """How many `tasks`, how many of them (`workers`) at a time; the last fields are Slurm's.

    `gpus`: those that a teacher on this machine may use; each task needs one.
    """

    tasks: int
    workers: int
    gpus: tuple[str, ...] = ()
    time: str = "24:00:00"
    partition: str = ""
    sbatch: dict[str, str] = field(default_factory=dict)


def _load_executor(executor: str, blocks: list, logs: str, resources: Resources) -> Any:
    tasks, workers, gpus_per_task = resources.tasks, resources.workers, min(1, len(resources.gpus))
    if executor == "local":
        processes = Processes(blocks, tasks, workers, logs)
        processes.devices = resources.gpus
        return processes
    if executor == "slurm":
        if not resources.partition:
            raise ValueError("--partition: missing, and Slurm needs one; `sinfo` lists them")
        activate = Path(sys.prefix, "bin", "activate")
        return SlurmPipelineExecutor(
            blocks,
            tasks,
            resources.time,
            resources.partition,
            workers=workers,
            mem_per_cpu_gb=4,
            gpus_per_task=gpus_per_task,
            job_name="synthesise",
            qos="",
            venv_path=str(activate) if activate.exists() else None,
            sbatch_args=resources.sbatch,
            logging_dir=logs,
        )
    try:
        import ray
    except ImportError:
        raise ValueError("--executor: Ray is not installed; pip install 'ray[default]'") from None
    ray.init(ignore_reinit_error=True, log_to_driver=False)  # RAY_ADDRESS, or this machine
    return RayPipelineExecutor(
        blocks, tasks, workers, logging_dir=logs, mem_per_cpu_gb=1, gpus_per_task=gpus_per_task
    )


def list_gpus() -> tuple[str, ...]:
    """Return the GPUs in CUDA_VISIBLE_DEVICES: "0" unless the user set it; on a CPU unused."""
    names = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    return tuple(name.strip() for name in names if name.strip() not in ("", "-1"))


def share_limits(settings: Synthesis, spending: Spending, resources: Resources) -> Synthesis:
    """Return the settings of one task: its part of the remaining caps, and of the rate limits.

    Tasks share money and tokens; concurrent tasks share rate limits. Raises ValueError if a part
    is zero, which would mean no limit.
    """
    teacher, tasks, workers = settings.teacher, resources.tasks, resources.workers
    if not isinstance(teacher, OpenAI):
        return settings
    parts: dict[str, int] = {}
    if teacher.token_cap:
        parts["token_cap"] = (teacher.token_cap - spending.tokens) // tasks
    for name in ("requests_per_minute", "tokens_per_minute"):
        if limit := getattr(teacher, name):
            parts[name] = limit // workers
    for name, part in parts.items():
        if part <= 0:
            limit = getattr(teacher, name)
            raise ValueError(f"teacher.{name}: too little of {limit} remains; use fewer tasks")
    money_cap = max(0.0, teacher.money_cap - spending.money) / tasks
    concurrency = -(-teacher.concurrency // workers)
    update = {**parts, "money_cap": money_cap, "concurrency": concurrency}
    return settings.model_copy(update={"teacher": teacher.model_copy(update=update)})


def build_executor(settings: Synthesis, ledger: Path, executor: str, resources: Resources) -> Any:
    """Return the executor for all replies that the ledger lacks; shards are merged first.

    Raises ValueError if nothing may be requested, RuntimeError while other workers run.
    """
    if not isinstance(settings.teacher, LanguageModel):
        kind = settings.teacher.kind
        raise ValueError(f"teacher: {kind} needs no workers; run step 01 as usual")
    spending = _read_spending(ledger)
    tasks = max(1, min(resources.tasks, len(prepare(settings).requests)))
    workers = min(resources.workers or tasks, tasks)
    gpus = list_gpus() if (loads_model := isinstance(settings.teacher, Local)) else ()
    if loads_model and executor == "local":  # every task loads the model: one task for each GPU
        tasks = workers = min(workers, max(1, len(gpus)))
        if tasks < resources.tasks:
            print(f"teacher: a local model: {tasks} of {resources.tasks} tasks, one for each GPU")
    resources = dataclasses.replace(resources, tasks=tasks, workers=workers, gpus=gpus)
    job = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    part = share_limits(settings, spending, resources)
    blocks = [PlanRequests(part), QueryTeacher(part, str(ledger.resolve()), job)]
    logs = str(ledger.resolve().with_suffix(".logs") / job)
    built = _load_executor(executor, blocks, logs, resources)
    shards.announce_job(ledger, job)
    return built


def _read_spending(ledger: Path) -> Spending:
    """Return the totals of the study's ledger after merging its shards."""
    with contextlib.closing(Ledger(ledger)) as opened:
        return opened.spending()


def run_workers(settings: Synthesis, ledger: Path, executor: str, resources: Resources) -> int:
    """Run or submit the workers, print the result, and return the exit code."""
    try:
        built = build_executor(settings, ledger, executor, resources)
        failed = built.run()
    except (ValueError, RuntimeError, FileNotFoundError) as error:  # the last: no sbatch here
        print(error, file=sys.stderr)
        return 2
    command = f"python -m clinical_camel run {settings.study} 01"
    if executor == "slurm":
        print(f"submitted: {built.tasks} tasks. When they have ended: {command}")
        return 0
    failed = failed if executor == "local" else built.get_incomplete_ranks()
    total = _read_spending(ledger)
    money = f"{total.tokens} tokens, {total.money:.4f} in money"
    print(f"{built.tasks} tasks, {len(failed)} not complete")
    print(f"{ledger.name}: {total.replies} replies of {total.attempts} attempts, {money}")
    if failed:
        print(f"tasks {failed}: see {built.logging_dir.path}/logs; run this again, nothing is lost")
        return 1
    print(f"Now: {command}")
    return 0
