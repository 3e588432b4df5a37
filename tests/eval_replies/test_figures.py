"""Figures with intervals."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from clinical_camel import eval_replies
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


def test_status_bars_are_complete(replies, figures):
    figure = eval_replies.plot_statuses(eval_replies.count_statuses(replies))
    axes = figure.axes[0]
    assert len(axes.get_yticks()) == 9
    widths = sum(patch.get_width() for patch in axes.patches)
    assert widths == pytest.approx(9)
    figure.canvas.draw()  # a name with "$" is no formula


def test_the_overlap_panel_shows_each_mean(replies, table, figures):
    summary = eval_replies.summarise_overlap(eval_replies.score_replies(replies, table), 0)
    figure = eval_replies.plot_overlap(summary)
    assert len(figure.axes) == summary["task"].nunique()
    first = summary[summary["task"] == "consultation"].iloc[-1]
    points = figure.axes[0].containers[-1].lines[0].get_ydata()
    assert points == pytest.approx([first[name] for name in METRICS])
    figure.canvas.draw()


def test_diagnoses_show_the_models_alone_and_all_groups_first(replies, table, figures):
    diagnoses = eval_replies.read_diagnoses()
    scored = eval_replies.score_diagnoses(replies, table, diagnoses, "chapter")
    summary = eval_replies.summarise_diagnoses(scored)
    axes = eval_replies.plot_diagnoses(summary, ["base", "$_sft"]).axes[0]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels[0] == "all records\nn = 2"
    assert [len(c.lines[0].get_xdata()) for c in axes.containers] == [3, 3]
    assert axes.containers[1].lines[0].get_xdata().tolist() == [1, 1, 1]
    outcomes = eval_replies.plot_outcomes(summary).axes[0]
    assert sum(patch.get_width() for patch in outcomes.patches) == pytest.approx(3)


def test_win_rates_are_drawn_with_their_interval(cases, replies, figures):
    pairs = eval_replies.make_pairs(replies, cases, "base", ["base", "$_sft", "typical reply"])
    wins = eval_replies.summarise_wins(eval_replies.compare_pairs(pairs, OverlapJudge(0.02)), 0)
    axes = eval_replies.plot_wins(wins).axes[0]
    drawn = [container.lines[0].get_xdata()[0] for container in axes.containers]
    assert np.allclose(drawn, wins["win_rate"])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["overlap rule"]
