"""Tests of grounding.polarity: claims with the words of the visit, but not its meaning.

Each row: the visit, sentences that it supports, sentences that it does not support.
"""

import pytest
from tests.support.visit import visit

from clinical_camel import grounding

CASES = {
    "what a test denies": (
        ["D: The X-ray shows no fracture."],
        ["X-ray shows no fracture.", "No fracture on X-ray.", "No fracture."],
        ["X-ray shows a fracture.", "Fracture on the X-ray.", "Fracture."],
    ),
    "what a scan denies": (
        ["D: The scan shows no clot."],
        ["No clot on the scan.", "The scan shows no clot."],
        ["The scan shows a clot."],
    ),
    "what an examination denies": (
        ["D: Your knee has no instability."],
        ["No instability of the knee."],
        ["Instability of the knee."],
    ),
    "a denied list ends before a measured item": (
        ["P: I have had a sore throat, no cough, fever up to 39."],
        ["No cough.", "Fever up to 39."],
        ["No fever.", "No sore throat."],
    ),
    "a denied list ends before an item with a time": (
        ["P: No pain, swelling since Monday."],
        ["No pain.", "Swelling since Monday."],
        ["No swelling."],
    ),
    "a denied list with or": (
        ["P: No fever, chills, or night sweats since Monday."],
        ["No fever, chills or night sweats."],
        ["Night sweats.", "Chills."],
    ),
    "a family without it": (
        ["P: No one in my family has had cancer."],
        [],
        ["Family history of cancer.", "Cancer."],
    ),
    "a normal temperature": (
        ["D: Your temperature is 37.2, and your pulse is 88."],
        ["No fever.", "Afebrile, pulse 88.", "Temperature 37.2."],
        ["Fever.", "Febrile."],
    ),
    "a high temperature": (
        ["D: Temperature 39.1."],
        ["Fever.", "Febrile.", "Temperature 39.1."],
        ["No fever.", "Afebrile."],
    ),
    "fever by its lay name": (["P: I had a high temperature."], ["Fever."], ["No fever."]),
    "two relatives": (
        ["P: My brother had a stroke and my sister has asthma."],
        ["Brother had a stroke.", "Sister has asthma."],
        ["Sister had a stroke.", "Brother has asthma."],
    ),
    "a relative of the turn before": (
        ["P: My mother is often ill.", "P: She has asthma."],
        ["Mother has asthma."],
        ["Father has asthma.", "Has asthma."],
    ),
    "the answer about the family ends with the doctor": (
        [
            "D: Does anyone in your family have a bleeding disorder?",
            "P: My brother has haemophilia.",
            "D: The collarbone is not tender.",
        ],
        ["The collarbone is not tender.", "Brother has haemophilia."],
        ["Sister has haemophilia."],
    ),
    "another patient": (
        ["D: The last patient had shingles. You have a contact rash."],
        ["Contact rash."],
        ["Shingles."],
    ),
    "an animal": (["P: I have a dog. He has ringworm."], [], ["The patient has ringworm."]),
    "two years": (
        ["P: I had a stroke in 2019 and a heart attack in 2021."],
        ["Stroke in 2019.", "Heart attack in 2021."],
        ["Stroke in 2021.", "Heart attack in 2019."],
    ),
    "a change of a value": (
        ["D: Your HbA1c went from 8.1 down to 7.2."],
        ["HbA1c fell from 8.1 to 7.2.", "HbA1c is 7.2."],
        ["HbA1c rose from 7.2 to 8.1."],
    ),
    "a day in the answer": (
        ["D: How long have you been coughing?", "P: Since Friday."],
        ["Cough since Friday."],
        ["Cough since Monday."],
    ),
    "an answer that names one of two": (
        ["D: Any chest pain or palpitations?", "P: No chest pain, but my heart does race."],
        ["No chest pain.", "Palpitations."],
        ["Denies palpitations.", "Chest pain."],
    ),
    "a negative question affirmed": (
        ["D: And no blood in the urine?", "P: There was some yesterday."],
        ["Blood in the urine."],
        ["No blood in the urine."],
    ),
    "a fear": (["P: I was worried I had cancer."], [], ["Cancer.", "The patient has cancer."]),
    "a number is no dose": (
        ["P: My sugar was 11 this morning. I take glimepiride."],
        ["Takes glimepiride."],
        ["Takes glimepiride 11 mg."],
    ),
    "a count is no dose": (
        ["P: I take two of the ramipril and 40 of atorvastatin."],
        [],
        ["Ramipril 2 mg."],
    ),
    "a dose without its unit": (
        ["P: I take atorvastatin 40 at night."],
        ["Atorvastatin 40 mg."],
        ["Atorvastatin 20 mg."],
    ),
    "the exact value": (
        ["D: You came for your blood pressure?", "P: At home it is 165 over 95.",
         "D: Your blood pressure is 168 over 96."],
        ["Blood pressure 165 over 95 at home.", "Blood pressure 168 over 96."],
        ["Blood pressure 175 over 95 at home."],
    ),
    "a time in the next turn": (
        ["P: May I swim?", "D: Not for two weeks.", "D: Come back in three months."],
        ["No swimming for two weeks.", "Review in three months."],
        ["No swimming for four weeks."],
    ),
    "an allergy in the answer": (
        ["D: Any allergies?", "P: Penicillin gives me a rash."],
        ["Allergies: penicillin."],
        ["Allergies: latex."],
    ),
    "a part of the body or a test that nobody named": (
        ["D: I will arrange a biopsy of the vessel at your temple."],
        ["Arrange a biopsy of the temple."],
        ["Arrange a biopsy of the tongue.", "Arrange an ultrasound of the temple."],
    ),
    "a man is no scan": (["D: Mr Hill is a man of 50."], ["A man of 50."], ["He had an MRI."]),
    "a word twice": (["D: It is iron deficiency anaemia."], [], ["Deficiency deficiency anaemia."]),
}  # fmt: skip
ROWS = [
    pytest.param(lines, sentence, is_true, id=f"{name}: {sentence}")
    for name, (lines, true, false) in CASES.items()
    for sentence, is_true in [*((s, True) for s in true), *((s, False) for s in false)]
]


@pytest.mark.parametrize(("lines", "sentence", "is_true"), ROWS)
def test_a_claim_is_supported_only_if_it_is_true(lines, sentence, is_true):
    link = grounding.link_sentences([sentence], visit(*lines))[0]
    assert (link.verdict == "supported") == is_true, link.reasons


@pytest.mark.parametrize(
    ("written", "verdict"),
    [
        ("CT angiography showing an intimal flap should be delayed.", "contradicted"),
        ("CT angiography showing an intimal flap should not be delayed.", "supported"),
        ("Insulin for the newborn may be stopped at night.", "contradicted"),
        ("Insulin for the newborn must not be stopped at night.", "supported"),
        ("Insulin for the newborn should be checked at night.", "supported"),
    ],
)
def test_advice_is_compared_by_its_verb_however_many_words_agree(written, verdict):
    source = [
        "CT angiography showing an intimal flap settles the matter and should not be delayed.",
        "Insulin for the newborn must not be stopped at night and should be checked at night.",
    ]
    (link,) = grounding.link_sentences([written], source)
    assert link.verdict == verdict
    assert len(link.reasons) <= 1
