"""python -m clinical_camel: see `clinical_camel.runner.cli`."""

import os
import sys

# before papermill is imported: kernels inherit it, and each would print two lines about it
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")

from clinical_camel.runner.cli import main  # noqa: E402

if __name__ == "__main__":
    code = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the reader of a pipe is gone: else Python itself would exit with 120
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)
