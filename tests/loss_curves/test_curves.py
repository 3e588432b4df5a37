"""Tests of loss_curves.curves: stacked logs, the table and the figure of the losses."""

import pandas as pd

from clinical_camel import loss_curves

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
    assert [text.get_text() for text in top.get_legend().get_texts()] == ["a", "b"]
    assert (len(top.lines), len(bottom.lines)) == (4, 2)  # each loss per step and smoothed
