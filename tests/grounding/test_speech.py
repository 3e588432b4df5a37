"""Tests of grounding.speech: one word for an expression of speech and its word in notes."""

import pytest

from clinical_camel.grounding.speech import unify_speech


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("about the same", "unchanged"),
        ("my mom", "my mother"),
        ("an m r i", "an mri"),
        ("doctor x y z", "doctor xyz"),
        ("i am a man", "i am a man"),  # words of one letter are not spelled
        ("non-smoker", "not smoke"),
        ("off work", "not work"),
    ],
)
def test_an_expression_gets_the_word_of_notes(spoken, written):
    assert unify_speech(spoken) == written
