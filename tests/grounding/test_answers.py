"""Tests of grounding.answers: a question supports only together with its answer."""

import pytest
from tests.support.visit import visit

from clinical_camel import grounding
from clinical_camel.data import Turn
from clinical_camel.grounding.answers import is_clinician

HOSPITAL = visit("D: Have you been in hospital before?", "P: Once, for a broken arm.")
WORSE = visit("D: Is it getting better or worse?", "P: About the same.")
ECHO = visit("D: Any fever or chills?", "P: Yes, fever, but no chills.")
LATER = visit("D: Any fever?", "P: Um.", "D: A high temperature?", "P: No, no fever.")
FILLED = visit("D: Do you have a cough?", "P: Sorry?", "P: Yes, I do.")
MANY = visit("D: Any fever? Any cough? Any rash?", "P: No.")
UNANSWERED = visit("D: Any fever?", "P: The bus was late today.", "D: I see.")
WORK = visit("D: Does it stop you from working?", "P: No, I manage.")
STAYED = visit("D: Does it stop you from working?", "P: Yes, I stayed at home.")
SMOKING = visit("D: Do you smoke?", "P: About ten cigarettes a day.")
ASSUMED = visit("D: How long have you had the cough?", "P: Two weeks.")
STOPPED = visit("D: Do you smoke?", "P: I gave up in 2010.")
DENIED = visit("D: No chest pain?", "P: No.")
CONFIRMED = visit("D: So no chest pain?", "P: That's right.")
ALLERGIES = visit("D: Any allergies?", "P: None that I know of.")
ONE_TURN = visit("D: do you have any chest pain no okay", "P: mm-hmm")


@pytest.mark.parametrize(
    ("source", "sentence", "expected"),
    [
        (HOSPITAL, "Never in hospital.", "contradicted"),
        (HOSPITAL, "Once in hospital for a broken arm.", "supported"),
        (WORSE, "Getting worse.", "contradicted"),
        (WORSE, "Getting better.", "contradicted"),
        (WORSE, "Unchanged.", "supported"),
        (ECHO, "Fever, no chills.", "supported"),
        (ECHO, "Chills.", "contradicted"),
        (ECHO, "No fever.", "contradicted"),
        (LATER, "No fever.", "supported"),
        (LATER, "Fever.", "contradicted"),
        (FILLED, "Has a cough.", "supported"),
        (FILLED, "No cough.", "contradicted"),
        (MANY, "No fever, cough or rash.", "supported"),
        (MANY, "Fever.", "contradicted"),
        (UNANSWERED, "Fever.", "unsupported"),
        (UNANSWERED, "No fever.", "unsupported"),
        (WORK, "Still working.", "supported"),
        (STAYED, "Still working.", "contradicted"),
        (SMOKING, "Smokes ten cigarettes a day.", "supported"),
        (SMOKING, "Does not smoke.", "contradicted"),
        (ASSUMED, "Cough for two weeks.", "supported"),
        (STOPPED, "Stopped smoking in 2010.", "supported"),
        (STOPPED, "Smokes.", "contradicted"),
        (DENIED, "No chest pain.", "supported"),
        (DENIED, "Chest pain.", "contradicted"),
        (CONFIRMED, "No chest pain.", "supported"),
        (ALLERGIES, "Allergies: none known.", "supported"),
        (ALLERGIES, "Has allergies.", "contradicted"),
        (ONE_TURN, "No chest pain.", "supported"),
        (ONE_TURN, "Chest pain.", "contradicted"),
    ],
)
def test_a_question_supports_only_with_its_answer(source, sentence, expected):
    link = grounding.link_sentences([sentence], source)[0]
    assert link.verdict == expected, link.reasons


@pytest.mark.parametrize(
    ("speaker", "expected"),
    [(name, True) for name in ("Doctor", "D", "dr", "Dr. Devi", "GP", "nurse 2")]
    + [(name, False) for name in ("Daughter", "Dad", "David", "Patient", "Mr Drew", "")],
)
def test_only_a_clinician_asks_in_a_few_words(speaker, expected):
    turns = [Turn(speaker=speaker, text="And chills."), Turn(speaker="Patient", text="No.")]
    denial = grounding.link_sentences(["No chills."], turns)[0]
    assert is_clinician(speaker) is expected
    assert (denial.verdict == "supported") is expected, denial.reasons
