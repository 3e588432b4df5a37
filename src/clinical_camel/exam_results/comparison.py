"""Models, or variants of the questions, compared on the same questions."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import scipy.stats

from clinical_camel import stats
from clinical_camel.exam_results.answers import KEY_COLUMNS, Benchmarks, list_clusters

COMPARISON_COLUMNS = [*KEY_COLUMNS, "reference", "n", "clusters"]
COMPARISON_COLUMNS += ["only_model_correct", "only_reference_correct", "difference", "low", "high"]
COMPARISON_COLUMNS += ["p", "min_detectable_effect"]


def compare_models(
    answers: pd.DataFrame, questions: Benchmarks, reference: str, seed: int
) -> pd.DataFrame:
    """Compare each model with `reference` on the same questions: difference, interval, p-value.

    `p` is from the exact McNemar test, and the interval from a bootstrap over questions. If several
    questions belong together (`clusters` below n), both use clusters: a bootstrap over clusters and
    a permutation test that swaps clusters. `p_holm` is adjusted for all rows of the table.
    `min_detectable_effect` is the smallest true difference that this table detects with 80 % power:
    with the observed share of questions that only one model answers correctly, at the level 0.05
    divided by the number of rows. With clusters, n is divided by the design effect.
    """
    rows = []
    for key, group in answers[answers["fits"]].groupby(KEY_COLUMNS[:-1], sort=False):
        correct = group.pivot_table(index="id", columns="model", values="correct", sort=False)
        correct = correct.dropna()
        if reference not in correct:
            continue
        clusters = list_clusters(correct.index, {q.id: q for q in questions[key[0]]})
        for model in correct.columns.drop(reference):
            row = dict(zip(KEY_COLUMNS, (*key, model), strict=True)) | {"reference": reference}
            rows.append(row | _compare(correct[model], correct[reference], clusters, seed))
    effects = [_min_detectable_effect(row, len(rows)) for row in rows]
    table = pd.DataFrame(rows, columns=COMPARISON_COLUMNS).assign(min_detectable_effect=effects)
    return table.assign(p_holm=stats.adjust_holm(table["p"].astype(float)))


def compare_variants(answers: pd.DataFrame, questions: Benchmarks, seed: int) -> pd.DataFrame:
    """Compare each variant of the questions with the unchanged ones, for each model.

    The columns are those of `compare_models`; `reference` is "as_given". Empty for one variant.
    """
    as_models = answers.rename(columns={"variant": "model", "model": "variant"})
    table = compare_models(as_models, questions, "as_given", seed)
    swapped = table.rename(columns={"variant": "model", "model": "variant"})
    return swapped[[*KEY_COLUMNS, *table.columns.drop(KEY_COLUMNS)]]


def _compare(
    model: pd.Series, reference: pd.Series, clusters: Sequence[str], seed: int
) -> dict[str, float]:
    a, b = (series.astype(bool).to_numpy() for series in (model, reference))
    if len(set(clusters)) < len(clusters):
        difference, low, high = stats.paired_bootstrap(a, b, seed, clusters=clusters)
        p = stats.paired_permutation(a, b, clusters, seed)
    else:
        difference, low, high = stats.paired_bootstrap(a, b, seed)
        p = stats.mcnemar_exact(a, b)
    return {
        "n": len(a),
        "clusters": len(set(clusters)),
        "only_model_correct": int((a & ~b).sum()),
        "only_reference_correct": int((~a & b).sum()),
        "difference": difference,
        "low": low,
        "high": high,
        "p": p,
    }


def _min_detectable_effect(row: Mapping[str, float], comparisons: int) -> float:
    n = row["n"]
    discordant = (row["only_model_correct"] + row["only_reference_correct"]) / n
    if row["clusters"] < n:
        error = (row["high"] - row["low"]) / (2 * scipy.stats.norm.isf(0.025))
        n = max(1.0, discordant / error**2) if error else 0  # the n of as precise independent ones
    return stats.min_detectable_effect(n, discordant, comparisons) if discordant and n else np.nan
