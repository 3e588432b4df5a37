"""Exercises of step 01: right answers, and typical wrong ones with their reasons."""

import pytest

from clinical_camel import data
from clinical_camel.exercises import dialogues
from clinical_camel.exercises.feedback import OPEN, RIGHT, WRONG

TRUTH = dict(zip(dialogues.CLAIMS, ["accepted"] + ["rejected"] * 3 + ["accepted"], strict=True))
RELATION = "The pain makes rest better."
SENTENCES = "Gout is caused by crystals of uric acid. The crystals irritate it. Rest is good."


@pytest.mark.parametrize(
    ("change", "verdict", "part"),
    [
        ({}, RIGHT, "a tick does not mean true"),
        ({RELATION: "rejected"}, WRONG, "4 of 5 are right.\n- The pain makes rest better."),
        ({RELATION: "rejected"}, WRONG, "compares words and facts, not meaning"),
        ({"Drink alcohol.": "accepted"}, WRONG, "The negation is missing."),
        (dict.fromkeys(dialogues.CLAIMS, "accepted"), WRONG, "The dose is another one."),
        ({"Drink alcohol.": "yes"}, WRONG, "'yes' is not one of accepted, rejected."),
        ({"Drink alcohol.": ""}, OPEN, "Missing: Drink alcohol."),
        (dict.fromkeys(dialogues.CLAIMS, ""), OPEN, "for each sentence first"),
    ],
)
def test_predictions_about_the_linked_check(change, verdict, part):
    result = dialogues.grade_linked_check(TRUTH | change)
    assert result.verdict == verdict
    assert part in result.reason


@pytest.mark.parametrize(
    ("text", "verdict", "part"),
    [
        ("", OPEN, "first"),
        ("Which picture would you expect in somebody with stable angina?", WRONG, "the kind"),
        ("Which picture would you expect in a person with stable angina?", WRONG, "Rejected"),
        ("Which picture do you expect in a patient with stable angina?", RIGHT, "lets it pass"),
        ("Which picture would you expect in somebody with gout?", WRONG, "Another disease"),
        ("What are the signs of angina?", WRONG, "Keep at least 70% of the words"),
    ],
)
def test_a_planted_question(text, verdict, part):
    question = data.load_questions("mini_exam")[0]
    result = dialogues.grade_planted_question(text, question)
    assert result.verdict == verdict
    assert part in result.reason


def test_the_hint_of_an_edited_question_is_the_limit_of_the_search():
    question = data.load_questions("mini_exam")[0]
    words = question.question.rstrip("?").split()
    for count in range(1, len(words)):
        edited = " ".join([*words[:count], *["x"] * (len(words) - count)])
        reason = dialogues.grade_planted_question(edited, question).reason
        assert ("Nothing was found" in reason) == (count < 0.7 * len(words)), count


@pytest.mark.parametrize(
    ("sections", "verdict", "part"),
    [
        ({"a": SENTENCES, "b": SENTENCES.replace("Gout", "Pain")}, RIGHT, "sentences occur"),
        ({"a": "", "b": ""}, OPEN, "two sections first"),
        ({"a": SENTENCES}, WRONG, "not 1 section(s) with 3 sentences"),
        ({"a": SENTENCES, "b": "No. Rest. Go. Yes."}, WRONG, "Missing, for example"),
    ],
)
def test_an_article_of_ones_own(sections, verdict, part):
    result = dialogues.grade_article("gout", sections)
    assert result.verdict == verdict
    assert part in result.reason
