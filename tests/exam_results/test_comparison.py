"""Models, or variants of the questions, compared on the same questions; answers made up here."""

import dataclasses

import pandas as pd
import pytest
from tests.support.toy_scores import answers_of

from clinical_camel import exam_results, stats
from clinical_camel.data import Question

SAME = {"question": "?", "options": list("abcd"), "answer": 0}
MINUS = "\N{MINUS SIGN}"
TOY = {"toy": [Question(id=str(i), **SAME) for i in range(10)]}
CLUSTERED = {"toy": [dataclasses.replace(q, group="ab"[i // 5]) for i, q in enumerate(TOY["toy"])]}


def test_models_are_compared_on_the_same_questions():
    answers = answers_of(base=[True, False, False, False], tuned=[True, True, True, True])
    row = exam_results.compare_models(answers, TOY, "base", seed=0).iloc[0]
    assert (row["only_model_correct"], row["only_reference_correct"]) == (3, 0)
    assert row["difference"] == 0.75
    assert row["p"] == pytest.approx(0.25)  # exact: 2 * (1/2) ** 3


def test_clustered_questions_are_compared_by_cluster():
    answers = answers_of(base=[False] * 10, tuned=[True] * 5 + [False] * 5)
    (independent, grouped) = (
        exam_results.compare_models(answers, questions, "base", seed=0).iloc[0]
        for questions in (TOY, CLUSTERED)
    )
    assert (independent["clusters"], grouped["clusters"]) == (10, 2)
    assert independent["p"] == pytest.approx(2 * 0.5**5)  # five coins
    assert grouped["p"] == 1.0  # one coin: tuned wins one condition, the other is a tie
    assert grouped["high"] - grouped["low"] > independent["high"] - independent["low"]


def test_p_values_are_adjusted_for_several_comparisons():
    two = [answers_of(base=[False] * 8, tuned=[True] * 8).assign(num_shots=n) for n in (0, 5)]
    table = exam_results.compare_models(pd.concat(two), TOY, "base", seed=0)
    assert table["p_holm"].tolist() == pytest.approx([2 * p for p in table["p"]])


def test_the_detectable_difference_grows_with_the_rows_and_with_the_clusters():
    questions = [dataclasses.replace(TOY["toy"][0], id=str(i), group="") for i in range(60)]
    grouped = [dataclasses.replace(q, group=str(i // 2)) for i, q in enumerate(questions)]
    # both questions of a group have the same outcome, so a group counts as one question
    one = answers_of(
        base=[i // 2 % 3 == 0 for i in range(60)], tuned=[i // 2 % 3 == 1 for i in range(60)]
    )

    def detectable(answers, exam):
        table = exam_results.compare_models(answers, {"toy": exam}, "base", seed=0)
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
    table = exam_results.compare_models(answers_of(tuned=[True]), TOY, reference, seed=0)
    assert (len(table), {"difference", "low", "p_holm"} <= set(table)) == (0, True)
    assert len(exam_results.format_comparison(table)) == 0


def test_variants_are_compared_with_the_unchanged_questions():
    unchanged = answers_of(tuned=[True] * 10)
    changed = answers_of(tuned=[False] * 10).assign(variant="options_only")
    table = exam_results.compare_variants(pd.concat([unchanged, changed]), TOY, seed=0)
    assert table[["variant", "model", "reference", "difference"]].to_numpy().tolist() == [
        ["options_only", "tuned", "as_given", -1.0]
    ]
    page = exam_results.format_comparison(table)
    assert page["models"].tolist() == [f"tuned: options_only {MINUS} as_given"]
    assert not len(exam_results.compare_variants(unchanged, TOY, seed=0))
