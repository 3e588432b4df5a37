"""Each exam score with the loss of its own training."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from clinical_camel.core.files import read_json
from clinical_camel.data.exam_scores import SCORE_COLUMNS
from clinical_camel.loss_curves.curves import average_ends

MAX_FORMATS = 3  # columns of question formats on the page
SAME = ["base", "training", "benchmark", "protocol", "n", "accuracy"]  # one model, two names


def read_adapters(scores: Path) -> dict[str, str]:
    """Return the adapter folder of each model in a table of scores; "" for the base model.

    From the run.json beside the table; {} if there is none.
    """
    adapters = _read_params(scores).get("adapters", {})
    return {model: str(folder) for model, folder in adapters.items()}


def read_base(scores: Path) -> str:
    """Return the base model of a table of scores, from the run.json beside it; "" if unknown."""
    return str(_read_params(scores).get("model", ""))


def _read_params(scores: Path) -> dict[str, Any]:
    return read_json(scores.with_name("run.json")).get("params", {})


def read_epochs(log: Path) -> float:
    """Return the number of epochs of a training; 1 if no run.json beside its log has it."""
    return float(read_json(log.with_name("run.json")).get("params", {}).get("num_epochs", 1))


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
    bases: Mapping[str, str],
    logs: Mapping[str, str],
) -> pd.DataFrame:
    """Return every score with the last loss of the training of its model.

    Columns: study, base (model), model, training (the name of a log), last_loss, and the other
    SCORE_COLUMNS. `adapters`: of each study, the folder of each model (`read_adapters`). `bases`:
    of each study, its base model (`read_base`). A base model, or a model
    whose log is not among `logs`, has no training ("") and no loss (NaN). The last loss is the mean
    of the last twentieth of the steps, NaN if the training diverged.
    """
    last = {
        study: average_ends(log)[1] if np.isfinite(log["loss"].iloc[-1]) else np.nan
        for study, log in stacked.groupby("study", sort=False)
    }
    frames = []
    for study, table in scores.items():
        folders = adapters.get(study, {})
        training = table["model"].map(lambda m, f=folders: find_training(f.get(m, ""), logs))
        frames.append(
            table.assign(
                study=study,
                base=bases.get(study, ""),
                training=training,
                last_loss=training.map(last),
            )
        )
    first = ["study", "base", "model", "training", "last_loss"]
    others = [name for name in SCORE_COLUMNS if name not in first]
    if not frames:
        return pd.DataFrame(columns=[*first, *others])
    return pd.concat(frames, ignore_index=True)[[*first, *others]]


def select_scores(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the scores that the page shows: fewest shots, MAX_FORMATS formats, no score twice.

    Two studies may score one model under two names; the name of the last study stays.
    """
    return _select_formats(pairs).drop_duplicates(SAME, keep="last")


def _select_formats(pairs: pd.DataFrame) -> pd.DataFrame:
    if pairs.empty:
        return pairs
    formats = pairs["protocol"].drop_duplicates().head(MAX_FORMATS)
    return pairs[(pairs["num_shots"] == pairs["num_shots"].min()) & pairs["protocol"].isin(formats)]


def list_renamed(pairs: pd.DataFrame) -> list[str]:
    """Return which tuned models the page shows under their name in a later study, as sentences."""
    sentences = []
    trained = _select_formats(pairs[pairs["training"] != ""])
    for _, rows in trained.groupby(SAME, sort=False):
        shown = rows.iloc[-1]
        for row in rows[rows["model"] != shown["model"]].itertuples():
            sentences.append(
                f"`{row.model}` of {row.study} is the same model as `{shown['model']}` of "
                f"{shown['study']} and is shown under this name."
            )
    return list(dict.fromkeys(sentences))


def tabulate_scores(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the shown scores: a row per exam and model, a column per question format.

    A cell is the accuracy with its 95 % interval, in percent. If the models have several base
    models, a column names them.
    """
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    several = len(set(pairs["base"])) > 1
    for exam, scores in select_scores(pairs).groupby("benchmark", sort=False):
        for row in scores.itertuples():
            loss = f"{row.last_loss:.3f}".replace("nan", "NaN") if row.training else ""
            cell = f"{100 * row.accuracy:.1f} [{100 * row.low:.1f}, {100 * row.high:.1f}]"
            key = (exam, row.base, row.model, row.training, loss)
            rows.setdefault(key if several else (exam, *key[2:]), {})[row.protocol] = cell
    keys = ("exam", *(("base",) if several else ()), "model", "training", "last loss")
    table = [dict(zip(keys, key, strict=True)) | cells for key, cells in rows.items()]
    return pd.DataFrame(table, columns=None if table else keys).fillna("")
