"""Scores and comparisons: accuracy with n, interval, chance and published value; differences."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import scipy.stats

from clinical_camel import data, stats
from clinical_camel.data import Question
from clinical_camel.eval_fewshot.answering import KEY_COLUMNS
from clinical_camel.eval_fewshot.protocols import PROTOCOLS
from clinical_camel.eval_fewshot.questions import Benchmarks
from clinical_camel.eval_fewshot.replies import UNREAD


def select_published(system: str) -> pd.DataFrame:
    """Return the published accuracies of `system` ("name:size") for `compute_scores`.

    Columns: benchmark, num_shots, published, published_status. Empty for an empty `system`: the
    mini model is compared with no published value.
    """
    columns = {"benchmark": "benchmark", "shots": "num_shots", "value": "published"}
    columns |= {"status": "published_status"}
    table = data.load_published()
    rows = table[
        table["metric"].eq("accuracy") & (table["system"] + ":" + table["size"]).eq(system)
    ]
    rows = rows[list(columns)].rename(columns=columns)
    return rows.assign(published=rows["published"] / 100)


def compute_scores(
    answers: pd.DataFrame, questions: Benchmarks, published: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the accuracy of each evaluation with its interval and the chance level.

    `n` counts the questions that fit the context, `too_long` those that do not. `unparsed` counts
    the replies among n from which no single option can be parsed; they are incorrect. `low` and
    `high` are the 95 % Wilson interval; if several questions belong together (one passage, one
    condition, repeats), `clusters` counts the groups, and the interval accounts for them. `chance`
    is the mean of 1 / number of options, and 0 for free answers, which have no `majority` and no
    `shortest`; `p_chance` tests whether the accuracy is above it: an exact binomial test, or a t
    test of the clusters. `majority` is the accuracy of always choosing the most frequent answer
    position. `shortest` is the share of answers that are the shortest option. `calibration_error`
    is the expected calibration error. `published` (`select_published`)
    is joined by benchmark and number of shots.
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
                "majority": fits["answer"].value_counts(normalize=True).max()
                if has_options
                else np.nan,
            }
        )
    scores = pd.DataFrame(rows)
    if published is None or published.empty:
        return scores
    return scores.merge(published, on=["benchmark", "num_shots"], how="left")


def list_clusters(ids: Iterable[str], by_id: Mapping[str, Question]) -> list[str]:
    """Return the group of each question; a question without a group is its own."""
    return [by_id[id].group or id for id in ids]


def compute_interval(values: pd.Series, clusters: Sequence[str]) -> tuple[float, float]:
    """Return the 95 % interval of a share of true values, given the cluster of each."""
    if len(set(clusters)) < len(clusters):
        return stats.clustered_interval(values.astype(float).to_numpy(), clusters)
    return stats.wilson_interval(int(values.sum()), len(values))


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


def compute_calibration(answers: pd.DataFrame, bins: int = 10) -> pd.DataFrame:
    """Return the accuracy per bin of confidence for each evaluation.

    Columns: KEY_COLUMNS, low and high (of the bin), n, confidence, accuracy. The confidence is the
    predicted option's share of the probability of all options.
    """
    tables = []
    for key, group in answers[answers["confidence"].notna()].groupby(KEY_COLUMNS, sort=False):
        table = stats.calibration_table(group["confidence"].astype(float), group["correct"], bins)
        for name, value in reversed(list(zip(KEY_COLUMNS, key, strict=True))):
            table.insert(0, name, value)
        tables.append(table[table["n"] > 0])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=KEY_COLUMNS)


# -------------------------------------------------------------------------------- subgroups

LENGTHS = ("short", "middle", "long")
SUBGROUP_COLUMNS = [*KEY_COLUMNS, "grouping", "subgroup", "n", "accuracy", "low", "high"]


def compute_subgroup_scores(answers: pd.DataFrame, questions: Benchmarks) -> pd.DataFrame:
    """Return the accuracy in subgroups of a benchmark: by subject, length and suspected image.

    Lengths are thirds of the benchmark by characters of context, question and options. A grouping
    with a single subgroup is left out. Of several variants only the first is used. With many
    subgroups there are many comparisons: two intervals that just do not overlap mean little.
    """
    rows = []
    first = answers[answers["fits"] & answers["variant"].eq(answers["variant"].iloc[0])]
    for key, group in first.groupby(KEY_COLUMNS, sort=False):
        row = dict(zip(KEY_COLUMNS, key, strict=True))
        for grouping, subgroups in _group_questions(questions[row["benchmark"]]).items():
            names = group["id"].map(subgroups)
            for name in sorted(set(subgroups.values())):
                correct = group.loc[names == name, "correct"]
                low, high = stats.wilson_interval(int(correct.sum()), len(correct))
                score = {"n": len(correct), "accuracy": correct.mean(), "low": low, "high": high}
                rows.append(row | {"grouping": grouping, "subgroup": name} | score)
    return pd.DataFrame(rows, columns=SUBGROUP_COLUMNS)


def _group_questions(questions: Sequence[Question]) -> dict[str, dict[str, str]]:
    """Return the subgroup of each question by id, for each grouping with several subgroups."""
    sizes = {q.id: len(q.context + q.question + "".join(q.options)) for q in questions}
    ranked = sorted(sizes, key=sizes.get)
    groupings = {
        "subset": {q.id: q.subset for q in questions},
        "length": {id: LENGTHS[3 * i // len(ranked)] for i, id in enumerate(ranked)},
        "image": {q.id: "suspected" if q.image_suspected else "none" for q in questions},
    }
    return {name: by_id for name, by_id in groupings.items() if len(set(by_id.values())) > 1}


# ------------------------------------------------------------------------------- comparison

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
