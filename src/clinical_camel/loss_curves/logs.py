"""Training logs of this project and of others, read into one form.

A log that only looks healthy is worse than none: a diverged run whose NaN the running mean passes
over, a resumed run whose steps occur twice. Each is read rightly, or refused with file and line,
and what was changed is said in a remark.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from clinical_camel.core.tables import parse_number, read_table

LOG_COLUMNS = ("step", "fraction", "loss", "learning_rate", "tokens")
NAMES = {  # column: its names in the logs of others, in lower case
    "step": "step global_step train/global_step steps iteration iter current_steps",
    "loss": "loss train_loss train/loss training_loss train_loss_step value",
    "learning_rate": "learning_rate lr train/learning_rate",
    "tokens": "tokens num_tokens train/num_tokens num_input_tokens_seen tokens_seen",
    "fraction": "fraction progress percentage",
    "epoch": "epoch train/epoch",
    "grad_norm": "grad_norm train/grad_norm",
    "validation_loss": "validation_loss eval_loss eval/loss val_loss",
}
_COLUMN_OF = {name: column for column, names in NAMES.items() for name in names.split()}

MAX_STEP = 2**53
Row = dict[str, Any]  # numbers by column; "at" is the place in the file


@dataclass(frozen=True, slots=True)
class Log:
    """A training log: LOG_COLUMNS in order of the steps, and remarks on what was changed.

    `learning_rate` and `tokens` are NaN in a log that does not have them.
    """

    table: pd.DataFrame
    remarks: list[str]


def read_log(file: Path) -> Log:
    """Read a log: a CSV or TSV, `trainer_state.json` of transformers, JSON lines of a trainer.

    Columns are known under common names (NAMES). Without a fraction, it is the share of the last
    epoch or step; percent become shares. Of a step that occurs twice, as in a resumed run, the last
    row counts. A loss may be NaN (null in JSON) or infinite: the training diverged.

    Raises ValueError with the file and the line or column: no step or loss, an empty cell, a text
    that is no number, a loss below 0, fractions that fall.
    """
    is_json = file.suffix.lower() in (".json", ".jsonl")
    rows = list(_read_json(file) if is_json else _read_csv(file))
    if not rows:
        raise ValueError(f"{file.name}: no step with a loss")
    remarks = list(_mark_hidden_nan(rows))
    rows = _order(rows, remarks)
    _set_fractions(file.name, rows, remarks)
    table = pd.DataFrame([{name: row.get(name, math.nan) for name in LOG_COLUMNS} for row in rows])
    if (table["tokens"].diff() < 0).any():
        remarks.append("the count of tokens restarts, so it is left out")
        table["tokens"] = math.nan
    return Log(table.astype({"step": int}), remarks)


def _read_csv(file: Path) -> Iterator[Row]:
    """Yield the training rows of a CSV or TSV log as numbers; rows of evaluations are left out."""
    table = read_table(file)
    columns = _name_columns(file.name, table.columns)
    if missing := [name for name in ("step", "loss") if name not in columns.values()]:
        theirs = ", ".join(table.columns[:12])
        raise ValueError(f"{file.name} has no column {', '.join(missing)}; it has {theirs}")
    for line, cells in zip(table.lines, table.rows, strict=True):
        named = _rename(columns, cells)
        if list(cells) == list(cells.values()):
            continue  # the line of names again, of a part that was appended
        evaluation = named.pop("validation_loss", "")
        if not named["loss"] and evaluation:
            continue
        if not named.get("grad_norm", "0"):
            del named["grad_norm"]
        if empty := [name for name, cell in named.items() if not cell]:
            raise ValueError(f"{file.name}: line {line}: {', '.join(empty)} is empty")
        yield _parse_row(file.name, f"line {line}", named, table.decimal_comma)


def _read_json(file: Path) -> Iterator[Row]:
    """Yield the training rows of a trainer_state.json, of its `log_history`, or of JSON lines."""
    for number, entry in enumerate(_load_history(file), 1):
        place = f"entry {number}"
        columns = _name_columns(f"{file.name}: {place}", list(entry))
        filled = {name: str(value) for name, value in entry.items() if value is not None}
        named = _rename(columns, filled)
        is_evaluation = "loss" not in named and "validation_loss" in named
        if "train_runtime" in filled or is_evaluation:  # the first is of the summary at the end
            continue
        if "step" in named and "loss" in columns.values():
            yield _parse_row(file.name, place, {"loss": "nan"} | named, False)


def _load_history(file: Path) -> list[dict[str, Any]]:
    """Return the entries of a JSON log."""
    try:
        text = file.read_text(encoding="utf-8-sig").strip()
        lines = text.splitlines()
        is_lines = len(lines) > 1 and all(line.startswith("{") for line in lines if line.strip())
        if is_lines and lines[0].rstrip().endswith("}"):
            state = [json.loads(line) for line in lines if line.strip()]
        else:
            state = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file.name}: not JSON ({error})") from None
    single = [state] if file.suffix.lower() == ".jsonl" else None
    history = state.get("log_history", single) if isinstance(state, dict) else state
    if not isinstance(history, list) or not all(isinstance(entry, dict) for entry in history):
        raise ValueError(f"{file.name}: no log_history; name a trainer_state.json or a CSV")
    return history


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


def _rename(columns: dict[str, str], cells: dict[str, str]) -> dict[str, str]:
    """Return the cells under our names; those of a column `percentage` end with the sign."""
    signs = {name: "%" * (name == "percentage") for name in columns}
    return {ours: cells[c] + signs[c] for c, ours in columns.items() if c in cells}


def _parse_row(name: str, place: str, cells: dict[str, str], decimal_comma: bool) -> Row:
    """Return the cells of a step as numbers. Raises ValueError with the place."""
    row: Row = {"at": place}
    for column, cell in cells.items():
        is_percent = column == "fraction" and cell.endswith("%")
        try:
            value = parse_number(cell.rstrip("% ") if is_percent else cell, decimal_comma)
        except ValueError as error:
            raise ValueError(f"{name}: {place}: {column}: {error}") from None
        if column in ("step", "fraction", "tokens") and not math.isfinite(value):
            raise ValueError(f"{name}: {place}: {column} is {cell}, not a finite number")
        row[column] = value / 100 if is_percent else value
    if row["step"] != int(row["step"]) or not 0 <= row["step"] < MAX_STEP:
        raise ValueError(f"{name}: {place}: step {row['step']:g} is not a whole number from 0")
    if row["loss"] < 0:
        raise ValueError(f"{name}: {place}: loss is {row['loss']:g}; a loss is 0 or more")
    return row


def _mark_hidden_nan(rows: list[Row]) -> Iterator[str]:
    """Make a loss of 0 beside a NaN gradient NaN, as it was; yield a remark on such gradients."""
    bad = [row for row in rows if not math.isfinite(row.get("grad_norm", 0.0))]
    for row in bad:
        row["loss"] = row["loss"] or math.nan
    if bad:
        first = f"the first is step {bad[0]['step']:g}"
        yield f"grad_norm is NaN or infinite at {len(bad)} steps, {first}"


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
    values = [row[source] for row in rows]
    if source == "epoch" and values == sorted(values) and len(set(values)) < len(values):
        source = "step"  # whole epochs
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
    """Return at which steps the loss is no number or 0, "" if it never is.

    A cross-entropy of 0 is the trace of a NaN: transformers writes it as 0.0.

    >>> describe_faults(pd.DataFrame({"step": [1, 2, 3], "loss": [2.0, float("nan"), 1.0]}))
    'loss is NaN at 1 of 3 steps, the first is step 2'
    """
    losses, steps = log["loss"].tolist(), log["step"].tolist()
    bad = [not math.isfinite(loss) or loss == 0 for loss in losses]
    if not any(bad):
        return ""
    first = bad.index(True)
    kind = "NaN" if math.isnan(losses[first]) else "infinite" if losses[first] else "0"
    if all(bad[first:]):
        return f"loss is {kind} from step {steps[first]} on"
    return f"loss is {kind} at {sum(bad)} of {len(bad)} steps, the first is step {steps[first]}"
