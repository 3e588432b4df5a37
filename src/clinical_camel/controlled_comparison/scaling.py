"""Accuracy against the amount of text per fact, or against the size of the base model.

EntiGraph (arXiv:2409.07431) reports an accuracy that is linear in the logarithm of the synthetic
tokens. Here the gain per doubling is a weighted sum of the arms' accuracies (least squares), so its
interval comes from the same resampling of conditions and seeds.
"""

import numpy as np
import pandas as pd

from clinical_camel.controlled_comparison.contrasts import estimate_score, list_common_seeds
from clinical_camel.controlled_comparison.settings import Comparison

QUANTITIES = {"parameters": "parameters of the base model", "exposures_mean": "exposures per fact"}
POINT_COLUMNS = ["curve", "quantity", "arm", "x", "accuracy", "low", "high"]
FIT_COLUMNS = ["curve", "quantity", "arms", "seeds", "gain_per_doubling", "low", "high"]
FIT_COLUMNS += ["accuracy_at_1"]


def choose_quantity(trainings: pd.DataFrame, arms: list[str]) -> str:
    """Return the column in which the arms of a curve differ: the size, or else the exposures."""
    sizes = trainings.loc[trainings["arm"].isin(arms), "parameters"].dropna()
    return "parameters" if len(set(sizes)) > 1 else "exposures_mean"


def list_points(scores: pd.DataFrame, trainings: pd.DataFrame, design: Comparison) -> pd.DataFrame:
    """Return the points of every curve in the primary outcome, POINT_COLUMNS.

    `scores` is the table of `score_arms`. Arms without a complete run are left out.
    """
    primary = scores[scores["outcome"] == design.primary].set_index("arm")
    rows = []
    for curve, arms in design.scaling.items():
        arms = [arm for arm in arms if arm in primary.index]
        column = choose_quantity(trainings, arms)
        places = trainings.groupby("arm")[column].mean()
        for arm in sorted(arms, key=places.get):
            row = {"curve": curve, "quantity": QUANTITIES[column], "arm": arm, "x": places[arm]}
            rows.append(row | primary.loc[arm, ["accuracy", "low", "high"]].to_dict())
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
        seeds = list_common_seeds(here, arms)
        if not seeds or not np.ptp(places) > 0:
            continue
        weights = dict(zip(arms, centred / np.sum(centred**2), strict=True))
        slope = estimate_score(here, weights, design)
        level = estimate_score(here, dict.fromkeys(arms, 1 / len(arms)), design)
        row = {"curve": curve, "quantity": group["quantity"].iloc[0], "arms": len(arms)}
        row |= {"seeds": len(seeds), "gain_per_doubling": slope.mean}
        row |= {"low": slope.low, "high": slope.high}
        rows.append(row | {"accuracy_at_1": level.mean - slope.mean * places.mean()})
    return pd.DataFrame(rows, columns=FIT_COLUMNS)
