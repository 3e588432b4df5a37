"""The project folder, and paths inside it."""

import os
from pathlib import Path, PurePosixPath

from clinical_camel.core.values import check_path


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


def relative(file: Path) -> str:
    """Return a path for messages and records: root-relative, or the name of a file elsewhere."""
    return file.relative_to(root()).as_posix() if file.is_relative_to(root()) else file.name
