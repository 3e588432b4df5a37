"""Tests of loss_curves.curves: stacked logs, the table and the figure of the losses."""

import pandas as pd
import pytest

from clinical_camel import loss_curves
from clinical_camel.loss_curves.curves import average_ends

LOG = pd.DataFrame({"step": [1, 2, 3, 4], "loss": [4.0, 3.0, 2.0, 1.0], "learning_rate": 0.1})
LOG = LOG.assign(fraction=LOG["step"] / 4, tokens=10 * LOG["step"])


def test_the_running_mean_looks_back_over_a_share_of_the_run():
    stacked = loss_curves.stack_logs({"a": LOG}, smoothing=0.5)
    assert stacked["smoothed"].tolist() == [4.0, 3.5, 2.5, 1.5]


def test_the_loss_at_a_fraction_is_that_of_the_last_step_within_it():
    table = loss_curves.tabulate_losses(loss_curves.stack_logs({"a": LOG}, 0.25))
    assert list(table) == ["study", "0 %", "10 %", "20 %", "50 %", "80 %", "100 %"]
    assert table.iloc[0].tolist() == ["a", 4.0, 4.0, 4.0, 3.0, 2.0, 1.0]


def test_curves_have_a_line_per_study_and_the_learning_rate_below():
    stacked = loss_curves.stack_logs({"a": LOG, "b": LOG}, 0.25)
    top, bottom = loss_curves.plot_curves(stacked).axes
    texts = [text.get_text() for text in top.get_legend().get_texts()]
    assert texts[:2] == ["a, running mean of 1 steps", "b, running mean of 1 steps"]
    assert (len(top.lines), len(bottom.lines)) == (5, 2)  # per step and smoothed; published


def test_the_five_published_losses_are_drawn_at_their_shares():
    top = loss_curves.plot_curves(loss_curves.stack_logs({"a": LOG}, 0.25)).axes[0]
    (line,) = [line for line in top.lines if line.get_marker() == "D"]
    assert line.get_xdata().tolist() == [0, 10, 20, 50, 80]
    assert line.get_ydata().tolist() == [2.1883, 2.11, 1.7616, 1.4807, 1.3245]
    assert line.get_label() == "ClinMED-LLAMA3 (published)"


def test_the_end_of_each_epoch_is_marked_within_the_run():
    top = loss_curves.plot_curves(loss_curves.stack_logs({"a": LOG}, 0.25), {"a": 4.0}).axes[0]
    marks = [line.get_xdata()[0] for line in top.lines if line.get_linestyle() == ":"]
    assert marks == [25, 50, 75]


def test_the_published_losses_are_a_marked_row_below_ours():
    table = loss_curves.tabulate_losses(loss_curves.stack_logs({"a": LOG}, 0.25))
    page = loss_curves.format_losses(table)
    assert page["study"].tolist() == ["a", "ClinMED-LLAMA3 (published)"]
    assert page.iloc[1].tolist()[1:] == [2.1883, 2.11, 1.7616, 1.4807, 1.3245, ""]  # no last value


@pytest.mark.parametrize(
    ("steps", "first", "last"), [(100, 98.0, 3.0), (10, 100.0, 91.0), (1, 100.0, 100.0)]
)
def test_first_and_last_loss_are_means_of_a_twentieth_of_the_steps(steps, first, last):
    log = pd.DataFrame({"loss": [100.0 - i for i in range(steps)]})
    assert average_ends(log) == (first, last)
    log = pd.concat([log, pd.DataFrame({"loss": [float("nan")]})])
    assert average_ends(log) == (first, last)


def test_the_headline_has_both_means_or_the_fault():
    bad = LOG.assign(loss=[2.0, 1.0, float("nan"), float("nan")])
    stacked = loss_curves.stack_logs({"a": LOG, "b": bad}, 0.25)
    assert loss_curves.format_headline(stacked) == (
        "mean loss, first and last twentieth of the steps: a 4.00 to 1.00, b loss is NaN from "
        "step 3 on"
    )
