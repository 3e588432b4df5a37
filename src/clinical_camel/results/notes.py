"""Clinical notes: does the tuned model write better ones than the base model?

Of several collections of consultations (corpora), the diagnoses are counted together, and the test
of the overlap is stated for each.
"""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import pandas as pd

from clinical_camel import stats
from clinical_camel.exam_results.answers import LEVEL
from clinical_camel.results.settings import Results
from clinical_camel.results.sources import (
    Finding,
    Number,
    Result,
    find_result,
    name_numbers,
    read_difference,
)
from clinical_camel.results.wording import join, judge, show_share, show_value

NOTES = "04_note_synthesis"
NAMED = "diagnosis named as in the visit"  # item of essentials.csv
OVERLAP = "rougeL"
ENOUGH = 0.5  # share of outputs that are finished notes
COMPLETE, UNFINISHED = "ok", "unfinished"  # statuses of outputs that are notes
# other columns of statuses.csv that count no fault of an output
NO_FAULTS = [COMPLETE, UNFINISHED, "notes", "truncated", "windowed", "sections_present"]
BASELINES = {  # of step 04
    "lead copy": "a copy of the first words of the visit",
    "majority section": "a fixed text that reads no visit",
}


def assess_notes(settings: Results) -> Finding:
    """Return whether the tuned model writes better clinical notes than the base model."""
    if result := find_result(settings.embedded, NOTES):
        return describe_notes(result, "notes")
    return Finding("notes", "clinical notes", is_run=False)


def describe_notes(result: Result, name: str) -> Finding:
    """Return what step 04 of a study shows: notes written, right diagnosis, shared words, support.

    Only the overlap of words has a test, so the headline follows that test; unless most outputs are
    no notes.
    """
    comparison = result.read("comparison")
    tuned = comparison["model"].iloc[0]
    written = list(_count(result, "statuses", (tuned, "base"), "outputs"))
    named = list(_count(result, "essentials", (tuned, "base", *BASELINES), "outputs"))
    overlap = comparison[comparison["part"].eq("whole") & comparison["metric"].eq(OVERLAP)]
    changes = [
        read_difference(
            row,
            f"ROUGE-L{_name_corpus(row)}, tuned minus base",
            result,
            "comparison",
            unit="ROUGE-L",
            items="notes",
        )
        for row in overlap.to_dict("records")
    ]
    are_notes = written[0].value >= ENOUGH
    unfinished = _describe_unfinished(result, (tuned, "base"))
    finished = f"Finished notes with at least one section: {_list_counts(written)}{unfinished}."
    diagnosis = "Diagnosis named, where the visit has one:"
    best = max(named[2:], key=lambda number: number.value, default=None)
    brief = f"{finished} {diagnosis} {_list_counts([*named[:2], *filter(None, [best])])}."
    lead = (
        f"{finished} {diagnosis} {_list_counts(named)}. "
        f"{_describe_faults(result, tuned)}"
        f"{_describe_overlap(overlap, changes, len(comparison), are_notes)} No person has judged "
        "the notes."
    )
    sentences = []
    support = list(_read_support(result, (tuned, "base"))) if len(changes) == 1 else []
    if support:
        shown = join([f"{number.quantity} {show_share(number)}" for number in support])
        sentences.append(
            f"Sentences that the rules of step 04 find supported by the visit: {shown}. The rules "
            f"have errors of both kinds, which step 04 counts. With {changes[0].n} notes and one "
            "training, a small change would be missed."
        )
    numbers = [
        *name_numbers("finished notes", written),
        *name_numbers("diagnosis named", named),
        *changes,
        *name_numbers("supported sentences", support),
    ]
    return Finding(name, _headline(written, overlap), brief, lead, sentences, numbers)


def _name_corpus(row: dict[Hashable, Any]) -> str:
    return f" on {row['corpus']}" if "corpus" in row else ""


def _headline(written: Sequence[Number], overlap: pd.DataFrame) -> str:
    if written[0].value < ENOUGH:
        count, n = round(written[0].value * written[0].n), written[0].n
        return f"Of {n} outputs of the tuned model, {count} are finished notes (one training)"
    significant = overlap[overlap["p_holm"] < LEVEL]
    if significant.empty:
        return "We found no significant improvement of clinical notes (one training)"
    words = {True: "more", False: "fewer"}
    word = " or ".join(dict.fromkeys(words[value > 0] for value in significant["difference"]))
    return f"Tuned notes share {word} words with the reference notes (one training)"


def _describe_overlap(
    overlap: pd.DataFrame, changes: Sequence[Number], comparisons: int, are_notes: bool
) -> str:
    """Return the test of the overlap, or how many of several tests were significant."""
    if not are_notes:
        return "Words shared with the reference notes say little about such outputs."
    text = "Words shared with the reference notes (ROUGE-L, from 0 to 1):"
    if len(changes) == 1:
        p = overlap["p_holm"].iloc[0]
        return f"{text} change {show_value(changes[0])}, {judge(p, comparisons)}."
    significant = overlap[overlap["p_holm"] < LEVEL]
    better, worse = (significant["difference"] > 0).sum(), (significant["difference"] < 0).sum()
    return (
        f"{text} significantly more in {better} and fewer in {worse} of {len(changes)} collections "
        f"(p adjusted for {comparisons} comparisons)."
    )


def _list_counts(numbers: Sequence[Number]) -> str:
    """Return shares as counts, with intervals."""
    texts = [
        f"{number.quantity} {round(number.value * number.n)} of {number.n} ({show_share(number)})"
        for number in numbers
    ]
    return join(texts)


def _describe_unfinished(result: Result, models: tuple[str, ...]) -> str:
    """Return how many notes reached the length limit, as part of a sentence; "" for none."""
    counts = result.read("statuses").groupby("model")[UNFINISHED].sum()
    texts = [f"{counts[model]} of the {model} model" for model in models if counts.get(model)]
    return f"; {join(texts)} reached the length limit" if texts else ""


def _describe_faults(result: Result, model: str) -> str:
    """Return the most frequent reason why outputs of a model are no notes; "" if most are."""
    rows = result.read("statuses")
    counts = rows[rows["model"] == model].drop(columns=NO_FAULTS, errors="ignore")
    totals = counts.select_dtypes("number").sum()
    notes = rows.loc[rows["model"] == model, [COMPLETE, UNFINISHED]].sum().sum()
    if totals.empty or totals.max() <= notes:
        return ""
    return f"Most frequent fault of the {model} model: *{totals.idxmax()}* ({totals.max():.0f}). "


def _count(result: Result, table: str, models: tuple[str, ...], items: str) -> Iterator[Number]:
    """Yield for each model the share of its outputs that are complete, or name the diagnosis."""
    rows = result.read(table)
    if table == "essentials":
        rows = rows[rows["item"] == NAMED].assign(count=lambda own: own["correct"])
    else:
        rows = rows.assign(count=rows[COMPLETE], n=rows["notes"])
    totals = rows.groupby("model")[["count", "n"]].sum()
    for model in [model for model in models if model in totals.index]:
        count, n = map(int, totals.loc[model, ["count", "n"]])
        label = BASELINES.get(model, f"{model} model")
        place = {"table": result.name_table(table), "params": result.params}
        interval = stats.wilson_interval(count, n)
        yield Number(label, count / n, *interval, n, items=items, **place)


def _read_support(result: Result, models: tuple[str, ...]) -> Iterator[Number]:
    table = result.read("faithfulness_summary")
    here = table["measure"].eq("sentences") & table["kind"].eq("supported")
    rows = table[here & table["notes"].eq("notes")] if "notes" in table else table[here]
    rows = rows.drop_duplicates("model").set_index("model")
    for model in [model for model in models if model in rows.index]:
        row = rows.loc[model]
        shares = row["share"], row["low"], row["high"]
        place = {"table": result.name_table("faithfulness_summary"), "params": result.params}
        label = f"the {model} model"
        yield Number(label, *shares, int(row["items"]), items="sentences", **place)
