"""Several processes of one launcher (`accelerate launch`, `torchrun`).

Each process is a runner with its own kernel, and every kernel executes the same notebook. Rank 0 is
the main process and does what a single runner does. Rank 1 and up are workers: a worker takes no
lock, prints nothing and writes to a temporary folder that nobody reads. It starts its kernel when
the main process announces the step; if it fails, the main process records its reason. Processes
communicate through the launcher's store, which exists before the first and after the last of them.

Only a step whose settings say `many_processes` may run this way: in any other step one process
would work while the others hold GPUs and wait.
"""

import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from clinical_camel.core.paths import root
from clinical_camel.runs.schema import settings_class

WORKER_FOLDER = "CLINICAL_CAMEL_WORKER_FOLDER"  # the temporary folder of a worker, for its kernel
POLL = 0.1  # seconds


def rank() -> int:
    """Return the rank of this process; 0 for the main process or without a launcher."""
    return int(os.environ.get("RANK", 0))


def world_size() -> int:
    """Return how many processes the launcher started; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", 1))


def results_folder(study: str) -> Path:
    """Return where a run of a study writes: outputs/<study>, or a worker's temporary folder."""
    if not rank():
        return root() / "outputs" / study
    if WORKER_FOLDER not in os.environ:  # plain papermill under a launcher
        os.environ[WORKER_FOLDER] = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, os.environ[WORKER_FOLDER], ignore_errors=True)
    return Path(os.environ[WORKER_FOLDER]) / study


def check_launch(steps: Iterable[str]) -> Iterator[str]:
    """Yield why steps cannot run in the processes that were launched, one line each."""
    accelerate = {"ACCELERATE_MIXED_PRECISION", "MASTER_PORT"}
    if os.environ.keys() >= accelerate and "RANK" not in os.environ:
        yield (
            "accelerate launch starts one process on a CPU, whatever --num_processes says; "
            "torchrun --nproc_per_node 2 -m clinical_camel run ... starts two"
        )
    if world_size() == 1:
        return
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        yield "only accelerate launch and torchrun may start several processes"
    for step in steps:
        if not getattr(settings_class(step), "many_processes", False):
            yield (
                f"{step} runs in one process, and the other {world_size() - 1} would wait; name "
                "the steps that train, and run the others without the launcher"
            )


def announce(key: str, text: str) -> None:
    """Publish a text to the other processes; the first text under a key is final."""
    if world_size() > 1:
        _store().compare_set(key, "", text)


def wait_for(key: str, give_up: Callable[[], bool]) -> str:
    """Return the text announced under a key; "" in a single process or once `give_up` is true."""
    while world_size() > 1:
        if _store().check([key]):
            return _store().get(key).decode()
        if give_up():
            break
        time.sleep(POLL)
    return ""


_stores: list[Any] = []


def _store() -> Any:
    if not _stores:
        from torch.distributed import PrefixStore, TCPStore  # imported late: it takes two seconds

        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        _stores.append(PrefixStore(f"clinical_camel/{restart}", TCPStore(address, port)))
    return _stores[0]
