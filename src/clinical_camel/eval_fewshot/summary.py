"""What we saw: the study's question, and its answer in sentences computed from the tables.

The design decides the question. Two tuned models: which training teaches more? A base and a tuned
model: does the tuned one know more? A single model in several protocols: how much depends on the
way of asking?

The sentences answer the usual objections. A difference counts only if it is significant after
Holm's adjustment over all comparisons of the study; otherwise the smallest detectable difference is
stated. The verdict says in how many ways of asking the first exam it was significant. Scores at
chance, forgetting and unequal trainings have sentences.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from clinical_camel.core.wording import format_accuracy, format_percent
from clinical_camel.eval_fewshot.above_chance import (
    describe_above_chance,
    describe_halves,
    describe_one_answer,
)
from clinical_camel.eval_fewshot.answering import drop_alike
from clinical_camel.eval_fewshot.missing_answers import describe_losses
from clinical_camel.eval_fewshot.settings import Design
from clinical_camel.eval_fewshot.trainings import compare_trainings
from clinical_camel.exam_results.answers import EVALUATION, LEVEL, ONE_TRAINING
from clinical_camel.exam_results.pages import name_protocol, select_main


def describe_results(
    design: Design,
    scores: pd.DataFrame,
    comparison: pd.DataFrame,
    trainings: pd.DataFrame | None = None,
) -> list[str]:
    """Return what the study shows as plain sentences; the first is its question.

    `scores`: `compute_scores`; `comparison`: `exam_results.compare_models`; `trainings`:
    `read_trainings`. The first two can also be read from the saved CSV files. Of several variants
    of the questions, the sentences are about the first; step 09 is about the others.
    """
    tuned = [name for name, folder in design.adapters.items() if folder]
    first = scores[scores["variant"] == design.variants[0]]
    if len(comparison):
        sentences = _describe_comparison(first, comparison, tuned, trainings)
    else:
        sentences = _describe_protocols(first)
    return [
        ask_question(design),
        *sentences,
        *describe_one_answer(first),
        *_name_variants(design),
        *describe_halves(design.benchmarks),
        *describe_losses(scores),
    ]


def ask_question(design: Design) -> str:
    """Return the question that a study answers, for the first paragraph of the notebook."""
    tuned = [name for name, folder in design.adapters.items() if folder]
    if len(tuned) > 1 and design.baseline in tuned:
        others = " or ".join(f"`{name}`" for name in tuned[::-1])
        return f"Which training teaches the model more: {others}?"
    if len(design.adapters) > 1:
        return f"Does `{[*design.adapters][-1]}` know more than `{design.baseline}`?"
    return f"How much does the score of `{[*design.adapters][-1]}` depend on the way of asking?"


def _name_variants(design: Design) -> Iterator[str]:
    """Yield that the study also changes the questions, and where these scores are explained."""
    if len(design.variants) > 1:
        names = ", ".join(f"`{name}`" for name in design.variants[1:])
        yield (
            f"These sentences are about the questions as `{design.variants[0]}`. The models also "
            f"answered other variants ({names}); step 09 says what their scores mean."
        )


# ---------------------------------------------------------------------- one model and another


def _describe_comparison(
    scores: pd.DataFrame,
    comparison: pd.DataFrame,
    tuned: Sequence[str],
    trainings: pd.DataFrame | None,
) -> Iterator[str]:
    main = drop_alike(select_main(comparison))
    main = main[main["variant"].isin(scores["variant"])]  # those of the first variant
    first = main.iloc[0]
    rows = main[main["benchmark"] == first["benchmark"]]
    yield f"{_judge(rows, len(tuned) > 1)} {_answer(first, scores, len(comparison))}"
    yield from _list_insignificant(rows.iloc[1:])
    yield from _compare_others(comparison, scores, first)
    if trainings is not None and first["reference"] in tuned:
        differences = compare_trainings(trainings, first["model"], first["reference"])
        yield from [differences] if differences else []
    yield from _judge_other_exams(main, first["benchmark"])
    yield from describe_above_chance(scores)
    yield "Differences between two scores at chance say nothing about knowledge."
    yield from _describe_forgetting(scores, comparison, tuned)
    yield ONE_TRAINING


def _judge(rows: pd.DataFrame, is_training: bool) -> str:
    """Return the verdict over all ways of asking one exam: not more than its rows show."""
    model, reference = (f"`{rows[name].iloc[0]}`" for name in ("model", "reference"))
    verb = "teaches" if is_training else "knows"
    significant = rows[rows["p_holm"] < LEVEL]
    better, worse = (significant["difference"] > 0).sum(), (significant["difference"] < 0).sum()
    if not better + worse:
        return f"**This study cannot tell whether {model} {verb} more than {reference}.**"
    if len(rows) == 1:
        return f"**{model} {verb} {'more' if better else 'less'} than {reference}.**"
    verdicts = (("better", better), ("worse", worse))
    counts = [f"{word} than {reference} in {k}" for word, k in verdicts if k]
    rest = len(rows) - better - worse
    shown = f"; no significant difference in the other {rest}" if rest else ""
    return (
        f"**On `{rows['benchmark'].iloc[0]}`, {model} is {' and '.join(counts)} of {len(rows)} "
        f"ways of asking{shown}.**"
    )


def _judge_other_exams(main: pd.DataFrame, first_exam: str) -> Iterator[str]:
    """Yield, for each further exam, in how many ways of asking the difference was significant."""
    others = main[main["benchmark"] != first_exam]
    for exam, rows in others.groupby("benchmark", sort=False):
        significant = rows[rows["p_holm"] < LEVEL]
        model, reference = (f"`{rows[name].iloc[0]}`" for name in ("model", "reference"))
        better = int((significant["difference"] > 0).sum())
        listed = "; ".join(
            f"{name_protocol(r)}: {_difference(r)}" for _, r in significant.iterrows()
        )
        yield (
            f"On `{exam}` (n = {rows['n'].max():,}), {model} is significantly better than "
            f"{reference} in {better} and worse in {len(significant) - better} of {len(rows)} ways "
            f"of asking{f' ({listed})' if listed else ''}."
        )


def _answer(first: pd.Series, scores: pd.DataFrame, count: int) -> str:
    """Return both scores in the first way of asking, and their difference."""
    model, reference = f"`{first['model']}`", f"`{first['reference']}`"
    chance = format_percent(_select(scores, first, first["model"])["chance"])
    return (
        f"On `{first['benchmark']}`, asked as {name_protocol(first)}, {model} "
        f"answers {_score(scores, first, first['model'])} % correctly and {reference} "
        f"{_score(scores, first, first['reference'])} % (n = {first['n']:,}{_clusters(first)}, "
        f"chance {chance} %). The difference is {_difference(first)}"
        f"{_significance(first, count)}."
    )


def _select(scores: pd.DataFrame, row: pd.Series, model: str) -> pd.Series:
    same = (scores[EVALUATION] == row[EVALUATION].tolist()).all(axis=1)
    return scores[same & (scores["model"] == model)].iloc[0]


def _score(scores: pd.DataFrame, row: pd.Series, model: str) -> str:
    return format_accuracy(_select(scores, row, model))


def _clusters(row: pd.Series) -> str:
    return f" in {row['clusters']} groups" if row["clusters"] < row["n"] else ""


def _difference(row: pd.Series) -> str:
    numbers = format_percent(row["difference"], row["low"], row["high"])
    return numbers.replace(" [", " points [", 1) if " [" in numbers else f"{numbers} points"


def _significance(row: pd.Series, count: int) -> str:
    value = "p < 0.0001" if row["p_holm"] < 0.0001 else f"p = {row['p_holm']:.4f}"
    p = value + (f", adjusted for {count} comparisons" if count > 1 else "")
    if row["p_holm"] < LEVEL:
        return f" ({p})"
    effect = format_percent(row["min_detectable_effect"])
    power = f"; a true difference below {effect} points would often be missed" if effect else ""
    return f", which is not significant ({p}{power})"


def _list_insignificant(rows: pd.DataFrame) -> Iterator[str]:
    """Yield the differences in the other ways of asking that are not significant."""
    others = [row for _, row in rows.iterrows() if row["p_holm"] >= LEVEL]
    if others:
        shown = "; ".join(f"{name_protocol(row)}: {_difference(row)}" for row in others)
        yield (
            f"No significant difference on `{others[0]['benchmark']}` in {shown}. This does not "
            "show that the models are equal there. Nor does it show that the difference depends on "
            "the way of asking: that would need a test of one difference against another."
        )


def _compare_others(
    comparison: pd.DataFrame, scores: pd.DataFrame, first: pd.Series
) -> Iterator[str]:
    """Yield how each further model compares with the reference in the first way of asking."""
    same = (comparison[EVALUATION] == first[EVALUATION].tolist()).all(axis=1)
    for _, row in comparison[same & (comparison["model"] != first["model"])].iterrows():
        yield (
            f"Asked in the same way, `{row['model']}` answers "
            f"{_score(scores, row, row['model'])} % correctly. `{row['model']}` minus "
            f"`{row['reference']}` is {_difference(row)}"
            f"{_significance(row, len(comparison))}."
        )


def _describe_forgetting(
    scores: pd.DataFrame, comparison: pd.DataFrame, tuned: Sequence[str]
) -> Iterator[str]:
    """Yield what tuned models lost: the base knew something, and they are clearly below it.

    It knew something if its interval is above chance and above the most frequent answer. Clearly:
    the comparison is significant, or if the two were not compared, the intervals do not overlap.
    """
    for _, base in drop_alike(scores[~scores["model"].isin(tuned)]).iterrows():
        if not base["low"] > base[["chance", "majority"]].max():  # free answers have no majority
            continue
        losses = [model for model in tuned if _is_worse(base, model, scores, comparison)]
        if losses:
            shown = " and ".join(f"`{name}` {_score(scores, base, name)} %" for name in losses)
            yield (
                f"Forgetting: on `{base['benchmark']}`, {name_protocol(base)}, "
                f"`{base['model']}` answers {format_accuracy(base)} % correctly, {shown} "
                f"(n = {base['n']:,})."
            )


def _is_worse(base: pd.Series, model: str, scores: pd.DataFrame, comparison: pd.DataFrame) -> bool:
    score = _select(scores, base, model)
    same = (comparison[EVALUATION] == base[EVALUATION].tolist()).all(axis=1)
    pair = {base["model"], model}
    for row in comparison[same].to_dict("records"):
        if {row["model"], row["reference"]} == pair:
            return row["p_holm"] < LEVEL and score["accuracy"] < base["accuracy"]
    return bool(score["high"] < base["low"])


# ------------------------------------------------------------------------------ one model alone


def _describe_protocols(scores: pd.DataFrame) -> Iterator[str]:
    """Yield the range of the scores over the protocols, exam by exam."""
    ranges = []
    for benchmark, rows in scores[scores["n"] > 0].groupby("benchmark", sort=False):
        lowest, highest = (rows.loc[rows["accuracy"].agg(which)] for which in ("idxmin", "idxmax"))
        ranges.append(
            f"`{benchmark}` {format_percent(lowest['accuracy'])} ({name_protocol(lowest)}) to "
            f"{format_percent(highest['accuracy'])} ({name_protocol(highest)})"
        )
    model = scores["model"].iloc[-1]
    n = f"n = {scores['n'].min():,} to {scores['n'].max():,}"
    yield (
        f"**The way of asking changes the score of the same model.** `{model}`, accuracy in "
        f"percent, {n}: {'; '.join(ranges)}."
    )
    yield from describe_above_chance(scores)
    yield ONE_TRAINING
