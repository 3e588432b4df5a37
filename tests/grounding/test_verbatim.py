"""Tests of grounding.verbatim: sentence splitting and word-for-word support."""

import pytest

from clinical_camel import grounding


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two.", ["One.", "Two."]),
        ("Give 0.5 mg. Stop!", ["Give 0.5 mg.", "Stop!"]),
        ("See Fig. 2 for it. Then go.", ["See Fig. 2 for it.", "Then go."]),
        ("Smith et al. Found it.", ["Smith et al. Found it."]),
        ('He said "stop." Then he left.', ['He said "stop."', "Then he left."]),
        ("", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text, sentences):
    assert grounding.split_sentences(text) == sentences


def test_a_note_is_split_without_headings_bullets_and_numbers():
    note = "PLAN\n\n1. Rest. Fluids.\n• Neck: Supple.\nFollow up:\nIn 2 weeks.\n3."
    assert grounding.split_note(note) == ["Rest.", "Fluids.", "Supple.", "In 2 weeks."]


def test_a_sentence_with_another_number_is_unsupported():
    assert grounding.find_unsupported("Give 50 mg.", "Give 5 mg. Give 50 ml.") == ["Give 50 mg."]


@pytest.mark.parametrize(
    ("sentence", "supports"),
    [
        ("In gout, allopurinol lowers urate.", True),
        ("In gout, naproxen helps.", False),  # another answer
        ("The drug allopurinol is white.", False),  # no word of the question
    ],
)
def test_a_supporting_passage_has_the_answer_and_a_word_of_the_question(sentence, supports):
    claims = [("What lowers urate in gout?", "allopurinol")]
    assert grounding.find_support(claims, [sentence]) == [sentence if supports else ""]
