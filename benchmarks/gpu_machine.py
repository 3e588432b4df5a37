"""Can gpu_check.sh run here? Names what is missing; exit code 2 if it cannot.

    python -m benchmarks.gpu_machine          # needs torch for CUDA, and a GPU
    python -m benchmarks.gpu_machine --cpu    # for DRY_RUN=1

Of the packages of pyproject.toml, those that are missing or have another version are listed, since
a bare machine without network needs their wheels. They are no reason to end: a part that needs one
fails with its name.
"""

import argparse
import importlib
import importlib.metadata
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def check_torch(torch: Any) -> Iterator[str]:
    """Yield why this torch cannot use a GPU."""
    if not torch.version.cuda:
        yield (
            f"torch {torch.__version__} is built for CPUs, and this script installs no other: name "
            "an interpreter with torch for CUDA in PYTHON, or try DRY_RUN=1"
        )
    elif not torch.cuda.is_available():
        yield (
            f"torch {torch.__version__} sees no GPU: compare its CUDA {torch.version.cuda} with "
            "the driver in nvidia-smi, or try DRY_RUN=1"
        )


def list_packages() -> Iterator[str]:
    """Yield the packages of the project that are missing here or have another version."""
    for pin in tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]:
        name, _, version = pin.partition("==")
        try:
            here = importlib.metadata.version(name).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            yield f"{pin}: missing"
            continue
        if here != version:
            yield f"{pin}: {here} is installed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpu", action="store_true", help="no GPU is needed")
    options = parser.parse_args()
    for line in list_packages():
        print(line, file=sys.stderr)
    try:
        torch = importlib.import_module("torch")
        importlib.import_module("clinical_camel.runner.study")
    except ImportError as error:
        print(f"{sys.executable}: {error}; name another interpreter in PYTHON", file=sys.stderr)
        sys.exit(2)
    problems = [] if options.cpu else list(check_torch(torch))
    for line in problems:
        print(line, file=sys.stderr)
    sys.exit(2 if problems else 0)


if __name__ == "__main__":
    main()
