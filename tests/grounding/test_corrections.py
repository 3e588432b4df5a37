"""Tests of corrections: what a speaker takes back at once is not said."""

import pytest
from tests.support.visit import visit

from clinical_camel import grounding
from clinical_camel.grounding.corrections import drop_withdrawn

ROWS = [
    (
        ["P: I take twenty, sorry, forty milligrams of citalopram."],
        ["Citalopram 40 mg."],
        ["Citalopram 20 mg."],
    ),
    (
        ["P: It started on Friday, no wait, on Saturday."],
        ["Started on Saturday."],
        ["Started on Friday."],
    ),
    (
        ["P: My right, no, sorry, my left shoulder is stiff."],
        ["Left shoulder stiffness."],
        ["Right shoulder stiffness."],
    ),
    (
        ["P: I have had it for two weeks... I mean, three weeks."],
        ["For 3 weeks."],
        ["For 2 weeks."],
    ),
    (
        ["P: Twice a day, or rather three times a day, of metformin."],
        ["Metformin three times a day."],
        ["Metformin twice a day."],
    ),
    (
        ["D: So digoxin 250 milligrams, sorry, micrograms daily."],
        ["Digoxin 250 micrograms daily."],
        ["Digoxin 250 mg daily."],
    ),
    (
        ["P: The operation was in March, actually no, in April."],
        ["Operation in April."],
        ["Operation in March."],
    ),
    (["P: I take losartan, no wait, lisinopril."], ["Takes lisinopril."], ["Takes losartan."]),
    (["D: So you are fifty-eight?", "P: Yes, since Monday, sorry, Sunday."], ["Since Sunday."], []),
    (
        ["P: My mother, no sorry, my aunt had glaucoma."],
        ["Aunt had glaucoma."],
        ["Mother had glaucoma."],
    ),
    (
        ["P: I'm sorry, I take 20 mg of fluoxetine, I mean, it helps, and 5 mg of zolpidem."],
        ["Fluoxetine 20 mg and zolpidem 5 mg."],
        [],
    ),
    (["P: Sorry, what? The left knee. I mean the right one is fine."], ["Left knee."], []),
    (
        ["P: It hurts on the right, wait, no, the left side."],
        ["Hurts on the left side."],
        ["Hurts on the right side."],
    ),
    (["P: I weigh eighty, no, sorry, ninety kilos."], ["Weight 90 kg."], ["Weighs 80 kg."]),
    (
        ["D: Come back in six weeks, sorry, six months."],
        ["Follow up in 6 months."],
        ["Follow up in 6 weeks."],
    ),
    (
        ["P: My dad, sorry, my brother has epilepsy."],
        ["Brother has epilepsy."],
        ["Father has epilepsy."],
    ),
]


@pytest.mark.parametrize(
    ("lines", "sentence", "is_true"),
    [(lines, s, True) for lines, true, _ in ROWS for s in true]
    + [(lines, s, False) for lines, _, false in ROWS for s in false],
)
def test_the_last_value_counts(lines, sentence, is_true):
    actual = grounding.link_sentences([sentence], visit(*lines))[0]
    assert (actual.verdict == "supported") == is_true, actual.reasons


@pytest.mark.parametrize(
    "text",
    [
        "sorry, what? the left knee. i mean the right one is fine",
        "i take 20 mg of fluoxetine, i mean, it helps, and 5 mg of zolpidem",
        "i'm sorry to hear that. 3 days",
        "i have had it for 2 weeks. i mean it hurts",
        "it hurts on monday and tuesday, sorry",
    ],
)
def test_sorry_and_i_mean_without_another_value_change_nothing(text):
    assert drop_withdrawn(text) == text
