"""Which scores exceed guessing, exam by exam, and what kind of score they are.

A score is above chance if its 95 % interval excludes the chance level. Among many intervals, a few
exclude it by accident, so the number that remains after Holm's adjustment is added.
"""

import re
from collections.abc import Iterator, Sequence

import pandas as pd

from clinical_camel import data, stats
from clinical_camel.core.wording import format_accuracy, format_percent
from clinical_camel.eval_fewshot.answering import drop_alike
from clinical_camel.exam_results.answers import LEVEL, ONE_ANSWER
from clinical_camel.exam_results.pages import name_protocol

_HALF = re.compile(r"_shared\.[a-z.]+$")  # half of a public test set, as data/public names it


def describe_above_chance(scores: pd.DataFrame) -> Iterator[str]:
    """Yield one sentence per exam: where each model is above chance, with n, interval and chance.

    `scores`: `compute_scores`. If always choosing the most frequent answer is as good as the best
    score, the sentence says so: such a score shows no knowledge. Protocols that ask alike on an
    exam count once, in the adjustment as well.
    """
    answered = drop_alike(scores[scores["n"] > 0])
    answered = answered.assign(p_adjusted=stats.adjust_holm(answered["p_chance"].astype(float)))
    for benchmark, rows in answered.groupby("benchmark", sort=False):
        models = [_describe_model(group) for _, group in rows.groupby("model", sort=False)]
        n = f"{rows['n'].max():,}"
        if rows["n"].min() < rows["n"].max():
            n = f"{rows['n'].min():,} to {n}"
        yield (
            f"Above chance on `{benchmark}` (n = {n}, chance {_format_chance(rows)}): "
            f"{'; '.join(models)}."
            f"{_describe_majority(rows)}"
        )


def _format_chance(rows: pd.DataFrame) -> str:
    """Return the chance level in percent; that of free answers separately."""
    is_free = rows["chance"] == 0
    chance = f"{format_percent(rows['chance'].max())} %"
    return f"{chance}, of free answers 0 %" if is_free.any() and not is_free.all() else chance


def _describe_model(rows: pd.DataFrame) -> str:
    above = rows[rows["low"] > rows["chance"]]
    ways = f"{len(rows)} way{'s' * (len(rows) > 1)} of asking"
    if above.empty:
        return f"`{rows['model'].iloc[0]}` in none of {ways}"
    best = above.loc[above["accuracy"].idxmax()]
    score = format_accuracy(best)
    adjusted = int((rows["p_adjusted"] < LEVEL).sum())
    return (
        f"`{best['model']}` in {len(above)} of {ways} ({adjusted} after adjustment for all "
        f"evaluations), best in {name_protocol(best)}: {score} %"
    )


def _describe_majority(rows: pd.DataFrame) -> str:
    """Return what the most frequent answer alone would score, if that explains the best score."""
    above = rows[rows["low"] > rows["chance"]]
    if above.empty:
        return ""
    best = above.loc[above["accuracy"].idxmax()]
    if not best["low"] <= best["majority"]:  # free answers have no majority: it is missing
        return ""
    majority = format_percent(best["majority"])
    return (
        f" But always choosing the most frequent answer gives {majority} %, so this is no sign of "
        "knowledge."
    )


def describe_one_answer(scores: pd.DataFrame) -> Iterator[str]:
    """Yield which scores come from nearly the same choice in every question, if there are any.

    Such a model does not use the question. `scores` of an earlier version have no `most_chosen`.
    """
    if "most_chosen" not in scores:
        return
    rows = drop_alike(scores[scores["most_chosen"] >= ONE_ANSWER])
    listed = [
        f"`{exam}`, {name_protocol(group.iloc[0])} ("
        + ", ".join(f"`{r.model}` {format_percent(r.most_chosen)} %" for r in group.itertuples())
        + ")"
        for (exam, *_), group in rows.groupby(["benchmark", "protocol", "num_shots"], sort=False)
    ]
    if listed:
        yield (
            "One answer for nearly all questions: the model chooses the same option position in "
            f"at least {100 * ONE_ANSWER:.0f} % of them. {'; '.join(listed)}. Such a score only "
            "says how often this position is correct, and a difference between two such scores is "
            "neither learning nor forgetting."
        )


def describe_halves(benchmarks: Sequence[str]) -> Iterator[str]:
    """Yield that scores on halves of public test sets are development scores, if there are any."""
    halves = [f"`{data.label(spec)}`" for spec in benchmarks if _HALF.search(spec)]
    if halves:
        yield (
            f"Development scores, not test scores: {', '.join(halves)}. These questions are half "
            "of a public test set, and settings may be chosen on them."
        )
