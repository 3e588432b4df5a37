"""python -m clinical_camel: see `clinical_camel.cli`."""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the package may run without having been installed
    sys.exit(f"clinical_camel needs Python 3.11 or newer; this is {sys.version.split()[0]}")

# closed by the caller, as with `>&-`: else the next file opened would get the number of stdout
for number in range(3):
    try:
        os.fstat(number)
    except OSError:
        os.open(os.devnull, os.O_RDWR)

# set before papermill is imported; without it every kernel prints two lines
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")

from clinical_camel.cli import main  # noqa: E402

if __name__ == "__main__":
    code = main()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:  # the reader of a pipe has ended; Python would exit with 120
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)
