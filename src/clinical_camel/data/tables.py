"""Tables in CSV or TSV as rows of a dataset: triples, questions and answers, human rankings."""

from collections.abc import Sequence
from pathlib import Path

from clinical_camel.core import tables
from clinical_camel.core.values import nearest
from clinical_camel.data.shapes import DataError

Record = dict[str, str]
Problems = list[tuple[int, str]]


def read_table(
    path: Path, columns: Sequence[str], optional: Sequence[str] = ()
) -> tuple[list[tuple[int, Record]], Problems]:
    """Return (line number, cells by column) of the good rows, and (line number, problem).

    A row must fill every one of `columns`; cells of an optional column that the table lacks are "".
    Raises DataError as `core.tables.read_table` does ValueError, and for a column that is missing,
    unknown or without a row.
    """
    try:
        table = tables.read_table(path)
    except ValueError as error:
        raise DataError(str(error)) from error
    wanted = ", ".join([*columns, *(f"{name} (optional)" for name in optional)])
    if missing := [name for name in columns if name not in table.columns]:
        raise DataError(
            f"{path.name}: line 1: column {missing[0]} is missing; the first line names "
            f"{wanted}, here {', '.join(table.columns)[:200]}"
        )
    names = [*columns, *optional]
    if unknown := [name for name in table.columns if name not in names]:
        raise DataError(
            f"{path.name}: line 1: column {unknown[0] or '(without a name)'} is not one of "
            f"{wanted}{nearest(unknown[0], names)}"
        )
    if not table.rows:
        raise DataError(f"{path.name}: a line of names, but no row")
    rows, problems = [], []
    for line, row in zip(table.lines, table.rows, strict=True):
        if empty := [name for name in columns if not row[name]]:
            problems.append((line, f"{empty[0]} is empty"))
        else:
            rows.append((line, dict.fromkeys(optional, "") | row))
    return rows, problems
