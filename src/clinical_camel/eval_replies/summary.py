"""What step 08 showed, in sentences computed from its tables."""

import math
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from clinical_camel.core.values import show
from clinical_camel.core.wording import format_interval, format_p, join
from clinical_camel.eval_replies.diagnoses import ALL_GROUPS, OUTCOMES
from clinical_camel.eval_replies.overlap import METRICS, PRIMARY_METRIC, SECONDARY
from clinical_camel.eval_replies.settings import BASELINES, CONSULTATION
from clinical_camel.eval_replies.statuses import is_collapsed
from clinical_camel.eval_replies.tables import list_clear_changes, list_faults
from clinical_camel.eval_replies.win_rate import count_positions
from clinical_camel.eval_replies.wording import UNIT, is_clear, name_unit, orient_contrast

Tables = Mapping[str, pd.DataFrame]  # by name; a task without data has an empty table
PRIMARY_NAME = METRICS[PRIMARY_METRIC]


def describe_results(tables: Tables, models: Sequence[str], baseline: str) -> list[str]:
    """Return the result of step 08 as plain sentences, task by task.

    `tables`: "statuses", "overlap", "overlap_typical" (`compare_typical`),
    "overlap_comparison", "diagnoses", "diagnosis_comparison", "verdicts", "wins" and "agreement",
    as the step saves them. A difference is clear if its adjusted p is below 0.05.
    """
    comparison = tables["overlap_comparison"]
    return [
        *_describe_statuses(tables["statuses"], models),
        *_describe_overlap(tables["overlap"], tables["overlap_typical"], models),
        *_describe_changes(comparison, models, baseline),
        *_describe_diagnoses(tables["diagnoses"], models),
        *_describe_diagnosis_changes(tables["diagnosis_comparison"], models, baseline),
        *_describe_wins(tables["wins"], comparison, baseline),
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
            counts = f"{row['wins']} wins, {row['ties']} ties, {row['losses']} losses"
            parts.append(
                f"win rate of {row['model']} on {name_unit(row)}: {_percent(row)} ({counts})"
            )
    rows = tables["overlap"]
    if len(rows := rows[rows["task"] == CONSULTATION] if len(rows) else rows):
        means = rows.groupby("model").apply(_average, PRIMARY_METRIC)
        shown = ", ".join(f"{m} {means[m]:.2f}" for m in models if m in means)
        parts.append(f"{PRIMARY_NAME} of consultations: {shown}")
    return "; ".join(parts) or "no reply could be measured"


def _average(rows: pd.DataFrame, metric: str) -> float:
    """Return the mean over replies from the means of datasets and parts."""
    return float((rows[metric] * rows["n"]).sum() / rows["n"].sum())


def _describe_statuses(statuses: pd.DataFrame, models: Sequence[str]) -> Iterator[str]:
    for (task, corpus), group in statuses.groupby(["task", "corpus"], sort=False):
        rows = group[group["model"].isin(models)].to_dict("records")
        complete = []
        for row in rows:
            text = f"{row['model']} {row['ok']} of {row['replies']}"
            faults = list_faults(row)
            complete.append(f"{text} ({faults})" if faults else text)
        distinct = ", ".join(f"{row['model']} {row['distinct']}" for row in rows)
        yield (
            f"**{corpus}** ({task}): complete replies: {'; '.join(complete)}. Different replies: "
            f"{distinct}."
        )
        for row in filter(is_collapsed, rows):
            text = show(row["frequent_reply"]).replace("`", "'")
            yield (
                f"**{row['model']} gives the same reply to {row['same_reply']} of {row['prompts']} "
                f"different prompts** of {corpus}: `{text}` (most frequent reference: "
                f"{row['same_reference']} of {row['prompts']})."
            )


def _describe_overlap(
    overlap: pd.DataFrame, typical: pd.DataFrame, models: Sequence[str]
) -> Iterator[str]:
    for key, rows in overlap.groupby(UNIT, sort=False) if len(overlap) else ():
        means = rows.set_index("model")[PRIMARY_METRIC]
        unit = name_unit(dict(zip(UNIT, key, strict=True)))
        shown = ", ".join(f"{m} {means[m]:.3f}" for m in [*models, *BASELINES] if m in means)
        yield f"{PRIMARY_NAME} of {unit}: {shown}."
        own = typical[(typical[UNIT] == list(key)).all(axis=1)].to_dict("records")
        better = [row["model"] for row in own if is_clear(row) and row["difference"] > 0]
        worse = [row["model"] for row in own if is_clear(row) and row["difference"] < 0]
        if better:
            verb = "beats" if len(better) == 1 else "beat"
            text = f"On {unit}, {join(better)} clearly {verb} the typical reply"
        else:
            text = f"On {unit}, no model clearly beats the typical reply"
        if own:
            worse_text = f" The typical reply clearly beats {join(worse)}." if worse else ""
            yield f"{text}, which reads no question.{worse_text}"
        yield from _describe_baselines(rows.set_index("model"), unit, models)


def _describe_baselines(rows: pd.DataFrame, unit: str, models: Sequence[str]) -> Iterator[str]:
    """Yield which models are below a further baseline, by intervals that do not overlap.

    `rows`: of `summarise_overlap`, of one unit, by writer. `overlap_typical` has only the first
    baseline.
    """
    low, high = rows[f"{PRIMARY_METRIC}_low"], rows[f"{PRIMARY_METRIC}_high"]
    for name in [name for name in BASELINES[1:] if name in rows.index]:
        if worse := [model for model in models if high.get(model, math.inf) < low[name]]:
            yield (
                f"On {unit}, the baseline `{name}` has a higher {PRIMARY_NAME} than "
                f"{join(worse)}: the intervals do not overlap."
            )


def _describe_changes(
    comparison: pd.DataFrame, models: Sequence[str], baseline: str
) -> Iterator[str]:
    for _, rows in comparison.groupby([*UNIT, "model"], sort=False):
        row = rows[rows["metric"] == PRIMARY_METRIC].iloc[0].to_dict()
        text = f"{PRIMARY_NAME} of {name_unit(row)}: {_describe_contrast(row, baseline, models)}."
        others = rows[rows["family"] == SECONDARY]
        higher, lower = list_clear_changes(others, baseline, models)
        for word, names in (("higher", higher), ("lower", lower)):
            if len(names) == len(others) > 0:
                text += f" All other scores are clearly {word}."
            elif names:
                text += f" Clearly {word}: {', '.join(names)}."
        yield text


def _describe_contrast(
    row: Mapping, baseline: str, models: Sequence[str], scale: float = 1.0, form: str = ".3f"
) -> str:
    """Return which of two models is better, with the difference; later minus earlier model."""
    contrast = orient_contrast(row, baseline, models)
    if is_clear(row):
        word = "better" if contrast.difference > 0 else "worse"
        text = f"{contrast.first} is {word} than {contrast.second}: difference "
    else:
        text = f"no clear difference between {contrast.first} and {contrast.second}: "
    unit = " points" if scale == 100 else ""
    return f"{text}{contrast.format(scale, form)}{unit} ({_describe_p(row)})"


def _describe_diagnoses(diagnoses: pd.DataFrame, models: Sequence[str]) -> Iterator[str]:
    rows = diagnoses[diagnoses["icd_group"] == ALL_GROUPS]
    for row in rows[rows["model"].isin([*models, BASELINES[0]])].to_dict("records"):
        others = ", ".join(f"{name} {row[name]}" for name in OUTCOMES[1:])
        yield (
            f"Diagnoses of {row['model']} on {row['n']} records of {name_unit(row)}: correct "
            f"{row['correct']} ({_percent(row, 'accuracy')}), {others}."
        )


def _describe_diagnosis_changes(
    comparison: pd.DataFrame, models: Sequence[str], baseline: str
) -> Iterator[str]:
    for row in comparison.to_dict("records"):
        text = _describe_contrast(row, baseline, models, 100, ".0f")
        yield f"Right diagnoses of {name_unit(row)}: {text}."


def _describe_wins(wins: pd.DataFrame, comparison: pd.DataFrame, baseline: str) -> Iterator[str]:
    for row in wins.to_dict("records"):
        side = "above" if row["win_rate"] > 0.5 else "below"
        clear = f"clearly {side} 50 %" if is_clear(row) else "not clearly different from 50 %"
        text = (
            f"Judge {row['judge']}: {row['model']} beats {baseline} on {row['wins']} of {row['n']} "
            f"questions of {name_unit(row)}, ties on {row['ties']}, loses on {row['losses']}: win "
            f"rate {_percent(row)}, {clear} ({_describe_p(row)})."
        )
        if row["orders_disagree"]:
            text += f" {row['orders_disagree']} ties come from two orders with different winners."
        if row["no_verdict"]:
            text += f" {row['no_verdict']} pairs have no verdict."
        yield text + (_describe_conflict(row, comparison, baseline) if is_clear(row) else "")


def _describe_conflict(row: Mapping, comparison: pd.DataFrame, baseline: str) -> str:
    """Return the scores that clearly contradict a win rate; "" if there are none.

    Many small wins and a few large losses are a high win rate with a lower mean.
    """
    keys = [*UNIT, "model"]
    own = comparison[(comparison[keys] == [row[name] for name in keys]).all(axis=1)]
    higher, lower = list_clear_changes(own, baseline, [baseline, row["model"]])
    names, word = (lower, "lower") if row["win_rate"] > 0.5 else (higher, "higher")
    if not names:
        return ""
    return (
        f" **But on these questions, scores of {row['model']} are clearly {word} than those of "
        f"{baseline}**: {', '.join(names)}."
    )


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
    text = format_p(row["p_holm"], digits=3)
    return f"adjusted p {text if text.startswith('<') else f'= {text}'}"


def _percent(row: Mapping, name: str = "win_rate") -> str:
    return format_interval(*(100 * row[key] for key in (name, "low", "high")), form=".0f") + " %"
