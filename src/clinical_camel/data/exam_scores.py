"""The table of exam scores that step 03 writes, read strictly."""

from pathlib import Path
from typing import Any

from clinical_camel.core.tables import Table, parse_number, read_table

SCORE_ENDINGS = (".csv", ".tsv")
SCORE_COLUMNS = ("benchmark", "protocol", "num_shots", "model", "n", "accuracy")
SCORE_COLUMNS += ("low", "high", "chance")
NUMBERS = ("num_shots", "n", "accuracy", "low", "high", "chance")
SHARES = ("accuracy", "low", "high", "chance")


def read_scores(file: Path) -> Any:
    """Return the scores of step 03 as a data frame, SCORE_COLUMNS; of variants only `as_given`.

    Raises ValueError with the file and line: a missing column, a text that is no number, an
    accuracy that is no share.
    """
    import pandas as pd  # late: it takes a second, and settings need the columns alone

    table = read_table(file)
    if missing := [name for name in SCORE_COLUMNS if name not in table.columns]:
        raise ValueError(f"{file.name} has no column {', '.join(missing)}")
    rows = [
        _read_row(f"{file.name}: line {line}", cells, table)
        for line, cells in zip(table.lines, table.rows, strict=True)
        if cells.get("variant", "as_given") == "as_given"
    ]
    return pd.DataFrame(rows, columns=list(SCORE_COLUMNS)).astype({"num_shots": int, "n": int})


def _read_row(place: str, cells: dict[str, str], table: Table) -> dict[str, str | float]:
    row: dict[str, Any] = {name: cells[name] for name in SCORE_COLUMNS}
    for name in NUMBERS:
        try:
            row[name] = parse_number(cells[name], table.decimal_comma)
        except ValueError as error:
            raise ValueError(f"{place}: {name}: {error}") from None
        if name in SHARES and not 0 <= row[name] <= 1:
            raise ValueError(f"{place}: {name} is {row[name]:g}; write a share from 0 to 1")
        if name not in SHARES and not (row[name] >= 0 and row[name].is_integer()):
            raise ValueError(f"{place}: {name} is no whole number from 0")
    if not row["low"] - 1e-6 <= row["accuracy"] <= row["high"] + 1e-6:
        raise ValueError(f"{place}: accuracy is not between low and high")
    return row
