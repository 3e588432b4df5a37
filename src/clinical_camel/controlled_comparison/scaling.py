"""Accuracy against the amount of text per fact, or against the size of the base model.

EntiGraph (arXiv:2409.07431) reports an accuracy that is about linear in the logarithm of the
synthetic tokens. Here the gain per doubling is a weighted sum of the arms' accuracies (least
squares), so its interval comes from the same resampling of conditions and seeds.
"""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from clinical_camel.controlled_comparison.contrasts import (
    count_pairs,
    estimate_score,
    pair_scores,
)
from clinical_camel.controlled_comparison.reading import MISSING
from clinical_camel.controlled_comparison.settings import ALL, Comparison
from clinical_camel.core.files import read_json
from clinical_camel.core.paths import root
from clinical_camel.core.settings import Incomplete

SIZE = "parameters of the base model"
QUANTITIES = {  # columns of `read_trainings`: the first that differs between the arms is x
    "parameters": SIZE,
    "dialogues_per_article": "dialogues per article",
    "exposures_mean": "exposures per fact",
}
POINT_COLUMNS = ["curve", "quantity", "arm", "outcome", "x", "accuracy", "low", "high"]
FIT_COLUMNS = ["curve", "quantity", "arms", "seeds", "gain_per_doubling", "low", "high"]
FIT_COLUMNS += ["accuracy_at_1"]


# Llama 3 8B on QuALITY, chance 25 %: the curve that EntiGraph's authors fitted, accuracy in % from
# millions of synthetic tokens, 1.3 to 455, as notes on the paper give it (not read in the paper).
ENTIGRAPH_LIMIT = 64.5456
ENTIGRAPH_TERMS = ((13.8352, 0.9989), (8.4705, 0.8961), (3.932, 0.0546))
ENTIGRAPH_RANGE = (1.3, 455.0)


def calculate_published_accuracy(tokens: float) -> float:
    """Return the accuracy of EntiGraph's fitted curve for so many million tokens.

    >>> [round(calculate_published_accuracy(tokens), 3) for tokens in ENTIGRAPH_RANGE]
    [0.433, 0.562]
    """
    return (ENTIGRAPH_LIMIT - sum(a * b**tokens for a, b in ENTIGRAPH_TERMS)) / 100


def calculate_published_gain() -> float:
    """Return the mean gain per doubling of EntiGraph's fitted curve, over ENTIGRAPH_RANGE.

    >>> round(calculate_published_gain(), 4)
    0.0152
    """
    low, high = map(calculate_published_accuracy, ENTIGRAPH_RANGE)
    return (high - low) / math.log2(ENTIGRAPH_RANGE[1] / ENTIGRAPH_RANGE[0])


def list_points(scores: pd.DataFrame, trainings: pd.DataFrame, design: Comparison) -> pd.DataFrame:
    """Return the points of every curve in `design.scaling_outcome`, POINT_COLUMNS.

    `scores` is the table of `score_arms`. Arms without a complete run are left out. `x` is the
    first of QUANTITIES in which the arms differ. After the curves come the single points of other
    sweeps, `design.other_points`.
    """
    outcome = design.scaling_outcome
    primary = scores[scores["outcome"] == outcome].set_index("arm")
    rows = []
    for curve, arms in design.scaling.items():
        arms = [arm for arm in arms if arm in primary.index]
        means = trainings[trainings["arm"].isin(arms)].groupby("arm")[list(QUANTITIES)].mean()
        differing = [c for c in QUANTITIES if len({*means[c].dropna()}) > 1]
        column = (differing or [*QUANTITIES])[0]
        places = means[column]
        for arm in sorted(arms, key=places.get):
            accuracy = primary.loc[arm, ["accuracy", "low", "high"]]
            rows.append([curve, QUANTITIES[column], arm, outcome, places[arm], *accuracy])
    same = design.outcomes[design.primary]
    for name, place in design.other_points.items():
        rows.append([name, SIZE, place, outcome, *_read_point(name, place, same)])
    return pd.DataFrame(rows, columns=POINT_COLUMNS)


def _read_point(name: str, place: str, outcome: str) -> list[float]:
    """Return the size, accuracy and interval of an arm of another sweep, from its tables.

    Raises Incomplete if that sweep has no result for the arm, lacks runs of it, or has another
    primary outcome.
    """
    sweep, arm = place.split("/")
    folder = Path(f"outputs/{sweep}/06_controlled_comparison")
    files = [folder / name for name in ("scores.csv", "trainings.csv", "runs.csv")]
    for file in files:
        if not (root() / file).is_file():
            raise Incomplete(
                f"other_points.{name}: {file} is missing; execute python -m clinical_camel run "
                f"{sweep}, or leave the point out"
            )
    params = read_json(root() / folder / "run.json").get("params", {})
    theirs = next(iter(params.get("outcomes", {}).values()), "")
    if theirs != outcome:
        raise Incomplete(
            f"other_points.{name}: the primary outcome of {sweep} is {theirs or 'unknown'}, that "
            f"of this sweep {outcome}; leave the point out"
        )
    scores, trainings, runs = (pd.read_csv(root() / file) for file in files)
    if (runs["arm"].eq(arm) & runs["status"].eq(MISSING)).any():
        raise Incomplete(
            f"other_points.{name}: runs of the arm {arm} of {sweep} are missing, so its accuracy "
            f"may change; execute python -m clinical_camel run {sweep}, or leave the point out"
        )
    every = [name for name in scores["outcome"] if name.endswith(ALL)]
    primary = scores[scores["outcome"].isin(every[:1])]
    score, sizes = primary[primary["arm"] == arm], trainings[trainings["arm"] == arm]["parameters"]
    if score.empty or sizes.isna().all():
        raise Incomplete(f"other_points.{name}: {sweep} has no complete run of the arm {arm}")
    return [sizes.mean(), *score.iloc[0][["accuracy", "low", "high"]]]


def fit_curves(answers: pd.DataFrame, points: pd.DataFrame, design: Comparison) -> pd.DataFrame:
    """Return the gain in accuracy per doubling of x for every curve, with its interval.

    `points` is the table of `list_points`. A curve needs two values of x and a common seed.
    `accuracy_at_1` is the fitted accuracy at x = 1, where the line begins.
    """
    here = answers[answers["outcome"] == design.scaling_outcome]
    rows = []
    for curve, group in points.groupby("curve", sort=False):
        places = np.log2(group["x"].to_numpy(float))
        if not np.ptp(places) > 0:
            continue
        centred = places - places.mean()
        arms = group["arm"].tolist()
        scores = pair_scores(here, arms)
        if scores.empty:
            continue
        weights = dict(zip(arms, centred / np.sum(centred**2), strict=True))
        slope = estimate_score(scores, weights, design)
        level = estimate_score(scores, dict.fromkeys(arms, 1 / len(arms)), design)
        start = [curve, group["quantity"].iloc[0], len(arms), count_pairs(scores)["seeds"]]
        at_1 = level.mean - slope.mean * places.mean()
        rows.append([*start, slope.mean, slope.low, slope.high, at_1])
    return pd.DataFrame(rows, columns=FIT_COLUMNS)
