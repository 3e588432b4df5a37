"""Tests of grounding.linking: paraphrases are supported, changed facts are not."""

import pytest
from tests.support.visit import VISIT, visit

from clinical_camel import grounding


@pytest.mark.parametrize(
    "sentence",
    [
        "Cough x 2 weeks.",
        "Cough for 14 days.",
        "The patient denies fever and dyspnea.",
        "Left knee pain.",
        "Takes lisinopril 20 mg daily and acetaminophen.",
        "We will start naproxen 500 mg b.i.d.",
        "Roger is a 62-year-old male.",
        "He has a cough.",
    ],
)
def test_a_paraphrase_is_supported(sentence):
    assert grounding.link_sentences([sentence], VISIT)[0].reasons == ()


@pytest.mark.parametrize(
    ("sentence", "expected", "kind"),
    [
        ("Cough x 3 weeks.", "contradicted", "duration"),
        ("Cough x 2 months.", "contradicted", "duration"),
        ("We will start naproxen 250 mg b.i.d.", "contradicted", "dose"),
        ("We will start naproxen 500 mcg b.i.d.", "contradicted", "dose"),
        ("We will start naproxen 500 mg daily.", "contradicted", "frequency"),
        ("Takes lisinopril 500 mg.", "contradicted", "dose"),  # the dose of the other drug
        ("Right knee pain.", "contradicted", "side"),
        ("The patient reports fever.", "contradicted", "symptom"),
        ("The patient denies cough.", "contradicted", "negation"),
        ("He has a cough and a rash.", "unsupported", "symptom"),
        ("He has a cough and takes warfarin.", "unsupported", "medication"),
        ("Roger is a 26-year-old male.", "contradicted", "age"),
        ("She has a cough.", "contradicted", "sex"),
        ("Edith is a 62-year-old male.", "unsupported", "name"),
    ],
)
def test_a_changed_fact_is_detected_and_reported(sentence, expected, kind):
    link = grounding.link_sentences([sentence], VISIT)[0]
    assert link.verdict == expected
    assert any(reason.startswith(f"{kind}: ") for reason in link.reasons), link.reasons


def test_a_sentence_on_another_subject_has_too_few_words():
    link = grounding.link_sentences(["A violin teacher recommended the mountains."], VISIT)[0]
    assert (link.verdict, link.sources) == ("unsupported", ())
    assert link.reasons[0].startswith("words: 0%")


def test_the_sources_are_the_sentences_with_the_words_best_first():
    source = ["Rest helps.", "Naproxen relieves acute gout.", "Drink enough water."]
    sentence = "Naproxen relieves acute gout, and so does enough water."
    assert grounding.link_sentences([sentence], source)[0].sources == (1, 2)


QUESTION = visit("D: okay and do you have any fever", "P: no")  # without a question mark
WARNING = visit("D: Come back if you get a fever.")
GENES = ["The disease is caused by changes in any of 5 genes.", "It affects 10 people a year."]
GOUT = ["Naproxen is recommended in acute gout of the foot."]
SIDES = ["The left knee is swollen.", "The right knee is swollen.", "The left hip is sore."]


@pytest.mark.parametrize(
    ("sentence", "source", "expected"),
    [
        ("Denies fever.", QUESTION, "supported"),
        ("Fever.", QUESTION, "contradicted"),
        ("Come back if fever.", WARNING, "supported"),
        ("No fever.", WARNING, "unsupported"),
        (GENES[0], GENES, "supported"),
        ("The disease is caused by changes in any of 10 genes.", GENES, "contradicted"),
        ("In acute gout, naproxen is recommended.", GOUT, "supported"),
        ("In acute gout, naproxen is not recommended.", GOUT, "contradicted"),
        ("Both knees are swollen.", SIDES, "supported"),
        ("The bilateral hip is sore.", SIDES, "contradicted"),
        ("Start zorbexin 20 mg.", ["Start lisinopril 20 mg."], "unsupported"),  # an unlisted drug
    ],
)
def test_numbers_polarity_and_sides_are_compared_in_context(sentence, source, expected):
    assert grounding.link_sentences([sentence], source)[0].verdict == expected


def test_facts_that_a_note_omits_are_not_covered():
    facts = grounding.extract_facts(VISIT)
    note = ["Cough x 2 weeks, left knee pain.", "No fever.", "Naproxen 500 mg twice daily."]
    covered = grounding.find_covered(facts, note)
    omitted = {f.value for f, is_covered in zip(facts, covered, strict=True) if not is_covered}
    assert {"lisinopril", "acetaminophen", "20 mg", "dyspnea", "62 year"} <= omitted
    assert not {"naproxen", "500 mg", "2/day", "cough", "fever", "left", "2 week"} & omitted


def test_a_reversed_fact_is_not_covered():
    facts = grounding.extract_facts("No fever. Left knee.")
    assert grounding.find_covered(facts, ["Fever. Right knee."]) == [False, False]


@pytest.mark.parametrize("text", ["", " ", "...", "?!", "120/80", "\x00<script>", "no " * 20_000])
def test_hostile_text_is_processed(text):
    source = visit(f"D: {text}", f"P: {text}")
    assert len(grounding.link_sentences([text, "Gout hurts."], source)) == 2
