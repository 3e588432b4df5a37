"""Tables for the page: few columns, percent with one decimal; the saved tables have everything."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from clinical_camel.eval_fewshot.answering import KEY_COLUMNS
from clinical_camel.eval_fewshot.questions import Benchmarks

EVALUATION = KEY_COLUMNS[:-1]  # what all models answer alike
PERCENT = ("accuracy", "share", "chance")
ALWAYS_SHOWN = ("benchmark", "n", "chance")  # even if the same in all rows
FAILURES_PER_EXAM = 2  # exams are the work of others: a page quotes a handful of questions


def format_percent(accuracy: float, low: float = np.nan, high: float = np.nan) -> str:
    """Return a share from 0 to 1 in percent, with its interval if there is one.

    >>> format_percent(0.654, 0.599, 0.704), format_percent(0.25)
    ('65.4 [59.9, 70.4]', '25.0')
    """
    if np.isnan(accuracy):
        return ""
    interval = "" if np.isnan(low) else f" [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{100 * accuracy:.1f}{interval}".replace("-0.0", "0.0")


def name_protocol(row: Mapping) -> str:
    """Return how an evaluation asked: "chat, 5-shot", and the variant unless unchanged.

    >>> name_protocol({"protocol": "chat", "num_shots": 5, "variant": "shuffled"})
    'chat, 5-shot, shuffled'
    """
    name = f"{row['protocol']}, {row['num_shots']}-shot"
    variant = row.get("variant", "as_given")
    return name if variant == "as_given" else f"{name}, {variant.replace('_', ' ')}"


def select_main(comparison: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the last model: the comparison that a study is about."""
    return comparison[comparison["model"] == comparison["model"].iloc[-1]]


def format_scores(scores: pd.DataFrame, comparison: pd.DataFrame) -> pd.DataFrame:
    """Return one row per exam and protocol: each model, the difference, chance and n.

    A cell of a model has its accuracy and interval in percent, and the number of unread replies if
    there are any. The difference is that of the last compared model and its reference, in points;
    a star means that it is significant after Holm's adjustment.
    """
    main = select_main(comparison) if len(comparison) else comparison
    differences = {tuple(row[k] for k in EVALUATION): row for row in main.to_dict("records")}
    title = _name_pair(main.iloc[0]) if len(main) else ""
    rows = []
    for key, group in scores.groupby(EVALUATION, sort=False):
        row = {"exam": key[0], "protocol": name_protocol(group.iloc[0])}
        row |= {score["model"]: _format_score(score) for score in group.to_dict("records")}
        if title:
            row[title] = _format_difference(differences.get(key))
        rows.append(row | {"chance": format_percent(group["chance"].max()), "n": _format_n(group)})
    return hide_index(pd.DataFrame(rows).fillna(""))


def _name_pair(row: Mapping) -> str:
    """Return which two are compared: models, or a variant and the unchanged questions."""
    if row["reference"] == "as_given":
        return f"{row['model']}: {row['variant']} \N{MINUS SIGN} as_given"
    return f"{row['model']} \N{MINUS SIGN} {row['reference']}"


def _format_score(score: Mapping) -> str:
    if not score["n"]:
        return "all too long"
    cell = format_percent(score["accuracy"], score["low"], score["high"])
    return cell + (f", {score['unparsed']} unread" if score["unparsed"] else "")


def _format_difference(row: Mapping | None) -> str:
    if row is None:
        return ""
    star = " *" if row["p_holm"] < 0.05 else ""
    return format_percent(row["difference"], row["low"], row["high"]) + star


def _format_n(group: pd.DataFrame) -> str:
    n, too_long = int(group["n"].max()), int(group["too_long"].max())
    return f"{n:,}" + (f" ({too_long} too long)" if too_long else "")


def format_details(scores: pd.DataFrame) -> pd.DataFrame:
    """Return what else belongs to a score, in percent: one row per exam, protocol and model."""
    names = ("accuracy", "accuracy_norm", "shortest", "majority", "calibration_error")
    shown = {name.replace("_", " "): list(map(format_percent, scores[name])) for name in names}
    return _make_page(scores, {"model": scores["model"].tolist()} | shown)


def format_comparison(comparison: pd.DataFrame) -> pd.DataFrame:
    """Return one row per exam, protocol and pair of models, in points; eight columns."""
    rows = comparison.to_dict("records")
    page = {
        "models": list(map(_name_pair, rows)),
        "difference": list(map(_format_difference, rows)),
        "only one correct": [
            f"{row['only_model_correct']} : {row['only_reference_correct']}" for row in rows
        ],
        "p": [f"{row['p']:.4f}" for row in rows],
        "p Holm": [f"{row['p_holm']:.4f}" for row in rows],
        "detectable": list(map(format_percent, comparison["min_detectable_effect"])),
    }
    return _make_page(comparison, page)


def format_clean_scores(clean: pd.DataFrame) -> pd.DataFrame:
    """Return each score with and without the questions found in training data, in percent."""
    page = {"model": clean["model"].tolist()}
    for end in ("", "_clean"):
        columns = (clean[name + end] for name in ("accuracy", "low", "high"))
        page[f"accuracy{end}".replace("_", " ")] = list(map(format_percent, *columns))
        page[f"n{end}".replace("_", " ")] = clean[f"n{end}"].tolist()
    return _make_page(clean, page | {"chance": list(map(format_percent, clean["chance"]))})


def _make_page(table: pd.DataFrame, columns: Mapping[str, list]) -> pd.DataFrame:
    """Return a table for the page: the exam and protocol of each row, then these columns."""
    protocols = list(map(name_protocol, table.to_dict("records")))
    exams = {"exam": table["benchmark"].tolist(), "protocol": protocols}
    return hide_index(pd.DataFrame(exams | columns))


def format_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with shares in percent, without the columns that are the same in every row.

    `benchmark`, `n` and `chance` are always shown; the saved table has all columns.
    """
    page = pd.DataFrame(
        {
            name: (100 * table[name]).round(1) if name in PERCENT else table[name]
            for name in table.columns
        }
    )
    constant = [c for c in page if len(page[c].unique()) == 1 and c not in ALWAYS_SHOWN]
    page = page.drop(columns=constant) if len(page) > 1 else page
    return hide_index(page.rename(columns=lambda name: name.replace("_", " ")))


def hide_index(page: pd.DataFrame) -> pd.DataFrame:
    """Return the table with an empty index, and let pandas show every text and row in full."""
    pd.set_option("display.max_colwidth", None, "display.max_rows", 200)
    return page.set_axis([""] * len(page))


# ---------------------------------------------------------------------------- published numbers

PAPER = {  # the columns of the paper's table: system:size in published.csv
    "paper 13B": "clinical_camel:13b",
    "paper 70B": "clinical_camel:70b",
    "GPT-3.5": "gpt-3.5",
    "GPT-4": "gpt-4",
}


def format_paper(assessed: pd.DataFrame, audit: pd.DataFrame, system: str) -> pd.DataFrame:
    """Return the paper's table beside ours: a row per exam and number of shots, in percent.

    `assessed`: `assess_published`; `audit`: `compare_with_published`. A dagger marks a value that
    is recalled: no source was found. `ours` is our score and its verdict; this column exists only
    if the study runs `system` ("name:size").
    """
    sizes = assessed["size"].fillna("")
    names = (assessed["system"] + ":" + sizes).str.removesuffix(":")
    marks = assessed["recalled"].map({True: " †", False: ""})
    cells = assessed["value"].map("{:.1f}".format) + marks
    table = assessed.assign(system=names, cell=cells)
    table = table[names.isin(PAPER.values()) & table["shots"].notna()]
    rows = []
    for (benchmark, shots), group in table.groupby(["benchmark", "shots"], sort=False):
        by_system = group.drop_duplicates("system").set_index("system")["cell"]
        if PAPER["paper 70B"] not in by_system:
            continue
        row = {"exam": benchmark, "shots": int(shots)}
        row |= {title: by_system.get(name, "") for title, name in PAPER.items()}
        if system:
            row["ours"] = _format_ours(audit, benchmark, shots)
        rows.append(row)
    return hide_index(pd.DataFrame(rows))


def _format_ours(audit: pd.DataFrame, benchmark: str, shots: int) -> str:
    same = audit["benchmark"].eq(benchmark) & audit["shots"].eq(shots) & audit["accuracy"].notna()
    matching = audit[same.fillna(False)].to_dict("records")
    if matching:
        row = matching[0]
        return f"{format_percent(row['accuracy'], row['low'], row['high'])}, {row['verdict']}"
    return "not run: not an exam of this study"


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

    With several variants of the questions: the last model, in each variant.
    """
    keys = [name for name in EVALUATION if name != "variant"]
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
