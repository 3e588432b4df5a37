"""Past one machine: the requests of a study as blocks of a datatrove pipeline.

    python -m clinical_camel synthesise <study> --executor local --tasks 8 --workers 2

`Requests` plans what notebook 01 would ask and gives each task its share; `Teach` puts them to the
teacher with the same prompt, checks and ledger keys, and writes one ledger per task (see `shards`).
The executor is datatrove's: processes of this machine, a Slurm array, or Ray.

The workers only fill ledgers. What becomes of the replies is decided where it always is: notebook
01, run as ever, finds every reply there, asks for nothing, and reads, checks and counts. So there
is one code path for every size, the notebook still argues, and how the work was spread is no part
of a study: neither params nor results know of it.

Caps and rates hold for all workers together: each task gets an equal part of what is left. One that
has used up its own stops; run the command again, and what is left is divided anew.
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor, RayPipelineExecutor, SlurmPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.utils.logging import logger

from clinical_camel import data
from clinical_camel.dbke.licences import check_terms, licensed
from clinical_camel.dbke.requests import Request, plan_requests
from clinical_camel.dbke.synthesis import Desk
from clinical_camel.dbke.teachers import shards
from clinical_camel.dbke.teachers.cache import Ledger, Spent
from clinical_camel.dbke.teachers.registry import LANGUAGE_MODELS, load_teacher, room, settings_of

STARTS = 3  # of a task whose process is killed, in one run


# ----------------------------------------------------------- as the cells of notebook 01 have it


def plan(params: dict[str, Any]) -> list[Request]:
    """Everything that is asked, in order. ValueError where licences or terms do not permit it."""
    told = settings_of(params)
    teacher = load_teacher(params["teacher"], told)  # a model here is loaded when it is first asked
    specs = [*params["articles"], *params["questions"]]
    sources = {spec: data.describe(spec) for spec in specs}
    texts = []
    for spec in params["articles"]:
        source = sources[spec]
        limit = params["article_limits"].get(source["label"], params["article_limit"])
        found = data.load_articles(spec, limit)
        texts += licensed(found, source["label"], source["licence"], params["licences"])
    asked = [
        question
        for spec in params["questions"]
        for question in data.load_training_questions(
            spec, params["question_limit"], skip=params["exemplar_count"]
        )
    ]
    stated = [params["licences"].get(s["label"], s["licence"]) for s in sources.values()]
    licences = [*stated, *(article.licence for article in texts)]
    check_terms(teacher, params["teacher_terms"], params["student"], licences)
    sizes = (params["dialogues_per_article"], params["exchanges_per_dialogue"])
    passages = params["passages_per_question"]
    return plan_requests(texts, asked, *sizes, params["seed"], room(teacher, told), passages)


def checks_of(params: dict[str, Any]) -> tuple[int, int, str, str]:
    """How a reply is judged, as `Desk` has it."""
    return params["min_exchanges"], params["tries"], params["support"], params["language"]


# --------------------------------------------------------------------------------- the blocks


class Requests(PipelineStep):
    """Yields each task's share of the requests: every n-th, so that all have as much to do."""

    name, type = "requests of notebook 01", "DBKE"

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__()
        self.params = params

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        for request in plan(self.params)[rank::world_size]:
            self.stat_update("requested")
            yield Document(request.source_text, request.id, metadata={"request": request})


class Teach(PipelineStep):
    """Puts the requests to the teacher; yields each dialogue as JSON, or the reason for none.

    Every body is in the task's ledger before it is read. A key comes from the environment of the
    worker (TEACHER_API_KEY), and is neither in this block nor in what an executor writes of it.
    """

    name, type = "teacher, ledger, checks", "DBKE"

    def __init__(self, params: dict[str, Any], ledger: str, job: str) -> None:
        super().__init__()
        self.params, self.ledger, self.job = params, ledger, job

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        params, ledger = self.params, Path(self.ledger)
        teacher = load_teacher(params["teacher"], settings_of(params))
        store = Ledger(shards.folder_of(ledger) / f"{rank:05d}_of_{world_size:05d}.sqlite", ledger)
        try:
            shards.check(ledger, self.job)
            desk = Desk(teacher, store, *checks_of(params))
            for verdict in teacher.settle((d.metadata["request"] for d in data), desk):
                self.stat_update("accepted" if verdict.dialogue else "set_aside")
                text = json.dumps(verdict.dialogue.messages) if verdict.dialogue else ""
                metadata = {"source": verdict.request.source, "reason": verdict.reason}
                yield Document(text, verdict.request.id, metadata=metadata)
        finally:
            store.close()


# ------------------------------------------------------------------------------ the executors


class Processes(LocalPipelineExecutor):
    """datatrove's local executor with a process of its own for each task.

    Its pool waits for ever for a task whose process was killed, and ends all tasks when one fails.
    Here a killed one is started again where its ledger stands, and one that fails disturbs nobody.
    """

    def run(self) -> list[int]:
        """The tasks that did not end well."""
        context = multiprocessing.get_context("forkserver")  # imports once, then forks
        main = getattr(sys.modules["__main__"].__spec__, "name", "")
        ours = [main] if main.startswith("clinical_camel") else []
        context.set_forkserver_preload([__name__, *ours])
        self.save_executor_as_json()
        waiting, starts, failed = deque(self.get_incomplete_ranks()), Counter(), []
        at_work: dict[int, Any] = {}
        while waiting or at_work:
            while waiting and len(at_work) < self.workers:
                rank = waiting.popleft()
                starts[rank] += 1
                process = context.Process(target=self._run_for_rank, args=(rank, 1))
                process.start()
                at_work[process.sentinel] = (rank, process)
            for sentinel in multiprocessing.connection.wait(list(at_work)):
                rank, process = at_work.pop(sentinel)
                process.join()
                if process.exitcode < 0 and starts[rank] < STARTS:
                    logger.warning(f"task {rank} died of signal {-process.exitcode}; started again")
                    waiting.append(rank)
                elif process.exitcode:
                    failed.append(rank)
        return sorted(failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where workers run: how many `tasks`, of them `workers` at a time; the rest is Slurm's."""

    tasks: int
    workers: int
    time: str = "24:00:00"
    partition: str = ""
    sbatch: dict[str, str] = field(default_factory=dict)


def _local(blocks: list, logs: str, site: Site) -> LocalPipelineExecutor:
    return Processes(blocks, site.tasks, site.workers, logs)


def _slurm(blocks: list, logs: str, site: Site) -> SlurmPipelineExecutor:
    if not site.partition:
        raise ValueError("--partition: Slurm needs one; `sinfo` lists them")
    activate = Path(sys.prefix, "bin", "activate")
    return SlurmPipelineExecutor(
        blocks,
        site.tasks,
        site.time,
        site.partition,
        workers=site.workers,
        mem_per_cpu_gb=4,
        job_name="synthesise",
        qos="",
        venv_path=str(activate) if activate.exists() else None,
        sbatch_args=site.sbatch,
        logging_dir=logs,
    )


def _ray(blocks: list, logs: str, site: Site) -> RayPipelineExecutor:
    try:
        import ray
    except ImportError:
        raise ValueError("--executor: Ray is not installed; pip install 'ray[default]'") from None
    ray.init(ignore_reinit_error=True, log_to_driver=False)  # RAY_ADDRESS, else this machine
    return RayPipelineExecutor(blocks, site.tasks, site.workers, logging_dir=logs, mem_per_cpu_gb=1)


EXECUTORS: dict[str, Callable[[list, str, Site], Any]] = {
    "local": _local,
    "slurm": _slurm,
    "ray": _ray,
}


# ---------------------------------------------------------------------------------- together


def part(params: dict[str, Any], spent: Spent, site: Site) -> dict[str, Any]:
    """The params with one task's part of what may still be spent, and of the rates.

    Tasks share money and tokens; those at work at a time share rates. ValueError if that is none.
    """
    left = {"money_cap": max(0.0, params["money_cap"] - spent.money) / site.tasks}
    if params["token_cap"]:
        left["token_cap"] = (params["token_cap"] - spent.tokens) // site.tasks
    for name in ("requests_per_minute", "tokens_per_minute"):
        if params[name]:
            left[name] = params[name] // site.workers
    for name, value in left.items():
        if name != "money_cap" and value <= 0:  # where 0 would mean no limit
            raise ValueError(f"{name}: nothing of {params[name]} is left for each; fewer tasks?")
    return {**params, **left, "in_flight": -(-params["in_flight"] // site.workers)}


def prepare(params: dict[str, Any], ledger: Path, executor: str, site: Site) -> Any:
    """The executor for what the ledger lacks; shards of an earlier run are taken in first.

    Raises ValueError where nothing may be asked, RuntimeError while workers are at it.
    """
    if params["teacher"] not in LANGUAGE_MODELS:
        raise ValueError(f"teacher: {params['teacher']} asks nobody; run 01 as it is")
    spent = _spent(ledger)
    tasks = max(1, min(site.tasks, len(plan(params))))
    site = dataclasses.replace(site, tasks=tasks, workers=min(site.workers or tasks, tasks))
    job = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    mine = part(params, spent, site)
    blocks = [Requests(mine), Teach(mine, str(ledger.resolve()), job)]
    made = EXECUTORS[executor](blocks, str(ledger.resolve().with_suffix(".logs") / job), site)
    shards.announce(ledger, job)
    return made


def _spent(ledger: Path) -> Spent:
    """What the study's ledger has, once it has taken its shards in."""
    with contextlib.closing(Ledger(ledger)) as study:
        return study.spent()


def show(params: dict[str, Any], ledger: Path, executor: str, site: Site) -> int:
    """Run or submit the workers, and say how it went; the exit code."""
    try:
        made = prepare(params, ledger, executor, site)
        failed = made.run()
    except (ValueError, RuntimeError, FileNotFoundError) as error:  # the last: no sbatch here
        print(error, file=sys.stderr)
        return 2
    then = f"python -m clinical_camel run {params['study']} 01"
    if executor == "slurm":
        print(f"submitted: {made.tasks} tasks. When they have ended: {then}")
        return 0
    failed = failed if executor == "local" else made.get_incomplete_ranks()
    spent = _spent(ledger)
    money = f"{spent.tokens} tokens, {spent.money:.4f} in money"
    print(f"{made.tasks} tasks, {len(failed)} not complete")
    print(f"{ledger.name}: {spent.replies} replies of {spent.attempts} attempts, {money}")
    if failed:
        print(f"tasks {failed}: see {made.logging_dir.path}/logs; run this again, nothing is lost")
        return 1
    print(f"Now: {then}")
    return 0
