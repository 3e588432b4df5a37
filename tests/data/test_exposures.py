"""Statements of a fact in training rows, counted by hand in the comments."""

import pytest
from tests.support.project import make_messages

from clinical_camel import data
from clinical_camel.data import Article, Dialogue, Question, Section

CAUSE = Question(
    id="gout-cause",
    question="What causes gout?",
    options=["a virus", "uric acid crystals"],
    answer=1,
    group="gout",
)
DRUG = Question(
    id="gout-drug", question="What treats it?", options=["naproxen", "rest"], answer=0, group="gout"
)
OTHER = Question(
    id="mumps-cause", question="What?", options=["a virus", "salt"], answer=0, group="mumps"
)
QUESTIONS = [CAUSE, DRUG, OTHER]


def make_dialogue(*turns):
    return Dialogue(id="d", source="article", messages=make_messages(*turns))


def make_article(title, *sections):
    parts = [Section(heading=heading, text=text) for heading, text in sections]
    return Article(id="a", title=title, sections=parts)


def count(*rows, **more):
    return list(data.count_exposures(rows, QUESTIONS, **more).values())


def test_an_answer_states_a_fact_if_its_exchange_names_the_condition():
    # cause: in both answers, the second with other case and punctuation; drug: in the second only
    named = make_dialogue(
        "What is gout?", "Uric acid crystals.", "Gout?", "Uric-acid crystals; naproxen."
    )
    assert count(named) == [2, 1, 0]
    # the first exchange names gout, the second does not
    assert count(make_dialogue("Gout?", "It hurts.", "And why?", "Uric acid crystals.")) == [
        0,
        0,
        0,
    ]
    assert count(make_dialogue("And why?", "In gout, uric acid crystals.")) == [1, 0, 0]


def test_a_value_of_another_condition_or_a_part_of_a_word_does_not_count():
    assert count(make_dialogue("What causes gout?", "Not a virus.")) == [0, 0, 0]
    assert count(make_dialogue("What causes mumps?", "A virus. A virus!")) == [0, 0, 2]
    assert count(make_dialogue("What treats gout?", "Naproxenoid, uric acids crystals")) == [
        0,
        0,
        0,
    ]
    assert count(make_dialogue("Is goutweed a herb?", "Naproxen.")) == [0, 0, 0]


def test_turns_of_the_user_count_only_if_they_have_loss():
    row = make_dialogue("Is gout from uric acid crystals?", "Yes, uric acid crystals.")
    assert count(row) == [1, 0, 0]
    assert count(row, loss_on="all") == [2, 0, 0]


def test_the_title_or_the_heading_names_the_condition_of_an_article():
    titled = make_article("gout", ("Cause", "Uric acid crystals."), ("Drugs", "Naproxen, naproxen"))
    assert count(titled) == [1, 2, 0]
    headed = make_article("joints", ("Gout", "Naproxen."), ("Mumps", "Naproxen, or a virus."))
    assert count(headed) == [0, 1, 1]


def test_a_repeated_row_counts_each_time_and_a_system_turn_is_no_exchange():
    row = make_dialogue("Gout?", "Naproxen.")
    system = Dialogue(
        id="s",
        source="article",
        messages=[{"role": "system", "content": "Naproxen, gout."}, *row.messages],
    )
    assert count(row, row, system) == [0, 3, 0]
    assert count() == [0, 0, 0]


def test_a_question_without_condition_is_an_error():
    question = Question(id="q9", question="Which?", options=["a", "b"], answer=0)
    with pytest.raises(ValueError, match="question 'q9' has no group"):
        data.count_exposures([], [question])
