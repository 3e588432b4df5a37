"""The arithmetic of the tables, on answers made up here."""

import dataclasses

import pandas as pd
import pytest
from tests.support.toy_scores import answers_of

from clinical_camel import eval_fewshot, stats
from clinical_camel.data import Question

SAME = {"question": "?", "options": list("abcd"), "answer": 0}
TOY = {"toy": [Question(id=str(i), **SAME) for i in range(10)]}
CLUSTERED = {"toy": [dataclasses.replace(q, group="ab"[i // 5]) for i, q in enumerate(TOY["toy"])]}


# ------------------------------------------------------------------------------------- scores


def test_accuracy_has_its_interval_and_chance():
    answers = answers_of(base=[True] * 8 + [False] * 2)
    row = eval_fewshot.compute_scores(answers, TOY).iloc[0]
    assert row["accuracy"] == 0.8
    assert (round(row["low"], 3), round(row["high"], 3)) == (0.490, 0.943)  # Wilson, 8 of 10
    assert row["chance"] == 0.25
    assert row["majority"] == 1.0  # every correct option is the first in this toy


def test_clusters_are_counted_and_widen_the_interval():
    answers = answers_of(base=[True] * 5 + [False] * 5)
    grouped = eval_fewshot.compute_scores(answers, CLUSTERED).iloc[0]
    independent = eval_fewshot.compute_scores(answers, TOY).iloc[0]
    assert (grouped["clusters"], independent["clusters"]) == (2, 10)
    assert grouped["low"] < 0.01  # two clusters carry no information
    assert grouped["high"] > 0.99
    assert (round(independent["low"], 3), round(independent["high"], 3)) == (0.237, 0.763)


def test_above_chance_is_tested_by_question_or_by_cluster():
    answers = answers_of(base=[True] * 7 + [False] * 3)
    independent = eval_fewshot.compute_scores(answers, TOY)["p_chance"].iloc[0]
    assert independent == pytest.approx(0.0035, abs=1e-4)  # 7 or more of 10 at 1/4
    assert eval_fewshot.compute_scores(answers, CLUSTERED)["p_chance"].iloc[0] > 0.05
    none = eval_fewshot.compute_scores(answers_of(base=[False] * 10), CLUSTERED)
    assert none["p_chance"].tolist() == [1.0]


def test_the_share_of_shortest_answers_is_a_column():
    answers = answers_of(base=[True] * 4).assign(picked_shortest=[True, True, True, False])
    assert eval_fewshot.compute_scores(answers, TOY)["shortest"].tolist() == [0.75]


def test_calibration_is_the_accuracy_per_bin_of_confidence():
    answers = answers_of(base=[True, True, False, False]).assign(confidence=[0.9, 0.9, 0.9, 0.3])
    table = eval_fewshot.compute_calibration(answers)
    assert table[["n", "accuracy"]].to_numpy().tolist() == [[1, 0.0], [3, pytest.approx(2 / 3)]]
    error = eval_fewshot.compute_scores(answers, TOY)["calibration_error"].iloc[0]
    assert error == pytest.approx((0.3 * 1 + (0.9 - 2 / 3) * 3) / 4)


def test_published_values_are_joined_by_benchmark_and_shots():
    answers = answers_of(base=[True] * 10)
    published = pd.DataFrame({"benchmark": "toy", "num_shots": [0, 5], "published": [0.5, 0.6]})
    joined = eval_fewshot.compute_scores(answers, TOY, published)
    assert joined["published"].tolist() == [0.5]
    assert "published" not in eval_fewshot.compute_scores(answers, TOY)


def test_published_values_have_their_status():
    rows = eval_fewshot.select_published("clinical_camel:70b")
    medqa = rows[(rows["benchmark"] == "medqa_us") & (rows["num_shots"] == 5)].iloc[0]
    assert medqa["published"] == pytest.approx(0.607)
    assert medqa["published_status"].startswith("confirmed")
    assert eval_fewshot.select_published("").empty


# ---------------------------------------------------------------------------------- subgroups


def test_subgroups_of_a_benchmark_have_scores():
    questions = [
        dataclasses.replace(TOY["toy"][i], question="?" * (i + 1), subset="st"[i % 2])
        for i in range(6)
    ]
    answers = answers_of(base=[True, False] * 3)
    others = answers.assign(variant="options_only", correct=False)  # only the first variant counts
    both = pd.concat([answers, others])
    table = eval_fewshot.compute_subgroup_scores(both, {"toy": questions})
    assert set(table["variant"]) == {"as_given"}
    table = table.set_index(["grouping", "subgroup"])
    assert table["accuracy"].loc["subset"].to_dict() == {"s": 1.0, "t": 0.0}
    assert table["n"].loc["length"].to_dict() == {"long": 2, "middle": 2, "short": 2}
    assert "image" not in table.index.get_level_values("grouping")  # no image is suspected


# --------------------------------------------------------------------------------- comparison


def test_models_are_compared_on_the_same_questions():
    answers = answers_of(base=[True, False, False, False], tuned=[True, True, True, True])
    row = eval_fewshot.compare_models(answers, TOY, "base", seed=0).iloc[0]
    assert (row["only_model_correct"], row["only_reference_correct"]) == (3, 0)
    assert row["difference"] == 0.75
    assert row["p"] == pytest.approx(0.25)  # exact: 2 * (1/2) ** 3


def test_clustered_questions_are_compared_by_cluster():
    answers = answers_of(base=[False] * 10, tuned=[True] * 5 + [False] * 5)
    (independent, grouped) = (
        eval_fewshot.compare_models(answers, questions, "base", seed=0).iloc[0]
        for questions in (TOY, CLUSTERED)
    )
    assert (independent["clusters"], grouped["clusters"]) == (10, 2)
    assert independent["p"] == pytest.approx(2 * 0.5**5)  # five coins
    assert grouped["p"] == 1.0  # one coin: tuned wins one condition, the other is a tie
    assert grouped["high"] - grouped["low"] > independent["high"] - independent["low"]


def test_p_values_are_adjusted_for_several_comparisons():
    two = [answers_of(base=[False] * 8, tuned=[True] * 8).assign(num_shots=n) for n in (0, 5)]
    table = eval_fewshot.compare_models(pd.concat(two), TOY, "base", seed=0)
    assert table["p_holm"].tolist() == pytest.approx([2 * p for p in table["p"]])


def test_the_detectable_difference_grows_with_the_rows_and_with_the_clusters():
    questions = [dataclasses.replace(TOY["toy"][0], id=str(i), group="") for i in range(60)]
    grouped = [dataclasses.replace(q, group=str(i // 2)) for i, q in enumerate(questions)]
    # both questions of a group have the same outcome, so a group counts as one question
    one = answers_of(
        base=[i // 2 % 3 == 0 for i in range(60)], tuned=[i // 2 % 3 == 1 for i in range(60)]
    )

    def detectable(answers, exam):
        table = eval_fewshot.compare_models(answers, {"toy": exam}, "base", seed=0)
        return table["min_detectable_effect"].iloc[0]

    discordant = 40 / 60
    expected = stats.min_detectable_effect(60, discordant)
    assert detectable(one, questions) == pytest.approx(expected)
    two = pd.concat([one, one.assign(num_shots=5)])
    expected = stats.min_detectable_effect(60, discordant, comparisons=2)
    assert detectable(two, questions) == pytest.approx(expected)
    ratio = detectable(one, grouped) / detectable(one, questions)
    assert ratio == pytest.approx(2**0.5, rel=0.1)


@pytest.mark.parametrize("reference", ["base", "tuned"])
def test_a_single_model_gives_an_empty_comparison_with_all_columns(reference):
    table = eval_fewshot.compare_models(answers_of(tuned=[True]), TOY, reference, seed=0)
    assert (len(table), {"difference", "low", "p_holm"} <= set(table)) == (0, True)
    assert len(eval_fewshot.format_comparison(table)) == 0
