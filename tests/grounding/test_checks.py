"""Tests of the kinds of errors that grounding.linking must notice, and of paraphrases that pass."""

import pytest
from tests.support.visit import visit

from clinical_camel import grounding

TB = visit(
    "P: I am a woman of 51. I have had a chronic cough with night sweats for three weeks.",
    "D: I think that you have tuberculosis.",
    "P: What does that come from?",
    "D: It comes from an inhaled slow-growing Mycobacterium.",
    "D: I will arrange a chest X-ray.",
)
KNEE = visit(
    "P: My left knee hurts, and my right hip clicks since the fall.",
    "D: Since when?",
    "P: The knee for two weeks, the hip for three months.",
    "D: You take metformin 500 mg and lisinopril 10 mg.",
    "P: Yes, the metformin twice a day and the lisinopril once a day.",
    "D: The left knee is swollen, and the right hip is fine.",
)


def verdict(sentence: str, source) -> tuple[str, tuple[str, ...]]:
    link = grounding.link_sentences([sentence], source)[0]
    return link.verdict, link.reasons


@pytest.mark.parametrize(
    ("sentence", "word"),
    [
        ("Frinkia, from an inhaled Mycobacterium.", "frinkia"),
        ("Brion abscess, from an inhaled slow-growing Mycobacterium.", "brion"),
        ("Stiffones oncolled, from an inhaled Mycobacterium.", "oncolled"),
        ("Thchorrh disease from an inhaled Mycobacterium.", "thchorrh"),
        ("Saestaria, cough and night sweats.", "saestaria"),
        ("Chronic cough with velmontosis.", "velmontosis"),
        ("Arrange a chest X-ray and a gribblescan.", "gribblescan"),
        ("Woman of 51 with zorbic cough.", "zorbic"),
        ("Tuberculosis, to be treated with quanthrexol.", "quanthrexol"),
        ("Sarcoidosis, from an inhaled Mycobacterium.", "sarcoidosis"),
        ("Pneumonia, from an inhaled Mycobacterium.", "pneumonia"),
        ("Psoriasis with cough and night sweats.", "psoriasis"),
        ("Chronic cough due to asthma.", "asthma"),
        ("Tuberculosis and diabetes.", "diabetes"),
        ("Lung cancer with cough and night sweats.", "cancer"),
    ],
)
def test_a_word_or_a_diagnosis_that_nobody_named_is_unsupported(sentence, word):
    actual, reasons = verdict(sentence, TB)
    assert actual == "unsupported"
    assert any(word in reason.lower() for reason in reasons), reasons


@pytest.mark.parametrize(
    "sentence",
    [
        "Left knee pain and locking.",
        "Left knee pain and tingling.",
        "Left knee pain with swelling, redness.",
        "Left knee pain, fever.",
        "Left knee pain and numbness.",
        "Left knee pain and night sweats.",
        "Left knee pain, buckling.",
        "Left knee pain or stiffness.",
        "Left knee is swollen and warm.",
        "Right hip clicks, and dizziness.",
        "Right hip clicks and limping.",
        "Right hip clicks and nausea.",
        "Takes metformin, lisinopril and warfarin.",
        "Takes metformin, lisinopril and Eliquis.",
        "Left knee pain as well as headache.",
    ],
)
def test_an_added_finding_needs_support_of_its_own(sentence):
    assert verdict(sentence, KNEE)[0] == "unsupported"


@pytest.mark.parametrize(
    "sentence",
    [
        "Takes metformin 10 mg and lisinopril 500 mg.",
        "Takes lisinopril 500 mg and metformin 10 mg.",
        "Takes 10 mg of metformin and 500 mg of lisinopril.",
        "Takes metformin and lisinopril, 10 and 500 mg respectively.",
        "Lisinopril 500 mg.",
        "Metformin 10 mg.",
        "Metformin once a day and lisinopril twice a day.",
        "Lisinopril twice a day.",
        "Right knee pain, left hip clicks.",
        "Right knee pain.",
        "Pain in the right knee.",
        "Left hip clicks.",
        "The right knee is swollen, and the left hip is fine.",
        "Both knees are swollen.",
        "Knee pain for three months, hip clicks for two weeks.",
        "Hip clicks for two weeks.",
        "Knee pain for three months.",
    ],
)
def test_doses_sides_and_times_swapped_within_a_sentence_are_contradicted(sentence):
    actual, reasons = verdict(sentence, KNEE)
    assert actual == "contradicted", reasons


WHO = visit(
    "D: Does anyone in the family have an illness?",
    "P: My mother has asthma, and my father had a stroke.",
    "D: And you?",
    "P: I have diabetes. I had eczema as a child.",
    "D: If you develop fever, come back.",
    "D: It is possible pneumonia. Gout was ruled out. You have bronchitis.",
)


@pytest.mark.parametrize(
    ("sentence", "expected", "kind"),
    [
        ("Her mother has asthma.", "supported", ""),
        ("Patient has asthma.", "contradicted", "who"),
        ("Asthma.", "contradicted", "who"),
        ("Father had a stroke.", "supported", ""),
        ("She had a stroke.", "contradicted", "who"),
        ("Has diabetes.", "supported", ""),
        ("Her mother has diabetes.", "contradicted", "who"),
        ("Family history of diabetes.", "contradicted", "who"),
        ("FHx: asthma, stroke.", "supported", ""),
        ("FHx: diabetes.", "contradicted", "who"),
        ("Her sister has asthma.", "unsupported", "who"),
        ("Grandmother has diabetes.", "contradicted", "who"),
        ("Eczema as a child.", "supported", ""),
        ("She has eczema.", "unsupported", "when"),
        ("Diabetes as a child.", "unsupported", "when"),
        ("Come back if fever.", "supported", ""),
        ("Fever.", "unsupported", "whether"),
        ("No fever.", "unsupported", "whether"),
        ("Possible pneumonia.", "supported", ""),
        ("Pneumonia.", "unsupported", "whether"),
        ("Bronchitis.", "supported", ""),
        ("Possible bronchitis.", "unsupported", "whether"),
        ("Gout was ruled out.", "supported", ""),
        ("Gout.", "contradicted", "symptom"),
        ("Bronchitis was ruled out.", "contradicted", "negation"),
        ("No diabetes.", "contradicted", "negation"),
    ],
)
def test_who_when_and_whether_belong_to_a_fact(sentence, expected, kind):
    actual, reasons = verdict(sentence, WHO)
    assert actual == expected, reasons
    assert not kind or any(reason.startswith(f"{kind}: ") for reason in reasons), reasons


@pytest.mark.parametrize(
    "sentence",
    [
        "Sore throat and runny nose since Monday.",
        "Burns on both hands from hot oil.",
        "Works as a truck driver.",
        "The rash itches at night.",
        "Depression, controlled with sertraline.",
        "Allergic to penicillin.",
        "Had her appendix removed in 2009.",
        "Lives with two cats.",
        "Drinks a glass of wine on Sundays.",
        "Blood pressure is 180/110.",
        "Urine dipstick shows blood.",
        "Will order an MRI of the brain.",
        "Echocardiogram shows a reduced ejection fraction.",
        "Wears contact lenses.",
        "Pregnant in the second trimester.",
    ],
)
def test_a_sentence_true_of_another_patient_is_unsupported(sentence):
    assert verdict(sentence, KNEE)[0] == "unsupported"


SPOKEN = visit(
    "D: Good morning, sir. What brings you in?",
    "P: I've been throwing up, my belly hurts, and I can't catch my breath when I walk.",
    "D: Any fever, chills or chest pain?",
    "P: No, nothing like that.",
    "D: Do you take anything?",
    "P: Just Tylenol and my water pill. My mom had a heart attack.",
    "D: Lungs sound clear, and the heart exam is normal. Your blood pressure is 140 over 90.",
    "D: I want you to stop the ibuprofen. I'll start you on omeprazole 20 milligrams every day.",
    "P: Okay. It's been about the same for two weeks, and I still smoke half a pack a day.",
)


@pytest.mark.parametrize(
    "sentence",
    [
        "Vomiting and abdominal pain.",
        "The patient reports vomiting.",
        "Dyspnea when walking.",
        "Denies fever, chills, or chest pain.",
        "No fevers or chills.",
        "Takes acetaminophen.",
        "His mother had a myocardial infarction.",
        "Lungs are clear.",
        "Cardiac exam is normal.",
        "BP 140/90.",
        "Discontinue ibuprofen.",
        "Start omeprazole 20 mg daily.",
        "Omeprazole 20 mg q.d. was prescribed.",
        "Unchanged for 2 weeks.",
        "Symptoms have been unchanged for 14 days.",
        "He smokes 0.5 packs per day.",
        "The patient understands and agrees with the plan.",
        "All questions were answered.",
        "He is a male patient who presents with vomiting.",
        "I have recommended omeprazole 20 mg.",
    ],
)
def test_the_same_in_other_words_is_supported(sentence):
    actual, reasons = verdict(sentence, SPOKEN)
    assert actual == "supported", reasons
