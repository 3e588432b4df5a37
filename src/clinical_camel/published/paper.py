"""The published numbers beside ours, for the page: percent, with a mark for each."""

from collections.abc import Sequence

import pandas as pd

from clinical_camel.core.wording import format_accuracy
from clinical_camel.exam_results.pages import hide_index
from clinical_camel.published.item_sets import name_system

PAPER = {  # the columns of the paper's table: system:size in published.csv
    "paper 13B": "clinical_camel:13b",
    "paper 70B": "clinical_camel:70b",
    "GPT-3.5": "gpt-3.5",
    "GPT-4": "gpt-4",
}
OTHERS = {  # the same for the other systems; ClinMED-LLAMA3 reports no exam score
    "MedAlpaca 7B": "medalpaca:7b",
    "MedAlpaca 13B": "medalpaca:13b",
    "MedAlpaca LoRA 7B": "medalpaca_lora:7b",
    "MedAlpaca LoRA 8 bit 13B": "medalpaca_lora_8bit:13b",
    "ClinicalGPT 7B": "clinicalgpt:7b",
}
NOT_RUN = "not run"


def format_paper(assessed: pd.DataFrame, audit: pd.DataFrame) -> pd.DataFrame:
    """Return the paper's table beside ours: a row per exam and number of shots, in percent.

    `assessed`: `assess_published`; `audit`: `compare_with_published`. A dagger marks a value that
    is recalled: no source was found. `ours` has our scores and their verdicts.
    """
    page = _format_systems(assessed, audit, PAPER)
    return hide_index(page[page["paper 70B"] != ""])


def format_others(assessed: pd.DataFrame, audit: pd.DataFrame) -> pd.DataFrame:
    """Return the numbers of the other systems beside ours, in the form of `format_paper`.

    The number of shots is a column only if it is not the same in all rows.
    """
    page = _format_systems(assessed, audit, OTHERS)
    return hide_index(page.drop(columns="shots") if len(set(page["shots"])) == 1 else page)


def _format_systems(
    assessed: pd.DataFrame, audit: pd.DataFrame, titles: dict[str, str]
) -> pd.DataFrame:
    names = [name_system(row) for row in assessed.fillna({"size": ""}).to_dict("records")]
    marks = assessed["recalled"].map({True: " †", False: ""})
    cells = assessed["value"].map("{:.1f}".format) + marks
    table = assessed.assign(system=names, cell=cells)
    table = table[table["system"].isin(titles.values()) & table["shots"].notna()]
    rows = []
    for (benchmark, shots), group in table.groupby(["benchmark", "shots"], sort=False):
        by_system = group.drop_duplicates("system").set_index("system")["cell"]
        row = {"exam": benchmark, "shots": int(shots)}
        row |= {title: by_system.get(name, "") for title, name in titles.items()}
        rows.append(row | {"ours": _format_ours(audit, benchmark, shots, list(by_system.index))})
    return pd.DataFrame(rows)


def _format_ours(audit: pd.DataFrame, benchmark: str, shots: int, systems: Sequence[str]) -> str:
    """Return our scores of these systems with their verdicts, or that there are none."""
    same = audit["benchmark"].eq(benchmark) & audit["shots"].eq(shots) & audit["accuracy"].notna()
    rows = audit[same.fillna(False) & audit["system"].isin(systems)].to_dict("records")
    scores = [f"{row['system']} {format_accuracy(row)}, {row['verdict']}" for row in rows]
    return "; ".join(scores) or NOT_RUN
