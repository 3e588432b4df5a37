"""Figures: what is drawn, from which row, and that names are escaped."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from tests.support.consultations import KNEE, KNEE_AGAIN
from tests.support.project import SCRIPT

from clinical_camel import note_synthesis
from clinical_camel.note_synthesis import NoteTask, figures

CORPORA = {"toy": [KNEE, KNEE_AGAIN]}
LOOP = "Plan:\n" + "Morphine. " * 56


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def notes():
    """A model that wrote a note of the first visit and a loop about the second."""
    baselines = note_synthesis.write_baselines(CORPORA, NoteTask())
    texts = ["Subjective:\nLeft knee hurts. Morphine.", LOOP]
    model = baselines.head(2).assign(model="m", note=texts, status=["ok", "looping"])
    return pd.concat([model, baselines], ignore_index=True)


def test_the_verdicts_of_a_writer_are_one_stacked_bar_and_loops_are_another(notes):
    tables = note_synthesis.measure_faithfulness(notes, CORPORA)
    summary = note_synthesis.summarise_faithfulness(*tables, seed=0)
    bars, table = note_synthesis.plot_faithfulness(summary).axes
    names = [label.get_text() for label in bars.get_yticklabels()]
    assert names[:3] == ["reference (n = 2)", "m (n = 1)", "m, looping (n = 1)"]
    ends: dict[float, list[tuple[float, float]]] = {}
    for patch in bars.patches:
        ends.setdefault(patch.get_y(), []).append((patch.get_x(), patch.get_width()))
    for parts in ends.values():
        assert sum(width for _, width in parts) == pytest.approx(1)
        starts = [start for start, _ in parts]
        assert starts == sorted(starts)
    kinds = [label.get_text() for label in table.get_yticklabels()]
    assert "medication\n(2 facts, 2 visits)" in kinds
    assert not any(kind.startswith("age") for kind in kinds)  # no visit states one
    assert "100\n[34, 100]" in {cell.get_text() for cell in table.texts}


def test_parts_show_n_and_a_hollow_marker_where_some_are_missing(notes):
    summary = note_synthesis.summarise_scores(note_synthesis.score_notes(notes, CORPORA), 0)
    (axes,) = note_synthesis.plot_parts(summary).axes
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert ticks == ["whole\nn = 2", "subjective\nn = 2", "objective\nn = 0",
                     "assessment and plan\nn = 2"]  # fmt: skip
    hollow = [line.get_ydata() for line in axes.lines if line.get_markerfacecolor() == "white"]
    expected = summary.loc[summary["missing"] > 0, "rougeL_if_present"].dropna()
    assert sorted(np.concatenate(hollow)[~np.isnan(np.concatenate(hollow))]) == sorted(expected)
    assert axes.get_ylim()[0] == 0


def test_each_panel_has_the_n_of_its_own_corpus(notes):
    scores = note_synthesis.score_notes(notes, CORPORA)
    both = pd.concat([scores, scores.assign(corpus="half").groupby(["part", "model"]).head(1)])
    figure = note_synthesis.plot_parts(note_synthesis.summarise_scores(both, 0))
    ticks = [[label.get_text() for label in axes.get_xticklabels()] for axes in figure.axes]
    assert [labels[0] for labels in ticks] == ["whole\nn = 2", "whole\nn = 1"]
    figure.canvas.draw()
    assert all(label.get_visible() for label in figure.axes[0].get_xticklabels())


def test_the_form_of_a_baseline_is_not_judged(notes):
    counts = note_synthesis.count_statuses(notes)
    (axes,) = note_synthesis.plot_statuses(counts).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "toy, m", "toy, lead copy (form not judged)", "toy, majority section (form not judged)",
    ]  # fmt: skip


def test_the_axis_of_the_scores_by_decoding_starts_at_zero(notes):
    table = note_synthesis.score_decodings({"as set": notes, "warm": notes}, CORPORA, 0)
    scores, shares = note_synthesis.plot_decodings(table).axes
    assert scores.get_xlim()[0] == 0
    assert shares.get_xlim()[0] < 0.01


def test_a_hostile_id_or_corpus_name_is_escaped_in_tables_and_figures():
    table = pd.DataFrame({"corpus": [SCRIPT], "model": [SCRIPT]})
    assert "<script" not in table._repr_html_()
    label = figures.escape_label(SCRIPT)
    assert label.count(r"\$") == label.count("$")
