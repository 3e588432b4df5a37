"""Tests of grounding.words: the words of any note name no disease and no drug."""

from clinical_camel.grounding.terms import find_terms
from clinical_camel.grounding.words import load_note_words


def test_no_word_that_needs_no_source_names_a_disease_or_a_drug():
    stems = sorted(load_note_words()["note"])
    kinds = {stem: {term.kind for _, _, term in find_terms([stem], [stem])} for stem in stems}
    assert [stem for stem in stems if kinds[stem] & {"condition", "medication"}] == []
