"""The table of model sizes in README.md: the same exams, answered by base models of several sizes.

Each number is from the `scores.csv` of a study, as its run wrote it. The number of parameters is
from the run record. One row per exam, in the first protocol of its last study that most sizes have.
"""

from collections.abc import Iterator

import pandas as pd

from clinical_camel.core.paths import root
from clinical_camel.core.wording import format_accuracy, format_percent
from clinical_camel.eval_fewshot.other_models import SETUP, format_parameters
from clinical_camel.exam_results.pages import name_protocol
from clinical_camel.release.records import EXAM, format_table, load_table
from clinical_camel.runs.run_json import read_run_record

# From the smallest base model. A control study asks first as the embedded study does.
STUDIES = ("mini_camel", "mini_camel_public", "smollm2_135m_raw", "smollm2_135m")
MODELS = {"base": "before tuning", "tuned": "after", "dialogues": "after"}  # columns
FIXED = 4  # columns before those of the models
NOT_RUN = "No study of this table has been run."


def format_size_table() -> str:
    """Return one row per exam as a Markdown table: n, chance, and the models of each size.

    `one answer`: the accuracy of always choosing the most frequent answer position.

    A cell is the accuracy with its 95 % interval, in percent. A score on another number of
    questions has this number instead. If two sizes have an exam in common, only such exams.
    Raises PlanError for scores that differ from their run record.
    """
    empty = pd.DataFrame(columns=[*SETUP, "size", "model", "n"])
    scores = pd.concat([*_load_scores(), empty], ignore_index=True)
    several = scores.groupby("benchmark")["size"].nunique().max() > 1
    rows = []
    for exam, group in scores.groupby("benchmark", sort=False):
        if several and len(set(group["size"])) == 1:
            continue
        sizes = group.groupby(SETUP)["size"].transform("nunique")
        last = group[group["size"] == group["size"].iloc[-1]]
        main = last.loc[sizes[last.index].idxmax()]
        same = group[(group[SETUP] == main[SETUP].tolist()).all(axis=1)]
        row = {"exam": f"`{exam}`, {name_protocol(main)}", "n": f"{main['n']:,}"}
        row["chance"] = format_percent(main["chance"])
        row["one answer"] = format_percent(main["majority"])
        for score in same.to_dict("records"):
            row[f"{score['size']}, {MODELS[score['model']]}"] = _format_cell(score, main["n"])
        rows.append(row)
    return format_table(_align(rows)) if rows else NOT_RUN


def _load_scores() -> Iterator[pd.DataFrame]:
    """Yield the scores of each study that has been run, with the size of its base model.

    An older run record lacks the size; then another study with the same base model tells it.
    """
    folders = {study: root() / "outputs" / study / EXAM for study in STUDIES}
    records = {study: read_run_record(folder) for study, folder in folders.items()}
    records = {s: record for s, record in records.items() if record.get("status") == "complete"}
    sizes = {
        record["params"]["model"]: format_parameters(record["notes"]["parameters"])
        for record in records.values()
        if record["notes"].get("parameters")
    }
    for study, record in records.items():
        table, model = load_table(study, EXAM, "scores"), record["params"]["model"]
        shown = table["variant"].eq("as_given") & table["model"].isin(MODELS)
        yield table[shown].assign(size=sizes.get(model, model))


def _format_cell(score: dict, n: int) -> str:
    if score["n"] != n:
        return f"n = {score['n']:,}"
    return format_accuracy(score)


def _align(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the rows with the same columns in the same order: by size, as the studies are."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    sizes = list(dict.fromkeys(name.partition(",")[0] for name in names[FIXED:]))
    order = names[:FIXED] + sorted(
        names[FIXED:], key=lambda name: sizes.index(name.partition(",")[0])
    )
    return [{name: row.get(name, "") for name in order} for row in rows]
