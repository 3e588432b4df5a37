"""Tables that went through a spreadsheet: separators, byte order marks, decimal commas."""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

MAX_BYTES = 200 << 20
SEPARATORS = (",", ";", "\t", "|")
CELL_BREAK = "\x00"  # for a single "\r" in a cell, which would end the row; no table has NUL
# options of `pandas.read_csv` for our own tables: an id or a name may be "NA" or "null"
EMPTY_IS_MISSING = {"keep_default_na": False, "na_values": [""]}
_OTHER_FILES = {
    b"PK\x03\x04": "a spreadsheet (XLSX), not a table; save it as CSV UTF-8",
    b"\x1f\x8b": "packed with gzip; unpack it",
    b"\xff\xfe": "UTF-16; save it as CSV UTF-8",
    b"\xfe\xff": "UTF-16; save it as CSV UTF-8",
}


@dataclass(frozen=True, slots=True)
class Table:
    """The cells of a table as texts, by column, and the line of each row in its file.

    `decimal_comma`: cells are separated by semicolons, and some are numbers such as 0,5.
    """

    columns: list[str]
    rows: list[dict[str, str]]
    lines: list[int]
    decimal_comma: bool


def read_table(file: Path) -> Table:
    """Read a CSV or TSV file: commas, semicolons, tabs or |, in UTF-8 with or without BOM.

    Empty lines, and a first line `sep=;` as Excel writes it, are left out. Cells lose outer white
    space, and their line ends become "\\n". Raises ValueError with the file and line: not UTF-8,
    empty, a column without a name or with the name of another, a row with more or fewer cells than
    the first line.
    """
    text = _read_text(file)
    first = text.partition("\n")[0].strip()
    skipped = 1 if first.lower().startswith("sep=") and len(first) == 5 else 0
    if skipped:
        text = text.partition("\n")[2]
    header = text.partition("\n")[0]
    separator = first[4] if skipped else max(SEPARATORS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        cells = [(reader.line_num + skipped, row) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise ValueError(f"{file.name}: line {reader.line_num + skipped}: {error}") from None
    if not cells:
        raise ValueError(f"{file.name}: empty")
    columns, width = [name.strip() for name in cells[0][1]], len(cells[0][1])
    while not columns[-1]:  # a spreadsheet saves empty columns at the right
        columns.pop()
    for i, name in enumerate(columns):
        if not name and i:  # pandas writes an index without a name
            raise ValueError(f"{file.name}: column {i + 1} has no name")
        if name in columns[:i]:
            raise ValueError(f"{file.name}: two columns are called {name}")
    for line, row in cells[1:]:
        if len(row) != width or any(map(str.strip, row[len(columns) :])):
            raise ValueError(
                f"{file.name}: line {line}: {len(row)} cells, but {len(columns)} columns"
            )
    stripped = ([cell.replace(CELL_BREAK, "\n").strip() for cell in row] for _, row in cells[1:])
    rows = [dict(zip(columns, row, strict=False)) for row in stripped]
    texts = [cell for row in rows for cell in row.values()]
    decimal_comma = separator == ";" and any(map(re.compile(r"[+-]?\d+,\d").match, texts))
    return Table(columns, rows, [line for line, _ in cells[1:]], decimal_comma)


def _read_text(file: Path) -> str:
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(f"{file.name}: more than {MAX_BYTES >> 20} MiB, the limit for a table")
    content = file.read_bytes()
    for magic, problem in _OTHER_FILES.items():
        if content.startswith(magic):
            raise ValueError(f"{file.name}: {problem}")
    try:
        text = content.decode("utf-8").lstrip("\ufeff")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file.name}: not UTF-8; save it as CSV UTF-8 (see byte {error.start + 1})"
        ) from None
    if "\x00" in text:
        raise ValueError(f"{file.name}: NUL characters; save it as CSV UTF-8")
    if re.search(r"[\r\n]\n?", text + "\n")[0] == "\r":  # each row ends with it: an old Macintosh
        return unify_line_ends(text)
    return text.replace("\r\n", "\n").replace("\r", CELL_BREAK)


def unify_line_ends(text: str) -> str:
    """Return a text whose lines end with "\\n", whatever ended them.

    >>> unify_line_ends("a\\r\\nb\\rc\\nd")
    'a\\nb\\nc\\nd'
    """
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_number(text: str, decimal_comma: bool = False) -> float:
    """Return a number, NaN and infinity included. Raises ValueError for any other text.

    With a decimal comma, a point is refused: 1.000 may be a thousand.

    >>> parse_number("0,5", decimal_comma=True), parse_number("nan"), parse_number("2.0e-4")
    (0.5, nan, 0.0002)
    """
    if decimal_comma and "." in text:
        raise ValueError(
            f"{text!r} has a point, but other cells a decimal comma; write 1000 or 1,5"
        )
    try:
        return float(re.sub("_", "x", text.replace(",", ".") if decimal_comma else text))
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
