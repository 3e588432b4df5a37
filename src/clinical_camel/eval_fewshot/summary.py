"""What we saw: the study's question, and its answer in sentences computed from the tables.

The design decides the question. Changed questions (`variants`): knowledge, or a trick of the
options? Two tuned models: which training teaches more? A base and a tuned model: does the tuned
one know more? A single model in several protocols: how much depends on the way of asking?

The sentences answer the usual objections. A difference counts only if it is significant after
Holm's adjustment over all comparisons of the study; otherwise the smallest detectable difference is
stated. The verdict says in how many ways of asking the first exam it was significant. Scores at
chance, forgetting, unequal trainings and questions found in the training data have sentences.
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from clinical_camel.eval_fewshot.above_chance import (
    describe_above_chance,
    describe_ceiling,
    describe_halves,
)
from clinical_camel.eval_fewshot.answering import drop_alike
from clinical_camel.eval_fewshot.missing_answers import describe_losses
from clinical_camel.eval_fewshot.settings import Design
from clinical_camel.eval_fewshot.tables import (
    EVALUATION,
    format_percent,
    name_protocol,
    select_main,
)
from clinical_camel.eval_fewshot.trainings import compare_trainings

LEVEL = 0.05
ONE_TRAINING = (
    "The intervals cover the choice of questions, not the training: each model was trained once, "
    "and another seed gives another model."
)


def describe_results(
    design: Design,
    scores: pd.DataFrame,
    comparison: pd.DataFrame,
    variants: pd.DataFrame | None = None,
    clean: pd.DataFrame | None = None,
    trainings: pd.DataFrame | None = None,
) -> list[str]:
    """Return the question of a study, its answer, and what limits the answer, as sentences.

    `scores`: `compute_scores`; `comparison`: `compare_models`; `variants`: `compare_variants`;
    `clean`: `compute_clean_scores`; `trainings`: `read_trainings`. All but the last can also be
    read from the saved CSV files.
    """
    tuned = [name for name, folder in design.adapters.items() if folder]
    ceiling: list[str] = []
    if "open_book" in design.variants:
        ceiling = list(describe_ceiling(scores))
        if len(design.variants) > 1:
            scores = scores[scores["variant"] != "open_book"]
    if _changes_questions(design) and variants is not None and len(variants):
        sentences = _describe_variants(scores, variants)
    elif len(comparison):
        sentences = _describe_comparison(scores, comparison, tuned, clean, trainings)
    else:
        sentences = _describe_protocols(scores)
    halves = describe_halves(design.benchmarks)
    return [ask_question(design), *sentences, *ceiling, *halves, *describe_losses(scores)]


def _changes_questions(design: Design) -> bool:
    """Return whether a variant changes the questions themselves: `open_book` only adds a text."""
    return len(set(design.variants) - {"open_book"}) > 1


def ask_question(design: Design) -> str:
    """Return the question that a study answers, for the first paragraph of the notebook."""
    tuned = [name for name, folder in design.adapters.items() if folder]
    if _changes_questions(design):
        return "Knowledge, or a trick of the options?"
    if len(tuned) > 1 and design.baseline in tuned:
        others = " or ".join(f"`{name}`" for name in tuned[::-1])
        return f"Which training teaches the model more: {others}?"
    if len(design.adapters) > 1:
        return f"Does `{[*design.adapters][-1]}` know more than `{design.baseline}`?"
    return f"How much does the score of `{[*design.adapters][-1]}` depend on the way of asking?"


# ---------------------------------------------------------------------- one model and another


def _describe_comparison(
    scores: pd.DataFrame,
    comparison: pd.DataFrame,
    tuned: Sequence[str],
    clean: pd.DataFrame | None,
    trainings: pd.DataFrame | None,
) -> Iterator[str]:
    main = drop_alike(select_main(comparison))
    main = main[main["variant"].isin(scores["variant"])]  # without the ceiling
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
    yield from _describe_overlap(first, clean)
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
    return _format_row(_select(scores, row, model))


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
            f"{_score(scores, row, row['model'])} % correctly. Its difference to "
            f"`{row['reference']}` is {_difference(row)}"
            f"{_significance(row, len(comparison))}."
        )


def _describe_forgetting(
    scores: pd.DataFrame, comparison: pd.DataFrame, tuned: Sequence[str]
) -> Iterator[str]:
    """Yield what tuned models lost: the base was above chance, and they are clearly below it.

    Clearly: the comparison is significant, or if the two were not compared, the intervals do not
    overlap.
    """
    for _, base in drop_alike(scores[~scores["model"].isin(tuned)]).iterrows():
        if not base["low"] > base["chance"]:
            continue
        losses = [model for model in tuned if _is_worse(base, model, scores, comparison)]
        if losses:
            shown = " and ".join(f"`{name}` {_score(scores, base, name)} %" for name in losses)
            yield (
                f"Forgetting: on `{base['benchmark']}`, {name_protocol(base)}, "
                f"`{base['model']}` answers {_format_row(base)} % correctly, {shown} "
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


def _describe_overlap(first: pd.Series, clean: pd.DataFrame | None) -> Iterator[str]:
    """Yield the score without the questions that occur in the training data."""
    if clean is None or not len(clean):
        return
    row = _select(clean, first, first["model"])
    if not row["overlapping"]:
        yield f"None of the {row['n']:,} questions was found in the training data."
    elif row["n_clean"]:
        rows = [_select(clean, first, first[name]) for name in ("model", "reference")]
        shown = " and ".join(
            f"`{r['model']}` {format_percent(r['accuracy_clean'], r['low_clean'], r['high_clean'])}"
            for r in rows
        )
        yield (
            f"{row['overlapping']} of {row['n']:,} questions resemble training data. Accuracy on "
            f"the other {row['n_clean']:,}, in percent: {shown}."
        )
    else:
        yield f"All {row['n']:,} questions resemble training data: the score may be memory."
    others = clean[clean["benchmark"] != first["benchmark"]].drop_duplicates("benchmark")
    counts = [f"`{r.benchmark}` {r.overlapping} of {r.n:,}" for r in others.itertuples()]
    if counts:
        yield f"Questions of the other exams that resemble training data: {', '.join(counts)}."


# ------------------------------------------------------------------------- changed questions


def _describe_variants(scores: pd.DataFrame, variants: pd.DataFrame) -> Iterator[str]:
    """Yield the answer, then what each change of the questions does to the last model."""
    model = variants["model"].iloc[-1]
    keys = ["benchmark", "protocol", "num_shots"]
    first = variants[(variants[keys] == variants[keys].iloc[0]).all(axis=1)]
    rows = {row["variant"]: row for row in first[first["model"] == model].to_dict("records")}
    shown = scores[(scores[keys] == variants[keys].iloc[0].tolist()).all(axis=1)]
    of_model = {row["variant"]: row for row in shown[shown["model"] == model].to_dict("records")}
    yield _answer_variants(model, of_model)
    if "shuffled" in rows:
        row = rows["shuffled"]
        is_equal = row["p_holm"] >= LEVEL
        yield (
            f"Shuffled options change the score of `{model}` by {_difference(pd.Series(row))}: "
            f"{'no sign that' if is_equal else 'so'} the position of the correct option matters."
        )
    if "none_of_the_above" in rows:
        yield from _describe_none(shown)
    yield ONE_TRAINING


def _answer_variants(model: str, by_variant: dict[str, dict]) -> str:
    unchanged, hidden = by_variant["as_given"], by_variant.get("options_only")
    text = (
        f"On `{unchanged['benchmark']}`, asked as {name_protocol(unchanged)}, `{model}` answers "
        f"{_format_row(unchanged)} % correctly (n = {unchanged['n']:,}, chance "
        f"{format_percent(unchanged['chance'])} %)"
    )
    if hidden is None:
        return f"{text}."
    text += f", and without the question {_format_row(hidden)} %."
    if hidden["low"] > hidden["chance"]:
        return f"**The options alone give part of the answer away.** {text}"
    if unchanged["low"] <= unchanged["chance"]:
        return f"**There is no knowledge to explain: `{model}` is at chance.** {text}"
    return f"**The score needs the question: it is no trick of the options.** {text}"


def _describe_none(shown: pd.DataFrame) -> Iterator[str]:
    """Yield who chooses "None of the above" where it is correct, and why that may mean little."""
    rows = shown[shown["variant"] == "none_of_the_above"].to_dict("records")
    scores = " and ".join(f"`{row['model']}` in {_format_row(row)} %" for row in rows)
    yield f'Where "None of the above" is correct, it is chosen by {scores} of the questions.'
    for row in rows:
        if row["shortest"] > 0.5 > row["accuracy_norm"]:
            yield (
                f"This is no knowledge of `{row['model']}`: {format_percent(row['shortest'])} % of "
                "its answers are the shortest option, and this phrase is short. Likelihoods "
                f"divided by length give {format_percent(row['accuracy_norm'])} %."
            )
        elif row["high"] < row["chance"]:
            yield (
                f"`{row['model']}` avoids the phrase even where every other option is wrong: it "
                "recognises familiar phrases and does not reject wrong ones."
            )


def _format_row(row: dict | pd.Series) -> str:
    return format_percent(row["accuracy"], row["low"], row["high"])


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
