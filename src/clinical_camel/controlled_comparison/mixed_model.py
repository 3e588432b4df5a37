"""The same contrasts by a logistic mixed model: a second method that makes other assumptions.

score ~ treated, with random effects of conditions, of seeds and of questions, and a random slope
of the treatment for conditions and seeds. Fitted by statsmodels' BinomialBayesMixedGLM with
variational Bayes (Blei, Kucukelbir and McAuliffe 2017, JASA 112:859). Such a fit gives too small
standard deviations, so the model checks the direction and the size of an effect, not its p-value.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from clinical_camel.controlled_comparison.contrasts import list_common_seeds
from clinical_camel.controlled_comparison.settings import Comparison, split_contrast

COLUMNS = ["treatment", "control", "log_odds", "low", "high", "odds_ratio", "difference_by_model"]
RANDOM = {
    "condition": "0 + C(condition)",
    "condition_slope": "0 + C(condition):treated",
    "seed": "0 + C(seed)",
    "seed_slope": "0 + C(seed):treated",
    "question": "0 + C(id)",
}


def fit_contrast(answers: pd.DataFrame, treatment: str, control: str) -> dict[str, Any]:
    """Return the effect of the treatment in log-odds, with a 95 % interval, and as a difference.

    `answers`: those of one outcome; only common seeds are used. `difference_by_model` is the mean
    change of the predicted probability if every answer is of the treatment instead of the control.
    """
    from statsmodels.genmod.bayes_mixed_glm import BinomialBayesMixedGLM  # late: takes a second

    seeds = list_common_seeds(answers, [treatment, control])
    rows = answers[answers["arm"].isin([treatment, control]) & answers["seed"].isin(seeds)]
    rows = rows.assign(treated=(rows["arm"] == treatment).astype(float))
    rows = rows.reset_index(drop=True)
    random = {
        name: formula
        for name, formula in RANDOM.items()
        if len(seeds) > 1 or not name.startswith("seed")
    }
    model = BinomialBayesMixedGLM.from_formula("score ~ treated", random, rows)
    fit = model.fit_vb()
    effect, deviation = float(fit.fe_mean[1]), float(fit.fe_sd[1])
    half = norm.isf(0.025) * deviation
    return {
        "log_odds": effect,
        "low": effect - half,
        "high": effect + half,
        "odds_ratio": float(np.exp(effect)),
        "difference_by_model": _compute_difference(model, fit, rows["treated"].to_numpy()),
    }


def _compute_difference(model: Any, fit: Any, treated: np.ndarray) -> float:
    """Return the mean difference of the fitted probabilities of treated and other answers."""
    linear = model.exog @ fit.fe_mean + model.exog_vc @ fit.vc_mean
    probability = 1 / (1 + np.exp(-linear))
    return float(probability[treated == 1].mean() - probability[treated == 0].mean())


def fit_contrasts(answers: pd.DataFrame, design: Comparison) -> pd.DataFrame:
    """Return the mixed model of every primary contrast in the primary outcome, COLUMNS."""
    here = answers[answers["outcome"] == design.primary]
    rows = []
    for treatment, control in map(split_contrast, design.contrasts):
        if list_common_seeds(here, [treatment, control]):
            row = {"treatment": treatment, "control": control}
            rows.append(row | fit_contrast(here, treatment, control))
    return pd.DataFrame(rows, columns=COLUMNS)


def check_agreement(contrasts: pd.DataFrame, models: pd.DataFrame) -> list[str]:
    """Return the primary contrasts where the mixed model contradicts the resampling.

    A contradiction is a difference that excludes zero in both methods, with opposite signs.
    """
    problems = []
    both = contrasts[contrasts["is_primary"]].merge(
        models, on=["treatment", "control"], suffixes=("", "_model")
    )
    for row in both.itertuples():
        by_resampling = np.sign(row.difference) * (row.low * row.high > 0)
        by_model = np.sign(row.log_odds) * (row.low_model * row.high_model > 0)
        if by_resampling * by_model < 0:
            problems.append(f"{row.treatment} - {row.control}: the two methods contradict")
    return problems
