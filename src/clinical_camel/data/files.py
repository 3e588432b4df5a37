"""Strict reading of JSON lines, and the root that relative paths start from.

`datasets` and `pandas` accept much of what is wrong with a hand-made or half-downloaded file: a
missing field becomes `None`, `NaN` stays, a repeated key wins silently, a broken line is reported
without its number. A training set or a benchmark read like that is another one than was meant.
So here a file is read whole or not at all, and one message names every bad line.
"""

import codecs
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from clinical_camel.data.shapes import DataError

MAX_SHOWN = 20  # bad lines in words in one message
MAX_NUMBERS = 200  # further ones by their number; the rest are counted
UTF8_BOM = b"\xef\xbb\xbf"


class _BadValue(ValueError):
    """JSON that Python's parser accepts and we do not."""


def root() -> Path:
    """The folder that relative paths start from: CLINICAL_CAMEL_ROOT, else the repository."""
    given = os.environ.get("CLINICAL_CAMEL_ROOT", "")
    return Path(given).resolve() if given else Path(__file__).resolve().parents[3]


def local_path(relative: str) -> Path:
    """The file at this root-relative path; DataError where it is absent or outside the root."""
    pure = PurePosixPath(relative)
    if pure.is_absolute() or ".." in pure.parts or "\\" in relative:
        raise DataError(
            f"{relative}: a data path is relative to the root of the repository, with forward "
            "slashes and without '..'"
        )
    path = root() / pure
    if path.is_file():
        return path
    if path.is_dir():
        raise DataError(f"{relative} is a folder; name a .jsonl or .jsonl.gz file in it")
    raise DataError(f"{relative} does not exist. {_advice(pure)}")


def _advice(pure: PurePosixPath) -> str:
    if pure.parts[:1] in (("http:",), ("https:",)):
        return "An address is not a dataset spec; download the file into data/ and name its path."
    if pure.parts[:2] == ("data", "public"):
        return "Fill data/public first: section 'Real data' of the README says how."
    if pure.parts[:1] == ("outputs",):
        return "Run the step that writes it first: python -m clinical_camel run <study>."
    if len(pure.parts) == 2 and pure.suffix == "":
        return (
            "A hub id is not a dataset spec; use a registered name (clinical_camel.data.names())."
        )
    return "Is the path relative to the root of the repository?"


def file_sha256(path: Path) -> str:
    """The sha256 of the file's bytes, as hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON lines file (UTF-8, BOM allowed, .gz unpacked), one a line.

    Raises one DataError that lists every bad line with its number: broken or cut-off JSON, not an
    object, two objects, a blank line, NUL, bad UTF-8, a repeated key, NaN or Infinity.
    """
    _, rows, problems = parse_jsonl(path)
    refuse(path.name, problems)
    return rows


def parse_jsonl(path: Path) -> tuple[list[int], list[dict[str, Any]], list[tuple[int, str]]]:
    """The good lines' numbers and objects, and the bad lines' numbers and problems.

    For a caller that checks the objects too, so that both kinds of bad lines come in one message.
    Raises DataError for what is no JSON lines file at all.
    """
    content = _read_bytes(path).removeprefix(UTF8_BOM)
    if not content.strip():
        raise DataError(f"{path.name} is empty")
    lines = content.split(b"\n")
    ends_well = lines[-1] == b""
    if ends_well:
        lines.pop()
    rows, problems = each(lines, _parse_line)
    bad = {number for number, _ in problems}
    if problems and not ends_well and len(lines) in bad:
        problems[-1] = (len(lines), f"{problems[-1][1]} (the last line has no end: file cut off?)")
    return [number for number in range(1, len(lines) + 1) if number not in bad], rows, problems


def first_row(path: Path) -> dict[str, Any]:
    """The object in the first line of a JSON lines file, whatever its size; DataError."""
    try:
        with path.open("rb") as stream:
            _refuse_foreign(path.name, stream.read(200))
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as stream:
            line = stream.readline().removeprefix(UTF8_BOM)
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(f"{path.name} cannot be read ({error})") from error
    if not line:
        raise DataError(f"{path.name} is empty")
    rows, problems = each([line.removesuffix(b"\n")], _parse_line)
    refuse(path.name, problems)
    return rows[0]


def each(
    items: list[Any], make: Callable[[Any], Any], first: int = 1
) -> tuple[list[Any], list[tuple[int, str]]]:
    """What `make` gives for each item, and (number, problem) where it raises ValueError."""
    made, problems = [], []
    for number, item in enumerate(items, first):
        try:
            made.append(make(item))
        except ValueError as error:
            problems.append((number, str(error)))
    return made, problems


def refuse(name: str, problems: list[tuple[int, str]], unit: str = "line") -> None:
    """Raise one DataError with all problems (the first 20 in words), or return if there is none."""
    if not problems:
        return
    shown = [f"  {unit} {number}: {text}" for number, text in problems[:MAX_SHOWN]]
    if rest := [str(number) for number, _ in problems[MAX_SHOWN:]]:
        end = ", ..." if len(rest) > MAX_NUMBERS else ""
        shown.append(f"  and {len(rest)} more: {unit}s {', '.join(rest[:MAX_NUMBERS])}{end}")
    count = f"{len(problems)} bad {unit}{'s' if len(problems) > 1 else ''}"
    raise DataError(f"{name}: {count}, nothing was read\n" + "\n".join(shown))


def _read_bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        _refuse_foreign(path.name, content)
        content = gzip.decompress(content) if path.name.endswith(".gz") else content
        _refuse_foreign(path.name, content)
        return content
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path.name} is no whole gzip file ({error})") from error
    except OSError as error:
        raise DataError(f"{path.name} cannot be read ({error.strerror})") from error


def _refuse_foreign(name: str, content: bytes) -> None:
    """What often stands under the name of a dataset and is none, each with its remedy."""
    start = content[:200].removeprefix(UTF8_BOM).lstrip().lower()
    if start.startswith(b"version https://git-lfs.github.com/"):
        raise DataError(f"{name} is a git-lfs pointer, not the file itself; run git lfs pull")
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise DataError(f"{name} is a web page, not a dataset; download the file itself again")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"{name} is UTF-16 text; save it as UTF-8")


def _parse_line(line: bytes) -> dict[str, Any]:
    if not line.strip():
        raise _BadValue("blank line")
    if b"\x00" in line:
        raise _BadValue(f"NUL byte at byte {line.index(0) + 1}")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _BadValue(f"not UTF-8 at byte {error.start + 1}") from error
    if text.startswith("\ufeff"):
        raise _BadValue("a byte order mark inside the file (two files joined?)")
    value = _parse_json(text)
    if not isinstance(value, dict):
        raise _BadValue(f"not a JSON object but {type(value).__name__}")
    if "\\u" in text:
        _check_escapes(value)
    return value


def _parse_json(text: str) -> Any:
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique_keys,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            raise _BadValue(f"more than one value on the line (column {error.colno})") from error
        raise _BadValue(f"broken JSON at column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise _BadValue("nested too deeply") from error


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise _BadValue(f"key {repeated!r} stands twice in one object")
    return values


def _no_constant(name: str) -> None:
    raise _BadValue(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _BadValue(f"{text} is too large for a number")
    return value


def _check_escapes(value: dict[str, Any]) -> None:
    r"""Refuse "\u0000" and lone surrogates: valid JSON that no tokenizer or CSV can hold."""
    text = json.dumps(value, ensure_ascii=False)
    if "\\u0000" in text:
        raise _BadValue("NUL character in a text")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _BadValue("half of a surrogate pair in a text") from error
