"""Tables for the page: few columns, in percent and points; the saved tables have everything."""

import pandas as pd

from clinical_camel.controlled_comparison.contrasts import MIN_PAIRS
from clinical_camel.controlled_comparison.scaling import SIZE, calculate_published_gain
from clinical_camel.controlled_comparison.settings import FURTHER, ISOLATES, Comparison
from clinical_camel.core.arm_differences import list_differences
from clinical_camel.core.wording import format_p, format_percent, format_points
from clinical_camel.exam_results.pages import hide_index

TESTS = ["p Holm", "p equivalence", "detectable"]


def format_contrasts(contrasts: pd.DataFrame) -> pd.DataFrame:
    """Return the primary contrasts: difference, adjusted p, p of the equivalence test, verdict.

    Columns of tests that no contrast has, as without verdicts, are left out.
    """
    rows = [
        {
            "contrast": name_contrast(row),
            "difference": format_points(row, unit=""),
            "p Holm": format_p(row["p_holm"]),
            "p equivalence": format_p(row["p_equivalence"]),
            "detectable": format_percent(row["min_detectable_effect"]),
            "seeds": row["seeds"],
            "verdict": row["verdict"],
        }
        for row in contrasts[contrasts["is_primary"]].to_dict("records")
    ]
    page = pd.DataFrame(rows)
    return hide_index(page.drop(columns=[name for name in TESTS if page[name].eq("").all()]))


def format_further(
    further: pd.DataFrame, design: Comparison, equality: pd.DataFrame, trainings: pd.DataFrame
) -> pd.DataFrame:
    """Return the further contrasts in the primary outcome: what differs, difference, seeds.

    `equality`, `trainings`: `tabulate_equality`, `read_trainings`.
    """
    rows = [
        {
            "contrast": name_contrast(row),
            "isolates": ISOLATES.get((row["treatment"], row["control"]), FURTHER),
            "also differs in": ", ".join(
                list_differences(
                    equality, trainings, row["treatment"], row["control"], row["control"]
                )
            ),
            "difference": format_points(row, unit="")
            or f"fewer than {MIN_PAIRS} common pairs of seeds",
            "seeds": row["seeds"],
        }
        for row in further[further["outcome"] == design.primary].to_dict("records")
    ]
    return hide_index(pd.DataFrame(rows))


def format_outcomes(
    contrasts: pd.DataFrame, scores: pd.DataFrame, design: Comparison
) -> pd.DataFrame:
    """Return the difference of every contrast in every outcome: a row per outcome.

    Forgetting is not compared if neither arm is above chance (`scores`: `score_arms`).
    """
    lost = list_lost(scores, design.forgetting)
    rows: dict[str, dict[str, str]] = {}
    for row in contrasts.to_dict("records"):
        cells = rows.setdefault(row["outcome"], {"outcome": row["outcome"]})
        is_lost = row["outcome"] == design.forgetting and {row["treatment"], row["control"]} <= lost
        cells[name_contrast(row)] = (
            "neither above chance" if is_lost else format_points(row, unit="")
        )
    return hide_index(pd.DataFrame(rows.values()).fillna(""))


def list_lost(scores: pd.DataFrame, forgetting: str) -> set[str]:
    """Return the arms whose interval is not above chance in the outcome `forgetting`.

    `scores`: `score_arms`. An arm of too few runs for an interval is not among them.
    """
    here = scores[scores["outcome"] == forgetting]
    return set(here.loc[here["low"] <= here["chance"], "arm"])


def format_seeds(seeds: pd.DataFrame, contrasts: pd.DataFrame) -> pd.DataFrame:
    """Return the difference of each contrast for each pair of seeds, and their spread, in points.

    `seeds` is the table of `compare_seeds`. `spread` is the estimated standard deviation of the
    true differences between seeds.
    """
    rows = [
        [name_contrast(row), f"{format_percent(row['difference'])} ({row['seeds']})"]
        for row in seeds.to_dict("records")
    ]
    page = pd.DataFrame(rows, columns=["contrast", "by seeds (data, training)"])
    page = page.groupby("contrast", sort=False).agg("; ".join).reset_index()
    has_seeds = contrasts["is_primary"] & (contrasts["seeds"] > 0)
    spread = contrasts.loc[has_seeds, "sd_seeds"]
    return hide_index(page.assign(spread=[*map(format_percent, spread)]))


def format_fits(fits: pd.DataFrame) -> pd.DataFrame:
    """Return the gain per doubling of every curve, in points; for text that of EntiGraph, too."""
    gains = [format_percent(r.gain_per_doubling, r.low, r.high) for r in fits.itertuples()]
    columns = {"curve": fits["curve"], "doubling of": fits["quantity"], "arms": fits["arms"]}
    columns |= {"seeds": fits["seeds"], "gain per doubling": gains}
    page = pd.DataFrame(columns).astype(object)
    if (fits["quantity"] != SIZE).any():
        gain = f"about {format_percent(calculate_published_gain())} (calculated, see above)"
        page.loc[len(page)] = ["EntiGraph, 8B, published fit", "tokens of text", "", "", gain]
    return hide_index(page)


def format_rates(rates: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy on the development half: a row per arm, a column per rate, in percent.

    With its interval; the chosen rate has a star. `questions` and `seeds` are those of each rate.
    """
    rows: dict[str, dict[str, str]] = {}
    for row in rates.itertuples():
        start = {"arm": row.arm, "questions": f"{row.n:.0f}", "seeds": f"{row.seeds}"}
        accuracy = format_percent(row.accuracy, row.low, row.high)
        cells = rows.setdefault(row.arm, start)
        cells[f"{row.learning_rate:g}"] = f"{accuracy}{'*' * row.is_chosen}"
    return hide_index(pd.DataFrame(rows.values()).fillna(""))


def name_contrast(row: dict) -> str:
    """Return the name of a contrast, for the keys `treatment` and `control`.

    >>> name_contrast({"treatment": "dialogue", "control": "raw"})
    'dialogue \N{MINUS SIGN} raw'
    """
    return f"{row['treatment']} \N{MINUS SIGN} {row['control']}"
