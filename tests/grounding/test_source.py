"""Tests of grounding.source on how visits are spoken: tags, brief questions, runs, relatives."""

import pytest
from tests.support.visit import visit

from clinical_camel import grounding
from clinical_camel.data import Turn
from clinical_camel.grounding.source import Source

EXAM = visit(
    "D: we have you on the norvasc . and so are you taking it ? is it running high ?",
    "P: I take it. It's fine.",
    "D: you have some gout in the left foot , okay ?",
    "D: okay on your abdominal exam there's no rebound or guarding there is mild tenderness and"
    " your lungs are clear you do have some swelling on the right hand side",
    "D: and chills",
    "P: No.",
    "D: Any weight loss, dizziness or joint pain?",
    "P: No, but I have a lack of energy.",
    "D: tell me about how many wet diapers she has ?",
    "P: around 8 to 10 .",
    "D: your temperature is ninety seven . seven and your pulse is eighty eight",
    "P: I took ibuprofen. My mom is not in great shape.",
    "P: She's got asthma.",
    "P: My dad, I think it's hypothyroidism.",
    "P: I have numbness in my right hand.",
    "P: My back pain is in the lower and mid back, and there is inflammation in my esophagus.",
)


@pytest.mark.parametrize(
    "sentence",
    [
        "Takes Norvasc.",  # "we have you on" asks nothing
        "Gout in the left foot.",  # nor does ", okay?"
        "Mild tenderness.",  # the denial before it has ended
        "Lungs are clear.",
        "No rebound.",
        "Swelling on the right side.",
        "Denies chills.",  # a question without a verb
        "Lack of energy.",  # a finding, not a denial
        "8 to 10 wet diapers.",  # the answer has the number
        "88 bpm.",
        "Temperature 97.7.",
        "Takes NSAIDs.",
        "Her mother has asthma.",  # the next turn goes on about her
        "Father has hypothyroidism.",
        "Right hand numbness.",
        "Back pain, inflammation of the esophagus.",
        "No weight loss.",
    ],
)
def test_what_the_visit_says_in_its_way_is_supported(sentence):
    assert grounding.link_sentences([sentence], EXAM)[0].reasons == ()


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("Reports chills.", "symptom"),
        ("There is rebound.", "negation"),
        ("No tenderness.", "negation"),
        ("Swelling on the left side.", "side"),
        ("Left hand numbness.", "side"),
        ("Takes steroids.", "medication"),  # another class
        ("Temperature 97.2.", "number"),
        ("78 bpm.", "number"),
        ("Has asthma.", "who"),
        ("She has hypothyroidism.", "who"),
        ("Chills are not negative.", "negation"),  # denied twice is affirmed
        ("Arrange an ultrasound showing a between.", "words"),  # breaks off
        ("His daughter takes ibuprofen.", "who"),  # nobody named a daughter
    ],
)
def test_what_it_does_not_say_is_still_detected(sentence, kind):
    link = grounding.link_sentences([sentence], EXAM)[0]
    assert link.verdict != "supported"
    assert any(reason.startswith(f"{kind}: ") for reason in link.reasons), link.reasons


@pytest.mark.parametrize(("speaker", "expected"), [("Dr. Smith", False), ("Mother", True)])
def test_a_relative_speaks_only_if_one_is_no_clinician(speaker, expected):
    source = Source([Turn(speaker=speaker, text="A fever."), Turn(speaker="Patient", text="Yes.")])
    assert source.names("mother") is expected
