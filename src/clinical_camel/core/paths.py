"""The project folder, and paths inside it."""

import os
from pathlib import Path, PurePosixPath

from clinical_camel.core.values import path_problem


def root() -> Path:
    """The project folder: CLINICAL_CAMEL_ROOT if set (tests and drills run in a copy).

    The path is not resolved: a checkout reached through a link keeps the name that its user knows.
    """
    override = os.environ.get("CLINICAL_CAMEL_ROOT")
    return Path(override).absolute() if override else Path(__file__).parents[3]


def path(text: str) -> Path:
    """Return the absolute path of a root-relative text.

    The check is lexical: data/public may be a link to a folder elsewhere.

    Raises ValueError, naming the text, if it is empty, absolute or leaves the project.
    """
    problem = path_problem(text) or ("contains a NUL character" if "\0" in text else "")
    if not text.strip() or problem:
        raise ValueError(f"path {text!r} {problem or 'is empty'}")
    return root() / PurePosixPath(text)


def relative(file: Path) -> str:
    """A path as it may be printed or recorded: from the project's root, never with a home folder."""
    return file.relative_to(root()).as_posix() if file.is_relative_to(root()) else file.name
