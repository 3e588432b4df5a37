"""Strict reading of JSON lines.

`datasets` and `pandas` accept many errors of a hand-made or half-downloaded file: a missing field
becomes `None`, `NaN` stays, a repeated key overwrites the first silently, and a broken line is
reported without its number. The result would be another dataset than intended. Here a file is read
completely or not at all, and one message names every bad line.
"""

import codecs
import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from clinical_camel.core.paths import root
from clinical_camel.core.values import check_path
from clinical_camel.data.shapes import DataError

MAX_SHOWN = 20  # bad lines in one message with their problem
MAX_NUMBERS = 200  # further lines by number only; the rest are counted
UTF8_BOM = b"\xef\xbb\xbf"


class _BadValue(ValueError):
    """JSON that Python's parser accepts and this module rejects."""


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


def parse_jsonl(path: Path) -> tuple[list[int], list[dict[str, Any]], list[tuple[int, str]]]:
    """Return the numbers of the good lines, their objects, and (number, problem) of the bad lines.

    UTF-8 with or without BOM; .gz is unpacked. Bad lines: broken or truncated JSON, not an object,
    two objects, blank, NUL, bad UTF-8, a repeated key, NaN or Infinity. The caller adds its own
    problems, so one message lists all. Raises DataError for a file that is not JSON lines at all.
    """
    content = _read_bytes(path).removeprefix(UTF8_BOM)
    if not content.strip():
        raise DataError(f"{path.name} is empty")
    lines = content.split(b"\n")
    ends_well = lines[-1] == b""
    if ends_well:
        lines.pop()
    rows, problems = convert_items(lines, _parse_line)
    bad = {number for number, _ in problems}
    if problems and not ends_well and len(lines) in bad:
        text = f"{problems[-1][1]} (the last line has no line end: truncated file?)"
        problems[-1] = (len(lines), text)
    return [number for number in range(1, len(lines) + 1) if number not in bad], rows, problems


def read_first_row(path: Path) -> dict[str, Any]:
    """Return the object in the first line of a JSON lines file. Raises DataError."""
    try:
        with path.open("rb") as stream:
            _require_text_data(path.name, stream.read(200))
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as stream:
            line = stream.readline().removeprefix(UTF8_BOM)
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(f"{path.name} cannot be read ({error})") from error
    if not line:
        raise DataError(f"{path.name} is empty")
    rows, problems = convert_items([line.removesuffix(b"\n")], _parse_line)
    require_no_problems(path.name, problems)
    return rows[0]


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


def require_no_problems(name: str, problems: list[tuple[int, str]]) -> None:
    """Raise one DataError for all problems (line, text), the first 20 with their text."""
    if not problems:
        return
    shown = [f"  line {number}: {text}" for number, text in problems[:MAX_SHOWN]]
    if rest := [str(number) for number, _ in problems[MAX_SHOWN:]]:
        end = ", ..." if len(rest) > MAX_NUMBERS else ""
        shown.append(f"  and {len(rest)} more: lines {', '.join(rest[:MAX_NUMBERS])}{end}")
    count = f"{len(problems)} bad line{'s' if len(problems) > 1 else ''}"
    raise DataError(f"{name}: {count}, nothing was read\n" + "\n".join(shown))


def _read_bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        _require_text_data(path.name, content)
        content = gzip.decompress(content) if path.name.endswith(".gz") else content
        _require_text_data(path.name, content)
        return content
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path.name} is not a complete gzip file ({error})") from error
    except OSError as error:
        raise DataError(f"{path.name} cannot be read ({error.strerror})") from error


def _require_text_data(name: str, content: bytes) -> None:
    """Raise DataError, with the remedy, for files often saved under a dataset's name by mistake."""
    start = content[:200].removeprefix(UTF8_BOM).lstrip().lower()
    if start.startswith(b"version https://git-lfs.github.com/"):
        raise DataError(f"{name} is a git-lfs pointer, not the file itself; run git lfs pull")
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise DataError(f"{name} is a web page, not a dataset; download the file itself")
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
        _require_clean_escapes(value)
    return value


def _parse_json(text: str) -> Any:
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique_keys,
            parse_constant=_reject_constant,
            parse_float=_parse_finite,
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
        raise _BadValue(f"key {repeated!r} occurs twice in one object")
    return values


def _reject_constant(name: str) -> None:
    raise _BadValue(f"{name} is not JSON")


def _parse_finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _BadValue(f"{text} is too large for a number")
    return value


def _require_clean_escapes(value: dict[str, Any]) -> None:
    r"""Reject "\u0000" and lone surrogates: valid JSON that no tokenizer or CSV can store."""
    text = json.dumps(value, ensure_ascii=False)
    if "\\u0000" in text:
        raise _BadValue("NUL character in a text")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _BadValue("half of a surrogate pair in a text") from error
