"""What the comparison showed, in sentences computed from the tables."""

from collections.abc import Iterator

import pandas as pd

from clinical_camel.controlled_comparison.contrasts import CANNOT_TELL, HELPS, HURTS
from clinical_camel.controlled_comparison.reading import BASE
from clinical_camel.controlled_comparison.settings import Comparison, split_contrast
from clinical_camel.controlled_comparison.tables import format_p, format_percent

MEANINGS = {  # of the primary contrasts: what differs between both arms
    ("dialogue", "raw"): "Dialogues instead of raw articles",
    ("dialogue", "monologue"): "Questions and turns, the sentences being equal",
    ("dialogue", "qa"): "Several turns in a row instead of single pairs",
    ("unmasked", "dialogue"): "Loss on the questions as well as on the answers",
}


def describe_results(
    design: Comparison,
    runs: pd.DataFrame,
    contrasts: pd.DataFrame,
    scores: pd.DataFrame,
    fits: pd.DataFrame,
) -> list[str]:
    """Return the conclusion and its limits as sentences.

    `runs`: `tabulate_runs`; `contrasts`: `compare_all`; `scores`: `score_arms`; `fits`:
    `fit_curves`.
    """
    primary = contrasts[contrasts["is_primary"]] if len(contrasts) else contrasts
    rows = primary.to_dict("records")
    sentences = [f"**{_conclude(rows)}**"]
    sentences += [_describe_contrast(row, design) for row in rows]
    sentences += _describe_missing(design, rows, set(scores["outcome"]))
    sentences += _describe_equivalent(rows, design.smallest_effect)
    sentences += _describe_secondary(contrasts, design)
    sentences += _describe_forgetting(scores, design)
    sentences += [
        f"{fit.curve}: each doubling of {fit.quantity} changes the accuracy by "
        f"{format_percent(fit.gain_per_doubling, fit.low, fit.high)} points ({fit.seeds} seeds)."
        for fit in fits.itertuples()
    ]
    return [*sentences, describe_runs(runs)]


def _conclude(rows: list[dict]) -> str:
    """Return one sentence with the verdict on every primary contrast."""
    if not rows:
        return "No primary contrast has a pair of complete runs, so there is no verdict."
    first, *others = rows
    meaning = MEANINGS.get((first["treatment"], first["control"]), _name(first))
    text = f"{meaning}: {first['verdict']}, {_points(first)}."
    if others:
        text += " " + "; ".join(f"{_name(row)}: {row['verdict']}" for row in others) + "."
    return text


def _describe_contrast(row: dict, design: Comparison) -> str:
    size = f"{row['n']} questions, {row['conditions']} conditions, pairs of seeds: {row['seeds']}"
    p = f"p Holm {format_p(row['p_holm'])}, p equivalence {format_p(row['p_equivalence'])}"
    text = (
        f"{_name(row)}: {format_percent(row['accuracy_treatment'])} % and "
        f"{format_percent(row['accuracy_control'])} % correct, difference {_points(row)} "
        f"({p}; {size}). "
        f"Verdict: {row['verdict']}."
    )
    if row["seeds"] < design.min_seeds:
        text += f" A verdict needs {design.min_seeds} pairs of seeds."
    elif row["verdict"] == CANNOT_TELL:
        text += (
            f" A true difference below {format_percent(row['min_detectable_effect'])} points would "
            "often be missed, and an effect of the smallest size of interest is not ruled out."
        )
    return text


def _describe_missing(design: Comparison, rows: list[dict], outcomes: set[str]) -> Iterator[str]:
    """Yield which contrasts and outcomes of the settings no run has."""
    judged = {(row["treatment"], row["control"]) for row in rows}
    absent = [text for text in design.contrasts if split_contrast(text) not in judged]
    if absent:
        yield f"No common runs yet for: {', '.join(absent)}. These contrasts have no verdict."
    missing = [name for name in design.outcomes if name not in outcomes]
    if missing:
        yield f"No run has answers for the outcomes: {', '.join(missing)}."


def _describe_equivalent(rows: list[dict], smallest_effect: float) -> Iterator[str]:
    """Yield the differences that are significant but smaller than what matters."""
    for row in rows:
        if row["verdict"] not in (HELPS, HURTS, CANNOT_TELL) and row["p_holm"] < 0.05:
            yield (
                f"{_name(row)} is significant but below {100 * smallest_effect:g} points: by the "
                "rule written before the runs, such an effect is of no interest."
            )


def _describe_secondary(contrasts: pd.DataFrame, design: Comparison) -> Iterator[str]:
    """Yield in which other outcomes the first contrast excludes zero; these are not adjusted."""
    if contrasts.empty:
        return
    treatment, control = split_contrast(design.contrasts[0])
    pair = contrasts["treatment"].eq(treatment) & contrasts["control"].eq(control)
    others = contrasts[pair & ~contrasts["is_primary"]]
    if len(others):
        cells = [f"{row['outcome']} {_points(row)}" for row in others.to_dict("records")]
        yield (
            f"Secondary outcomes of {treatment} \N{MINUS SIGN} {control}, not adjusted: "
            f"{'; '.join(cells)}."
        )


def _describe_forgetting(scores: pd.DataFrame, design: Comparison) -> Iterator[str]:
    """Yield how far each arm falls on the exam of the pretraining, and whether it is at chance."""
    here = scores[scores["outcome"] == design.forgetting]
    base = here[here["arm"] == BASE]
    tuned = here[here["arm"] != BASE]
    if base.empty or tuned.empty:
        return
    cells = [f"`{r.arm}` {format_percent(r.accuracy, r.low, r.high)}" for r in tuned.itertuples()]
    before = format_percent(base["accuracy"].iloc[0])
    yield f"Forgetting ({design.forgetting}), in percent: before {before}; {', '.join(cells)}."
    lost = [f"`{r.arm}`" for r in tuned.itertuples() if r.low <= r.chance]
    if lost:
        yield (
            f"At chance, so that forgetting cannot be compared between these arms: "
            f"{', '.join(lost)}."
        )


def describe_runs(runs: pd.DataFrame) -> str:
    """Return on how many runs the analysis rests, and which are missing."""
    complete = runs["is_complete"]
    text = f"The analysis rests on {int(complete.sum())} of {len(runs)} runs."
    absent = [
        f"{r.arm} ({r.data_seed}, {r.training_seed}): {r.reason}"
        for r in runs[~complete].itertuples()
    ]
    return f"{text} Not used: {'; '.join(absent)}." if absent else text


def format_headline(contrasts: pd.DataFrame, runs: pd.DataFrame) -> str:
    """Return the verdicts in one line."""
    primary = contrasts[contrasts["is_primary"]] if len(contrasts) else contrasts
    cells = [f"{_name(r)}: {r['verdict']}, {_points(r)}" for r in primary.to_dict("records")]
    count = f"{int(runs['is_complete'].sum())} of {len(runs)} runs"
    return f"{'; '.join(cells) or 'no contrast has common runs'} ({count})"


def _points(row: dict) -> str:
    text = format_percent(row["difference"], row["low"], row["high"])
    return text.replace(" [", " points [", 1) if "[" in text else f"{text} points"


def _name(row: dict) -> str:
    return f"{row['treatment']} \N{MINUS SIGN} {row['control']}"
