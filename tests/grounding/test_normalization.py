"""Tests of grounding.normalization and grounding.shorthand: notes in plain words."""

import pytest

from clinical_camel.grounding.normalization import normalize_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("76 y/o pt c/o CP", "76 year old pt complains of chest pain"),
        ("s/p MI, h/o HTN", "status post myocardial infarction, history of hypertension"),
        ("w/ fever, w/o chills", "with fever, without chills"),
        ("r/o PE", "rule out pulmonary embolism"),
        ("HTN/DM", "hypertension/diabetes mellitus"),
        ("b/l edema, N/V", "bilateral edema, nausea, vomiting"),
        ("q.h.s. PRN", "qhs as needed"),
        ("he has c o p d", "he has chronic obstructive pulmonary disease"),
        ("upper G I bleed", "upper gastrointestinal bleed"),
        ("two CVAs", "2 stroke"),
        ("Abdomen non-tender", "abdomen not tender"),
        ("He hasn't", "he has not"),
        ("Dr. Lee", "dr lee"),
        # what only looks like shorthand
        ("PE: normal", "pe: normal"),
        ("CVA tenderness", "cva tenderness"),
        ("Jane Doe", "jane doe"),
        ("ha, he said", "ha, he said"),
        ("the half-life", "the half-life"),
        ("[12,13]", "[12,13]"),
        ("24/7", "24/7"),
        ("at this point five patients", "at this point 5 patients"),
        ("once you are done", "once you are done"),
    ],
)
def test_shorthand_is_spelled_out_and_nothing_else(text, expected):
    assert normalize_text(text) == expected
