"""What step 08 showed, in sentences computed from its tables."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from clinical_camel.eval_replies.diagnoses import ALL_GROUPS
from clinical_camel.eval_replies.overlap import UNIT, format_interval
from clinical_camel.eval_replies.settings import BASELINES, CONSULTATION
from clinical_camel.eval_replies.win_rate import count_positions

LEVEL = 0.05
Tables = Mapping[str, pd.DataFrame]  # by name; a task without data has an empty table
HEADLINE_SCORE = ("rougeL", "ROUGE-L")


def describe_results(tables: Tables, models: Sequence[str], baseline: str) -> list[str]:
    """Return the result of step 08 as plain sentences, task by task.

    `tables`: "statuses", "overlap", "overlap_comparison", "diagnoses", "diagnosis_comparison",
    "verdicts", "wins" and "agreement", as the step saves them.
    """
    return [
        *_describe_statuses(tables["statuses"], models),
        *_describe_overlap(tables["overlap"], tables["overlap_comparison"], models, baseline),
        *_describe_diagnoses(tables["diagnoses"], tables["diagnosis_comparison"], models, baseline),
        *_describe_wins(tables["wins"], baseline),
        *_describe_positions(tables["verdicts"]),
        *_describe_agreement(tables["agreement"]),
    ]


def format_headline(tables: Tables, models: Sequence[str]) -> str:
    """Return the main result in one line: right diagnoses, win rate, ROUGE-L of consultations.

    Diagnoses and ROUGE-L are over all replies, whatever their dataset and part; the win rates are
    separate.
    """
    parts = []
    if len(rows := tables["diagnoses"]):
        own = rows[rows["icd_group"] == ALL_GROUPS].groupby("model")[["correct", "n"]].sum()
        shares = (f"{m} {own.loc[m, 'correct']} of {own.loc[m, 'n']}" for m in models)
        parts.append(f"right diagnosis: {', '.join(shares)}")
    for row in tables["wins"].to_dict("records"):
        if row["judge"] == tables["wins"]["judge"].iloc[0]:
            parts.append(f"win rate of {row['model']} on {_name_unit(row)}: {_percent(row)}")
    rows = tables["overlap"]
    if len(rows := rows[rows["task"] == CONSULTATION] if len(rows) else rows):
        metric, name = HEADLINE_SCORE
        means = rows.groupby("model").apply(_average, metric)
        shown = ", ".join(f"{m} {means[m]:.2f}" for m in models if m in means)
        parts.append(f"{name} of consultations: {shown}")
    return "; ".join(parts) or "no reply could be measured"


def _average(rows: pd.DataFrame, metric: str) -> float:
    """Return the mean over replies from the means of datasets and parts."""
    return float((rows[metric] * rows["n"]).sum() / rows["n"].sum())


def _describe_statuses(statuses: pd.DataFrame, models: Sequence[str]) -> Iterator[str]:
    for (task, corpus), rows in statuses.groupby(["task", "corpus"], sort=False):
        parts = []
        for row in rows[rows["model"].isin(models)].to_dict("records"):
            failed = {s: row[s] for s in ("looping", "empty", "too long", "unfinished") if row[s]}
            rest = ", ".join(f"{count} {status}" for status, count in failed.items())
            parts.append(
                f"{row['model']} {row['ok']} of {row['replies']}" + f" ({rest})" * bool(rest)
            )
        yield f"**{corpus}** ({task}): complete replies: {'; '.join(parts)}."


def _describe_overlap(
    overlap: pd.DataFrame, comparison: pd.DataFrame, models: Sequence[str], baseline: str
) -> Iterator[str]:
    metric, name = HEADLINE_SCORE
    for key, rows in overlap.groupby(UNIT, sort=False) if len(overlap) else ():
        means = rows.set_index("model")[metric]
        unit = _name_unit(dict(zip(UNIT, key, strict=True)))
        shown = ", ".join(f"{m} {means[m]:.3f}" for m in [*models, *BASELINES] if m in means)
        yield f"{name} of {unit}: {shown}."
        typical = means.get(BASELINES[0], 0.0)
        weak = [m for m in models if m in means and means[m] <= typical]
        if weak:
            yield (
                f"The typical reply, which reads no question, overlaps with the reference of {unit}"
                f" at least as much as {' and '.join(weak)}."
            )
    for row in _select(comparison, metric):
        values = format_interval(row["difference"], row["low"], row["high"])
        yield (
            f"{name} of {_name_unit(row)}: {row['model']} minus {baseline}: {values}, "
            f"{_describe_p(row)}."
        )


def _select(comparison: pd.DataFrame, metric: str) -> list[dict]:
    return comparison[comparison["metric"] == metric].to_dict("records") if len(comparison) else []


def _describe_diagnoses(
    diagnoses: pd.DataFrame, comparison: pd.DataFrame, models: Sequence[str], baseline: str
) -> Iterator[str]:
    if diagnoses.empty:
        return
    whole = diagnoses[diagnoses["icd_group"] == ALL_GROUPS]
    for key, rows in whole.groupby(UNIT, sort=False):
        unit = _name_unit(dict(zip(UNIT, key, strict=True)))
        for row in rows[rows["model"].isin([*models, BASELINES[0]])].to_dict("records"):
            yield (
                f"{row['model']} names the right diagnosis of {row['correct']} of {row['n']} "
                f"records of {unit} ({_percent(row, 'accuracy')}), another one of the same ICD "
                f"group {row['same group']} times, several {row['several']} times, none "
                f"{row['none']} times."
            )
    for row in comparison.to_dict("records"):
        values = (100 * row[name] for name in ("difference", "low", "high"))
        yield (
            f"Right diagnoses of {_name_unit(row)}: {row['model']} minus {baseline}: "
            f"{format_interval(*values, form='.0f')} points, {_describe_p(row)}."
        )


def _describe_wins(wins: pd.DataFrame, baseline: str) -> Iterator[str]:
    for row in wins.to_dict("records"):
        text = (
            f"Judge {row['judge']}: {row['model']} beats {baseline} on {row['wins']} of {row['n']} "
            f"questions of {_name_unit(row)}, ties on {row['ties']}, loses on {row['losses']}: win "
            f"rate {_percent(row)}, {_describe_p(row)}."
        )
        if row["orders_disagree"]:
            text += f" {row['orders_disagree']} ties come from two orders with different winners."
        if row["no_verdict"]:
            text += f" {row['no_verdict']} pairs have no verdict."
        yield text


def _describe_positions(verdicts: pd.DataFrame) -> Iterator[str]:
    counts = count_positions(verdicts)
    if not counts["n"]:
        return
    text = f"The judge compared {counts['n']} pairs in both orders. "
    places = [counts[f"prefers_shown_{place}"] for place in ("first", "second")]
    if disagree := counts["orders_disagree"]:
        text += (
            f"In {disagree}, the two verdicts disagree. Of these, {places[0]} prefer the reply "
            f"shown first both times, {places[1]} the one shown second, and "
            f"{disagree - sum(places)} are a tie in one order."
        )
    else:
        text += "The two verdicts never disagree."
    yield text


def _describe_agreement(agreement: pd.DataFrame) -> Iterator[str]:
    for row in agreement.to_dict("records"):
        if not row["n"]:
            yield f"{row['first']} and {row['second']} judged no common pair."
            continue
        kappa = format_interval(row["kappa"], row["low"], row["high"], ".2f")
        yield (
            f"{row['first']} and {row['second']} agree on {row['observed_agreement']:.0%} of "
            f"{row['n']} pairs (kappa {kappa if row['kappa'] == row['kappa'] else 'undefined'})."
        )


def _describe_p(row: Mapping) -> str:
    clear = "a clear difference" if row["p_holm"] < LEVEL else "no clear difference"
    p = row["p_holm"]
    return f"{clear} (adjusted p {'< 0.001' if p < 0.001 else f'= {p:.3f}'})"


def _percent(row: Mapping, name: str = "win_rate") -> str:
    return format_interval(*(100 * row[key] for key in (name, "low", "high")), form=".0f") + " %"


def _name_unit(row: Mapping) -> str:
    return ", ".join(row[name] for name in UNIT[1:] if row[name] != "all")
