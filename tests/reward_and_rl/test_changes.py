"""Curves, changes with intervals, differences between methods."""

import pandas as pd
import pytest
from tests.support.toy_measures import make_exams, make_replies

from clinical_camel import stats
from clinical_camel.reward_and_rl import changes, measures


def test_a_change_is_paired_with_the_start_and_has_its_kl():
    table = changes.compare_with_start(make_replies((0.3, -0.2, 4)), make_exams(2))
    rows = table.set_index("measure")
    assert rows.loc["proxy", "change"] == pytest.approx(0.3, abs=0.01)
    assert 0.28 < rows.loc["proxy", "low"] < rows.loc["proxy", "high"] < 0.32
    assert rows.loc["gold", "high"] < 0
    assert (rows.loc["tokens", "start"], rows.loc["tokens", "end"]) == (10, 14)
    assert rows.loc["exam", "change"] == pytest.approx(2 / 24)
    assert set(rows["kl"]) == {2.0}
    assert (rows.loc["proxy", "n"], rows.loc["proxy", "seeds"]) == (8, 2)
    assert rows.loc["proxy", "groups"] == 4
    assert rows.loc["exam", "chance"] == 0.25
    assert "kl" not in rows.index  # 0 at the start, never below
    for family in (rows.index.isin(changes.REWARDS), ~rows.index.isin(changes.REWARDS)):
        assert list(rows[family]["p_holm"]) == list(stats.adjust_holm(rows[family]["p"]))
    assert rows.loc["entropy", "p_holm"] == 1


def test_a_stopped_training_counts_with_its_last_measurement():
    replies = make_replies((0.3, 0.1, 0), steps=(0, 5, 10))
    stopped = replies[(replies["seed"] == 0) | (replies["step"] <= 5)]
    table = changes.compare_with_start(stopped, make_exams()).set_index("measure")
    assert (table.loc["proxy", "n"], table.loc["proxy", "seeds"]) == (8, 2)
    curves = changes.tabulate_curves(stopped, make_exams())
    proxy = curves[curves["measure"] == "proxy"].set_index("step")
    assert list(proxy["seeds"]) == [2, 2, 1]
    assert list(proxy["n"]) == [8, 8, 8]
    assert proxy["change"].tolist() == pytest.approx([0, 0.3, 0.3], abs=0.01)
    assert (proxy.loc[[5, 10], "low"] > 0.28).all()


def test_a_part_of_a_change_has_only_replies_in_which_another_measure_is_as_before():
    replies = make_replies((0.3, 0.0, 0))
    after = replies["step"] == 10
    replies.loc[after & replies["prompt_id"].isin(["p0", "p1"]), "gold"] = 0.9
    replies.loc[after & replies["prompt_id"].isin(["p1", "p2", "p3"]), "new_word"] = 1
    table = changes.compare_parts(replies).set_index("part")
    assert table.loc["proxy_same_gold", "change"] == pytest.approx(0.75 * 0.3, abs=0.01)
    assert table.loc["proxy_same_gold", "share"] == 0.75
    assert table.loc["gold_same_words", "change"] == pytest.approx(0.4 / 8)
    assert table.loc["gold_same_words", "share"] == 0.625
    assert (table["n"] == 8).all()
    assert (table["seeds"] == 2).all()


def test_a_part_is_compared_with_that_of_each_control_paired_by_prompt_and_seed():
    own, other = (
        make_replies((proxy, 0.0, 0), methods=(method,))
        for proxy, method in ((0.3, "ppo"), (0.1, "dpo"))
    )
    noise = 0.5 * own["prompt_id"].isin(["p0", "p1", "p4", "p5"]) * (own["step"] == 10)
    pair = [replies.assign(proxy=replies["proxy"] + noise) for replies in (own, other)]
    replies = pd.concat([*pair, other.assign(method="rloo")], ignore_index=True)
    table = changes.compare_parts(replies)
    table = table[table["part"] == "proxy_same_gold"].set_index(["method", "control"])
    assert sorted(table.index) == [
        ("dpo", "SFT"), ("ppo", "SFT"), ("ppo", "dpo"), ("rloo", "SFT"), ("rloo", "dpo"),
    ]  # fmt: skip
    paired, alone = table.loc[("ppo", "dpo")], table.loc[("ppo", "SFT")]
    assert paired["change"] == pytest.approx(0.2, abs=0.01)
    assert paired["high"] - paired["low"] < 0.1 < alone["high"] - alone["low"]


def test_a_method_is_compared_with_a_control_at_the_nearest_kl():
    own = make_replies((0.3, 0.0, 0), methods=("ppo",), steps=(0, 5, 10))
    own.loc[own["step"] == 5, ["kl", "proxy"]] = own.loc[own["step"] == 5, ["kl", "proxy"]] - 0.2
    control = make_replies((0.1, 0.0, 0), methods=("dpo",)).assign(kl=1.75)
    table = changes.compare_parts(pd.concat([own, control], ignore_index=True))
    table = table[table["part"] == "proxy_same_gold"].set_index(["method", "control"])
    assert table.loc[("ppo", "SFT"), ["change", "kl"]].tolist() == pytest.approx(
        [0.3, 2.0], abs=0.01
    )
    near = table.loc[("ppo", "dpo"), ["change", "kl", "control_kl"]]
    assert near.tolist() == pytest.approx([0.0, 1.8, 1.75], abs=0.01)


def test_parts_without_a_measured_policy_are_empty():
    assert changes.compare_parts(make_replies((0.3, 0.0, 0), steps=(0,))).empty


def test_a_training_without_a_measurement_after_its_start_is_left_out():
    """It died of NaN: it is no training that changed nothing."""
    replies = make_replies((0.3, 0.2, 4), methods=("ppo", "dpo"))
    exams = make_exams(methods=("ppo", "dpo"))
    partial = replies[(replies["step"] == 0) | (replies["seed"] == 0)]
    partial = partial[(partial["step"] == 0) | (partial["method"] == "ppo")]
    comparison = changes.compare_with_start(partial, exams[exams["method"] == "ppo"])
    assert set(comparison["method"]) == {"ppo"}
    proxy = comparison.set_index("measure").loc["proxy"]
    assert proxy["seeds"] == 1
    assert proxy["change"] == pytest.approx(0.3, abs=0.01)
    assert set(changes.select_examples(partial, 1)["method"]) == {"SFT", "ppo"}
    start = replies[replies["step"] == 0]
    nothing = changes.compare_with_start(start, exams[exams["step"] == 0])
    assert nothing.empty
    assert changes.compare_methods(start, exams[exams["step"] == 0]).empty


def test_ppo_is_compared_with_each_other_method_on_the_same_prompts_and_seeds():
    ppo, dpo = (
        make_replies((proxy, 0.0, 0), methods=(method,))
        for proxy, method in ((0.5, "ppo"), (0.2, "dpo"))
    )
    replies = pd.concat([ppo, dpo[dpo["seed"] == 0]], ignore_index=True)
    exams = make_exams(methods=("ppo", "dpo"))
    table = changes.compare_methods(replies, exams)
    assert set(table["method"]) == {"dpo"}
    row = table.set_index("measure").loc["proxy"]
    assert (row["n"], row["seeds"]) == (8, 1)
    assert row["difference"] == pytest.approx(0.3, abs=0.02)
    assert row["low"] <= row["difference"] <= row["high"]
    assert row["ppo"] - row["other"] == pytest.approx(row["difference"])
    is_reward = table["measure"].isin(changes.REWARDS)
    for part in (table[is_reward], table[~is_reward]):
        assert list(part["p_holm"]) == list(stats.adjust_holm(part["p"]))
    assert changes.compare_methods(ppo, exams[exams["method"] == "ppo"]).empty
    assert changes.compare_methods(dpo, exams[exams["method"] == "dpo"]).empty


def test_examples_show_the_start_and_the_end_of_each_method():
    replies = make_replies((0.3, 0.0, 0), methods=("ppo", "dpo"))
    examples = changes.select_examples(replies, 2)
    assert list(examples["method"]) == ["SFT", "ppo", "dpo"] * 2
    assert list(examples["reply"]) == ["text 0", "text 10", "text 10"] * 2
    falls = replies["gold"].where(replies["prompt_id"] != "p3", replies["gold"] - replies["step"])
    assert list(changes.select_examples(replies.assign(gold=falls), 2)["prompt_id"])[-1] == "p3"


def test_without_an_exam_all_tables_still_come_out():
    replies, empty = make_replies((0.3, -0.2, 0)), make_exams()[:0]
    curves = changes.tabulate_curves(replies, empty)
    comparison = changes.compare_with_start(replies, empty)
    assert set(curves["measure"]) == set(measures.VALUES)
    assert set(comparison["measure"]) == set(measures.VALUES) - {"kl"}
