"""What step 04 showed, in sentences computed from its tables."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from clinical_camel import grounding
from clinical_camel.core.wording import format_bounds, format_percent
from clinical_camel.exam_results.answers import LEVEL
from clinical_camel.note_synthesis.baselines import BASELINES
from clinical_camel.note_synthesis.essentials import DIAGNOSIS, ESSENTIALS
from clinical_camel.note_synthesis.faithfulness import REFERENCE, WHOLE
from clinical_camel.note_synthesis.structure import ASSESSMENT_AND_PLAN, STATUSES, WRITTEN

Tables = Mapping[str, pd.DataFrame]


def describe_results(
    tables: Tables, models: Sequence[str], support: Mapping[str, Mapping[str, float]]
) -> list[str]:
    """Return the result of step 04 as plain sentences, corpus by corpus.

    `tables`: "statuses", "faithfulness_summary", "essentials", "summary" and "comparison", as the
    step saves them. `models`: the names of the models, the one to compare with first. `support`:
    `compare_support` of the first and the last model; {} for a single model.
    """
    lines = []
    for corpus in dict.fromkeys(tables["statuses"]["corpus"]):
        own = {name: table[table["corpus"] == corpus] for name, table in tables.items()}
        lines.append(f"**{corpus}.** {_describe_statuses(own['statuses'], models)}")
        lines += _describe_truth(own["faithfulness_summary"], models, support.get(corpus))
        lines += _describe_essentials(own["essentials"], models)
        lines += _describe_overlap(own["summary"], own["comparison"], models)
        lines += _describe_failed_outputs(own["statuses"], models)
    return lines


def format_headline(tables: Tables, models: Sequence[str]) -> str:
    """Return the main result in one line: true before similar.

    Per model: how many notes name the diagnosis of the visit, what share of their sentences is
    supported (mean over notes), and ROUGE-L; each over all corpora. A part without a number is
    left out.

    `tables`: as for `describe_results`.
    """
    whole = tables["summary"][tables["summary"]["part"] == "whole"]
    truth, items = _select_supported(tables["faithfulness_summary"]), tables["essentials"]
    named = items[items["item"] == DIAGNOSIS].groupby("model")[["correct", "n"]].sum()
    sums = truth.assign(share=truth["share"] * truth["n"]).groupby("model")[["share", "n"]].sum()
    means = {
        "sentences supported": sums["share"] / sums["n"],
        "ROUGE-L": whole.groupby("model")["rougeL"].mean(),
    }
    parts = {"right diagnosis": {m: f"{r.correct} of {r.n}" for m, r in named.iterrows()}}
    for (name, values), form in zip(means.items(), (".0%", ".2f"), strict=True):
        parts[name] = {m: f"{value:{form}}" for m, value in values.items() if value == value}
    texts = [
        f"{name}: {', '.join(f'{m} {values[m]}' for m in models if m in values)}"
        for name, values in parts.items()
        if set(values) & set(models)
    ]
    return "; ".join(texts) or "no note could be judged"


def _select_supported(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the supported share of the sentences of what is a note."""
    rows = summary[(summary["notes"] == WHOLE) & (summary["measure"] == "sentences")]
    return rows[rows["kind"] == grounding.VERDICTS[0]]


def _describe_statuses(statuses: pd.DataFrame, models: Sequence[str]) -> str:
    parts = []
    for row in statuses.to_dict("records"):
        if row["model"] in models:
            written = sum(row[name] for name in WRITTEN)
            cut = row["unfinished"]
            others = [f"{row[s]} {s}" for s in STATUSES if s not in WRITTEN and row[s]]
            rest = f" (the others: {', '.join(others)})" if others else ""
            end = f", {cut} of them cut off" * bool(cut)
            text = f"{row['model']} wrote a note of {written} of {row['notes']} visits{end}{rest}"
            parts.append(text)
    return "; ".join(parts) + "."


def _describe_failed_outputs(statuses: pd.DataFrame, models: Sequence[str]) -> Iterator[str]:
    rows = statuses[statuses["model"].isin(models)]
    failed = rows[rows[list(WRITTEN)].sum(axis=1) < rows["notes"] / 2]
    if len(failed):
        names = " and ".join(failed["model"])
        yield f"Most outputs of {names} are no notes, so more ROUGE-L there is no better note."


def _describe_truth(
    summary: pd.DataFrame, models: Sequence[str], difference: Mapping[str, float] | None
) -> Iterator[str]:
    rows = _select_supported(summary).set_index("model")
    shown = [name for name in (*models, REFERENCE) if name in rows.index]
    if not set(shown) & set(models):
        yield "No model wrote a note with a sentence that can be checked for truth."
        return
    if single := [name for name in shown if rows.loc[name, "n"] == 1]:
        yield f"Only one note with sentences to check: {' and '.join(single)}. It is left out."
    shown = [name for name in shown if name not in single]
    if not set(shown) & set(models):
        return
    shares = [
        f"{_percent(rows.loc[name])} for {name} (n = {rows.loc[name, 'n']})" for name in shown
    ]
    text = f"Of the sentences of a note, the check supports on average {', '.join(shares)}."
    if REFERENCE in shown and rows.loc[REFERENCE, "share"] < 1:
        text += (
            " A sentence of the reference note that is not supported is a false alarm of the check,"
            " or was never said in the visit."
        )
    yield text
    for measure, kind, name in (
        ("sentences", "contradicted", "Sentences that a turn contradicts, mean share of a note"),
        ("facts covered", "all", "Facts of the visit that the note covers, mean share"),
    ):
        chosen = summary[(summary["notes"] == WHOLE) & (summary["measure"] == measure)]
        chosen = chosen[chosen["kind"] == kind].set_index("model")
        if texts := [f"{m} {_percent(chosen.loc[m])}" for m in shown if m in chosen.index]:
            yield f"{name}: {', '.join(texts)}."
    if difference and len(models) > 1:
        points, low, high = (100 * difference[name] for name in ("difference", "low", "high"))
        yield (
            f"Where both wrote a note (n = {difference['n']}), the supported share of {models[-1]} "
            f"minus that of {models[0]} is {points:+.0f} points{format_bounds(low, high, '.0f')}: "
            f"{_judge(low, high)}."
        )


def _describe_essentials(essentials: pd.DataFrame, models: Sequence[str]) -> Iterator[str]:
    for item in ESSENTIALS:
        rows = essentials[(essentials["item"] == item) & essentials["model"].isin(models)]
        parts = [
            f"{r.model} {r.correct} of {r.n} ({_percent(r._asdict())})" for r in rows.itertuples()
        ]
        if parts:
            yield f"{item.capitalize()}: {', '.join(parts)}."


def _describe_overlap(
    summary: pd.DataFrame, comparison: pd.DataFrame, models: Sequence[str]
) -> Iterator[str]:
    whole = summary[summary["part"] == "whole"].set_index("model")
    if whole["rougeL"].isna().all():
        return
    names = [name for name in (*models, *BASELINES) if name in whole.index]
    yield (
        f"ROUGE-L of the note (n = {whole['n'].max()}): "
        + ", ".join(f"{name} {whole.loc[name, 'rougeL']:.2f}" for name in names) + "."
    )  # fmt: skip
    rows = comparison[(comparison["part"] == "whole") & (comparison["metric"] == "rougeL")]
    for row in rows.itertuples():
        yield (
            f"ROUGE-L of {row.model} minus {models[0]} (n = {row.n}): {row.difference:+.2f}"
            f"{format_bounds(row.low, row.high, '.2f')}, p = {row.p:.2g}, after the Holm "
            f"adjustment {row.p_holm:.2g}: {_judge(row.low, row.high, row.p_holm)}."
        )
    for row in summary[summary["part"] == ASSESSMENT_AND_PLAN].itertuples():
        if row.model in models and row.missing:
            line = f"{row.missing} of {row.n} outputs of {row.model} lack {ASSESSMENT_AND_PLAN}"
            scores = f"{row.rougeL:.2f} with 0 for these, {row.rougeL_if_present:.2f} without"
            yield f"{line}: ROUGE-L {scores}." if row.missing < row.n else f"{line}."


def _percent(row: Mapping[str, float]) -> str:
    return format_percent(row["share"], row["low"], row["high"], 0, " %")


def _judge(low: float, high: float, p: float = 0.0) -> str:
    """Return what a difference says: its interval, and its p if it is one of many comparisons.

    >>> _judge(-0.1, 0.2), _judge(0.1, 0.2), _judge(0.1, 0.2, p=0.27)
    ('no difference is shown', 'better', 'this can be chance (the interval is not adjusted)')
    """
    if low != low or low <= 0 <= high:
        return "no difference is shown"
    if p > LEVEL:
        return "this can be chance (the interval is not adjusted)"
    return "better" if low > 0 else "worse"
