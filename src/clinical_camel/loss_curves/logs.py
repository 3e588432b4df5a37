"""Training logs of this project and of others, read into one form.

A log that only looks healthy is worse than none: a diverged run whose NaN the running mean passes
over, a resumed run whose steps occur twice. Each is read rightly, or refused with file and line,
and what was changed is said in a remark.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from clinical_camel.core.tables import parse_number, read_table

LOG_COLUMNS = ("step", "fraction", "loss", "learning_rate", "tokens")
NAMES = {  # column: its names in the logs of others, in lower case
    "step": "step global_step train/global_step steps iteration iter",
    "loss": "loss train_loss train/loss training_loss value",
    "learning_rate": "learning_rate lr train/learning_rate",
    "tokens": "tokens num_tokens train/num_tokens num_input_tokens_seen tokens_seen",
    "fraction": "fraction progress",
    "epoch": "epoch train/epoch",
    "validation_loss": "validation_loss eval_loss eval/loss val_loss",
}
_COLUMN_OF = {name: column for column, names in NAMES.items() for name in names.split()}

Row = dict[str, Any]  # numbers by column; "at" is the place in the file


@dataclass(frozen=True, slots=True)
class Log:
    """A training log: LOG_COLUMNS in order of the steps, and remarks on what was changed.

    `learning_rate` and `tokens` are NaN in a log that does not have them.
    """

    table: pd.DataFrame
    remarks: list[str]


def read_log(file: Path) -> Log:
    """Read a log: `train_log.csv`, another CSV or TSV, or `trainer_state.json` of transformers.

    Columns are known under common names (NAMES). Without a fraction, it is the share of the last
    epoch or step; percent become shares. Of a step that occurs twice, as in a resumed run, the last
    row counts. A loss may be NaN or infinite: the training diverged.

    Raises ValueError with the file and the line or column: no step or loss, an empty cell, a text
    that is no number, fractions that fall.
    """
    rows = _read_json(file) if file.suffix == ".json" else _read_csv(file)
    if not rows:
        raise ValueError(f"{file.name}: no step with a loss")
    remarks: list[str] = []
    rows = _order(rows, remarks)
    _set_fractions(file.name, rows, remarks)
    table = pd.DataFrame([{name: row.get(name, math.nan) for name in LOG_COLUMNS} for row in rows])
    if (table["tokens"].diff() < 0).any():
        remarks.append("the count of tokens restarts, so it is left out")
        table["tokens"] = math.nan
    return Log(table.astype({"step": int}), remarks)


def _read_csv(file: Path) -> list[Row]:
    """Return the training rows of a CSV or TSV log as numbers; rows of evaluations are left out."""
    table = read_table(file)
    columns = _name_columns(file.name, table.columns)
    if missing := [name for name in ("step", "loss") if name not in columns.values()]:
        raise ValueError(f"{file.name} has no column {', '.join(missing)}")
    rows = []
    for line, cells in zip(table.lines, table.rows, strict=True):
        named = {column: cells[name] for name, column in columns.items()}
        if list(cells) == list(cells.values()):
            continue  # the line of names again, of a part that was appended
        evaluation = named.pop("validation_loss", "")
        if not named["loss"] and evaluation:
            continue
        if empty := [name for name, cell in named.items() if not cell]:
            raise ValueError(f"{file.name}: line {line}: {', '.join(empty)} is empty")
        row: Row = {"at": f"line {line}"}
        for name, cell in named.items():
            row[name] = _parse(file.name, f"line {line}", name, cell, table.decimal_comma)
        rows.append(_require_step(file.name, row))
    return rows


def _name_columns(name: str, columns: list[str]) -> dict[str, str]:
    """Return our column for each column of a file that we know; two for one are refused."""
    ours_of = {c: _COLUMN_OF[key] for c in columns if (key := _normalize(c)) in _COLUMN_OF}
    for ours in NAMES:
        theirs = [column for column, field in ours_of.items() if field == ours]
        if len(theirs) > 1:
            raise ValueError(f"{name}: {' and '.join(theirs)} both are {ours}; delete one column")
    return ours_of


def _normalize(column: str) -> str:
    return column.casefold().replace(" ", "_")


def _parse(name: str, place: str, column: str, cell: str, decimal_comma: bool) -> float:
    percent = cell.endswith("%") and column == "fraction"
    try:
        value = parse_number(cell.rstrip("% ") if percent else cell, decimal_comma)
    except ValueError as error:
        raise ValueError(f"{name}: {place}: {column}: {error}") from None
    if column != "loss" and not math.isfinite(value) and column in ("step", "fraction", "tokens"):
        raise ValueError(f"{name}: {place}: {column} is {cell}, not a finite number")
    return value / 100 if percent else value


def _require_step(name: str, row: Row) -> Row:
    if row["step"] != int(row["step"]) or row["step"] < 0:
        raise ValueError(f"{name}: {row['at']}: step {row['step']:g} is not a whole number from 0")
    return row


def _read_json(file: Path) -> list[Row]:
    """Return the training rows of a trainer_state.json, or of its `log_history` alone."""
    try:
        state = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{file.name}: not JSON ({error})") from None
    history = state.get("log_history") if isinstance(state, dict) else state
    if not isinstance(history, list) or not all(isinstance(entry, dict) for entry in history):
        raise ValueError(f"{file.name}: no log_history; name a trainer_state.json or a CSV")
    rows = []
    for number, entry in enumerate(history, 1):
        if "train_runtime" in entry:
            continue  # the summary at the end
        columns = _name_columns(f"{file.name}: entry {number}", list(entry))
        named = {ours: entry[column] for column, ours in columns.items()}
        if "loss" not in named or "step" not in named:
            continue  # an evaluation
        row: Row = {"at": f"entry {number}"}
        for name, value in named.items():
            row[name] = _parse(file.name, f"entry {number}", name, str(value), False)
        rows.append(_require_step(file.name, row))
    return rows


def _order(rows: list[Row], remarks: list[str]) -> list[Row]:
    """Return the rows in order of their steps, the last one of each step; remark on changes."""
    by_step: dict[float, Row] = {}
    repeated = set()
    for row in rows:
        if row["step"] in by_step:
            repeated.add(int(row["step"]))
        by_step[row["step"]] = row
    if repeated:
        span = f"{len(repeated)} steps ({min(repeated)} to {max(repeated)}) occur"
        subject = f"step {min(repeated)} occurs" if len(repeated) == 1 else span
        remarks.append(f"{subject} more than once, as in a resumed run; the last row counts")
    ordered = sorted(by_step.values(), key=lambda row: row["step"])
    if list(by_step) != [row["step"] for row in ordered]:
        remarks.append("the parts of the log were not in order; the steps are sorted")
    return ordered


def _set_fractions(name: str, rows: list[Row], remarks: list[str]) -> None:
    """Give every row the share of the run that is over: as written, of the epochs, or the steps."""
    source = next((s for s in ("fraction", "epoch") if all(s in row for row in rows)), "step")
    last = max(row[source] for row in rows)
    scale = 1.0 if source == "fraction" else last or 1.0
    if source == "fraction" and last > 1 + 1e-6:
        if not 50 < last <= 100 + 1e-6:
            raise ValueError(f"{name}: fraction goes up to {last:g}; write shares from 0.0 to 1.0")
        scale = 100.0
        remarks.append("fractions are percent; they are divided by 100")
    for before, row in zip([None, *rows], rows, strict=False):
        row["fraction"] = row[source] / scale
        if before and row["fraction"] < before["fraction"]:
            raise ValueError(
                f"{name}: {row['at']}: {source} falls from {before[source]:g} to {row[source]:g}, "
                "but the step does not; two runs in one file?"
            )


def describe_faults(log: pd.DataFrame) -> str:
    """Return at which steps the loss is no number, "" if it always is.

    >>> describe_faults(pd.DataFrame({"step": [1, 2, 3], "loss": [2.0, float("nan"), 1.0]}))
    'loss is NaN at 1 of 3 steps, the first is step 2'
    """
    bad = [not math.isfinite(loss) for loss in log["loss"]]
    if not any(bad):
        return ""
    steps = log["step"].tolist()
    first = bad.index(True)
    kind = "NaN" if math.isnan(log["loss"].iloc[first]) else "infinite"
    if all(bad[first:]):
        return f"loss is {kind} from step {steps[first]} on"
    return f"loss is {kind} at {sum(bad)} of {len(bad)} steps, the first is step {steps[first]}"
