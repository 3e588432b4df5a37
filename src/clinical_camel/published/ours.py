"""Our own scores of a study that reproduces a published system, or why there are none."""

from collections.abc import Mapping

import pandas as pd

from clinical_camel import stats
from clinical_camel.core.files import read_json
from clinical_camel.core.paths import root
from clinical_camel.core.tables import EMPTY_IS_MISSING
from clinical_camel.published.plans import Plan

EXAM = "03_eval_fewshot"
MMLU = "mmlu_medical"  # our benchmark whose subjects are published one by one
COLUMNS = ["benchmark", "protocol", "num_shots", "model", "n", "too_long", "accuracy"]
COLUMNS += ["accuracy_norm", "low", "high", "chance"]


def read_runs(systems: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Return our scores of each system, COLUMNS; no row where the study has not run.

    `systems`: the study of each system ("name:size"). The scores are those of the last model and of
    the unchanged questions, with each subject of `mmlu_medical` as a benchmark.
    """
    return {system: read_scores_of(study) for system, study in systems.items()}


def read_scores_of(study: str) -> pd.DataFrame:
    """Return the scores of a study, as in `read_runs`; the subjects need its answers.csv."""
    folder = root() / "outputs" / study / EXAM
    record = read_json(folder / "run.json")
    params = record.get("params")
    adapters = params.get("adapters") if isinstance(params, dict) else None
    is_complete = record.get("status") == "complete" and (folder / "scores.csv").is_file()
    if not is_complete or not adapters:  # a record without them is damaged
        return pd.DataFrame(columns=COLUMNS)
    model = [*adapters][-1]
    scores = pd.read_csv(folder / "scores.csv")
    scores = scores[(scores["model"] == model) & (scores["variant"] == "as_given")]
    tables = [scores[COLUMNS]]
    if (folder / "answers.csv").is_file():
        answers = pd.read_csv(folder / "answers.csv", dtype={"id": str}, **EMPTY_IS_MISSING)
        answers = answers[(answers["model"] == model) & (answers["variant"] == "as_given")]
        tables.append(score_subjects(answers, scores))
    return pd.concat(tables, ignore_index=True)


def score_subjects(answers: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Return the score of each subject of `mmlu_medical`, COLUMNS, as benchmark `mmlu_<subject>`.

    `answers` and `scores`: those of one model. Chance is that of the complete benchmark: all its
    questions have four options.
    """
    keys = ["protocol", "num_shots"]
    chance = scores[scores["benchmark"] == MMLU].set_index(keys)["chance"]
    rows = []
    answers = answers[answers["benchmark"] == MMLU]
    for (subject, *key), group in answers.groupby(["subset", *keys], sort=False):
        fits = group[group["fits"]]
        low, high = stats.wilson_interval(int(fits["correct"].sum()), len(fits))
        counts = [len(fits), len(group) - len(fits)]
        shares = [fits["correct"].mean(), fits["correct_norm"].mean(), low, high]
        name = [f"mmlu_{subject}", *key, group["model"].iloc[0]]
        rows.append([*name, *counts, *shares, chance[tuple(key)]])
    return pd.DataFrame(rows, columns=COLUMNS)


def describe_runs(
    systems: Mapping[str, str],
    runs: Mapping[str, pd.DataFrame],
    plans: Mapping[str, Plan],
    hourly_rate: float,
) -> list[str]:
    """Return for each system whether its study has run, and if not, what it would take.

    `plans`: `read_plans`; `hourly_rate` in dollars.
    """
    lines = []
    for system, study in systems.items():
        if len(runs[system]):
            state = f"{len(runs[system])} scores of ours"
        elif study in plans:
            state = f"*not run: {plans[study].describe(hourly_rate)}*"
        else:
            state = "*not run*, and no estimate: run `python -m clinical_camel plans`"
        lines.append(f"`{system}`, study `{study}`: {state}")
    return lines
