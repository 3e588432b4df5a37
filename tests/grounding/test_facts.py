"""Tests of grounding.facts: canonical values, negation, questions and answers."""

import pytest
from tests.support.visit import VISIT, visit

from clinical_camel import grounding


def find_facts(text: str) -> list[tuple[str, str]]:
    return [(fact.kind, fact.value) for fact in grounding.extract_facts(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("twenty M G", ("dose", "20 mg")),
        ("0.5 g", ("dose", "0.5 g")),
        ("every six hours", ("frequency", "4/day")),
        ("b.i.d.", ("frequency", "2/day")),
        ("x6/day", ("frequency", "6/day")),
        ("3/7 hx", ("duration", "3 day")),
        ("a couple of weeks", ("duration", "2 week")),
        ("one hundred and one", ("number", "101")),
        ("1,200", ("number", "1200")),
        ("30 percent", ("number", "30%")),
        ("43 y/o", ("age", "43 year")),
        ("threw up", ("symptom", "vomiting")),
        ("no chest pains", ("negation", "chest pain")),
        ("on Lasix", ("medication", "furosemide")),
        ("trouble seeing", ("symptom", "trouble seeing")),
        ("left hip", ("side", "left")),
    ],
)
def test_spoken_and_written_facts_have_the_same_form(text, expected):
    assert expected in find_facts(text)


@pytest.mark.parametrize("text", ["all right, okay", "he left", "Everything is right."])
def test_a_side_without_a_body_part_is_no_fact(text):
    assert [kind for kind, _ in find_facts(text) if kind == "side"] == []


def test_a_negation_ends_with_its_list():
    assert find_facts("Denies fever, cough or nausea and reports headache.") == [
        ("negation", "fever"),
        ("negation", "cough"),
        ("negation", "nausea"),
        ("symptom", "headache"),
    ]


def test_a_fact_has_the_index_of_its_turn():
    units = {fact.value: fact.unit for fact in grounding.extract_facts(VISIT)}
    assert (units["2 week"], units["500 mg"]) == (1, 6)


@pytest.mark.parametrize(
    ("reply", "kind"), [("No.", ["negation"]), ("Yeah, a bit.", ["symptom"]), ("Since May.", [])]
)
def test_a_question_has_the_polarity_of_its_answer(reply, kind):
    turns = visit("D: Any fever?", f"P: {reply}")
    assert [fact.kind for fact in grounding.extract_facts(turns) if fact.value == "fever"] == kind


def test_an_answer_applies_to_the_last_question_only():
    turns = visit("D: Any fever? Okay. Any cough?", "P: No.")
    assert [(f.kind, f.value) for f in grounding.extract_facts(turns)] == [("negation", "cough")]
