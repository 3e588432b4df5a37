"""The project folder, and paths inside it."""

import os
import re
from pathlib import Path, PurePosixPath

from clinical_camel.core.values import check_path

_STEP = re.compile(r"\.?\d\d_")


def root() -> Path:
    """Return the project folder: CLINICAL_CAMEL_ROOT if set (tests and drills run in a copy).

    Links are not resolved: messages then name the path that the user typed.
    """
    override = os.environ.get("CLINICAL_CAMEL_ROOT")
    return Path(override).absolute() if override else Path(__file__).parents[3]


def path(text: str) -> Path:
    """Return the absolute path of a root-relative one.

    The check is lexical: data/public may be a link to a folder elsewhere.

    Raises ValueError, naming the text, if it is empty, absolute or leaves the project.
    """
    problem = "is empty" if not text.strip() else check_path(text)
    if "\0" in text:
        problem = "contains a NUL character"
    if problem:
        raise ValueError(f"path {text!r} {problem}")
    return root() / PurePosixPath(text)


def find_producer(text: str) -> tuple[str, str] | None:
    """Return the (study, step) that produces this path, or None if no step does.

    A run of a sweep is a study <sweep>/<run>. A hidden folder, such as the one with a step's
    ledger, is no result: it outlives the step.

    >>> find_producer("outputs/mini_camel/02_sft_qlora/adapter")
    ('mini_camel', '02_sft_qlora')
    >>> find_producer("outputs/my_sweep/raw_d0/01_dbke/dialogues.jsonl")
    ('my_sweep/raw_d0', '01_dbke')
    """
    parts = text.split("/")
    if parts[0] != "outputs":
        return None
    if len(parts) > 3 and _STEP.match(parts[3]) and not _STEP.match(parts[2]):
        parts[1:3] = ["/".join(parts[1:3])]
    if len(parts) > 2 and parts[2].startswith("."):
        return None
    return parts[1], (parts[2] if len(parts) > 2 else "").removesuffix(".ipynb")


def relative(file: Path) -> str:
    """Return a path for messages and records: root-relative, or the name of a file elsewhere."""
    return file.relative_to(root()).as_posix() if file.is_relative_to(root()) else file.name
