"""Tests of grounding.words: words of any note, and garbled words next to real inflections."""

import pytest
from tests.support.visit import visit

from clinical_camel import grounding
from clinical_camel.grounding.terms import find_terms
from clinical_camel.grounding.words import load_note_words

VISIT = visit(
    "P: My chest wall is sore and my knee swells. I cough, and I stopped walking to the shop.",
    "P: The doctor did a biopsy because of an allergy. I feel dizzy, and my skin itches.",
    "D: The tumour is not painful. I will discuss the cholecystectomy, and I like your plan.",
)


@pytest.mark.parametrize(
    "word",
    """wallness kneeful kneement coughation sorement walkness itchhood tumourize dizzinessful
    allergement biopsyness patientness""".split(),  # noqa: SIM905
)
def test_a_garbled_derivation_of_a_word_that_was_said_is_unsupported(word):
    sentence = f"The chest wall and the knee are sore, and she has {word}."
    link = grounding.link_sentences([sentence], VISIT)[0]
    assert f"word: {word} is not in the source" in link.reasons


@pytest.mark.parametrize(
    "word",
    """walls knees coughing coughed walked walks itching tumours dizziness allergies biopsies
    swelling discussed cholecystectomies plans""".split(),  # noqa: SIM905
)
def test_an_inflection_of_a_word_is_known(word):
    reasons = grounding.link_sentences([f"The chest wall is sore, {word}."], VISIT)[0].reasons
    assert not [reason for reason in reasons if reason.startswith("word: ")], reasons


def test_no_word_that_needs_no_source_names_a_disease_or_a_drug():
    stems = sorted(load_note_words()["note"])
    kinds = {stem: {term.kind for _, _, term in find_terms([stem], [stem])} for stem in stems}
    assert [stem for stem in stems if kinds[stem] & {"condition", "medication"}] == []
