"""Tables and numbers for the page: few columns, percent; the saved tables have everything."""

from collections.abc import Mapping

import pandas as pd

from clinical_camel.core.wording import format_percent
from clinical_camel.exam_results.answers import LEVEL

PERCENT = ("accuracy", "share", "chance")
ALWAYS_SHOWN = ("benchmark", "n", "chance")  # even if the same in all rows


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


def name_pair(row: Mapping) -> str:
    """Return which two are compared: models, or a variant and the unchanged questions."""
    if row["reference"] == "as_given":
        return f"{row['model']}: {row['variant']} \N{MINUS SIGN} as_given"
    return f"{row['model']} \N{MINUS SIGN} {row['reference']}"


def format_difference(row: Mapping | None) -> str:
    if row is None:
        return ""
    star = " *" if row["p_holm"] < LEVEL else ""
    return format_percent(row["difference"], row["low"], row["high"]) + star


def format_comparison(comparison: pd.DataFrame) -> pd.DataFrame:
    """Return one row per exam, protocol and pair of models, in points; eight columns."""
    rows = comparison.to_dict("records")
    page = {
        "models": list(map(name_pair, rows)),
        "difference": list(map(format_difference, rows)),
        "only one correct": [
            f"{row['only_model_correct']} : {row['only_reference_correct']}" for row in rows
        ],
        "p": [f"{row['p']:.4f}" for row in rows],
        "p Holm": [f"{row['p_holm']:.4f}" for row in rows],
        "detectable": list(map(format_percent, comparison["min_detectable_effect"])),
    }
    return make_page(comparison, page)


def make_page(table: pd.DataFrame, columns: Mapping[str, list]) -> pd.DataFrame:
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
