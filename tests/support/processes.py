"""Start a program in several processes, as a launcher does."""

import os
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
