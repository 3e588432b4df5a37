"""python -m clinical_camel run <study> [<step> ...] [--force] | status <study> | list"""

import os
import sys

# before papermill is imported: kernels inherit it, and each would print two lines about it
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")

from clinical_camel import data  # noqa: E402
from clinical_camel.runs import rules  # noqa: E402
from clinical_camel.runs.runner import main  # noqa: E402

rules.datasets = data  # so that a spec is checked before a kernel starts

if __name__ == "__main__":
    code = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # nobody reads any more: else Python itself would end with 120
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)
