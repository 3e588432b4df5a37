"""What the published numbers say alone."""

from fractions import Fraction
from math import ceil, floor

import pandas as pd
import pytest
from scipy.stats import binom
from tests.support.toy_scores import published_rows

from clinical_camel import data, published
from clinical_camel.published.item_sets import chance_of_fit, find_item_sets, is_possible


@pytest.mark.parametrize(
    ("benchmark", "n", "values", "possible", "rounded_twice"),
    [
        ("x", 5, (60.0, 61.0), [True, False], [False, False]),  # 3 of 5, and none
        # 117 of 144 is 81.25: a tie may be rounded up or down
        ("mmlu_college_biology", 144, (81.2, 81.3), [True, True], [False, False]),
        # 65 of 135 is 48.148, rounded to 48.15, to 48.2
        ("mmlu_anatomy", 135, (48.2, 48.5), [False, False], [True, False]),
    ],
)
def test_a_value_is_possible_if_some_k_of_n_rounds_to_it(
    benchmark, n, values, possible, rounded_twice
):
    rows = published_rows(*({"value": value} for value in values), n=n, benchmark=benchmark)
    table = published.assess_published(rows)
    assert table["possible"].tolist() == possible
    assert table["rounded_twice"].tolist() == rounded_twice


def test_exactly_the_roundings_of_k_of_n_are_possible():
    for n in (7, 92, 135, 144):
        possible = {tenths for tenths in range(1001) if is_possible(tenths / 10, n)}
        exact = [Fraction(1000 * k, n) for k in range(n + 1)]
        half = Fraction(1, 2)
        assert possible == {t for k in exact for t in (floor(k), ceil(k)) if abs(t - k) <= half}
        assert chance_of_fit(n) == len(possible) / 1001


def test_a_value_with_two_decimals_is_rejected():
    with pytest.raises(ValueError, match="one decimal"):
        published.assess_published(published_rows({"value": 60.75}))


def test_the_interval_is_that_of_k_of_n_in_percent():
    row = published.assess_published(published_rows()).iloc[0]
    assert [round(row[name], 1) for name in ("low", "high", "half_width")] == [58.0, 63.4, 2.7]
    assert (row["chance"], row["chance_of_fit"]) == (25.0, 1.0)


def test_a_missing_n_is_inferred_if_the_value_is_possible_with_a_single_item_set():
    same = {"benchmark": "usmle_self_assessment_step_1", "n": None}
    rows = published_rows({"value": 47.3}, {"value": 31.9}, {"value": 22.2}, **same)
    table = published.assess_published(rows)  # 91; 91 and 119; none
    assert table["n"].tolist() == [91, pd.NA, pd.NA]
    assert table["n_from"].tolist() == ["inferred", "", ""]
    assert table["low"].isna().tolist() == [False, True, True]


def test_the_pubmedqa_scores_of_the_paper_cannot_share_their_items():
    table = published.match_item_sets(data.load_published())
    rows = table[(table["benchmark"] == "pubmedqa") & (table["shots"] == 5)].set_index("n")
    assert rows.loc[500, "impossible_values"] == "clinical_camel:70b 77.9"
    assert not rows.loc[500, "all_possible"]
    for value in ("gpt-3.5 60.2", "gpt-4 74.4", "med-palm-2 79.2"):
        assert value in rows.loc[500, "possible_values"]
    assert rows.loc[1000, "all_possible"]
    assert rows.loc[1000, "p_by_chance"] == 1.0  # every value is possible with 1,000 items


def test_a_recalled_value_is_marked_and_does_not_count():
    rows = published_rows(
        {"value": 72.9, "status": "recalled, not found"},
        {"value": 74.4, "system": "gpt-4", "size": ""},
        benchmark="pubmedqa",
    )
    row = published.match_item_sets(rows).set_index("n").loc[500]
    assert row["impossible_values"] == "camel:70b 72.9 (recalled)"
    assert row["all_possible"]
    assert row["p_by_chance"] == pytest.approx(0.5, abs=1e-3)  # one value, half are possible


def test_most_medalpaca_scores_are_possible_with_counts_that_are_stated_nowhere():
    table = data.load_published()
    for step, count in ((1, 91), (2, 109), (3, 123)):
        values = table.loc[table["benchmark"] == f"usmle_self_assessment_step_{step}", "value"]
        fitting = {n: sum(is_possible(value, n) for value in values) for n in range(60, 136)}
        assert (max(fitting, key=fitting.get), fitting[count], len(values)) == (count, 9, 13)
        assert binom.sf(fitting[count] - 1, len(values), chance_of_fit(count)) < 1e-5


def test_every_published_count_is_that_of_an_item_set():
    table = data.load_published()
    for row in table[table["metric"].eq("accuracy") & table["n"].notna()].itertuples():
        assert row.n in {item_set.n for item_set in find_item_sets(row.benchmark)}


def test_the_findings_are_in_sentences():
    findings = published.describe_findings(published.match_item_sets(data.load_published()))
    text = "\n".join(findings)
    assert "`pubmedqa`, 5-shot, 4 percentages: 3 fit the 500 questions (test split), by " in text
    assert "chance with p = 0.31, and clinical_camel:70b 77.9 cannot come from them" in text
    stated = "2 fit the 92 questions (without pictures, as stated), by chance with p = 0.34"
    assert f"{stated}; 9 fit the 91 questions (inferred), by chance with p = 2.4e-07" in text
    assert "1 fit the 121 questions (released), by chance with p = 0.54; 6 fit the 122" in text
    assert findings[-1].startswith("Every percentage is possible: ")
    assert "recalled" not in text
