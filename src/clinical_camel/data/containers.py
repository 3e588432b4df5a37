"""What kind of container a file is: read it, or say what it is and what to do."""

import codecs
import re
from pathlib import Path
from typing import Any

from clinical_camel.data.shapes import DataError

JSON_LINES = "write one JSON object per line, in UTF-8"
UNPACK = "unpack it and name the file inside"
SAVE_AS = f"it is not read; {JSON_LINES}"
_STARTS = {  # first bytes: what the file is, and the remedy
    b"version https://git-lfs.github.com/": (
        "a git-lfs pointer, not the file itself",
        "run git lfs pull",
    ),
    codecs.BOM_UTF32_LE: ("UTF-32 text", "save it as UTF-8"),
    codecs.BOM_UTF32_BE: ("UTF-32 text", "save it as UTF-8"),
    codecs.BOM_UTF16_LE: ("UTF-16 text", "save it as UTF-8"),
    codecs.BOM_UTF16_BE: ("UTF-16 text", "save it as UTF-8"),
    b"PK\x03\x04": ("a zip archive or an Office file (XLSX, DOCX)", f"{UNPACK}, or {JSON_LINES}"),
    b"\xd0\xcf\x11\xe0": ("an old Office file (XLS, DOC)", JSON_LINES),
    b"\x28\xb5\x2f\xfd": ("packed with zstd", "unpack it with zstd -d, or pack it with gzip"),
    b"BZh": ("packed with bzip2", "unpack it with bunzip2, or pack it with gzip"),
    b"\xfd7zXZ": ("packed with xz", "unpack it with unxz, or pack it with gzip"),
    b"7z\xbc\xaf": ("a 7z archive", UNPACK),
    b"ARROW1": ("an Arrow file", f"save it as Parquet, or {JSON_LINES}"),
    b"SQLite format 3": ("an SQLite database", JSON_LINES),
    b"\x80\x04": ("a Python pickle", JSON_LINES),
    b"\x80\x05": ("a Python pickle", JSON_LINES),
    b"%PDF": ("a PDF", JSON_LINES),
    b"<?xml": ("an XML file", SAVE_AS),
    b"\x1e": ("a JSON text sequence", "delete its characters 0x1E (tr -d '\\036' does)"),
}
_SCRIPT = re.compile(rb"(?:var|let|const|export|module|window|self)\b|[\w.]+\(")
_PAGE = (b"<!doctype", b"<html")
_CAPTIONS = re.compile(rb"WEBVTT|\d+\r?\n(?:\d+:)?\d+:\d+[.,]\d+ -->")
_WRAPPERS = ("data", "rows", "examples", "questions", "items", "train", "validation", "test", "dev")
# fields of the parts of a row: a turn, a section, an option
_PARTS = {"from", "role", "speaker", "user", "human", "heading", "title", "text", "content"}
_PARTS |= {"value", "key", "label"}


def require_readable(name: str, start: bytes) -> None:
    """Raise DataError, with the remedy, for what the first bytes of a file show not to be ours."""
    for magic, (kind, remedy) in _STARTS.items():
        if start.startswith(magic):
            raise DataError(f"{name} is {kind}; {remedy}")
    if start.startswith(2 * codecs.BOM_UTF8):
        raise DataError(f"{name} begins with two byte order marks; save it as UTF-8 without one")
    text = start.lstrip(codecs.BOM_UTF8).lstrip()
    if _CAPTIONS.match(text):
        raise DataError(
            f"{name} is a WebVTT or SRT transcript; write it as one JSON line: "
            '{"id": "visit-1", "transcript": "WEBVTT..."}'
        )
    if text[:20].lower().startswith(_PAGE):
        raise DataError(f"{name} is a web page, not a dataset; download the file itself")
    if start[257:262] == b"ustar":
        raise DataError(f"{name} is a tar archive; {UNPACK}")
    if len(start) > 3 and is_utf16(start):
        raise DataError(f"{name} is UTF-16 text; save it as UTF-8")
    if not is_parquet(start) and not text.startswith((b"{", b"[")):
        _require_json(name, text)


def is_utf16(start: bytes) -> bool:
    """Return whether every second byte of the start is 0: UTF-16 text without a BOM."""
    pairs = start[:200]
    return not any(pairs[1::2]) or not any(pairs[::2])


def is_parquet(start: bytes) -> bool:
    """Return whether a file with this start is Parquet."""
    return start.startswith(b"PAR1")


def _require_json(name: str, text: bytes) -> None:
    """Raise DataError for a table with a line of names, or for a file without any JSON."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or any(line.lstrip().startswith((b"{", b"[")) for line in lines[:100]):
        return
    if _SCRIPT.match(lines[0]):
        raise DataError(f"{name} is JavaScript, not JSON; delete what is before the first [ or {{")
    first = lines[0].decode("utf-8", errors="replace")
    for mark, kind in (("\t", "a TSV table"), (",", "a CSV table"), (";", "a CSV table")):
        if mark in first:
            raise DataError(
                f"{name} is {kind}, not JSON: its cells hold no lists and no numbers; {JSON_LINES}"
            )
    raise DataError(f"{name} has no JSON: it begins with {first[:40]!r}; {JSON_LINES}")


def read_parquet(path: Path, max_bytes: int, first: bool = False) -> list[dict[str, Any]]:
    """Return the rows of a Parquet file, only the first one if wanted; empty cells are left out.

    Raises DataError if the file is damaged, or states more than `max_bytes` unpacked.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        groups = range(file.num_row_groups)
        if sum(file.metadata.row_group(i).total_byte_size for i in groups) > max_bytes:
            raise DataError(
                f"{path.name} has more than {max_bytes >> 30} GiB unpacked, the limit; split it"
            )
        batches = file.iter_batches(batch_size=1 if first else 1000)
        rows = [row for batch in batches for row in batch.to_pylist()] if not first else []
        rows = rows or next(batches).to_pylist() if first else rows
    except (pa.ArrowException, OSError, StopIteration) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"{path.name} is not a complete Parquet file ({reason})") from error
    return [{key: value for key, value in row.items() if value is not None} for row in rows]


def holds_rows(value: Any) -> bool:
    """Return whether a JSON value is one object of several rows: by id, by column, under a key.

    >>> holds_rows({"q1": {"question": "Which?"}}), holds_rows({"id": ["a"], "options": [["x"]]})
    (True, True)
    >>> holds_rows({"id": "q1", "options": {"A": "x"}})
    False
    """
    return isinstance(value, dict) and bool(
        _is_keyed(value) or _is_columns(value) or _find_wrapper(value)
    )


def _is_keyed(value: dict[str, Any]) -> bool:
    return bool(value) and all(isinstance(row, dict) for row in value.values())


def _is_columns(value: dict[str, Any]) -> bool:
    """Return whether all values are lists, one of them only of texts or numbers."""
    columns = list(value.values())
    if len(columns) < 2 or not all(isinstance(column, list) for column in columns):
        return False
    return any({str, int, float} >= set(map(type, column)) > set() for column in columns)


def _find_wrapper(value: Any) -> str:
    """Return the key of one object under which a list of rows seems to be; "" for none."""
    if not isinstance(value, dict) or isinstance(value.get("id"), str):
        return ""
    for key, inner in value.items():
        if isinstance(inner, list) and inner:
            is_row = isinstance(inner[0], dict) and not inner[0].keys() & _PARTS
            if is_row or key in _WRAPPERS:
                return key
        elif key in _WRAPPERS and (deeper := _find_wrapper(inner)):
            return f"{key}.{deeper}"
    return ""


def list_rows(name: str, value: Any) -> list[dict[str, Any]]:
    """Return the rows of one JSON value: an array, an object by id or by column, a single row.

    Raises DataError, with the row, for what is no object; for columns of different lengths; and for
    rows under a key such as `data`.
    """
    if isinstance(value, dict):
        return _list_object(name, value)
    for number, row in enumerate(value, 1):
        if not isinstance(row, dict):
            raise DataError(f"{name}: row {number} is not a JSON object but {type(row).__name__}")
    if not value:
        raise DataError(f"{name} is empty: a JSON array without rows")
    return value


def _list_object(name: str, value: dict[str, Any]) -> list[dict[str, Any]]:
    if {"columns", "data"} <= value.keys():
        raise DataError(f'{name} is a table of pandas by parts; write it with orient="records"')
    if not _is_columns(value) and (wrapper := _find_wrapper(value)):
        raise DataError(
            f"{name} has its rows under the key {wrapper!r}; write that list alone into a file"
        )
    if _is_keyed(value):
        first = next(iter(value.values()))
        if list(first) != [str(i) for i in range(len(first))]:
            return [{"id": key} | row for key, row in value.items()]
        value = {key: list(column.values()) for key, column in value.items()}  # of pandas
    elif not _is_columns(value):
        return [value]
    if len(set(map(len, value.values()))) > 1:
        lengths = ", ".join(f"{key} {len(column)}" for key, column in value.items())
        raise DataError(f"{name} has columns of different lengths ({lengths})")
    return [dict(zip(value, cells, strict=True)) for cells in zip(*value.values(), strict=True)]
