"""Each exam score with the loss of its own training."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pandas as pd

from clinical_camel.core.files import read_json
from clinical_camel.core.tables import parse_number, read_table
from clinical_camel.loss_curves.settings import SCORE_COLUMNS

NUMBERS = ("num_shots", "n", "accuracy", "low", "high", "chance")
SHARES = ("accuracy", "low", "high", "chance")
MAX_FORMATS = 3  # columns of question formats on the page


def read_scores(file: Path) -> pd.DataFrame:
    """Return the scores of step 03, SCORE_COLUMNS; of variants only `as_given`.

    Raises ValueError with the file and line: a missing column, a text that is no number, an
    accuracy that is no share.
    """
    table = read_table(file)
    if missing := [name for name in SCORE_COLUMNS if name not in table.columns]:
        raise ValueError(f"{file.name} has no column {', '.join(missing)}")
    rows = []
    for line, cells in zip(table.lines, table.rows, strict=True):
        if cells.get("variant", "as_given") != "as_given":
            continue
        row = {name: cells[name] for name in SCORE_COLUMNS}
        for name in NUMBERS:
            try:
                row[name] = parse_number(cells[name], table.decimal_comma)
            except ValueError as error:
                raise ValueError(f"{file.name}: line {line}: {name}: {error}") from None
            if name in SHARES and row[name] > 1:
                value = f"{name} is {row[name]:g}"
                raise ValueError(f"{file.name}: line {line}: {value}; write a share from 0 to 1")
        rows.append(row)
    return pd.DataFrame(rows, columns=list(SCORE_COLUMNS)).astype({"num_shots": int, "n": int})


def read_adapters(scores: Path) -> dict[str, str]:
    """Return the adapter folder of each model in a table of scores; "" for the base model.

    From the run.json beside the table; {} if there is none.
    """
    adapters = read_json(scores.with_name("run.json")).get("params", {}).get("adapters", {})
    return {model: str(folder) for model, folder in adapters.items()}


def find_training(adapter: str, logs: Mapping[str, str]) -> str:
    """Return the name of the log that lies in the folder of an adapter; "" for none.

    >>> find_training("outputs/a/02_sft_qlora/adapter", {"a": "outputs/a/02_sft_qlora/log.csv"})
    'a'
    """
    folders = PurePosixPath(adapter).parents if adapter else ()
    return next((name for name, file in logs.items() if PurePosixPath(file).parent in folders), "")


def pair_scores(
    stacked: pd.DataFrame,
    scores: Mapping[str, pd.DataFrame],
    adapters: Mapping[str, Mapping[str, str]],
    logs: Mapping[str, str],
) -> pd.DataFrame:
    """Return every score with the last smoothed loss of the training of its model.

    Columns: study, model, training (the name of a log), last_loss, and the other SCORE_COLUMNS.
    `adapters`: of each study, the folder of each model (`read_adapters`). A base model, or a model
    whose log is not among `logs`, has no training ("") and no loss (NaN).
    """
    last = stacked.groupby("study", sort=False)["smoothed"].last(skipna=False)
    frames = []
    for study, table in scores.items():
        folders = adapters.get(study, {})
        training = table["model"].map(lambda m, f=folders: find_training(f.get(m, ""), logs))
        frames.append(table.assign(study=study, training=training, last_loss=training.map(last)))
    first = ["study", "model", "training", "last_loss"]
    others = [name for name in SCORE_COLUMNS if name not in first]
    if not frames:
        return pd.DataFrame(columns=[*first, *others])
    return pd.concat(frames, ignore_index=True)[[*first, *others]]


def select_scores(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the scores that the page shows: fewest shots, MAX_FORMATS formats, no score twice.

    Two studies may score one model under two names; the name of the last study stays.
    """
    if pairs.empty:
        return pairs
    formats = pairs["protocol"].drop_duplicates().head(MAX_FORMATS)
    few = pairs[(pairs["num_shots"] == pairs["num_shots"].min()) & pairs["protocol"].isin(formats)]
    same = ["training", "benchmark", "protocol", "n", "accuracy"]
    return few.drop_duplicates(same, keep="last")


def tabulate_scores(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the shown scores: a row per exam and model, a column per question format.

    A cell is the accuracy with its 95 % interval, in percent.
    """
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for exam, scores in select_scores(pairs).groupby("benchmark", sort=False):
        for row in scores.itertuples():
            loss = f"{row.last_loss:.3f}".replace("nan", "NaN") if row.training else ""
            cell = f"{100 * row.accuracy:.1f} [{100 * row.low:.1f}, {100 * row.high:.1f}]"
            rows.setdefault((exam, row.model, row.training, loss), {})[row.protocol] = cell
    keys = ("exam", "model", "training", "last loss")
    table = [dict(zip(keys, key, strict=True)) | cells for key, cells in rows.items()]
    return pd.DataFrame(table, columns=None if table else keys).fillna("")
