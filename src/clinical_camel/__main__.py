"""python -m clinical_camel: see `clinical_camel.cli`."""

import os
import sys

# set before papermill is imported; without it every kernel prints two lines
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")

from clinical_camel.cli import main  # noqa: E402

if __name__ == "__main__":
    code = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the reader of a pipe has ended; Python would exit with 120
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)
