"""Find and read dataset files: JSON lines, a JSON array, JSON by id, Parquet; packed with gzip.

`datasets` and `pandas` accept many errors of a hand-made or half-downloaded file, and the result
would be another dataset than intended. Here a file is read completely or not at all, and one
message names every bad line. What other containers are, and what to do, is in `containers`.
"""

import functools
import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from clinical_camel.core.paths import root
from clinical_camel.core.values import check_path
from clinical_camel.data import containers
from clinical_camel.data.json_lines import parse_line, parse_value
from clinical_camel.data.shapes import DataError

MAX_SHOWN = 20  # bad lines in one message with their problem
MAX_NUMBERS = 200  # further lines by number only; the rest are counted
MAX_GIB = 1  # of a file, unpacked: its rows take several times as much memory
MAX_BYTES = MAX_GIB << 30
BLOCK = 1 << 20
UTF8_BOM = b"\xef\xbb\xbf"
GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class RawRows:
    """The objects of a file, their numbers, and (number, problem) of the bad ones.

    `unit` is what the numbers count: "line" of JSON lines, "row" of every other container.
    """

    numbers: list[int]
    rows: list[dict[str, Any]]
    problems: list[tuple[int, str]]
    unit: str = "row"


def locate_file(relative: str) -> Path:
    """Return the file at this root-relative path; DataError if absent or outside the root."""
    problem = check_path(relative)
    if "\\" in relative:
        problem = "contains a backslash; write /"
    if problem:
        raise DataError(f"{relative} {problem}")
    path = root() / relative
    if path.is_file():
        return path
    if path.is_dir():
        raise DataError(f"{relative} is a folder; name a .jsonl or .jsonl.gz file in it")
    raise DataError(f"{relative} does not exist. {_advice(PurePosixPath(relative))}")


def _advice(pure: PurePosixPath) -> str:
    if pure.parts[:1] in (("http:",), ("https:",)):
        return "An address is not a dataset spec; download the file into data/ and name its path."
    if pure.parts[:2] == ("data", "public"):
        return "Fill data/public first: section 'Real data' of docs/running.md says how."
    if pure.parts[:1] == ("outputs",):
        return "Run the step that writes it first: python -m clinical_camel run <study>."
    if len(pure.parts) == 2 and pure.suffix == "":
        return (
            "A hub id is not a dataset spec; use a registered name, one of "
            "clinical_camel.data.list_datasets()."
        )
    return "Is the path relative to the project root?"


def read_rows(path: Path) -> RawRows:
    """Return the rows of a file: JSON lines, a JSON array, one JSON object by id, or Parquet.

    UTF-8 with or without BOM; gzip is unpacked; blank lines at the end do not count. Bad lines are
    those of `json_lines.parse_line`. The caller adds its own problems, so one message lists all.
    Raises DataError for another container, or for more than MAX_GIB unpacked.
    """
    with _reporting(path):
        require_size(path)
        if containers.is_parquet(_read_start(path)):
            return number_rows(containers.read_parquet(path, MAX_BYTES))
        with _open(path) as stream:
            content = stream.read().removeprefix(UTF8_BOM)
        if not content.strip():
            raise DataError(f"{path.name} is empty")
        return _read_text(path.name, content.rstrip(), ends_well=content.endswith(b"\n"))


def read_first_row(path: Path) -> dict[str, Any] | None:
    """Return the first row of a file of any size, None if only a complete read can tell.

    Raises DataError as `read_rows`, for what the first MiB shows.
    """
    with _reporting(path):
        start = _read_start(path)
        if containers.is_parquet(start):
            return next(iter(containers.read_parquet(path, MAX_BYTES, first=True)), None)
        if not start.strip():
            raise DataError(f"{path.name} is empty")
        line, end, _ = start.lstrip().partition(b"\n")
        if not end or not line.startswith(b"{") or len(line.strip()) == 1:
            return None
    rows, problems = convert_items([line], parse_line)
    require_no_problems(path.name, problems)
    return None if containers.holds_rows(rows[0]) else rows[0]


def require_size(path: Path) -> int:
    """Return the size of a file in bytes, unpacked.

    Raises DataError above MAX_GIB, and for a container that is not read. A small gzip file may hold
    many GiB, so it is counted in blocks, and only up to the limit.
    """
    with _reporting(path):
        _read_start(path)
        version = read_version(path)
    return _require_bytes(path, version)


def read_version(path: Path) -> tuple[int, ...]:
    """Return what changes with a file: its size and the times of its last changes."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


@functools.lru_cache(maxsize=64)
def _require_bytes(path: Path, version: tuple[int, ...]) -> int:
    """Return the size of a file in bytes, unpacked, in this `version` (`read_version`)."""
    with _reporting(path), _open(path) as stream:
        size = 0 if isinstance(stream, gzip.GzipFile) else path.stat().st_size
        while size <= MAX_BYTES and isinstance(stream, gzip.GzipFile):
            block = stream.read(BLOCK)
            size += len(block)
            if not block:
                return size
    if size > MAX_BYTES:
        raise DataError(
            f"{path.name} has more than {MAX_GIB} GiB unpacked, the limit; split it into files"
        )
    return size


def _read_text(name: str, content: bytes, ends_well: bool) -> RawRows:
    """Return the rows of a text: JSON lines, an array, or one object whose values are the rows."""
    first, _, rest = content.partition(b"\n")
    one_value = not rest or _parse_or_none(first) is None
    is_list = content.startswith(b"[") and one_value
    is_object = content.startswith(b"{") and one_value
    spread = first.strip() == b"{"  # one object over several lines
    if is_list or (is_object and (spread or containers.holds_rows(_parse_or_none(content)))):
        return _read_value(name, content)
    lines = content.split(b"\n")
    rows, problems = convert_items(lines, parse_line)
    bad = {number for number, _ in problems}
    if not ends_well and len(lines) in bad:
        text = f"{problems[-1][1]} (the last line has no line end: truncated file?)"
        problems[-1] = (len(lines), text)
    numbers = [number for number in range(1, len(lines) + 1) if number not in bad]
    return RawRows(numbers, rows, problems, "line")


def _read_value(name: str, content: bytes) -> RawRows:
    try:
        rows = containers.list_rows(name, parse_value(content))
    except DataError:
        raise
    except ValueError as error:
        several = content.startswith(b"{") and str(error).startswith("more than one value")
        remedy = "; write each object on one line (jq -c . does) or all as one JSON array"
        raise DataError(f"{name}: {error}{remedy if several else ''}") from None
    return number_rows(rows)


def _parse_or_none(content: bytes) -> Any:
    try:
        return parse_value(content)
    except ValueError:
        return None


def number_rows(rows: list[dict[str, Any]]) -> RawRows:
    """Return rows with their numbers from 1."""
    return RawRows(list(range(1, len(rows) + 1)), rows, [])


def convert_items(
    items: list[Any], convert: Callable[[Any], Any]
) -> tuple[list[Any], list[tuple[int, str]]]:
    """Return the converted items, and (number from 1, problem) for each ValueError."""
    converted, problems = [], []
    for number, item in enumerate(items, 1):
        try:
            converted.append(convert(item))
        except ValueError as error:
            problems.append((number, str(error)))
    return converted, problems


def require_no_problems(name: str, problems: list[tuple[int, str]], unit: str = "line") -> None:
    """Raise one DataError for all problems (number, text), the first 20 with their text."""
    if not problems:
        return
    shown = [f"{unit} {number}: {text}" for number, text in problems[:MAX_SHOWN]]
    if rest := [str(number) for number, _ in problems[MAX_SHOWN:]]:
        end = ", ..." if len(rest) > MAX_NUMBERS else ""
        shown.append(f"and {len(rest)} more: {unit}s {', '.join(rest[:MAX_NUMBERS])}{end}")
    count = f"{len(problems)} bad {unit}{'s' if len(problems) > 1 else ''}"
    # the signs at the line ends serve where the lines become one
    raise DataError(f"{name}: {count}, nothing was read:\n  " + ";\n  ".join(shown))


def _open(path: Path) -> BinaryIO:
    """Open a file to read it unpacked; gzip is known by its first bytes or its name."""
    with path.open("rb") as stream:
        packed = stream.read(2) == GZIP
    return gzip.open(path) if packed or path.name.endswith(".gz") else path.open("rb")


def _read_start(path: Path) -> bytes:
    """Return the first MiB, unpacked and without BOM; DataError for another container."""
    with path.open("rb") as stream:
        start = stream.read(BLOCK)
    if not start.startswith(GZIP):
        containers.require_readable(path.name, start)
    with _open(path) as stream:
        start = stream.read(BLOCK)
    containers.require_readable(path.name, start)
    return start.removeprefix(UTF8_BOM)


@contextmanager
def _reporting(path: Path) -> Iterator[None]:
    """Raise what goes wrong while a file is read as a DataError with its name."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path.name} is not a complete gzip file ({error})") from error
    except OSError as error:
        raise DataError(f"{path.name} cannot be read ({error.strerror or error})") from error
