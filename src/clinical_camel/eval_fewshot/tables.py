"""Tables for the page: few columns, percent with one decimal; the saved tables have everything."""

from collections.abc import Mapping

import pandas as pd

from clinical_camel.core.wording import format_accuracy, format_percent
from clinical_camel.eval_fewshot.protocols import PROTOCOLS
from clinical_camel.exam_results.answers import EVALUATION, Benchmarks
from clinical_camel.exam_results.pages import (
    format_difference,
    hide_index,
    make_page,
    name_pair,
    name_protocol,
    select_main,
)

FAILURES_PER_EXAM = 2  # exams are the work of others: a page quotes a handful of questions


def format_scores(scores: pd.DataFrame, comparison: pd.DataFrame) -> pd.DataFrame:
    """Return one row per exam and protocol: each model, the difference, chance and n.

    A cell of a model has its accuracy and interval in percent, and the number of unread replies if
    there are any. The difference is that of the last compared model and its reference, in points;
    a star means that it is significant after Holm's adjustment.
    """
    main = select_main(comparison) if len(comparison) else comparison
    differences = {tuple(row[k] for k in EVALUATION): row for row in main.to_dict("records")}
    title = name_pair(main.iloc[0]) if len(main) else ""
    rows = []
    for key, group in scores.groupby(EVALUATION, sort=False):
        row = {"exam": key[0], "protocol": name_protocol(group.iloc[0])}
        row |= {score["model"]: _format_score(score) for score in group.to_dict("records")}
        if title:
            row[title] = format_difference(differences.get(key))
        rows.append(row | {"chance": format_percent(group["chance"].max()), "n": _format_n(group)})
    return hide_index(pd.DataFrame(rows).fillna(""))


def _format_score(score: Mapping) -> str:
    if not score["n"]:
        return "all too long"
    return format_accuracy(score) + (f", {score['unparsed']} unread" if score["unparsed"] else "")


def _format_n(group: pd.DataFrame) -> str:
    n, too_long = int(group["n"].max()), int(group["too_long"].max())
    return f"{n:,}" + (f" ({too_long} too long)" if too_long else "")


def format_details(scores: pd.DataFrame) -> pd.DataFrame:
    """Return what else belongs to a score, in percent: one row per exam, protocol and model."""
    names = (
        *("accuracy", "accuracy_norm", "shortest"),
        *("majority", "most_chosen", "calibration_error"),
    )
    shown = {name.replace("_", " "): list(map(format_percent, scores[name])) for name in names}
    return make_page(scores, {"model": scores["model"].tolist()} | shown)


# ------------------------------------------------------------------------------ texts of a page


def format_failures(answers: pd.DataFrame, questions: Benchmarks, model: str, count: int) -> str:
    """Return incorrect answers of a model to unchanged questions, as plain text.

    The first ones of each exam, at most FAILURES_PER_EXAM and `count` in all.
    """
    rows = answers[answers["fits"] & (answers["model"] == model)]
    incorrect = rows[~rows["correct"] & (rows["variant"] == "as_given")]
    incorrect = incorrect.drop_duplicates(["benchmark", "id"])
    place = incorrect.groupby("benchmark", sort=False).cumcount()
    chosen = place[place < FAILURES_PER_EXAM].sort_values(kind="stable").head(count)
    failures = []
    for row in incorrect.loc[sorted(chosen.index)].itertuples():
        question = next(q for q in questions[row.benchmark] if q.id == row.id)
        logprobs = row.logprobs.split() or [""] * len(question.options)
        lines = [f"{row.benchmark}, {row.protocol}, {row.num_shots}-shot: {question.question}"]
        for i, option in enumerate(question.options):
            marks = {question.answer: "correct", row.predicted: "predicted"}
            lines.append(f"  ({chr(65 + i)}) {logprobs[i]:>10} {marks.get(i, ''):<9}  {option}")
        lines += [f"  reply: {row.reply}"] if row.reply else []
        failures.append("\n".join(lines))
    return "\n\n".join(failures) or "no incorrect answer"


def format_headline(scores: pd.DataFrame) -> str:
    """Return the first evaluation in one line: accuracy of each model with interval, n, chance.

    With several variants of the questions: in each variant. Shuffled options are left out where
    each option is rated alone: they change nothing.
    """
    keys = [name for name in EVALUATION if name != "variant"]
    first = scores[(scores[keys] == scores[keys].iloc[0]).all(axis=1)]
    if not PROTOCOLS[first["protocol"].iloc[0]].lists_options:
        first = first[first["variant"] != "shuffled"]
    variants = first["variant"].unique()
    accuracies = "; ".join(
        (f"{variant}: " if len(variants) > 1 else "")
        + ", ".join(
            f"{row['model']} {row['accuracy']:.1%} [{row['low']:.1%}, {row['high']:.1%}]"
            for row in first[first["variant"] == variant].to_dict("records")
        )
        for variant in variants
    )
    row = first.iloc[0]
    evaluation = f"{row['benchmark']}, {row['protocol']}, {row['num_shots']}-shot"
    return f"{evaluation}, n = {row['n']}, chance {row['chance']:.0%}: {accuracies}"
