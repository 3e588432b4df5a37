"""Step 05: curves of several studies on one axis."""

import pandas as pd
import pytest

from clinical_camel import loss_curves

LOG = pd.DataFrame(
    {
        "step": [1, 2, 3, 4],
        "fraction": [0.25, 0.5, 0.75, 1.0],
        "loss": [4.0, 3.0, 2.0, 1.0],
        "learning_rate": 0.1,
        "tokens": [10, 20, 30, 40],
    }
)


def test_the_running_mean_looks_back_over_a_share_of_the_run():
    stacked = loss_curves.stack_logs({"a": LOG}, smoothing=0.5)
    assert stacked["smoothed"].tolist() == [4.0, 3.5, 2.5, 1.5]


def test_each_fraction_is_read_at_the_last_step_that_reached_no_further():
    table = loss_curves.at_fractions(loss_curves.stack_logs({"a": LOG}, 0.25))
    assert table.iloc[0].to_dict() == {
        "study": "a",
        "0 %": 4.0,
        "10 %": 4.0,
        "20 %": 4.0,
        "50 %": 3.0,
        "80 %": 2.0,
        "100 %": 1.0,
    }


def test_a_study_without_scores_keeps_its_row():
    stacked = loss_curves.stack_logs({"a": LOG, "b": LOG}, 0.25)
    scores = pd.DataFrame(
        {
            "benchmark": ["e"],
            "protocol": ["letter"],
            "num_shots": [0],
            "model": ["tuned"],
            "n": [5],
            "accuracy": [0.4],
            "low": [0.1],
            "high": [0.8],
            "chance": [0.25],
        }
    )
    table = loss_curves.summarise(stacked, {"a": scores}).set_index("study")
    assert table.loc["a", "accuracy"] == 0.4
    assert table.loc["b", ["steps", "tokens", "last_loss"]].tolist() == [4, 40, 1.0]


def test_a_table_that_is_no_training_log_is_refused_by_column():
    with pytest.raises(ValueError, match="logs: a: no column loss, learning_rate"):
        loss_curves.stack_logs({"a": LOG.drop(columns=["loss", "learning_rate"])}, 0.05)


@pytest.mark.parametrize("smoothing", [0.0, 1.5])
def test_smoothing_is_a_share(smoothing):
    with pytest.raises(ValueError, match="smoothing"):
        loss_curves.stack_logs({"a": LOG}, smoothing)
