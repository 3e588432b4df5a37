"""What the runs of a sweep were trained on, and how.

The results are those of step 02, its parameters, and the texts that its mixture names.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from clinical_camel import data
from clinical_camel.controlled_comparison.reading import (
    DATA,
    EXAM,
    TEXTS,
    TRAINING,
    SweepRun,
    is_base,
    name_seeds,
    read_record,
)

START, LEAST = 0.1, 10  # the start of a training: a tenth of its steps, at least so many
LARGE = 10.0  # norm of a gradient; after their start, our stable trainings stay below 7


def select_trained(runs: Sequence[SweepRun]) -> list[SweepRun]:
    """Return the runs whose adapter is scored: all but those of the arm `base`, or `base_4m`."""
    return [run for run in runs if not is_base(run.arm)]


def read_trainings(runs: Sequence[SweepRun], exposures: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run: what it was trained on and how.

    `format` is that of the texts on the conditions (`describe_format`). `rows` are those of one
    epoch. `target_tokens` are the tokens with loss over all epochs, `tokens` all tokens seen.
    `exposures_mean`, `_min` and `_max` are over the facts of `exposures`, the table of
    `count_exposures`. `parameters` are those of the base model. For the last columns see
    `describe_stability`.
    """
    statistics = ["mean", "min", "max"]
    per_run = exposures.groupby(["arm", "seed"])["exposures"].agg(statistics)
    per_run = per_run.add_prefix("exposures_").to_dict("index")
    unknown = {f"exposures_{name}": np.nan for name in statistics}
    rows = []
    for run in runs:
        params, folder = read_record(run, TRAINING)["params"], run.folders[TRAINING]
        mixture = pd.read_csv(folder / "mixture.csv")
        log = pd.read_csv(folder / "train_log.csv", usecols=["step", "loss", "grad_norm"])
        parts = pd.read_csv(folder / "parameters.csv", index_col="part")["parameters"]
        rows.append(
            {
                "arm": run.arm,
                "seed": name_seeds(run),
                "format": describe_format(params["mixture"]),
                "rows": mixture["rows"].sum(),
                "target_tokens": round(mixture["target_tokens"].sum() * params["num_epochs"]),
                "tokens": round(mixture["tokens"].sum() * params["num_epochs"]),
                "steps": log["step"].max(),
                "batch_size": params["batch_size"] * params["gradient_accumulation_steps"],
                **per_run.get((run.arm, name_seeds(run)), unknown),
                "learning_rate": params["learning_rate"],
                "dialogues_per_article": run.params.get(DATA, {}).get("dialogues_per_article"),
                "parameters": read_record(run, EXAM).get("notes", {}).get("parameters"),
                "adapter_parameters": parts["adapter"],
                **describe_stability(log),
            }
        )
    return pd.DataFrame(rows)


def describe_stability(log: pd.DataFrame) -> dict[str, float | bool]:
    """Return the highest loss at the start of a training and later, and whether it was unstable.

    Unstable: after the start, a gradient has a norm above LARGE (before it is clipped), or the loss
    rises above the highest of the start. A training with no more steps than LEAST is all start.
    """
    start = max(LEAST, round(START * len(log)))
    first, later = log["loss"].iloc[:start].max(), log["loss"].iloc[start:].max()
    gradient = log["grad_norm"].iloc[start:].max()
    return {
        "highest_loss_start": first,
        "highest_loss_later": later,
        "highest_gradient_later": gradient,
        "is_unstable": bool(later > first or gradient > LARGE),
    }


def list_teachers(runs: Sequence[SweepRun]) -> set[str]:
    """Return the kinds of teacher that wrote the texts of the runs."""
    return {run.params[DATA]["teacher"]["kind"] for run in runs if DATA in run.params}


def describe_format(mixture: Mapping[str, float]) -> str:
    """Return the format of the texts on the conditions: those that step 01 made of the articles.

    "chat", "plain text with title", the latter with "and headings", or two of them. An arm without
    texts of step 01 reads articles themselves.
    """
    written = [spec for spec in mixture if spec.endswith(TEXTS)]
    rows = [row for spec in written or mixture for row in data.load_training_rows(spec)]
    formats = {
        ("plain text with title" + " and headings" * any(s.heading for s in row.sections))
        if isinstance(row, data.Article)
        else "chat"
        for row in rows
        if written or isinstance(row, data.Article)
    }
    return "; ".join(sorted(formats))


def list_recipe_differences(runs: Sequence[SweepRun]) -> pd.DataFrame:
    """Return the settings of step 02 that are not equal in all runs: one row per arm.

    The study, the seed and the paths of the texts always differ and are left out; the shares of the
    mixture count. The batch size is in `tabulate_equality`.
    """
    recipes = []
    for run in runs:
        params = dict(read_record(run, TRAINING)["params"])
        params["mixture"] = {Path(spec).stem: share for spec, share in params["mixture"].items()}
        params["loss_on_all"] = [Path(spec).stem for spec in params["loss_on_all"]]
        recipes.append({"arm": run.arm} | {k: str(v) for k, v in params.items()})
    table = pd.DataFrame(recipes).drop(columns=["study", "seed", "batch_size"]).fillna("")
    differing = [name for name in table if len(set(table[name])) > 1 and name != "arm"]
    return table[["arm", *differing]].drop_duplicates().reset_index(drop=True)
