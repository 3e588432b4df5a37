"""Step 03: what the published numbers say alone."""

from fractions import Fraction
from math import ceil, floor

import pandas as pd
import pytest
from tests.support.toy_scores import published

from clinical_camel import data, eval_fewshot
from clinical_camel.eval_fewshot.published import find_item_sets, is_possible


def test_a_value_is_possible_only_if_some_k_of_n_rounds_to_it():
    rows = published({"value": 60.0}, {"value": 61.0}, n=5, benchmark="x")
    table = eval_fewshot.assess_published(rows)
    assert table["possible"].tolist() == [True, False]  # 3 of 5, and none
    assert table["nearest"].tolist() == [60.0, 60.0]


def test_a_tie_may_be_rounded_up_or_down():
    rows = published({"value": 81.2}, {"value": 81.3}, n=144, benchmark="mmlu_college_biology")
    assert eval_fewshot.assess_published(rows)["possible"].all()  # 117 of 144 is 81.25


def test_a_value_rounded_twice_is_marked_and_an_impossible_one_is_not():
    rows = published({"value": 48.2}, {"value": 48.5}, n=135, benchmark="mmlu_anatomy")
    table = eval_fewshot.assess_published(rows)  # 65 of 135 is 48.148, rounded to 48.15, to 48.2
    assert table["possible"].tolist() == [False, False]
    assert table["rounded_twice"].tolist() == [True, False]


def test_exactly_the_roundings_of_k_of_n_are_possible():
    for n in (7, 92, 135, 144):
        possible = {tenths for tenths in range(1001) if is_possible(tenths / 10, n)}
        exact = [Fraction(1000 * k, n) for k in range(n + 1)]
        half = Fraction(1, 2)
        assert possible == {t for k in exact for t in (floor(k), ceil(k)) if abs(t - k) <= half}
        assert eval_fewshot.chance_of_fit(n) == len(possible) / 1001


def test_a_value_with_two_decimals_is_rejected():
    with pytest.raises(ValueError, match="one decimal"):
        eval_fewshot.assess_published(published({"value": 60.75}))


def test_the_interval_is_that_of_k_of_n_in_percent():
    row = eval_fewshot.assess_published(published()).iloc[0]
    assert [round(row[name], 1) for name in ("low", "high", "half_width")] == [58.0, 63.4, 2.7]
    assert (row["chance"], row["chance_of_fit"]) == (25.0, 1.0)


def test_a_missing_n_is_inferred_if_the_value_is_possible_with_a_single_item_set():
    same = {"benchmark": "usmle_self_assessment_step_1", "n": None}
    rows = published({"value": 47.3}, {"value": 31.9}, {"value": 22.2}, **same)
    table = eval_fewshot.assess_published(rows)  # 91; 91 and 119; none
    assert table["n"].tolist() == [91, pd.NA, pd.NA]
    assert table["n_from"].tolist() == ["inferred", "", ""]
    assert table["low"].isna().tolist() == [False, True, True]


def test_the_pubmedqa_scores_of_the_paper_cannot_share_their_items():
    table = eval_fewshot.match_item_sets(data.load_published())
    rows = table[(table["benchmark"] == "pubmedqa") & (table["shots"] == 5)].set_index("n")
    assert rows.loc[500, "impossible_values"] == "clinical_camel:70b 77.9"
    assert not rows.loc[500, "all_possible"]
    for value in ("gpt-3.5 60.2", "gpt-4 74.4", "med-palm-2 79.2"):
        assert value in rows.loc[500, "possible_values"]
    assert rows.loc[1000, "all_possible"]
    assert rows.loc[1000, "p_by_chance"] == 1.0  # every value is possible with 1,000 items


def test_a_recalled_value_is_marked_and_does_not_count():
    rows = published(
        {"value": 72.9, "status": "recalled, not found"},
        {"value": 74.4, "system": "gpt-4", "size": ""},
        benchmark="pubmedqa",
    )
    row = eval_fewshot.match_item_sets(rows).set_index("n").loc[500]
    assert row["impossible_values"] == "camel:70b 72.9 (recalled)"
    assert row["all_possible"]
    assert row["p_by_chance"] == pytest.approx(0.5, abs=1e-3)  # one value, half are possible


def test_most_medalpaca_scores_are_possible_with_counts_that_are_stated_nowhere():
    table = data.load_published()
    for step, count in ((1, 91), (2, 109), (3, 123)):
        values = table.loc[table["benchmark"] == f"usmle_self_assessment_step_{step}", "value"]
        best = eval_fewshot.rank_item_counts(values.tolist(), 60, 135).iloc[0]
        assert (best["n"], best["fitting"], best["of"]) == (count, 9, 13)
        assert best["p_by_chance"] < 1e-5


def test_every_published_count_is_that_of_an_item_set():
    table = data.load_published()
    for row in table[table["metric"].eq("accuracy") & table["n"].notna()].itertuples():
        assert row.n in {item_set.n for item_set in find_item_sets(row.benchmark)}
