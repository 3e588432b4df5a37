"""How each adapter of a study was trained: its texts, target tokens, epochs and steps.

Read from what step 02 writes beside the adapter: run.json, mixture.csv and train_log.csv. An
adapter without these files, such as one of others, has no row.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath

import pandas as pd

from clinical_camel import data
from clinical_camel.core.files import read_json
from clinical_camel.core.paths import root
from clinical_camel.core.wording import join

COLUMNS = ["model", "source", "rows", "target_tokens", "epochs", "steps", "validation"]


def read_trainings(adapters: Mapping[str, str]) -> pd.DataFrame:
    """Return the training texts of each adapter, a row per text: COLUMNS.

    `adapters`: the folder of each model, as in the settings. `rows` and `target_tokens` are those
    of one epoch, with the rows for validation; `epochs` and `steps` are of the complete training.
    `validation`: the share of articles whose rows only measure the loss.
    """
    tables = [pd.DataFrame(columns=COLUMNS)]
    for model, adapter in adapters.items():
        folder = (root() / adapter).parent
        files = [folder / name for name in ("mixture.csv", "train_log.csv")]
        params = read_json(folder / "run.json").get("params", {})
        epochs = params.get("num_epochs")
        if not adapter or epochs is None or not all(file.is_file() for file in files):
            continue
        mixture, log = map(pd.read_csv, files)
        values = {"model": model, "epochs": float(epochs), "steps": int(log["step"].max())}
        values["validation"] = float(params.get("validation_fraction", 0))
        tables.append(mixture.assign(**values)[COLUMNS])
    return pd.concat(tables[1:] or tables, ignore_index=True)


def describe_trainings(trainings: pd.DataFrame) -> str:
    """Return the training of each model as a list in Markdown; "" without any."""
    return "\n".join(
        f"- `{model}` was trained on {_list_texts(rows)}: {rows['epochs'].iloc[0]:g} epochs in "
        f"{rows['steps'].iloc[0]:,} steps, {rows['target_tokens'].sum():,} target tokens per epoch."
        f"{_describe_validation(rows['validation'].iloc[0])}"
        for model, rows in trainings.groupby("model", sort=False)
    )


def _describe_validation(share: float) -> str:
    """Return which rows were counted but not learned; "" if there are none."""
    if not share:
        return ""
    return f" The rows of {100 * share:.3g} % of the articles only measure the loss."


def compare_trainings(trainings: pd.DataFrame, model: str, reference: str) -> str:
    """Return how the trainings of two models differ in texts, tokens and steps; "" if unknown."""
    ours, theirs = (trainings[trainings["model"] == name] for name in (model, reference))
    if ours.empty or theirs.empty:
        return ""
    alone = (
        (name, rows[~rows["source"].isin(other["source"])])
        for name, rows, other in ((model, ours, theirs), (reference, theirs, ours))
    )
    texts = [f"Only `{name}` was trained on {_list_texts(own)}." for name, own in alone if len(own)]
    tokens, steps = (
        " and ".join(f"{count:,}" for count in counts)
        for counts in (
            (ours["target_tokens"].sum(), theirs["target_tokens"].sum()),
            (ours["steps"].iloc[0], theirs["steps"].iloc[0]),
        )
    )
    return " ".join(texts) + (
        f" Target tokens per epoch: {tokens}; steps: {steps} (`{model}` first). The texts may also "
        "differ in form: questions and answers train a model to answer questions, articles do not. "
        "This study cannot separate the content of the texts from their form and from the number "
        "of steps."
    )


def _name_text(spec: str) -> str:
    """Return a label, with the study whose step wrote the text.

    >>> _name_text("mini_chat"), _name_text("outputs/mini_camel/01_dbke/dialogues.jsonl")
    ('`mini_chat`', '`dialogues` of mini_camel')
    """
    folders = PurePosixPath(spec).parts
    study = f" of {folders[1]}" if folders[0] == "outputs" and len(folders) > 2 else ""
    return f"`{data.label(spec)}`{study}"


def _list_texts(rows: pd.DataFrame) -> str:
    return join([f"{_name_text(row.source)} ({row.rows:,} rows)" for row in rows.itertuples()])
