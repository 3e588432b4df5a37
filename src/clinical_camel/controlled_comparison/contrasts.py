"""Differences between two arms on the same questions and seeds, and the verdict on each.

An answer of one arm is paired with the answer of the other arm to the same question in the run of
the same seeds. A difference is a mean over questions. Its uncertainty comes from the conditions and
from the seeds (`two_way`). The interval is resampled; the tests and the minimum detectable effect
are those of the t distribution with the same standard error and degrees of freedom.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import nctdtrinc
from scipy.stats import t

from clinical_camel import stats
from clinical_camel.controlled_comparison.settings import (
    ALL,
    Comparison,
    split_contrast,
    split_outcome,
)
from clinical_camel.core.verdicts import (
    CANNOT_TELL,
    HELPS,
    HURTS,
    PRELIMINARY,
    SECONDARY,
    name_no_effect,
)
from clinical_camel.two_way import (
    Estimate,
    compute_p_difference,
    compute_p_equivalence,
    estimate_mean,
)

POWER = 0.8
COLUMNS = ["treatment", "control", "outcome", "is_primary", "n", "conditions", "seeds"]
COLUMNS += ["accuracy_treatment", "accuracy_control", "difference", "low", "high", "error", "df"]
TESTS = ["p", "p_equivalence", "min_detectable_effect"]
COLUMNS += ["sd_seeds", *TESTS]
FURTHER_COLUMNS = [name for name in COLUMNS if name not in ("is_primary", *TESTS)]
MIN_PAIRS = 2  # of seeds: one pair of trainings says nothing about others


# ------------------------------------------------------------------------------------ estimates


def pair_scores(answers: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    """Return the scores of several arms: a row per condition and id, a column per arm and seed.

    `answers`: those of one outcome. Only seeds of which every arm has answers count, and only
    questions that all of these runs answered. Without any, the table is empty.
    """
    seeds = [set(answers.loc[answers["arm"] == arm, "seed"]) for arm in arms]
    used = answers[answers["arm"].isin(arms) & answers["seed"].isin(set.intersection(*seeds))]
    keys = {"index": ["condition", "id"], "columns": ["arm", "seed"]}
    return used.pivot_table(**keys, values="score").dropna()


def count_pairs(scores: pd.DataFrame) -> dict[str, int]:
    """Return the number of questions, conditions and seeds of a table of `pair_scores`."""
    if scores.empty:
        return {"n": 0, "conditions": 0, "seeds": 0}
    conditions, seeds = scores.index.unique("condition"), scores.columns.unique("seed")
    return {"n": len(scores), "conditions": len(conditions), "seeds": len(seeds)}


def estimate_score(scores: pd.DataFrame, weights: dict[str, float], design: Comparison) -> Estimate:
    """Return the weighted sum of the accuracies of several arms, as an `Estimate`.

    `scores`: the table of `pair_scores`. `weights`: by arm; {a: 1, b: -1} is a difference, {a: 1}
    an accuracy. Raises ValueError for an empty table.
    """
    if scores.empty:
        raise ValueError(f"the arms {', '.join(weights)} have no question or no seed in common")
    total = sum(weight * scores[arm] for arm, weight in weights.items())
    groups = total.groupby(level="condition")
    sums, sizes = groups.sum().to_numpy(), groups.size().to_numpy()
    return estimate_mean(sums, sizes, design.seed, design.resamples)


def score_arms(answers: pd.DataFrame, design: Comparison) -> pd.DataFrame:
    """Return the accuracy of every arm in every outcome, over all of its seeds, with its interval.

    Columns: outcome, arm, n (questions), conditions, seeds, accuracy, low, high, chance (NaN for a
    measure without a chance level, and if questions are excluded by the answers of the base model),
    measure. The limits are NaN for several seeds below `min_seeds`, which say little about others.
    """
    rows = []
    for (outcome, arm), group in answers.groupby(["outcome", "arm"], sort=False):
        scores = pair_scores(group, [arm])
        estimate = estimate_score(scores, {arm: 1.0}, design)
        limits = {"low": max(estimate.low, 0.0), "high": min(estimate.high, 1.0)}
        row = {"outcome": outcome, "arm": arm, **count_pairs(scores), "accuracy": estimate.mean}
        if 1 < row["seeds"] < design.min_seeds:
            limits = dict.fromkeys(limits, np.nan)
        parts = split_outcome(design.outcomes[outcome.removesuffix(ALL)])
        is_selected = parts.benchmark == design.exam and not outcome.endswith(ALL)
        has_chance = not (is_selected and design.base_margin)
        chance = group["chance"].mean() if has_chance else np.nan
        rows.append(row | limits | {"chance": chance, "measure": parts.measure})
    return pd.DataFrame(rows)


def compare_arms(
    answers: pd.DataFrame, treatment: str, control: str, design: Comparison
) -> dict[str, Any]:
    """Return the difference of two arms in one outcome, as a row of `compare_all`.

    All numbers are of the questions and seeds that both arms have; without any, only the counts
    are there. With fewer than `min_seeds` pairs of seeds, there is no test.
    """
    scores = pair_scores(answers, [treatment, control])
    row: dict[str, Any] = count_pairs(scores)
    if not row["n"]:
        return row
    estimate = estimate_score(scores, {treatment: 1.0, control: -1.0}, design)
    row |= {
        "accuracy_treatment": scores[treatment].to_numpy().mean(),
        "accuracy_control": scores[control].to_numpy().mean(),
        "difference": estimate.mean,
        "low": max(estimate.low, -1.0),
        "high": min(estimate.high, 1.0),
        "error": estimate.error,
        "df": estimate.df,
        "sd_seeds": estimate.sd_seeds,
    }
    if row["seeds"] < design.min_seeds:
        return row
    level = design.alpha / len(design.contrasts)  # Holm's first step
    critical = t.isf(level / 2, estimate.df)
    return row | {
        "p": compute_p_difference(estimate),
        "p_equivalence": compute_p_equivalence(estimate, design.smallest_effect),
        "min_detectable_effect": nctdtrinc(estimate.df, 1 - POWER, critical) * estimate.error,
    }


# ------------------------------------------------------------------------------------- contrasts


def compare_all(answers: pd.DataFrame, warning: str, design: Comparison) -> pd.DataFrame:
    """Return every primary contrast in every outcome.

    Columns: COLUMNS, then p_holm and verdict. The other outcomes are secondary: they have neither
    tests nor verdicts. In the primary one, a contrast without common seeds has a row without
    numbers. With the `warning` that planned runs are missing (`reading.warn_missing`), verdicts are
    PRELIMINARY; without `has_verdict`, SECONDARY. Then there is no test.
    """
    rows = []
    for outcome in dict.fromkeys([design.primary, *answers["outcome"]]):
        here = answers[answers["outcome"] == outcome]
        for treatment, control in map(split_contrast, design.contrasts):
            row = {"treatment": treatment, "control": control, "outcome": outcome}
            row |= {"is_primary": outcome == design.primary}
            row |= compare_arms(here, treatment, control, design)
            if warning or not row["is_primary"] or not design.has_verdict:
                row |= dict.fromkeys(TESTS, np.nan)
            rows += [row] if row["n"] or row["is_primary"] else []
    return judge_contrasts(pd.DataFrame(rows, columns=COLUMNS), warning, design)


def judge_contrasts(table: pd.DataFrame, warning: str, design: Comparison) -> pd.DataFrame:
    """Add Holm's p (`p_holm`) and the verdict to the primary rows.

    The rows are all planned contrasts. Holm's adjustment counts one without a test as if its p
    were 1, so it makes the others no easier. With a `warning`, verdicts are PRELIMINARY, without
    `has_verdict` SECONDARY.
    """
    table = table.assign(p_holm=np.nan, verdict="")
    is_primary = table["is_primary"].to_numpy(bool)
    p = table.loc[is_primary, "p"].astype(float)
    if warning or not design.has_verdict:
        table.loc[is_primary, "verdict"] = PRELIMINARY if warning else SECONDARY
        return table
    table.loc[is_primary, "p_holm"] = np.where(p.isna(), np.nan, stats.adjust_holm(p.fillna(1.0)))
    rows = table[is_primary].to_dict("records")
    table.loc[is_primary, "verdict"] = [choose_verdict(row, design) for row in rows]
    return table


def choose_verdict(row: dict[str, Any], design: Comparison) -> str:
    """Return the verdict on a contrast, by the rule written before the runs.

    1. An effect of `smallest_effect` is ruled out (equivalence test): "no effect larger than ...",
    even if the difference is significant. 2. Significant after Holm: "helps" or "hurts", which
    says that the effect is not zero. 3. Else, and without a test (p is NaN), "cannot tell".

    >>> row = {"difference": 0.15, "p_holm": 0.001, "p_equivalence": 0.99}
    >>> choose_verdict(row, Comparison())
    'helps'
    """
    if row["p_equivalence"] < design.alpha:
        return name_no_effect(design.smallest_effect)
    if row["p_holm"] < design.alpha:
        return HELPS if row["difference"] > 0 else HURTS
    return CANNOT_TELL


def compare_further(answers: pd.DataFrame, design: Comparison) -> pd.DataFrame:
    """Return every further contrast in every outcome: an interval without a test or a verdict.

    Columns: FURTHER_COLUMNS. Below MIN_PAIRS common pairs of seeds, the primary outcome has a row
    with the counts only, the others have none.
    """
    rows = []
    for outcome in dict.fromkeys([design.primary, *answers["outcome"]]):
        here = answers[answers["outcome"] == outcome]
        for treatment, control in map(split_contrast, design.further_contrasts):
            row = {"treatment": treatment, "control": control, "outcome": outcome}
            counts = count_pairs(pair_scores(here, [treatment, control]))
            if counts["seeds"] >= MIN_PAIRS:
                rows.append(row | compare_arms(here, treatment, control, design))
            elif outcome == design.primary:
                rows.append(row | counts)
    return pd.DataFrame(rows, columns=FURTHER_COLUMNS)


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
        row = {"specialty": specialty} | compare_arms(group, treatment, control, design)
        if row["n"]:
            rows.append(row if row["error"] else row | {"low": np.nan, "high": np.nan})
    columns = ["specialty", "n", "conditions", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def compare_seeds(answers: pd.DataFrame, design: Comparison) -> pd.DataFrame:
    """Return every primary contrast for each pair of seeds, in the primary outcome.

    Columns: treatment, control, seeds ("0, 0": of data and training), difference.
    """
    here = answers[answers["outcome"] == design.primary]
    rows = []
    for treatment, control in map(split_contrast, design.contrasts):
        scores = pair_scores(here, [treatment, control])
        if scores.empty:
            continue
        for seed, difference in (scores[treatment] - scores[control]).mean().items():
            rows.append([treatment, control, seed, difference])
    return pd.DataFrame(rows, columns=["treatment", "control", "seeds", "difference"])
