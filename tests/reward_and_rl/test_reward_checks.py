"""Held-out accuracy, length bias and calibration, on scores made by hand."""

import dataclasses

import numpy as np
import pytest

from clinical_camel.reward_and_rl import reward_checks

GROUPS = ["a", "a", "b", "b", "c", "c", "d", "d"]


def make_scores(margins, differences):
    zeros = np.zeros(len(margins))
    return reward_checks.PairScores(
        np.array(margins, float), zeros, np.array(differences) + 20, zeros + 20, zeros, GROUPS
    )


def test_accuracy_is_split_by_which_reply_is_longer():
    scores = make_scores([1, 1, 1, -1, -1, 1, 1, 0], [1, 1, 1, -1, -1, -1, 0, 0])
    table = reward_checks.tabulate_accuracy(scores).set_index("subset")
    assert table["n"].tolist() == [8, 3, 3, 2, 8]
    assert table["accuracy"].tolist() == pytest.approx([5 / 8, 1.0, 1 / 3, 1 / 2, 1 / 2])
    assert table.loc["all", "groups"] == 4
    assert (table["low"] < table["accuracy"]).all() or table["low"].iloc[0] < 5 / 8
    assert (table["high"] <= 1).all()


def test_a_rule_that_counts_new_words_is_the_baseline():
    scores = dataclasses.replace(
        make_scores([1] * 8, [1] * 8), more_new_words=np.array([3, 1, 2, 1, 1, 0, 0, -2])
    )
    row = reward_checks.tabulate_accuracy(scores).set_index("subset").loc["rule: fewer new words"]
    assert row["accuracy"] == pytest.approx((5 + 2 * 0.5) / 8)
    assert row["low"] < row["accuracy"] < row["high"]


def test_a_subset_without_pairs_has_no_accuracy():
    table = reward_checks.tabulate_accuracy(make_scores([1] * 8, [1] * 8)).set_index("subset")
    assert table.loc["chosen is shorter", "n"] == 0
    assert np.isnan(table.loc["chosen is shorter", "accuracy"])


def test_a_model_that_prefers_long_replies_is_found_out():
    differences = [5, 3, -4, -2, 6, -1, 2, -3]
    biased = reward_checks.measure_length_bias(make_scores(differences, differences))
    assert biased["correlation"] == pytest.approx(1.0)
    assert (biased["longer_chosen"], biased["longer_preferred"]) == (0.5, 1.0)
    assert (biased["bias"], biased["low"], biased["high"]) == (1.0, 1.0, 1.0)
    fair = reward_checks.measure_length_bias(make_scores([1] * 8, differences))
    assert abs(fair["correlation"]) < 0.6
    assert fair["longer_preferred"] == 0.5
    assert (fair["bias"], fair["low"], fair["high"]) == (0, 0, 0)
    equal = reward_checks.measure_length_bias(make_scores([1] * 8, [0] * 8))
    assert equal["pairs"] == 0
    assert np.isnan(equal["correlation"])


@pytest.mark.parametrize("longer_chosen", [0.5, 0.8])
def test_a_coin_has_no_length_bias_whatever_the_ranker_prefers(longer_chosen):
    random = np.random.default_rng(0)
    count = 4000
    differences = np.where(random.random(count) < longer_chosen, 3, -3)
    zeros = np.zeros(count)
    groups = [str(i % 100) for i in range(count)]
    coin = reward_checks.PairScores(
        random.choice([-1.0, 1.0], count), zeros, differences + 20, zeros + 20, zeros, groups
    )
    bias = reward_checks.measure_length_bias(coin)
    assert bias["low"] < 0 < bias["high"]
    assert abs(bias["bias"]) < 0.06
    one_group = reward_checks.PairScores(
        coin.chosen, zeros, differences + 20, zeros + 20, zeros, ["a"] * count
    )
    assert np.isnan(reward_checks.measure_length_bias(one_group)["low"])
    longer = reward_checks.measure_length_bias(make_scores([1] * 8, [2] * 8))
    assert np.isnan(longer["bias"])


def test_the_interval_of_the_length_bias_is_as_wide_as_t_is_for_few_groups(monkeypatch):
    drawn = {}

    def find_limits(values, count):
        drawn["limits"] = np.nanquantile(values, (0.025, 0.975))
        drawn["count"] = count
        return find(values, count)

    find = reward_checks.stats.find_limits
    monkeypatch.setattr(reward_checks.stats, "find_limits", find_limits)
    margins, count = np.random.default_rng(0).choice([-1.0, 1.0], 80), 10
    differences, zeros = np.tile([3, -3], 40), np.zeros(80)
    scores = reward_checks.PairScores(
        margins, zeros, differences + 20, zeros + 20, zeros, [str(i % count) for i in range(80)]
    )
    bias = reward_checks.measure_length_bias(scores)
    assert drawn["count"] == count
    assert bias["low"] <= drawn["limits"][0] < drawn["limits"][1] <= bias["high"]
    assert bias["high"] - bias["low"] > np.ptp(drawn["limits"])


def test_calibration_compares_confidence_with_accuracy():
    sure = make_scores([9, 9, 9, 9, -9, -9, -9, -9], [0] * 8)
    table = reward_checks.tabulate_calibration(sure)
    assert table["n"].tolist() == [8]
    assert table["accuracy"].tolist() == [0.5]
    assert reward_checks.measure_calibration_error(sure) == pytest.approx(0.5, abs=1e-3)
    unsure = make_scores([1e-6] * 4 + [-1e-6] * 4, [0] * 8)
    assert reward_checks.measure_calibration_error(unsure) == pytest.approx(0.0, abs=1e-3)


def test_the_scale_is_that_of_all_rewards():
    assert reward_checks.describe_scale(make_scores([2] * 8, [0] * 8)) == {"mean": 1.0, "std": 1.0}
