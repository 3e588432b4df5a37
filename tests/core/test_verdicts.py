"""Verdicts and conclusions of the controlled comparison, as its preregistration has them."""

import re

import pytest

from clinical_camel.controlled_comparison.settings import Comparison
from clinical_camel.core import verdicts
from clinical_camel.core.paths import root

PAGE = (root() / "experiments" / "preregistration.md").read_text(encoding="utf-8")


def test_every_conclusion_is_a_row_of_the_preregistration_and_every_row_is_there():
    table = PAGE.split("| verdicts | conclusion |")[1].split("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if "`" in line]
    written = " ".join(conclusion for _, conclusion in rows)
    for needed, text in verdicts.CONCLUSIONS:
        assert text.removeprefix("masking the questions ") in written
        assert needed.keys() <= set(Comparison().contrasts)
    matches = [re.findall(r"`(\w+)` \N{MINUS SIGN} `(\w+)`", condition) for condition, _ in rows]
    pairs = [{" - ".join(pair) for pair in row} for row in matches]
    ours = [set(needed) for needed, _ in verdicts.CONCLUSIONS]
    assert all(pair in ours for pair in pairs)
    assert all(pair in pairs for pair in ours)


@pytest.mark.parametrize(
    ("raw", "monologue", "qa", "unmasked", "conclusions"),
    [
        ("helps", "helps", "hurts", "cannot tell", ["dialogues teach more, and order"]),
        ("helps", "no effect larger than 5 points", "", "", ["order and repetition of the sent"]),
        ("cannot tell", "helps", "no effect larger than 5 points", "", ["questions matter"]),
        ("no effect larger than 5 points", "", "", "helps", ["on this exam", "masking the qu"]),
        ("hurts", "", "", "hurts", ["on this exam", "masking the questions is worth it"]),
        ("helps", "cannot tell", "cannot tell", "cannot tell", []),
    ],
)
def test_conclusions_follow_from_the_verdicts(raw, monologue, qa, unmasked, conclusions):
    by_name = {"dialogue - raw": raw, "dialogue - monologue": monologue}
    by_name |= {"dialogue - qa": qa, "unmasked - dialogue": unmasked}
    result = verdicts.list_conclusions(by_name)
    assert len(result) == len(conclusions)
    assert all(text.startswith(start) for text, start in zip(result, conclusions, strict=True))
    sentence = verdicts.describe_conclusions(by_name)
    assert ("None of the conclusions" in sentence) == (not conclusions)


def test_an_interval_beyond_an_effect_that_is_ruled_out_is_explained():
    no_effect = verdicts.name_no_effect(0.05)
    assert "90 % interval" in verdicts.describe_equivalence(no_effect, 0.01, 0.052, 0.05)
    assert "90 % interval" in verdicts.describe_equivalence(no_effect, -0.052, 0.01, 0.05)
    assert verdicts.describe_equivalence("helps", 0.01, 0.2, 0.05) == ""
