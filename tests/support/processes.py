"""Start a program in several processes, as a launcher does, or one that kills itself."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

LAUNCHER = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


def start_two(*words: Any, root: Path | None = None) -> subprocess.Popen:
    """Start a program in two processes that communicate by gloo; `root` is the project folder."""
    environment = os.environ | {"CLINICAL_CAMEL_ROOT": str(root)} if root else os.environ
    return subprocess.Popen(
        [*LAUNCHER, *map(str, words)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_until_killed(code: str, *words: Any) -> None:
    """Run Python code that kills its own process by SIGKILL. AssertionError if it does not."""
    process = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr[-2000:]
