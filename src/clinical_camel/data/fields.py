"""The fields of a raw row: typed access, and no field that nobody knows.

A field that a reader passes over may be the one that matters: a system prompt beside the turns of a
conversation, a misspelt `note`. So each reader lists what it uses and what it leaves out for a
reason (`reads_fields`), and the loader rejects a file with any other.
"""

import functools
import hashlib
from collections.abc import Callable
from typing import Any, TypeVar

from clinical_camel.core.values import nearest
from clinical_camel.data.shapes import TYPE_NAMES

Raw = dict[str, Any]
Reader = TypeVar("Reader", bound=Callable[..., Any])

COMMON = ("id", "split", "config", "position")  # of every row of the hub, and of our data files
EMPTY = (None, "", [], {})


def reads_fields(used: str, unused: str = "") -> Callable[[Reader], Reader]:
    """Return a decorator that lists the fields of a reader, by name and separated by spaces.

    `unused` are known to be harmless, or to leak the answer (`exp` of MedMCQA).
    """

    def mark(read: Reader) -> Reader:
        read.used_fields = ("id", *used.split())
        read.listed_fields = frozenset((*COMMON, *used.split(), *unused.split()))
        return read

    return mark


def find_unknown(row: Raw, read: Callable[..., Any]) -> list[str]:
    """Return the filled fields of a row that its reader does not list; none without a list."""
    listed = getattr(_unwrap(read), "listed_fields", row.keys())
    return sorted(name for name in row.keys() - listed if row[name] not in EMPTY)


def require_listed_fields(row: Raw, read: Callable[..., Any]) -> None:
    """Raise ValueError for a field that the reader does not list, with the nearest name."""
    if unknown := find_unknown(row, read):
        names = _unwrap(read).used_fields
        guess = nearest(unknown[0], names)
        remedy = guess if guess.startswith("; did") else "; delete it or rename it"
        field = unknown[0] if unknown[0] == unknown[0].strip() else repr(unknown[0])
        raise ValueError(f"field {field} is not one of {', '.join(names)}{remedy}")


def _unwrap(read: Callable[..., Any]) -> Callable[..., Any]:
    return read.func if isinstance(read, functools.partial) else read


def get_value(row: Raw, name: str, kind: type) -> Any:
    """Return a field of this type. Raises ValueError if it is missing or of another type."""
    if name not in row:
        raise ValueError(f"field {name} is missing (the row has {', '.join(sorted(row)[:12])})")
    if type(row[name]) is not kind:
        actual = "null" if row[name] is None else type(row[name]).__name__
        raise ValueError(f"{name} should be {TYPE_NAMES[kind]}, is {actual}")
    return row[name]


def get_text(row: Raw, name: str) -> str:
    """Return a text field. Raises ValueError if it is missing or no text."""
    return get_value(row, name, str)


def get_optional_text(row: Raw, name: str) -> str:
    """Return a text field, "" if it is missing or null. Raises ValueError if it is no text."""
    return "" if row.get(name) is None else get_text(row, name)


def get_filled_text(row: Raw, name: str) -> str:
    """Return a text field. Raises ValueError if it is missing, no text, or blank."""
    if not get_text(row, name).strip():
        raise ValueError(f"{name} is empty")
    return row[name]


def get_number(row: Raw, name: str) -> int:
    """Return a whole number. Raises ValueError if it is missing or no whole number."""
    return get_value(row, name, int)


def get_texts(row: Raw, name: str) -> list[str]:
    """Return a list of texts. Raises ValueError if it is missing or holds anything else."""
    values = get_value(row, name, list)
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"{name} should be a list of texts")
    return values


def hash_text(text: str) -> str:
    """Hash a text, ignoring case and white space: repeats of a row get the same group."""
    return hashlib.sha256(" ".join(text.casefold().split()).encode()).hexdigest()[:12]
