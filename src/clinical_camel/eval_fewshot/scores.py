"""From answers to tables and figures: accuracy beside n, interval, chance and published value."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence

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
    `low` and `high` take the questions for independent; where several belong together (one passage,
    one condition, repeats), `clusters` counts the groups and `cluster_low`, `cluster_high` allow
    for them. `calibration_error`: how far the confidence in the chosen option is from being right.
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
                **_clustered(fits, asked),
                "calibration_error": _calibration_error(fits),
                "chance": np.mean(chance) if n else np.nan,
                "majority": fits["answer"].value_counts(normalize=True).max() if n else np.nan,
            }
        )
    scores = pd.DataFrame(rows)
    if published.empty:
        return scores
    return scores.merge(published, on=["benchmark", "num_shots"], how="left")


def _groups(ids: Iterable[str], asked: Mapping[str, Question]) -> list[str]:
    """What each question belongs with; itself where nothing is known."""
    return [asked[name].group or name for name in ids]


def _clustered(fits: pd.DataFrame, asked: Mapping[str, Question]) -> dict[str, float]:
    groups = _groups(fits["id"], asked)
    row = {"clusters": len(set(groups)), "cluster_low": np.nan, "cluster_high": np.nan}
    if row["clusters"] < len(groups):
        values = fits["correct"].astype(float).to_numpy()
        row["cluster_low"], row["cluster_high"] = stats.clustered_interval(values, groups)
    return row


def _calibration_error(fits: pd.DataFrame) -> float:
    sure = fits[fits["confidence"].notna()]
    if sure.empty:
        return np.nan
    return stats.expected_calibration_error(sure["confidence"].astype(float), sure["correct"])


def calibration_table(answers: pd.DataFrame, bins: int = 10) -> pd.DataFrame:
    """For each setting, how often answers of a confidence are right: SETTING, low, high, n, ...

    The confidence is the chosen option's share of the probability of all options.
    """
    tables = []
    for setting, group in answers[answers["confidence"].notna()].groupby(SETTING, sort=False):
        table = stats.calibration(group["confidence"].astype(float), group["correct"], bins)
        for name, value in reversed(list(zip(SETTING, setting, strict=True))):
            table.insert(0, name, value)
        tables.append(table[table["n"] > 0])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=SETTING)


LENGTHS = ("short", "middle", "long")


def by_group(answers: pd.DataFrame, questions: Mapping[str, Sequence[Question]]) -> pd.DataFrame:
    """Accuracy within parts of a benchmark: by subset, by length, by the mark for a missing image.

    Columns: those of SETTING, `by`, `part`, n, accuracy, low, high. Lengths are thirds of the
    benchmark by characters of context, question and options. A benchmark that is all of one part
    (no subsets, no image) has no row for it. Of several variants only the first is parted. Many
    parts, many comparisons: an interval that just misses another means little here.
    """
    rows = []
    asked = answers[answers["fits"] & answers["variant"].eq(answers["variant"].iloc[0])]
    for setting, group in asked.groupby(SETTING, sort=False):
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


COMPARED = [*SETTING, "against", "n", "clusters", "only_model_right", "only_baseline_right"]
COMPARED += ["difference", "low", "high", "p", "detectable"]


def compare(
    answers: pd.DataFrame,
    questions: Mapping[str, Sequence[Question]],
    baseline: str,
    seed: int,
) -> pd.DataFrame:
    """Each model against `baseline` on the same questions: difference, interval, p.

    Where questions belong together (`clusters` fewer than n), whole clusters are resampled for the
    interval and exchanged for p; else p is the exact McNemar test. `p_holm` allows for all the rows
    of the table; `detectable` is the difference that a test on n independent questions would find
    four times in five, with as many that only one model has right as here.
    """
    rows = []
    for setting, group in answers[answers["fits"]].groupby(SETTING[:-1], sort=False):
        wide = group.pivot_table(index="id", columns="model", values="correct", sort=False).dropna()
        asked = {q.id: q for q in questions[setting[0]]}
        for model in wide.columns.drop(baseline, errors="ignore"):
            if baseline in wide:
                key = dict(zip(SETTING, (*setting, model), strict=True)) | {"against": baseline}
                groups = _groups(wide.index, asked)
                rows.append(key | _compared(wide[model], wide[baseline], groups, seed))
    table = pd.DataFrame(rows, columns=COMPARED)
    return table.assign(p_holm=stats.holm(table["p"].astype(float)))


def _compared(
    model: pd.Series, baseline: pd.Series, groups: Sequence[str], seed: int
) -> dict[str, float]:
    ours, theirs = (series.astype(bool).to_numpy() for series in (model, baseline))
    together = len(set(groups)) < len(groups)
    clusters = groups if together else None
    difference, low, high = stats.paired_bootstrap(ours, theirs, seed, clusters=clusters)
    discordant = float((ours != theirs).mean())
    return {
        "n": len(ours),
        "clusters": len(set(groups)),
        "only_model_right": int((ours & ~theirs).sum()),
        "only_baseline_right": int((~ours & theirs).sum()),
        "difference": difference,
        "low": low,
        "high": high,
        "p": stats.paired_permutation(ours, theirs, groups, seed)
        if together
        else stats.mcnemar_exact(ours, theirs),
        "detectable": stats.detectable_difference(len(ours), discordant) if discordant else np.nan,
    }


INTERVALS = {  # column for the page: where it begins and ends
    "95 %": ("low", "high"),
    "95 % by cluster": ("cluster_low", "cluster_high"),
    "95 % clean": ("low_clean", "high_clean"),
}
POINTS = ("accuracy", "accuracy_norm", "accuracy_clean", "chance", "majority", "difference")
POINTS += ("detectable", "share")
ALWAYS = ("benchmark", "n", "chance")  # on the page even if the same in all rows


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """A table for the page: narrow, shares in percent, an interval in one column, nothing idle.

    Idle is a column that holds the same in every row, unless it is in ALWAYS. `chance` comes right
    behind the score. Nothing is computed; the saved table has all.
    """
    page = pd.DataFrame(index=table.index)
    titles = {low: title for title, (low, _) in INTERVALS.items()}
    ends = {high for _, high in INTERVALS.values()}
    for name in table.columns:
        if name in titles:
            low, high = (100 * table[column] for column in INTERVALS[titles[name]])
            page[titles[name]] = [
                "" if np.isnan(a) else f"{a:.1f}\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}{b:.1f}"
                for a, b in zip(low, high, strict=True)
            ]
            if name == "low" and "chance" in table:
                page["chance"] = (100 * table["chance"]).round(1)
        elif name in POINTS:
            page[name] = (100 * table[name]).round(1)
        elif name not in ends:
            page[name] = table[name].round(4)
    idle = [c for c in page if len(page[c].unique()) == 1 and c not in ALWAYS]
    page = page.drop(columns=idle) if len(page) > 1 else page
    return page.rename(columns=lambda name: name.replace("_", " ")).set_axis([""] * len(page))


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
            f"{p}\n{'' if v == 'as_given' else textwrap.fill(v.replace('_', ' '), 12) + chr(10)}"
            f"{s}-shot"
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


def plot_calibration(table: pd.DataFrame) -> Figure:
    """How often answers of a confidence are right, a panel a benchmark, a line a model.

    `table` is `calibration_table` for one variant, protocol and number of shots. On the dotted
    line a model is as often right as it is sure. The size of a dot is its number of answers.
    """
    panels = list(table["benchmark"].unique())
    figure, axes = plt.subplots(
        1, len(panels), figsize=(3.4 * len(panels), 3.4), sharey=True, squeeze=False
    )
    for axis, benchmark in zip(axes[0], panels, strict=True):
        rows = table[table["benchmark"] == benchmark]
        axis.plot([0, 1], [0, 1], linestyle=":", color="grey", label="as sure as right")
        for k, (model, group) in enumerate(rows.groupby("model", sort=False)):
            (line,) = axis.plot(group["confidence"], group["accuracy"], alpha=0.7)
            size = 150 * group["n"] / group["n"].sum() + 10
            label = f"{model}, n = {group['n'].sum()}"
            axis.scatter(
                group["confidence"],
                group["accuracy"],
                size,
                marker="os^Dv"[k % 5],
                color=line.get_color(),
                label=label,
            )
        axis.set(title=benchmark, xlabel="confidence in the chosen option", ylim=(0, 1))
        for handle in axis.legend(fontsize=8, loc="upper left").legend_handles[1:]:
            handle.set_sizes([40])
    axes[0, 0].set_ylabel("share right")
    figure.tight_layout()
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
