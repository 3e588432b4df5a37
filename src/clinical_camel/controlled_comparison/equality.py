"""What differs between the trainings of the arms besides the property that a contrast isolates.

Equal tokens with loss, equal tokens seen, and equal exposures per fact are three definitions of an
equal training. If user turns are masked, the same texts have fewer tokens with loss, so no design
makes all three equal.
"""

import pandas as pd

from clinical_camel.controlled_comparison.settings import CHAT, Comparison, split_outcome
from clinical_camel.controlled_comparison.tables import name_contrast
from clinical_camel.core.arm_differences import list_setting_differences
from clinical_camel.exam_results.pages import hide_index

READINGS = {
    "target_tokens": "tokens with loss",
    "tokens": "tokens seen",
    "steps": "steps",
    "exposures_mean": "exposures per fact",
}


def tabulate_equality(trainings: pd.DataFrame) -> pd.DataFrame:
    """Return one row per arm: its format, and the means over its runs.

    Columns: arm, format, rows, target_tokens, tokens, steps, batch_size; exposures_mean of a fact;
    exposures_min and exposures_max, those of the fact with the fewest or most in any run.
    """
    means = ["rows", "target_tokens", "tokens", "steps", "batch_size", "exposures_mean"]
    how = dict.fromkeys(means, "mean") | {"exposures_min": "min", "exposures_max": "max"}
    return trainings.groupby(["arm", "format"], sort=False).agg(how).reset_index()


def format_equality(equality: pd.DataFrame) -> pd.DataFrame:
    """Return the table for the page: token counts in thousands."""
    page = {"arm": equality["arm"], "format": equality["format"]}
    page |= {"rows": equality["rows"].round().astype(int)}
    for column in ("target_tokens", "tokens"):
        page[f"{READINGS[column]} (thousands)"] = (equality[column] / 1000).round(1)
    page |= {"steps": equality["steps"].round().astype(int)}
    page |= {"rows per step": equality["batch_size"].round().astype(int)}
    exposures = equality[["exposures_mean", "exposures_min", "exposures_max"]]
    page["exposures per fact (fewest to most in a run)"] = [
        "" if mean != mean else f"{mean:.1f} ({least:.0f} to {most:.0f})"
        for mean, least, most in exposures.itertuples(index=False)
    ]
    return hide_index(pd.DataFrame(page))


def describe_equality(
    equality: pd.DataFrame, trainings: pd.DataFrame, treatment: str, control: str
) -> str:
    """Return by how much two arms differ in each reading, as a sentence; "" if one is missing."""
    rows = equality.set_index("arm")
    if not {treatment, control} <= set(rows.index):
        return ""
    parts = []
    for column, name in READINGS.items():
        ratio = rows.loc[treatment, column] / rows.loc[control, column]
        if pd.notna(ratio):
            change = f"{100 * (ratio - 1):+.0f} %".replace("+0 %", "equal").replace("-0 %", "equal")
            parts.append(f"{name} {change}")
    pair = name_contrast({"treatment": treatment, "control": control})
    first, second = rows.loc[[treatment, control], "format"]
    parts += [f"format {first} instead of {second}"] if first != second else []
    parts += list_setting_differences(trainings, treatment, control, control)
    return f"{pair}: {', '.join(parts)}."


def describe_formats(equality: pd.DataFrame, design: Comparison) -> str:
    """Return which arms were trained in the format in which the primary outcome asks."""
    protocol = split_outcome(design.outcomes[design.primary]).protocol
    chosen = "chat" if protocol.startswith(CHAT) else "plain text"
    is_same = [chosen in text for text in equality["format"]]
    arms = ", ".join(f"`{arm}`" for arm in equality.loc[is_same, "arm"]) or "none"
    return f"The primary outcome (`{protocol}`) asks in {chosen}. Arms with this format: {arms}."
