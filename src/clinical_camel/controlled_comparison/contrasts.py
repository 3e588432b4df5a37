"""Differences between two arms on the same questions and seeds, and the verdict on each.

An answer of one arm is paired with the answer of the other arm to the same question in the run of
the same seeds. A difference is a mean over questions. Its uncertainty comes from the conditions and
from the seeds (`two_way`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from clinical_camel import stats
from clinical_camel.controlled_comparison.reading import BASE
from clinical_camel.controlled_comparison.settings import Comparison, split_contrast
from clinical_camel.controlled_comparison.two_way import (
    Estimate,
    compute_p_difference,
    compute_p_equivalence,
    estimate_mean,
)

HELPS, HURTS, CANNOT_TELL = "helps", "hurts", "cannot tell"
POWER = 0.8


def name_no_effect(smallest_effect: float) -> str:
    """Return the verdict that a relevant effect is ruled out.

    >>> name_no_effect(0.05)
    'no effect larger than 5 points'
    """
    return f"no effect larger than {100 * smallest_effect:g} points"


# ------------------------------------------------------------------------------------ estimates


def estimate_score(
    answers: pd.DataFrame, weights: dict[str, float], design: Comparison
) -> Estimate:
    """Return the weighted sum of the accuracies of several arms, as an `Estimate`.

    `answers`: those of one outcome. `weights`: by arm; {a: 1, b: -1} is a difference, {a: 1} an
    accuracy. Only seeds of which every arm has a run count, and only questions that all of these
    runs answered. Raises ValueError if there are none.
    """
    scores = tabulate_scores_by_question(answers, weights)
    conditions = answers.drop_duplicates("id").set_index("id")["condition"].loc[scores.index]
    sums = scores.groupby(conditions).sum()
    sizes = scores.groupby(conditions).size().loc[sums.index]
    return estimate_mean(sums.to_numpy(), sizes.to_numpy(), design.seed, design.resamples)


def tabulate_scores_by_question(answers: pd.DataFrame, weights: dict[str, float]) -> pd.DataFrame:
    """Return the weighted sum of the scores of several arms: questions by seeds.

    Raises ValueError if the arms have no seed in common, or no question.
    """
    seeds = list_common_seeds(answers, list(weights))
    if not seeds:
        raise ValueError(f"the arms {', '.join(weights)} have no seed in common")
    used = answers[answers["arm"].isin(list(weights)) & answers["seed"].isin(seeds)]
    table = used.pivot_table(index="id", columns=["arm", "seed"], values="score").dropna()
    total = sum(weight * table[arm][seeds] for arm, weight in weights.items())
    if total.empty:
        raise ValueError(f"the arms {', '.join(weights)} have no question in common")
    return total


def list_common_seeds(answers: pd.DataFrame, arms: Sequence[str]) -> list[str]:
    """Return the seeds of which every arm has answers, sorted."""
    seeds = [set(answers.loc[answers["arm"] == arm, "seed"]) for arm in arms]
    return sorted(set.intersection(*seeds)) if seeds else []


def score_arms(answers: pd.DataFrame, design: Comparison) -> pd.DataFrame:
    """Return the accuracy of every arm in every outcome, with its interval.

    Columns: outcome, arm, n (questions), conditions, seeds, accuracy, low, high, chance, unread
    (the share of written replies that name no option).
    """
    rows = []
    for (outcome, arm), group in answers.groupby(["outcome", "arm"], sort=False):
        estimate = estimate_score(group, {arm: 1.0}, design)
        rows.append(
            {
                "outcome": outcome,
                "arm": arm,
                "n": group["id"].nunique(),
                "conditions": group["condition"].nunique(),
                "seeds": group["seed"].nunique(),
                "accuracy": estimate.mean,
                "low": max(estimate.low, 0.0),
                "high": min(estimate.high, 1.0),
                "chance": group["chance"].mean(),
                "unread": 1 - group["is_read"].mean(),
            }
        )
    return pd.DataFrame(rows)


def compare_arms(
    answers: pd.DataFrame, treatment: str, control: str, design: Comparison
) -> dict[str, Any]:
    """Return the difference of two arms in one outcome, as a row of `compare_all`."""
    pair = answers[answers["arm"].isin([treatment, control])]
    estimate = estimate_score(pair, {treatment: 1.0, control: -1.0}, design)
    seeds = list_common_seeds(pair, [treatment, control])
    used = pair[pair["seed"].isin(seeds)]
    accuracy = used.groupby("arm")["score"].mean()
    quantile = norm.isf(design.alpha / 2 / len(design.contrasts)) + norm.ppf(POWER)
    return {
        "n": used["id"].nunique(),
        "conditions": used["condition"].nunique(),
        "seeds": len(seeds),
        "accuracy_treatment": accuracy[treatment],
        "accuracy_control": accuracy[control],
        "difference": estimate.mean,
        "low": max(estimate.low, -1.0),
        "high": min(estimate.high, 1.0),
        "error": estimate.error,
        "df": estimate.df,
        "p": compute_p_difference(estimate),
        "p_equivalence": compute_p_equivalence(estimate, design.smallest_effect),
        "min_detectable_effect": quantile * estimate.error,
        "sd_conditions": estimate.sd_conditions,
        "sd_seeds": estimate.sd_seeds,
    }


# ------------------------------------------------------------------------------------- contrasts


def compare_all(answers: pd.DataFrame, design: Comparison) -> pd.DataFrame:
    """Return every primary contrast in every outcome.

    Columns: treatment, control, outcome, is_primary, those of `compare_arms`, then p_holm and
    verdict for the primary outcome alone. A contrast without a common seed is left out. The other
    outcomes are secondary: their intervals and p-values are not adjusted, and they get no verdict.
    """
    rows = []
    for outcome in answers["outcome"].unique():
        here = answers[answers["outcome"] == outcome]
        for treatment, control in map(split_contrast, design.contrasts):
            if list_common_seeds(here, [treatment, control]):
                row = {"treatment": treatment, "control": control, "outcome": outcome}
                row |= {"is_primary": outcome == design.primary}
                rows.append(row | compare_arms(here, treatment, control, design))
    return judge_contrasts(pd.DataFrame(rows), design) if rows else pd.DataFrame()


def judge_contrasts(table: pd.DataFrame, design: Comparison) -> pd.DataFrame:
    """Add Holm's p (`p_holm`) and the verdict to the primary rows.

    Holm's adjustment counts the primary contrasts that were planned, so a contrast without a run
    makes the others no easier.
    """
    planned = len(design.contrasts)
    is_primary = table["is_primary"].to_numpy(bool)
    p = table.loc[is_primary, "p"].fillna(1.0).to_numpy()
    padded = np.concatenate([p, np.ones(max(0, planned - len(p)))])
    table = table.assign(p_holm=np.nan, verdict="")
    if len(p):
        table.loc[is_primary, "p_holm"] = stats.adjust_holm(padded)[: len(p)]
        table.loc[is_primary, "verdict"] = [
            choose_verdict(row, design) for row in table[is_primary].to_dict("records")
        ]
    return table


def choose_verdict(row: dict[str, Any], design: Comparison) -> str:
    """Return the verdict on a contrast, by the rule written before the runs.

    0. Fewer than `min_seeds` pairs of seeds: "cannot tell". 1. An effect of `smallest_effect` is
    ruled out (equivalence test): "no effect larger than ...", even if the difference is
    significant. 2. Significant after Holm: "helps" or "hurts". 3. Else "cannot tell".

    >>> row = {"seeds": 5, "difference": 0.15, "p_holm": 0.001, "p_equivalence": 0.99}
    >>> choose_verdict(row, Comparison())
    'helps'
    """
    if row["seeds"] < design.min_seeds:
        return CANNOT_TELL
    if row["p_equivalence"] < design.alpha:
        return name_no_effect(design.smallest_effect)
    if row["p_holm"] < design.alpha:
        return HELPS if row["difference"] > 0 else HURTS
    return CANNOT_TELL


def compare_subgroups(
    answers: pd.DataFrame, specialties: dict[str, str], design: Comparison
) -> pd.DataFrame:
    """Return the first contrast in the primary outcome, by specialty of the condition.

    Columns: specialty, n, conditions, difference, low, high. Not adjusted: with many specialties,
    some intervals exclude zero by chance.
    """
    treatment, control = split_contrast(design.contrasts[0])
    here = answers[answers["outcome"] == design.primary]
    names = here["condition"].str.casefold().map(specialties)
    rows = []
    for specialty, group in here.groupby(names, sort=True):
        if list_common_seeds(group, [treatment, control]):
            row = compare_arms(group, treatment, control, design)
            row |= {} if row["error"] else {"low": np.nan, "high": np.nan}  # all differences equal
            columns = ("n", "conditions", "difference", "low", "high")
            rows.append({"specialty": specialty} | {name: row[name] for name in columns})
    columns = ["specialty", "n", "conditions", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def compare_seeds(answers: pd.DataFrame, design: Comparison) -> pd.DataFrame:
    """Return every primary contrast for each pair of seeds, in the primary outcome.

    Columns: treatment, control, data_seed, training_seed, difference. Runs of one data seed share
    their texts, so the spread within a data seed is that of the training alone.
    """
    here = answers[(answers["outcome"] == design.primary) & (answers["arm"] != BASE)]
    rows = []
    for treatment, control in map(split_contrast, design.contrasts):
        if not list_common_seeds(here, [treatment, control]):
            continue
        means = tabulate_scores_by_question(here, {treatment: 1.0, control: -1.0}).mean()
        for seed, difference in means.items():
            data_seed, _, training_seed = str(seed).partition(".")
            seeds = {"data_seed": int(data_seed), "training_seed": int(training_seed)}
            rows.append({"treatment": treatment, "control": control, **seeds})
            rows[-1]["difference"] = difference
    columns = ["treatment", "control", "data_seed", "training_seed", "difference"]
    return pd.DataFrame(rows, columns=columns)


def compare_data_seeds(answers: pd.DataFrame, design: Comparison) -> pd.DataFrame:
    """Return the primary contrasts with the runs of one data seed averaged, as `compare_all` does.

    Runs of one data seed share their texts. If the texts matter, they are no independent runs, and
    the interval of `compare_all` is too narrow: this one counts each data seed once.
    """
    here = answers[(answers["outcome"] == design.primary) & (answers["arm"] != BASE)]
    return compare_all(here.assign(seed=here["seed"].str.partition(".")[0]), design)
