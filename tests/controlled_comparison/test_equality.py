"""Tests of the three readings of an equal training."""

import pandas as pd
import pytest

from clinical_camel.controlled_comparison import equality


@pytest.fixture
def table():
    rows = [
        {"arm": arm, "steps": 800, "target_tokens": t, "tokens": 2000, "exposures_min": low}
        | {"exposures_mean": 10.0, "exposures_max": 20}
        for arm, t, low in [("raw", 1000, 4), ("raw", 1200, 2), ("qa", 2200, 6)]
    ]
    return equality.tabulate_equality(pd.DataFrame(rows))


def test_readings_are_means_over_runs_and_exposures_extremes_over_facts(table):
    raw = table.set_index("arm").loc["raw"]
    assert (raw["runs"], raw["target_tokens"], raw["exposures_min"]) == (2, 1100, 2)


def test_the_sentence_gives_each_reading_its_difference(table):
    assert equality.describe_equality(table, "qa", "raw") == (
        "`qa` compared with `raw`: tokens with loss +100 %, tokens seen equal, steps equal, "
        "exposures per fact equal."
    )


def test_an_arm_without_a_run_has_no_sentence(table):
    assert equality.describe_equality(table, "qa", "dialogue") == ""


def test_the_page_has_few_columns_in_readable_units(table):
    page = equality.format_equality(table)
    assert len(page.columns) <= 7
    assert page["tokens with loss (thousands)"].tolist() == [1.1, 2.2]
    assert page.iloc[0, -1] == "10 (2 to 20)"
