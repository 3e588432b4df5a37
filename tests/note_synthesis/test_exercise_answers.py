"""Answers of the exercises, however they were copied."""

import pytest

from clinical_camel.note_synthesis import exercise_answers

SENTENCES = ["It's gout - from crystals.", "Takes ramipril 5 mg.", 'He said "no".', "3 days."]
MISSING = "This sentence is not in the note: copy one exactly."


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("Takes ramipril 5 mg.", SENTENCES[1]),
        ("  takes   RAMIPRIL\u00a05 mg  ", SENTENCES[1]),
        ("\nTakes ramipril\r\n5 mg.", SENTENCES[1]),
        ("- Takes ramipril 5 mg.", SENTENCES[1]),
        ("\u2022 Takes ramipril 5 mg", SENTENCES[1]),
        ("2. Takes ramipril 5 mg.", SENTENCES[1]),
        ("\u2713 Takes ramipril 5 mg. (turn 3, 14)", SENTENCES[1]),
        ("Takes ramipril 5 mg. (no turn)", SENTENCES[1]),
        ("Plan: Takes ramipril 5 mg.", SENTENCES[1]),
        ("Plan:\nTakes ramipril 5 mg.", SENTENCES[1]),
        ('"Takes ramipril 5 mg."', SENTENCES[1]),
        ("It\u2019s gout \u2013 from crystals", SENTENCES[0]),
        ("He said \u201cno\u201d.", SENTENCES[2]),
        ("3 days", SENTENCES[3]),
    ],
)
def test_how_a_sentence_was_copied_does_not_count(answer, sentence):
    assert exercise_answers.match_answer(answer, SENTENCES) == (sentence, "")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("Takes ramipril 50 mg.", MISSING),
        ("Takes ramipril", MISSING),
        ("...", MISSING),
        ("Takes ramipril 5 mg. 3 days. It is so.", "Copy one sentence only."),
        ("\n".join(SENTENCES), "Copy one sentence only."),
        (5, "Write the sentence as text in quotes."),
        (["3 days."], "Write the sentence as text in quotes."),
    ],
)
def test_an_answer_that_is_no_sentence_of_the_note_says_why(answer, message):
    assert exercise_answers.match_answer(answer, SENTENCES) == ("", message)


@pytest.mark.parametrize(
    ("answer", "empty"), [("", True), (" \n", True), (None, True), ("x", False), (0, False)]
)
def test_nothing_is_no_answer(answer, empty):
    assert exercise_answers.is_empty(answer) == empty
