"""The rule-based teacher: its questions, its answers, its seeds."""

import random

import pytest
from tests.support.toy_dbke import GOUT, QUESTION, plan_requests, synthesise

from clinical_camel import dbke
from clinical_camel.dbke import extractive


def test_the_dialogues_on_an_article_cover_every_section():
    dialogues, _ = synthesise(plan_requests(dialogues=2))
    for dialogue in dialogues:  # three exchanges, three sections: one answer from each
        answers = {m["content"] for m in dialogue.messages if m["role"] == "assistant"}
        headings = [s.heading for s in GOUT.sections for text in answers if text in s.text]
        assert sorted(headings) == ["History", "Symptoms", "Treatment"]


WORDINGS = list(extractive.QUESTIONS.values())


@pytest.mark.parametrize(
    ("heading", "title", "wordings"),
    [
        ("Management", "gout", WORDINGS[2]),
        ("Risk factors", "gout", WORDINGS[3]),
        ("History", "gout", WORDINGS[-1]),
        ("Management", "A trial of one drug in many old people", WORDINGS[-1]),
        ("", "gout", extractive.QUESTIONS_WITHOUT_HEADING),
    ],
)
def test_the_question_follows_the_heading(heading, title, wordings):
    expected = {text.format(heading=heading, title=title) for text in wordings}
    questions = {extractive.ask_about(heading, title, random.Random(i)) for i in range(40)}
    assert questions == expected


def test_equal_seeds_write_equal_dialogues_and_other_seeds_others():
    def write(seed):
        requests = dbke.plan_requests([GOUT], [], 3, 3, seed)
        return [dbke.ExtractiveTeacher().write_reply(request) for request in requests]

    assert write(1) == write(1)
    assert write(1) != write(2)


def test_an_exam_dialogue_gives_the_option_and_then_the_passage():
    dialogues, _ = synthesise(plan_requests([QUESTION], dialogues=0))
    turns = [m["content"] for m in dialogues[0].messages]
    assert turns[0] == "What prevents gout?\n(A) naproxen\n(B) allopurinol"
    assert turns[1] == "allopurinol."
    assert turns[3] == "Allopurinol later prevents it."


def test_sentences_around_a_skipped_one_are_not_joined():
    long = "Word " + "word " * 100 + "end."
    text = f"One short one here. {long} Another short one."
    answers = extractive.cut_answers(text, random.Random(0))
    assert answers == ["One short one here.", "Another short one."]
