"""What we saw: sentences computed from the tables of step 04."""

import dataclasses
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from tests.support.consultations import KNEE, KNEE_AGAIN, SECTIONS

from clinical_camel import note_synthesis
from clinical_camel.note_synthesis import NoteTask, structure, summary
from clinical_camel.note_synthesis.corpora import Corpora

CORPORA = {"toy": [KNEE, KNEE_AGAIN]}
LOOP = "Plan:\n" + "Morphine. " * 56
TASK = NoteTask(sections=SECTIONS)


def make_tables(corpora: Corpora = CORPORA, **texts: list[str]) -> tuple[dict, pd.DataFrame]:
    """The tables and the checked sentences of models that wrote these notes of the two visits."""
    baselines = note_synthesis.write_baselines(corpora, TASK)
    frames = []
    for model, notes in texts.items():
        frame = baselines.head(2).assign(model=model, note=notes)
        frame["status"] = [structure.classify_output(t, True, ["Plan"]) for t in notes]
        frames.append(frame)
    notes = pd.concat([*frames, baselines], ignore_index=True)
    sentences, facts = note_synthesis.measure_faithfulness(notes, corpora)
    scored = note_synthesis.score_notes(notes, corpora)
    first, *others = texts
    pairs = [note_synthesis.compare_models(scored, first, m, 0).assign(model=m) for m in others]
    columns = ["corpus", "part", "metric", "model"]
    tables = {
        "statuses": note_synthesis.count_statuses(notes),
        "faithfulness_summary": note_synthesis.summarise_faithfulness(sentences, facts, 0),
        "essentials": note_synthesis.count_essentials(notes, facts, corpora),
        "summary": note_synthesis.summarise_scores(scored, 0),
        "comparison": pd.concat(pairs) if pairs else pd.DataFrame(columns=columns),
    }
    return tables, sentences


def describe(**texts: list[str]) -> str:
    """The sentences for models that wrote these notes of the two visits."""
    tables, sentences = make_tables(**texts)
    first, *others = models = list(texts)
    support = note_synthesis.compare_support(sentences, first, models[-1], 0) if others else {}
    return "\n".join(note_synthesis.describe_results(tables, models, support))


def test_two_models_are_compared_by_name_with_n_and_intervals():
    text = describe(base=["Plan:\nMorphine."] * 2, tuned=[KNEE.note, LOOP])
    assert "base wrote a note of 2 of 2 visits; tuned wrote a note of 1 of 2 visits" in text
    assert "(the others: 1 looping)" in text
    assert "Only one note with sentences to check: tuned. It is left out." in text
    assert "the check supports on average 0 % [0, 66] for base (n = 2), 100 %" in text
    assert "for tuned (n = 1)" not in text
    assert (
        "Where both wrote a note (n = 1), the supported share of tuned minus that of base" in text
    )
    assert "Medications in the note: base 0 of 2 (0 % [0, 66]), tuned 1 of 2 (50 %" in text
    assert "ROUGE-L of tuned minus base" in text
    assert "lead copy" in text
    assert "nan" not in text
    assert "…" not in text


@pytest.mark.parametrize(
    ("notes", "truth"),
    [
        ({"base": ["Plan:\nMorphine."] * 2, "tuned": [KNEE.note, LOOP]},
         "sentences supported: base 0%, tuned 100%; ROUGE-L: base "),
        ({"base": [LOOP, LOOP]}, "ROUGE-L: base 0."),
    ],
)  # fmt: skip
def test_the_headline_has_what_is_true_before_what_is_similar(notes, truth):
    tables, _ = make_tables(**notes)
    assert note_synthesis.format_headline(tables, list(notes)).startswith(truth)
    items = pd.DataFrame([("diagnosis named as in the visit", m, 1, 2) for m in notes],
                         columns=["item", "model", "correct", "n"])  # fmt: skip
    text = note_synthesis.format_headline(tables | {"essentials": items}, list(notes))
    assert text.startswith("right diagnosis: base 1 of 2")
    assert "nan" not in text


def test_visits_without_a_reference_and_without_a_note_have_a_headline():
    corpora = {"toy": [dataclasses.replace(row, note="") for row in CORPORA["toy"]]}
    tables, _ = make_tables(corpora, base=[LOOP, LOOP])
    truth = tables["faithfulness_summary"]
    assert "notes" not in set(truth["notes"])
    assert note_synthesis.format_headline(tables, ["base"]) == "no note could be judged"
    text = "\n".join(note_synthesis.describe_results(tables, ["base"], {}))
    assert "No model wrote a note with a sentence that can be checked for truth." in text


def test_a_single_model_is_compared_with_nothing():
    text = describe(ours=[KNEE.note, KNEE.note])
    assert "minus" not in text
    assert "100 %" in text


def test_outputs_that_are_no_notes_are_not_checked_for_truth():
    text = describe(base=[LOOP, LOOP], tuned=[LOOP, LOOP])
    assert "No model wrote a note with a sentence that can be checked for truth." in text
    assert "nan" not in text


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(-1, 1, "no difference is shown"), (0.1, 1, "better"), (-1, -0.1, "worse"),
     (float("nan"), float("nan"), "no difference is shown")],
)  # fmt: skip
def test_a_difference_counts_only_if_its_interval_excludes_zero(low, high, words):
    assert summary._judge(low, high) == words


@pytest.mark.parametrize(
    ("p_holm", "words"),
    [(0.27, "this can be chance (the interval is not adjusted)"), (0.01, "better")],
)
def test_a_score_counts_as_better_only_after_the_holm_adjustment(p_holm, words):
    scores = {"part": "whole", "rougeL": [0.6, 0.7], "n": 28, "missing": 0}
    row = {"part": "whole", "metric": "rougeL", "model": "tuned", "n": 28, "difference": 0.1}
    row |= {"low": 0.02, "high": 0.2, "p": 0.017, "p_holm": p_holm}
    lines = summary._describe_overlap(
        pd.DataFrame({"model": ["base", "tuned"], **scores}), pd.DataFrame([row]), ["base", "tuned"]
    )
    assert f"after the Holm adjustment {p_holm:.2g}: {words}." in "\n".join(lines)


@pytest.mark.parametrize(
    ("missing", "mean", "end"),
    [(1, 0.5, "1 of 3 outputs of tuned lack assessment and plan: ROUGE-L 0.40 with 0 for these, "
      "0.50 without."),
     (3, float("nan"), "3 of 3 outputs of tuned lack assessment and plan.")],
)  # fmt: skip
def test_a_division_that_no_note_has_gets_no_mean(missing, mean, end):
    row = {"part": summary.ASSESSMENT_AND_PLAN, "model": "tuned", "n": 3, "missing": missing}
    row |= {"rougeL": 0.4, "rougeL_if_present": mean}
    table = pd.DataFrame([row | {"part": "whole", "missing": 0}, row])
    lines = summary._describe_overlap(table, pd.DataFrame(columns=["part", "metric"]), ["tuned"])
    assert [line for line in lines if line.endswith(end)]


@pytest.mark.parametrize(
    ("ok", "expected"),
    [([0, 9], ["Most outputs of base are no notes, so"]), ([5, 9], []),
     ([1, 0], ["Most outputs of base and tuned are no notes, so"])],
)  # fmt: skip
def test_outputs_that_are_no_notes_do_not_win_by_overlap(ok, expected):
    counts = {"model": ["base", "tuned"], "notes": 10, "ok": ok, "unfinished": 0}
    lines = list(summary._describe_failed_outputs(pd.DataFrame(counts), ["base", "tuned"]))
    assert [line.partition(" more ")[0] for line in lines] == expected


def test_the_notebook_ends_with_what_we_saw():
    file = Path(__file__).parents[2] / "notebooks/04_note_synthesis.ipynb"
    cells = nbformat.read(file, 4).cells
    headings = [c.source.splitlines()[0] for c in cells if c.source.startswith("## ")]
    assert headings[-2:] == ["## What we saw", "## What it means"]
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    assert "describe_results" in code[-1]
    assert "run.finish" in code[-1]
