"""Scores: the accuracy of each evaluation with n, interval and chance."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy.stats

from clinical_camel import stats
from clinical_camel.eval_fewshot.protocols import PROTOCOLS
from clinical_camel.eval_fewshot.replies import UNREAD
from clinical_camel.exam_results.answers import (
    KEY_COLUMNS,
    Benchmarks,
    compute_interval,
    list_clusters,
)


def compute_scores(answers: pd.DataFrame, questions: Benchmarks) -> pd.DataFrame:
    """Return the accuracy of each evaluation with its interval and the chance level.

    `n` counts the questions that fit the context, `too_long` those that do not. `unparsed` counts
    the replies among n from which no single option can be parsed; they are incorrect. `low` and
    `high` are the 95 % Wilson interval; if several questions belong together (one passage, one
    condition, repeats), `clusters` counts the groups, and the interval accounts for them. `chance`
    is the mean of 1 / number of options, and 0 for free answers, which have no `majority`,
    `most_chosen` and `shortest`; `p_chance` tests whether the accuracy is above it: an exact
    binomial test, or a t test of the clusters. `majority` is the accuracy of always choosing the
    most frequent answer position. `most_chosen` is the share of answers in the position that the
    model chooses most often. `shortest` is the share of answers that are the shortest option.
    `calibration_error` is the expected calibration error.
    """
    rows = []
    for key, group in answers.groupby(KEY_COLUMNS, sort=False):
        row = dict(zip(KEY_COLUMNS, key, strict=True))
        by_id = {question.id: question for question in questions[row["benchmark"]]}
        fits = group[group["fits"]]
        n, correct = len(fits), int(fits["correct"].sum())
        clusters = list_clusters(fits["id"], by_id)
        low, high = compute_interval(fits["correct"], clusters)
        protocol = PROTOCOLS[row["protocol"]].for_benchmark(row["benchmark"])
        chance = [protocol.compute_chance(by_id[id]) for id in fits["id"]]
        has_options = n and not protocol.is_free
        rows.append(
            row
            | {
                "n": n,
                "too_long": len(group) - n,
                "unparsed": int((fits["predicted"] == UNREAD).sum()),
                "accuracy": correct / n if n else np.nan,
                "low": low,
                "high": high,
                "accuracy_norm": fits["correct_norm"].mean() if n else np.nan,
                "clusters": len(set(clusters)),
                "shortest": fits["picked_shortest"].mean() if has_options else np.nan,
                "calibration_error": _calibration_error(fits),
                "chance": np.mean(chance) if n else np.nan,
                "p_chance": _p_above_chance(fits["correct"], chance, clusters),
                "majority": _find_largest_share(fits["answer"]) if has_options else np.nan,
                "most_chosen": _find_largest_share(fits["predicted"]) if has_options else np.nan,
            }
        )
    return pd.DataFrame(rows)


def _find_largest_share(positions: pd.Series) -> float:
    """Return the share of the most frequent position; an unread reply has none."""
    return positions[positions != UNREAD].value_counts().max() / len(positions)


def _p_above_chance(correct: pd.Series, chance: Sequence[float], clusters: Sequence[str]) -> float:
    if not len(correct):
        return 1.0
    if len(set(clusters)) == len(clusters):
        test = scipy.stats.binomtest(int(correct.sum()), len(correct), np.mean(chance), "greater")
        return float(test.pvalue)
    gains = (correct.astype(float) - chance).groupby(list(clusters)).sum()
    if np.ptp(gains) == 0:  # no variance: the t test is not defined
        return float(gains.iloc[0] <= 0)
    return float(scipy.stats.ttest_1samp(gains, 0, alternative="greater").pvalue)


def _calibration_error(fits: pd.DataFrame) -> float:
    scored = fits[fits["confidence"].notna()]
    if scored.empty:
        return np.nan
    return stats.expected_calibration_error(scored["confidence"].astype(float), scored["correct"])
