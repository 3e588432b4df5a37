"""From answers to tables and figures: accuracy beside n, interval, chance and published value."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from clinical_camel import stats
from clinical_camel.data import Question
from clinical_camel.eval_fewshot.answering import SETTING


def published_rows(table: pd.DataFrame, system: str) -> pd.DataFrame:
    """The published accuracies of `system` ("name:size"): benchmark, num_shots, published, status.

    Empty for an empty `system`, so that a mini model never stands beside a published value.
    Raises ValueError for a system that the table does not hold.
    """
    columns = {"benchmark": "benchmark", "shots": "num_shots", "value": "published"}
    columns |= {"status": "published_status"}
    if not system:
        return pd.DataFrame(columns=list(columns.values()))
    names = table["system"] + ":" + table["size"]
    if system not in set(names):
        raise ValueError(
            f"published_system: {system!r} is not one of {', '.join(sorted(set(names)))}"
        )
    rows = table[(names == system) & (table["metric"] == "accuracy")]
    rows = rows[list(columns)].rename(columns=columns)
    return rows.assign(published=rows["published"] / 100)


def score_table(
    answers: pd.DataFrame, questions: Mapping[str, Sequence[Question]], published: pd.DataFrame
) -> pd.DataFrame:
    """Accuracy with its Wilson interval, beside chance and the published value where there is one.

    `n` counts the questions that fit the context; `too_long` those that do not; `unparsed` the
    replies among n from which no single option can be read: they are not right. `chance` is the
    mean of one over the number of options; `majority` what the most frequent answer position earns.
    `published` rows (benchmark, num_shots, value) are joined by benchmark and shots.
    """
    rows = []
    for setting, group in answers.groupby(SETTING, sort=False):
        row = dict(zip(SETTING, setting, strict=True))
        asked = {q.id: q for q in questions[row["benchmark"]]}
        fits = group[group["fits"]]
        n, right = len(fits), int(fits["correct"].sum())
        low, high = stats.wilson(right, n)
        chance = [1 / len(asked[i].options) for i in fits["id"]]
        rows.append(
            row
            | {
                "n": n,
                "too_long": len(group) - n,
                "unparsed": int((fits["predicted"] < 0).sum()),
                "accuracy": right / n if n else np.nan,
                "low": low,
                "high": high,
                "accuracy_norm": fits["correct_norm"].mean() if n else np.nan,
                "chance": np.mean(chance) if n else np.nan,
                "majority": fits["answer"].value_counts(normalize=True).max() if n else np.nan,
            }
        )
    scores = pd.DataFrame(rows)
    if published.empty:
        return scores
    return scores.merge(published, on=["benchmark", "num_shots"], how="left")


LENGTHS = ("short", "middle", "long")


def by_group(answers: pd.DataFrame, questions: Mapping[str, Sequence[Question]]) -> pd.DataFrame:
    """Accuracy within parts of a benchmark: by subset, by length, by the mark for a missing image.

    Columns: those of SETTING, `by`, `part`, n, accuracy, low, high. Lengths are thirds of the
    benchmark by characters of context, question and options. A benchmark that is all of one part
    (no subsets, no image) has no row for it. Many parts, many comparisons: an interval that just
    misses another means little here.
    """
    rows = []
    for setting, group in answers[answers["fits"]].groupby(SETTING, sort=False):
        key = dict(zip(SETTING, setting, strict=True))
        parts = _parts(questions[key["benchmark"]])
        for by, part_of in parts.items():
            named = group["id"].map(part_of)
            for part in sorted(set(part_of.values())):
                right = group.loc[named == part, "correct"]
                low, high = stats.wilson(int(right.sum()), len(right))
                row = {"by": by, "part": part, "n": len(right), "accuracy": right.mean()}
                rows.append(key | row | {"low": low, "high": high})
    return pd.DataFrame(rows, columns=[*SETTING, "by", "part", "n", "accuracy", "low", "high"])


def _parts(questions: Sequence[Question]) -> dict[str, dict[str, str]]:
    """For each way to part the questions, the part of each by id; only ways with several parts."""
    sizes = {q.id: len(q.context + q.question + "".join(q.options)) for q in questions}
    ranked = sorted(sizes, key=sizes.get)
    ways = {
        "subset": {q.id: q.subset for q in questions},
        "length": {name: LENGTHS[3 * i // len(ranked)] for i, name in enumerate(ranked)},
        "image": {q.id: "suspected" if q.image_suspected else "none" for q in questions},
    }
    return {by: part_of for by, part_of in ways.items() if len(set(part_of.values())) > 1}


def compare(answers: pd.DataFrame, baseline: str, seed: int) -> pd.DataFrame:
    """Each model against `baseline`, question by question: difference, interval, exact McNemar."""
    rows = []
    for setting, group in answers[answers["fits"]].groupby(SETTING[:-1], sort=False):
        wide = group.pivot_table(index="id", columns="model", values="correct", sort=False).dropna()
        for model in wide.columns.drop(baseline, errors="ignore"):
            if baseline not in wide:
                continue
            ours, theirs = wide[model].astype(bool), wide[baseline].astype(bool)
            difference, low, high = stats.paired_bootstrap(ours.to_numpy(), theirs.to_numpy(), seed)
            rows.append(
                dict(zip(SETTING, setting, strict=False))
                | {
                    "model": model,
                    "against": baseline,
                    "n": len(wide),
                    "only_model_right": int((ours & ~theirs).sum()),
                    "only_baseline_right": int((~ours & theirs).sum()),
                    "difference": difference,
                    "low": low,
                    "high": high,
                    "p": stats.mcnemar_exact(ours.to_numpy(), theirs.to_numpy()),
                }
            )
    return pd.DataFrame(rows)


def plot_scores(scores: pd.DataFrame) -> Figure:
    """One panel a benchmark: accuracy with its interval by setting, chance as a dashed line."""
    panels = list(scores["benchmark"].unique())
    names = ["variant", "protocol", "num_shots"]
    settings_of = scores.groupby("benchmark")[names].apply(lambda r: len(r.drop_duplicates()))
    size = (len(panels) * max(3.4, 1.1 * settings_of.max()), 3.6)  # a label is about an inch wide
    figure, axes = plt.subplots(
        1, len(panels), figsize=size, sharey=True, squeeze=False, layout="constrained"
    )
    for axis, benchmark in zip(axes[0], panels, strict=True):
        rows = scores[scores["benchmark"] == benchmark]
        settings = list(dict.fromkeys(rows[names].itertuples(index=False, name=None)))
        for k, (model, group) in enumerate(rows.groupby("model", sort=False)):
            places = [
                settings.index(s) + 0.18 * (k - (rows["model"].nunique() - 1) / 2)
                for s in group[names].itertuples(index=False, name=None)
            ]
            accuracy = 100 * group["accuracy"].to_numpy()
            spread = [
                accuracy - 100 * group["low"].to_numpy(),
                100 * group["high"].to_numpy() - accuracy,
            ]
            axis.errorbar(places, accuracy, yerr=spread, fmt="os^Dv"[k % 5], capsize=3, label=model)
        axis.axhline(100 * rows["chance"].mean(), linestyle="--", color="grey", label="chance")
        counts = rows.groupby(names)["n"].max()
        labels = [
            f"{p}\n{'' if v == 'as_given' else v.replace('_', ' ') + chr(10)}{s}-shot"
            f"\nn = {counts[v, p, s]}"
            for v, p, s in settings
        ]
        axis.set_xticks(range(len(settings)), labels, fontsize=8)
        axis.set_xlim(-0.5, len(settings) - 0.5)
        axis.set_title(benchmark)
    axes[0, 0].set_ylabel("accuracy, %")
    axes[0, 0].set_ylim(0, 100)
    axes[0, 0].legend(loc="upper left", fontsize=8)
    return figure


def failures(
    answers: pd.DataFrame, questions: Mapping[str, Sequence[Question]], model: str, count: int
) -> str:
    """The first wrong answers of a model to questions as they were given, as plain text."""
    ours = answers[answers["fits"] & (answers["model"] == model)]
    wrong = ours[~ours["correct"] & (ours["variant"] == "as_given")]
    shown = []
    for row in wrong.head(count).itertuples():
        question = next(q for q in questions[row.benchmark] if q.id == row.id)
        scores = row.logprobs.split() or [""] * len(question.options)
        lines = [f"{row.benchmark}, {row.protocol}, {row.num_shots}-shot: {question.question}"]
        for i, option in enumerate(question.options):
            mark = ("right " if i == question.answer else "") + (
                "chosen" if i == row.predicted else ""
            )
            lines.append(f"  ({chr(65 + i)}) {option:<50.50} {scores[i]:>10}  {mark}")
        lines += [f"  reply: {row.reply:.300}"] if row.reply else []
        shown.append("\n".join(lines))
    return "\n\n".join(shown) or "no wrong answer"


def headline(scores: pd.DataFrame) -> str:
    """The first setting in a line: accuracy of each model with its interval, n and chance."""
    first = scores[(scores[SETTING[:-1]] == scores[SETTING[:-1]].iloc[0]).all(axis=1)]
    models_ = ", ".join(
        f"{r.model} {r.accuracy:.1%} [{r.low:.1%}, {r.high:.1%}]" for r in first.itertuples()
    )
    row = first.iloc[0]
    setting = f"{row['benchmark']}, {row['protocol']}, {row['num_shots']}-shot"
    return f"{setting}, n = {row['n']}, chance {row['chance']:.0%}: {models_}"
