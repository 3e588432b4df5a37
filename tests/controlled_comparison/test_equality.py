"""Tests of what differs between the trainings of the arms."""

import pandas as pd
import pytest
from tests.support.toy_comparison import make_design

from clinical_camel.controlled_comparison import equality, settings
from clinical_camel.eval_fewshot import PROTOCOLS

TRAININGS = pd.DataFrame({"arm": ["raw", "qa"], "learning_rate": 4e-3, "batch_size": [4, 17]})


@pytest.fixture
def table():
    rows = [
        {"arm": arm, "format": text, "rows": 90, "steps": 800, "target_tokens": t, "tokens": 2000}
        | {"batch_size": 4, "exposures_mean": 10.0, "exposures_min": least, "exposures_max": 41}
        for arm, text, t, least in [
            ("raw", "plain text with title", 1000, 3),
            ("raw", "plain text with title", 1200, 2),
            ("qa", "chat", 2200, 4),
        ]
    ]
    return equality.tabulate_equality(pd.DataFrame(rows))


def test_readings_are_means_over_runs(table):
    assert table["arm"].tolist() == ["raw", "qa"]
    assert table["target_tokens"].tolist() == [1100, 2200]


def test_the_fewest_and_most_exposures_are_those_of_any_fact_in_any_run(table):
    assert table["exposures_min"].tolist() == [2, 4]
    assert table["exposures_max"].tolist() == [41, 41]
    page = equality.format_equality(table)
    assert page["exposures per fact (fewest to most in a run)"].tolist() == [
        "10.0 (2 to 41)", "10.0 (4 to 41)",
    ]  # fmt: skip
    unknown = table.assign(exposures_mean=float("nan"))
    assert set(equality.format_equality(unknown).iloc[:, -1]) == {""}


def test_the_sentence_gives_each_reading_its_difference(table):
    assert equality.describe_equality(table, TRAININGS, "qa", "raw") == (
        "qa \N{MINUS SIGN} raw: tokens with loss +100 %, tokens seen equal, steps equal, "
        "exposures per fact equal, format chat instead of plain text with title, "
        "rows per step 17 (raw: 4)."
    )


def test_an_arm_without_a_run_has_no_sentence(table):
    assert equality.describe_equality(table, TRAININGS, "qa", "dialogue") == ""


def test_the_page_has_eight_columns_in_readable_units(table):
    page = equality.format_equality(table)
    assert len(page.columns) == 8
    assert page["tokens with loss (thousands)"].tolist() == [1.1, 2.2]


def test_the_arms_in_the_format_of_the_primary_outcome_are_named(table):
    assert equality.describe_formats(table, make_design()) == (
        "The primary outcome (`option_text`) asks in plain text. Arms with this format: `raw`."
    )
    chat = make_design(outcomes={"x": "mini_exam/conversation"}, forgetting="")
    assert equality.describe_formats(table, chat).endswith(
        "asks in chat. Arms with this format: `qa`."
    )


def test_the_names_of_all_protocols_that_ask_in_a_chat_turn_begin_in_the_same_way():
    for name, protocol in PROTOCOLS.items():
        assert name.startswith(settings.CHAT) == protocol.chat
