"""Accuracy against the amount of text per fact, or against the size of the base model.

EntiGraph (arXiv:2409.07431) reports an accuracy that is linear in the logarithm of the synthetic
tokens. Here the gain per doubling is a weighted sum of the arms' accuracies (least squares), so its
interval comes from the same resampling of conditions and seeds.
"""

import numpy as np
import pandas as pd

from clinical_camel.controlled_comparison.contrasts import (
    count_pairs,
    estimate_score,
    pair_scores,
)
from clinical_camel.controlled_comparison.settings import Comparison

QUANTITIES = {"parameters": "parameters of the base model", "exposures_mean": "exposures per fact"}
POINT_COLUMNS = ["curve", "quantity", "arm", "x", "accuracy", "low", "high"]
FIT_COLUMNS = ["curve", "quantity", "arms", "seeds", "gain_per_doubling", "low", "high"]
FIT_COLUMNS += ["accuracy_at_1"]


def list_points(scores: pd.DataFrame, trainings: pd.DataFrame, design: Comparison) -> pd.DataFrame:
    """Return the points of every curve in the primary outcome, POINT_COLUMNS.

    `scores` is the table of `score_arms`. Arms without a complete run are left out. `x` is the size
    of the base model, if the arms differ in it, or else the exposures per fact.
    """
    primary = scores[scores["outcome"] == design.primary].set_index("arm")
    rows = []
    for curve, arms in design.scaling.items():
        arms = [arm for arm in arms if arm in primary.index]
        means = trainings[trainings["arm"].isin(arms)].groupby("arm")[list(QUANTITIES)].mean()
        column = "parameters" if len(set(means["parameters"].dropna())) > 1 else "exposures_mean"
        places = means[column]
        for arm in sorted(arms, key=places.get):
            accuracy = primary.loc[arm, ["accuracy", "low", "high"]]
            rows.append([curve, QUANTITIES[column], arm, places[arm], *accuracy])
    return pd.DataFrame(rows, columns=POINT_COLUMNS)


def fit_curves(answers: pd.DataFrame, points: pd.DataFrame, design: Comparison) -> pd.DataFrame:
    """Return the gain in accuracy per doubling of x for every curve, with its interval.

    `points` is the table of `list_points`. A curve needs two values of x and a common seed.
    `accuracy_at_1` is the fitted accuracy at x = 1, where the line begins.
    """
    here = answers[answers["outcome"] == design.primary]
    rows = []
    for curve, group in points.groupby("curve", sort=False):
        places = np.log2(group["x"].to_numpy(float))
        centred = places - places.mean()
        arms = group["arm"].tolist()
        scores = pair_scores(here, arms)
        if scores.empty or not np.ptp(places) > 0:
            continue
        weights = dict(zip(arms, centred / np.sum(centred**2), strict=True))
        slope = estimate_score(scores, weights, design)
        level = estimate_score(scores, dict.fromkeys(arms, 1 / len(arms)), design)
        start = [curve, group["quantity"].iloc[0], len(arms), count_pairs(scores)["seeds"]]
        at_1 = level.mean - slope.mean * places.mean()
        rows.append([*start, slope.mean, slope.low, slope.high, at_1])
    return pd.DataFrame(rows, columns=FIT_COLUMNS)
