"""Several processes of one launcher (`accelerate launch`, `torchrun`): one leads, others follow.

Each process is a runner with a kernel of its own, and every kernel executes the same notebook. The
leader, rank 0, does all that a lone runner does. A follower takes no lock, prints nothing, and its
run works in a temporary folder that nobody reads; it starts its kernel when the leader has decided
to run the step, and its failure stands in the leader's record. They tell each other through the
launcher's own store, which is there before the first process and after the last.

Only a step whose notebook has a parameter `parallel` is executed so. Any other would be done by
one process while GPUs that are paid for wait: it is refused, and runs without the launcher.
"""

import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PLACE = "CLINICAL_CAMEL_FOLLOWER"  # the temporary folder of a follower, given to its kernel
PATIENCE = 3.0  # seconds in which a broken connection is explained by who broke it


def rank() -> int:
    """Which of the launcher's processes this is; 0 for the leader, or without a launcher."""
    return int(os.environ.get("RANK", 0))


def processes() -> int:
    """How many processes the launcher started; 1 without one."""
    return int(os.environ.get("WORLD_SIZE", 1))


def results(study: str, root: Path) -> Path:
    """Where a kernel's run of a study writes: outputs/<study>, or a follower's temporary folder."""
    if not rank():
        return root / "outputs" / study
    if PLACE not in os.environ:  # plain papermill under a launcher
        os.environ[PLACE] = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, os.environ[PLACE], ignore_errors=True)
    return Path(os.environ[PLACE]) / study


def problems(steps: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Why steps, with these params, cannot be run by the processes there are, one line each."""
    given = os.environ
    if "ACCELERATE_MIXED_PRECISION" in given and "MASTER_PORT" in given and "RANK" not in given:
        yield (
            "accelerate launch starts one process on a CPU, whatever --num_processes says; "
            "torchrun --nproc_per_node 2 -m clinical_camel run ... starts two"
        )
    if processes() > 1 and given.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        yield "several processes are started by accelerate launch or torchrun, not by another"
    for step, params in steps.items():
        if processes() > 1 and "parallel" not in params:
            yield (
                f"{step} is work for one process: the other {processes() - 1} would wait; "
                "name the steps that have `parallel` in their params, and run the rest without "
                "the launcher"
            )


def tell(key: str, text: str) -> None:
    """Say something to the other processes, once: what was said first stays."""
    if processes() > 1:
        _store().compare_set(key, "", text)


def told(key: str) -> str:
    """What was said under this key; "" if nothing yet."""
    return _store().get(key).decode() if processes() > 1 and _store().check([key]) else ""


def failed(stopped: bool) -> str:
    """Why a follower failed, as `rank 1: reason`; "" if none says so within PATIENCE.

    A leader that is `stopped` need not wait: the launcher stops it after the other has ended.
    """
    limit = time.monotonic() + (0 if stopped else PATIENCE)
    while processes() > 1 and not told("failed") and time.monotonic() < limit:
        time.sleep(0.1)
    return told("failed")


_stores: list[Any] = []


def _store() -> Any:
    if not _stores:
        from torch.distributed import PrefixStore, TCPStore  # two seconds, so only when asked

        place, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        _stores.append(PrefixStore(f"clinical_camel/{restart}", TCPStore(place, port)))
    return _stores[0]
