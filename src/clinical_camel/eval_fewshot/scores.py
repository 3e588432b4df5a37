"""Tables of scores: accuracy with n, confidence interval, chance level and published value."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from clinical_camel import data, stats
from clinical_camel.data import Question
from clinical_camel.eval_fewshot.answering import KEY_COLUMNS
from clinical_camel.eval_fewshot.questions import Benchmarks


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
    """Return the accuracy of each evaluation with its Wilson interval and the chance level.

    `n` counts the questions that fit the context, `too_long` those that do not. `unparsed` counts
    the replies among n from which no single option can be parsed; they are incorrect. `chance` is
    the mean of 1 / number of options; `majority` is the accuracy of always choosing the most
    frequent answer position. `low` and `high` treat the questions as independent. If several belong
    together (one passage, one condition, repeats), `clusters` counts the groups, and `cluster_low`
    and `cluster_high` account for them. `calibration_error` is the expected calibration error.
    `published` (`select_published`) is joined by benchmark and number of shots.
    """
    rows = []
    for key, group in answers.groupby(KEY_COLUMNS, sort=False):
        row = dict(zip(KEY_COLUMNS, key, strict=True))
        by_id = {question.id: question for question in questions[row["benchmark"]]}
        fits = group[group["fits"]]
        n, correct = len(fits), int(fits["correct"].sum())
        low, high = stats.wilson_interval(correct, n)
        chance = [1 / len(by_id[id].options) for id in fits["id"]]
        rows.append(
            row
            | {
                "n": n,
                "too_long": len(group) - n,
                "unparsed": int((fits["predicted"] < 0).sum()),
                "accuracy": correct / n if n else np.nan,
                "low": low,
                "high": high,
                "accuracy_norm": fits["correct_norm"].mean() if n else np.nan,
                **_clustered_interval(fits, by_id),
                "calibration_error": _calibration_error(fits),
                "chance": np.mean(chance) if n else np.nan,
                "majority": fits["answer"].value_counts(normalize=True).max() if n else np.nan,
            }
        )
    scores = pd.DataFrame(rows)
    if published is None or published.empty:
        return scores
    return scores.merge(published, on=["benchmark", "num_shots"], how="left")


def _clusters(ids: Iterable[str], by_id: Mapping[str, Question]) -> list[str]:
    """Return the group of each question; a question without a group is its own."""
    return [by_id[id].group or id for id in ids]


def _clustered_interval(fits: pd.DataFrame, by_id: Mapping[str, Question]) -> dict[str, float]:
    clusters = _clusters(fits["id"], by_id)
    row = {"clusters": len(set(clusters)), "cluster_low": np.nan, "cluster_high": np.nan}
    if row["clusters"] < len(clusters):
        values = fits["correct"].astype(float).to_numpy()
        row["cluster_low"], row["cluster_high"] = stats.clustered_interval(values, clusters)
    return row


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

COMPARISON_COLUMNS = [*KEY_COLUMNS, "baseline", "n", "clusters"]
COMPARISON_COLUMNS += ["only_model_correct", "only_baseline_correct", "difference", "low", "high"]
COMPARISON_COLUMNS += ["p", "min_detectable_effect"]


def compare_models(
    answers: pd.DataFrame, questions: Benchmarks, baseline: str, seed: int
) -> pd.DataFrame:
    """Compare each model with `baseline` on the same questions: difference, interval, p-value.

    `p` is from the exact McNemar test, and the interval from a bootstrap over questions. If several
    questions belong together (`clusters` below n), both use clusters: a bootstrap over clusters and
    a permutation test that swaps clusters. `p_holm` is adjusted for all rows of the table.
    `min_detectable_effect` is the smallest true difference that n independent questions detect with
    80 % power, given the observed share of questions that only one model answers correctly.
    """
    rows = []
    for key, group in answers[answers["fits"]].groupby(KEY_COLUMNS[:-1], sort=False):
        correct = group.pivot_table(index="id", columns="model", values="correct", sort=False)
        correct = correct.dropna()
        if baseline not in correct:
            continue
        clusters = _clusters(correct.index, {q.id: q for q in questions[key[0]]})
        for model in correct.columns.drop(baseline):
            row = dict(zip(KEY_COLUMNS, (*key, model), strict=True)) | {"baseline": baseline}
            rows.append(row | _compare(correct[model], correct[baseline], clusters, seed))
    table = pd.DataFrame(rows, columns=COMPARISON_COLUMNS)
    return table.assign(p_holm=stats.adjust_holm(table["p"].astype(float)))


def _compare(
    model: pd.Series, baseline: pd.Series, clusters: Sequence[str], seed: int
) -> dict[str, float]:
    a, b = (series.astype(bool).to_numpy() for series in (model, baseline))
    if len(set(clusters)) < len(clusters):
        difference, low, high = stats.paired_bootstrap(a, b, seed, clusters=clusters)
        p = stats.paired_permutation(a, b, clusters, seed)
    else:
        difference, low, high = stats.paired_bootstrap(a, b, seed)
        p = stats.mcnemar_exact(a, b)
    discordant = float((a != b).mean())
    effect = stats.min_detectable_effect(len(a), discordant) if discordant else np.nan
    return {
        "n": len(a),
        "clusters": len(set(clusters)),
        "only_model_correct": int((a & ~b).sum()),
        "only_baseline_correct": int((~a & b).sum()),
        "difference": difference,
        "low": low,
        "high": high,
        "p": p,
        "min_detectable_effect": effect,
    }


# -------------------------------------------------------------------------- for the notebook

INTERVALS = {  # title: columns of the limits
    "95 %": ("low", "high"),
    "95 % by cluster": ("cluster_low", "cluster_high"),
    "95 % clean": ("low_clean", "high_clean"),
}
PERCENT = ("accuracy", "accuracy_norm", "accuracy_clean", "chance", "majority", "difference")
PERCENT += ("min_detectable_effect", "share", "calibration_error")
ALWAYS_SHOWN = ("benchmark", "n", "chance")  # even if the same in all rows


def format_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return a narrow copy of a table: shares in percent, one column per interval.

    A column with the same value in every row is left out, unless it is in ALWAYS_SHOWN. `chance`
    follows the score. Nothing is computed; the saved table has all columns.
    """
    page = pd.DataFrame(index=table.index)
    titles = {low: title for title, (low, _) in INTERVALS.items()}
    upper_limits = {high for _, high in INTERVALS.values()}
    for name in table.columns:
        if name in titles:
            low, high = (100 * table[column] for column in INTERVALS[titles[name]])
            page[titles[name]] = [
                "" if np.isnan(a) else f"{a:.1f}\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}{b:.1f}"
                for a, b in zip(low, high, strict=True)
            ]
            if name == "low" and "chance" in table:
                page["chance"] = (100 * table["chance"]).round(1)
        elif name in PERCENT:
            page[name] = (100 * table[name]).round(1)
        elif name not in upper_limits:
            page[name] = table[name].round(4)
    constant = [c for c in page if len(page[c].unique()) == 1 and c not in ALWAYS_SHOWN]
    page = page.drop(columns=constant) if len(page) > 1 else page
    return page.rename(columns=lambda name: name.replace("_", " ")).set_axis([""] * len(page))


def format_failures(answers: pd.DataFrame, questions: Benchmarks, model: str, count: int) -> str:
    """Return the first incorrect answers of a model to unchanged questions, as plain text."""
    rows = answers[answers["fits"] & (answers["model"] == model)]
    incorrect = rows[~rows["correct"] & (rows["variant"] == "as_given")]
    failures = []
    for row in incorrect.head(count).itertuples():
        question = next(q for q in questions[row.benchmark] if q.id == row.id)
        logprobs = row.logprobs.split() or [""] * len(question.options)
        lines = [f"{row.benchmark}, {row.protocol}, {row.num_shots}-shot: {question.question}"]
        for i, option in enumerate(question.options):
            marks = {question.answer: "correct", row.predicted: "predicted"}
            lines.append(f"  ({chr(65 + i)}) {option:<50.50} {logprobs[i]:>10}  {marks.get(i, '')}")
        lines += [f"  reply: {row.reply:.300}"] if row.reply else []
        failures.append("\n".join(lines))
    return "\n\n".join(failures) or "no incorrect answer"


def format_headline(scores: pd.DataFrame) -> str:
    """Return the first evaluation in one line: accuracy of each model with interval, n, chance.

    With several variants of the questions: the last model, in each variant.
    """
    keys = [name for name in KEY_COLUMNS[:-1] if name != "variant"]
    first = scores[(scores[keys] == scores[keys].iloc[0]).all(axis=1)]
    name = "model"
    if len(set(first["variant"])) > 1:
        first, name = first[first["model"] == first["model"].iloc[-1]], "variant"
    accuracies = ", ".join(
        f"{row[name]} {row['accuracy']:.1%} [{row['low']:.1%}, {row['high']:.1%}]"
        for row in first.to_dict("records")
    )
    row = first.iloc[0]
    evaluation = f"{row['benchmark']}, {row['protocol']}, {row['num_shots']}-shot"
    return f"{evaluation}, n = {row['n']}, chance {row['chance']:.0%}: {accuracies}"
