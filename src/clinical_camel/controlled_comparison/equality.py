"""Were the arms trained equally? Three readings that need not agree, and the number of steps.

Equal tokens with loss, equal tokens seen, and equal exposures per fact are three definitions of an
equal training. If user turns are masked, the same texts have fewer tokens with loss, so no design
makes all three equal.
"""

import pandas as pd

from clinical_camel.controlled_comparison.tables import hide_index

READINGS = {
    "target_tokens": "tokens with loss",
    "tokens": "tokens seen",
    "steps": "steps",
    "exposures_mean": "exposures per fact",
}


def tabulate_equality(trainings: pd.DataFrame) -> pd.DataFrame:
    """Return one row per arm: runs, and the means over its runs of all readings.

    Columns: arm, runs, target_tokens, tokens, steps, exposures_min, exposures_mean, exposures_max.
    The minimum and the maximum are over facts and runs.
    """
    rows = []
    for arm, runs in trainings.groupby("arm", sort=False):
        row = {"arm": arm, "runs": len(runs)}
        row |= {name: runs[name].mean() for name in ("target_tokens", "tokens", "steps")}
        row |= {"exposures_min": runs["exposures_min"].min()}
        row |= {"exposures_mean": runs["exposures_mean"].mean()}
        rows.append(row | {"exposures_max": runs["exposures_max"].max()})
    return pd.DataFrame(rows)


def format_equality(equality: pd.DataFrame) -> pd.DataFrame:
    """Return the table for the page: token counts in thousands, exposures as min, mean and max."""
    low, mean, high = (equality[f"exposures_{end}"] for end in ("min", "mean", "max"))
    exposures = [
        "" if pd.isna(b) else f"{b:.0f} ({a:.0f} to {c:.0f})"
        for a, b, c in zip(low, mean, high, strict=True)
    ]
    page = pd.DataFrame(
        {
            "arm": equality["arm"],
            "runs": equality["runs"],
            "tokens with loss (thousands)": (equality["target_tokens"] / 1000).round(1),
            "tokens seen (thousands)": (equality["tokens"] / 1000).round(1),
            "steps": equality["steps"].round().astype(int),
            "exposures per fact: mean (min to max)": exposures,
        }
    )
    return hide_index(page)


def describe_equality(equality: pd.DataFrame, treatment: str, control: str) -> str:
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
    return f"`{treatment}` compared with `{control}`: {', '.join(parts)}."
