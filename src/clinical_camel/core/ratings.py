"""Sheets that people fill in with a spreadsheet: cells without formulas, ratings by item."""

from collections.abc import Sequence
from pathlib import Path

from clinical_camel.core.tables import read_table, unify_line_ends

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def escape_cell(text: str) -> str:
    """Return the text with an apostrophe before it if a spreadsheet would run or change it.

    Excel, Calc and Sheets treat a cell that begins with one of FORMULA_STARTS as a formula (OWASP,
    CSV Injection), also after white space. Line ends become "\\n", because "\\r" would end the row,
    and NUL, with which no table can be read, a space.

    >>> escape_cell('=HYPERLINK("http://x")'), escape_cell("- fever"), escape_cell("Plan: -5 kg")
    ('\\'=HYPERLINK("http://x")', "'- fever", 'Plan: -5 kg')
    """
    text = unify_line_ends(text).replace("\x00", " ")
    return f"'{text}" if text.lstrip(" \n").startswith(FORMULA_STARTS) else text


def unescape_cell(text: str) -> str:
    """Undo `escape_cell`; another apostrophe stays.

    >>> unescape_cell("'- fever"), unescape_cell("'tis nothing")
    ('- fever', "'tis nothing")
    """
    return text[1:] if text.startswith("'") and escape_cell(text[1:]) == text else text


def read_column(file: Path, column: str, sheet: str = "rating_sheet.csv") -> dict[str, str]:
    """Read one column of a sheet by item. Raises ValueError if it or all items are missing."""
    return {row["item"]: row[column] for row in _read_rows(file, ("item", column), sheet)}


def read_ratings(
    file: Path, column: str, choices: Sequence[str], sheet: str = "rating_sheet.csv"
) -> dict[str, str]:
    """Read the ratings of one filled sheet by item; separated by commas, semicolons or tabs.

    Case and white space of a rating do not count. `sheet`: the file that the step writes, for
    messages. Raises ValueError with the file and the items: a missing column, a duplicate item, a
    rating that is missing or not one of `choices`.
    """
    ratings: dict[str, str] = {}
    problems: dict[str, list[str]] = {"duplicate item": [], "not rated": [], "unknown rating": []}
    for row in _read_rows(file, ("item", column), sheet):
        item, rating = row["item"], " ".join(row[column].casefold().split())
        if item in ratings:
            problems["duplicate item"].append(item)
        elif not rating:
            problems["not rated"].append(item)
        elif rating not in choices:
            problems["unknown rating"].append(f"{item} {rating!r}")
        ratings[item] = rating
    messages = [f"{name}: {', '.join(items[:20])}" for name, items in problems.items() if items]
    if messages:
        remedy = f"write one of {', '.join(choices)} in {column}, once for every item"
        raise ValueError(f"{file.name}: {'; '.join(messages)}; {remedy}")
    return ratings


def _read_rows(file: Path, columns: Sequence[str], sheet: str) -> list[dict[str, str]]:
    table = read_table(file)
    for name in columns:
        if name not in table.columns:
            raise ValueError(f"{file.name}: no column {name}; use a copy of {sheet}")
    if not table.rows:
        raise ValueError(f"{file.name}: no items; use a filled copy of {sheet}")
    return table.rows
