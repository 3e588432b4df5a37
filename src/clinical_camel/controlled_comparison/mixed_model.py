"""The sign of each contrast by a second method that makes other assumptions.

A logistic mixed model, score ~ treated, with random effects of conditions, of seeds and of
questions, and a random slope of the treatment for conditions and seeds. Fitted by statsmodels'
BinomialBayesMixedGLM with variational Bayes (Blei, Kucukelbir and McAuliffe 2017, JASA 112:859).
Such a fit has too small standard deviations, and log-odds are no percentage points. So the model
checks only the sign of a difference, not its size or its p-value.
"""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from clinical_camel.controlled_comparison.contrasts import pair_scores
from clinical_camel.controlled_comparison.settings import Comparison

COLUMNS = ["treatment", "control", "log_odds", "low", "high", "check"]
SAME, OTHER, NO_SIGN = "same sign", "other sign", "the difference is 0, without a sign"
UNCLEAR = ", but its interval contains zero"  # ends the check
RANDOM = {
    "condition": "0 + C(condition)",
    "condition_slope": "0 + C(condition):treated",
    "question": "0 + C(id)",
}
RANDOM_SEEDS = {"seed": "0 + C(seed)", "seed_slope": "0 + C(seed):treated"}


def fit_contrasts(
    answers: pd.DataFrame, contrasts: pd.DataFrame, design: Comparison
) -> pd.DataFrame:
    """Return the mixed model of every primary contrast that has common seeds: COLUMNS.

    `contrasts` is the table of `compare_all`. `check`: SAME or OTHER than the sign of the
    difference, or NO_SIGN, with UNCLEAR if the interval contains zero; or why the model could not
    be fitted.
    """
    here = answers[answers["outcome"] == design.primary]
    rows = []
    for row in contrasts[contrasts["is_primary"] & (contrasts["n"] > 0)].to_dict("records"):
        scores = pair_scores(here, [row["treatment"], row["control"]])
        rows.append(row | fit_contrast(scores, row["treatment"], row["difference"]))
    return pd.DataFrame(rows, columns=COLUMNS)


def fit_contrast(scores: pd.DataFrame, treatment: str, difference: float) -> dict[str, Any]:
    """Return the effect of the treatment in log-odds with a 95 % interval, and the check.

    `scores`: the table of `contrasts.pair_scores` for two arms.
    """
    from statsmodels.genmod.bayes_mixed_glm import BinomialBayesMixedGLM  # late: takes a second
    from statsmodels.tools.sm_exceptions import ConvergenceWarning

    rows = scores.melt(ignore_index=False, value_name="score").reset_index()
    rows = rows.assign(treated=(rows["arm"] == treatment).astype(float))
    random = RANDOM | (RANDOM_SEEDS if len(scores.columns) > 2 else {})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            warnings.simplefilter("ignore", RuntimeWarning)  # overflow on the way to the optimum
            fit = BinomialBayesMixedGLM.from_formula("score ~ treated", random, rows).fit_vb()
    except (ValueError, np.linalg.LinAlgError, ConvergenceWarning) as error:
        return {"low": np.nan, "high": np.nan, "check": f"not fitted: {error}"}
    effect, half = fit.fe_mean[1], norm.isf(0.025) * fit.fe_sd[1]
    check = SAME if effect * difference > 0 else OTHER
    if difference == 0:
        check = NO_SIGN
    check += "" if abs(effect) > half else UNCLEAR  # also for NaN
    return {"log_odds": effect, "low": effect - half, "high": effect + half, "check": check}
