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
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from clinical_camel.core.paths import root
from clinical_camel.runs.schema import settings_class

WORKER_FOLDER = "CLINICAL_CAMEL_WORKER_FOLDER"  # the temporary folder of a worker, for its kernel
SCRATCH = "scratch"  # outputs/scratch: trials, which git ignores
RUNNER = "CLINICAL_CAMEL_RUNNER"  # the process id of the runner, in the kernels that it starts
SERVER = "JPY_SESSION_NAME"  # set by a Jupyter server in its kernels: the path of the notebook
INJECTED = "# Parameters\n"  # the start of the cell that papermill adds
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
POLL = 0.1  # seconds


def rank() -> int:
    """Return the rank of this process; 0 for the main process or without a launcher."""
    return int(os.environ["RANK"]) if _is_launched() else 0


def world_size() -> int:
    """Return how many processes the launcher started; 1 without a launcher."""
    return int(os.environ["WORLD_SIZE"]) if _is_launched() else 1


def _is_launched() -> bool:
    """Return whether torchrun or accelerate launch started this process, among several.

    RANK alone is no sign: pods and scripts export it, and a worker without a main process would
    wait for ever without a word.
    """
    numbers = [os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE")]
    has_store = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    return has_store and all(map(str.isdecimal, numbers)) and int(numbers[1]) > 1


def ignore_foreign_variables() -> str:
    """Remove the variables of a launcher that did not start this process; return a line or "".

    Libraries in a kernel would read them too, and wait for processes that do not exist.
    """
    names = [name for name in VARIABLES if name in os.environ]
    if _is_launched() or not names or "TORCHELASTIC_USE_AGENT_STORE" in os.environ:
        return ""
    if os.environ.get("WORLD_SIZE", "1") not in ("", "0", "1"):
        return ""  # `check_launch` refuses these
    for name in names:
        del os.environ[name]
    return f"{', '.join(names)}: ignored, since neither torchrun nor accelerate launch set it"


def results_folder(study: str) -> Path:
    """Return where a run of a study writes: outputs/<study>, or a worker's temporary folder.

    In JupyterLab it is outputs/scratch/<study>: *Run All* never replaces results of the runner.
    """
    if not rank():
        outputs = root() / "outputs"
        is_trial = _is_interactive() and study != SCRATCH
        return outputs / SCRATCH / study if is_trial else outputs / study
    if WORKER_FOLDER not in os.environ:  # plain papermill under a launcher
        os.environ[WORKER_FOLDER] = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, os.environ[WORKER_FOLDER], ignore_errors=True)
    return Path(os.environ[WORKER_FOLDER]) / study


def _is_interactive() -> bool:
    """Return whether this is the kernel of JupyterLab or the like, with no runner or papermill.

    An executed notebook has papermill's cell, too: opened in JupyterLab, VS Code or Colab and run
    again, it is a trial like any other. These three are recognised by what they set.
    """
    if "ipykernel" not in sys.modules or RUNNER in os.environ:
        return False
    variables = vars(sys.modules["__main__"])
    if SERVER in os.environ or "__vsc_ipynb_file__" in variables or "google.colab" in sys.modules:
        return True
    return not any(cell.startswith(INJECTED) for cell in variables.get("In", []))


def check_launch(steps: Iterable[str]) -> Iterator[str]:
    """Yield why steps cannot run in the processes that were launched, one line each."""
    accelerate = {"ACCELERATE_MIXED_PRECISION", "MASTER_PORT"}
    if os.environ.keys() >= accelerate and "RANK" not in os.environ:
        yield (
            "accelerate launch starts one process on a CPU, whatever --num_processes says; "
            "torchrun --nproc_per_node 2 -m clinical_camel run ... starts two"
        )
    if not _is_launched() and os.environ.get("WORLD_SIZE", "1") not in ("", "0", "1"):
        yield (
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but only accelerate launch and torchrun "
            "may start several processes; use one of them, or unset RANK and WORLD_SIZE"
        )
    if world_size() == 1:
        return
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
