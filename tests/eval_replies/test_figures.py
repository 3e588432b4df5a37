"""Figures with intervals."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from clinical_camel import eval_replies
from clinical_camel.eval_replies.diagnoses import MIN_RECORDS
from clinical_camel.eval_replies.overlap import METRICS
from clinical_camel.teachers.judge import OverlapJudge


@pytest.fixture
def replies(cases, make_replies):
    texts = {"base": "It is gout.", "$_sft": "It is {name}.", "typical reply": "Not at all."}
    return make_replies(cases, **texts)


@pytest.fixture
def figures():
    yield
    plt.close("all")


def test_the_overlap_panel_shows_each_mean(replies, table, figures):
    summary = eval_replies.summarise_overlap(eval_replies.score_replies(replies, table), 0)
    figure = eval_replies.plot_overlap(summary)
    assert len(figure.axes) == summary["task"].nunique()
    first = summary[summary["task"] == "consultation"].iloc[-1]
    points = figure.axes[0].containers[-1].lines[0].get_ydata()
    assert points == pytest.approx([first[name] for name in METRICS])
    figure.canvas.draw()


def test_a_marker_at_zero_is_complete(replies, table, figures):
    """The axis starts below 0 by more than half a marker."""
    scored = eval_replies.score_replies(replies, table)
    scored[[*METRICS]] = 0.0
    for high in (0.0, 0.7):
        scored.loc[0, "bleu1"] = high
        figure = eval_replies.plot_overlap(eval_replies.summarise_overlap(scored, 0))
        figure.canvas.draw()
        for axes in figure.axes:
            (_, zero), (_, bottom) = axes.transData.transform([(0, 0), (0, axes.get_ylim()[0])])
            half = 5 / 2 * figure.dpi / 72  # of a marker, in pixels
            assert zero - bottom > half


@pytest.mark.parametrize(("writers", "columns"), [(2, 2), (5, 5), (6, 3), (7, 4)])
def test_no_entry_of_a_legend_is_alone_in_a_row(cases, table, make_replies, writers, columns):
    replies = make_replies(cases, **{f"writer {k}": "It is gout." for k in range(writers)})
    scored = eval_replies.score_replies(replies, table)
    figure = eval_replies.plot_overlap(eval_replies.summarise_overlap(scored, 0))
    (legend,) = figure.legends
    assert legend._ncols == columns
    assert len(legend.get_texts()) == writers
    plt.close(figure)


@pytest.fixture
def diagnoses(replies, table):
    scored = eval_replies.score_diagnoses(replies, table, eval_replies.read_diagnoses(), "chapter")
    return eval_replies.summarise_diagnoses(scored)


def test_diagnoses_show_the_models_alone_and_all_records_first(diagnoses, figures):
    diagnoses = diagnoses.assign(n=MIN_RECORDS)
    axes = eval_replies.plot_diagnoses(diagnoses, ["base", "$_sft"]).axes[0]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels[0] == "all records\nn = 10"
    assert axes.get_title() == "toy"
    assert [len(c.lines[0].get_xdata()) for c in axes.containers] == [3, 3]
    assert axes.containers[1].lines[0].get_xdata().tolist() == [1, 1, 1]


def test_groups_with_few_records_are_counted_and_not_drawn(diagnoses, figures):
    figure = eval_replies.plot_diagnoses(diagnoses, ["base", "$_sft"])
    axes = figure.axes[0]
    assert [len(c.lines[0].get_xdata()) for c in axes.containers] == [1, 1]
    assert axes.get_title() == "toy\nnot shown: 2 ICD groups with n < 10"
    figure.canvas.draw()
    legend, title = figure.legends[0].get_window_extent(), axes.title.get_window_extent()
    assert not legend.overlaps(title)


def test_outcomes_are_complete_bars_with_unbroken_counts(diagnoses, figures):
    long = "a dataset with a long name, as many are"
    figure = eval_replies.plot_outcomes(diagnoses.assign(corpus=long))
    axes = figure.axes[0]
    assert sum(patch.get_width() for patch in axes.patches) == pytest.approx(3)
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels[2] == f"{long}\ntypical reply (n = 2)"
    figure.canvas.draw()  # a name with "$" is no formula


def test_win_rates_are_drawn_with_their_interval(cases, replies, figures):
    pairs = eval_replies.make_pairs(replies, cases, "base", ["base", "$_sft", "typical reply"])
    wins = eval_replies.summarise_wins(eval_replies.compare_pairs(pairs, OverlapJudge(0.02)), 0)
    axes = eval_replies.plot_wins(wins).axes[0]
    drawn = [container.lines[0].get_xdata()[0] for container in axes.containers]
    assert np.allclose(drawn, wins["win_rate"])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["overlap rule"]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == ["toy\n\\$_sft (n = 2)", "toy\ntypical reply (n = 2)"]
