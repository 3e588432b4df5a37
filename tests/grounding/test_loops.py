"""Texts that repeat themselves."""

import pytest

from clinical_camel.grounding import is_looping


@pytest.mark.parametrize(
    ("text", "looping"),
    [
        ("多喝水，" * 20, True),
        ("Rest. Drink. " * 6, True),
        ("Start cream cream cream cream.", True),
        ("Start cream cream cream.", False),
        ("Pain. Pain at night. No fever. No rash.", False),
        ("", False),
    ],
)
def test_repeated_words_and_sentences_are_a_loop(text, looping):
    assert is_looping(text) == looping
