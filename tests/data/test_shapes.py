"""Tests of data.shapes: rules, round trips, formatted texts."""

import json

import pytest
from tests.support.rows import ARTICLE, CONSULTATION, DIALOGUE, QUESTION, SHAPES

from clinical_camel import data


@pytest.mark.parametrize(("shape", "values"), SHAPES.values(), ids=SHAPES)
def test_a_row_survives_a_round_trip_through_json(shape, values):
    row = data.from_dict(shape, values)
    assert data.from_dict(shape, json.loads(json.dumps(data.to_dict(row)))) == row


def test_an_article_among_rows_that_must_be_dialogues_is_named():
    dialogue = data.from_dict(data.Dialogue, DIALOGUE)
    article = data.from_dict(data.Article, ARTICLE)
    assert data.require_dialogues([dialogue], "prompts: x") == [dialogue]
    with pytest.raises(data.DataError, match=f"prompts: x: {article.id} is an article"):
        data.require_dialogues([dialogue, article], "prompts: x")


@pytest.mark.parametrize(("shape", "values"), SHAPES.values(), ids=SHAPES)
def test_missing_and_extra_fields_are_both_reported(shape, values):
    changed = {name: value for name, value in values.items() if name != "id"} | {"idd": "x"}
    with pytest.raises(data.DataError, match=r"field id is missing; field idd is not part of"):
        data.from_dict(shape, changed)


@pytest.mark.parametrize(
    ("shape", "values", "problem"),
    [
        (data.Question, QUESTION | {"id": 7}, "id should be text, is 7"),
        (data.Question, QUESTION | {"answer": "B"}, 'answer should be a whole number, is "B"'),
        (data.Question, QUESTION | {"answer": True}, "answer should be a whole number, is true"),
        (data.Question, QUESTION | {"answer": 2}, "answer 2 is not an index of the 2 options"),
        (data.Question, QUESTION | {"answer": -1}, "answer -1 is not an index"),
        (data.Question, QUESTION | {"question": " "}, "question is empty"),
        (data.Question, QUESTION | {"options": ["x", ""]}, r"options\[1\] is empty"),
        (data.Question, QUESTION | {"options": ["x", None]}, r"options\[1\] should be text"),
        (data.Question, QUESTION | {"options": ["x"], "answer": 0}, "2 to 10 options"),
        (data.Question, QUESTION | {"options": list("abcdefghijk")}, "2 to 10 options"),
        (data.Article, ARTICLE | {"title": ""}, "title is empty"),
        (data.Article, ARTICLE | {"sections": []}, "no section has text"),
        (data.Article, ARTICLE | {"sections": [{"heading": "H", "text": " \n"}]}, "no section has"),
        (
            data.Article,
            ARTICLE | {"sections": [{"text": "x"}]},
            r"sections\[0\].heading is missing",
        ),
        (data.Consultation, CONSULTATION | {"note": "\n"}, "note is empty"),
        (
            data.Consultation,
            CONSULTATION | {"turns": CONSULTATION["turns"][:1]},
            "at least 2 turns",
        ),
    ],
)
def test_an_unusable_row_is_rejected_with_its_problem(shape, values, problem):
    with pytest.raises(data.DataError, match=problem):
        data.from_dict(shape, values)


USER, ASSISTANT = DIALOGUE["messages"]
SYSTEM = {"role": "system", "content": "Be kind."}


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([], "are none"),
        ([USER], "are user"),
        ([ASSISTANT, USER], "are assistant, user"),
        ([USER, ASSISTANT, SYSTEM], "after an optional system"),
        ([{"role": "user"}], "should have role and content"),
        ([USER | {"role": "bot"}], 'should be one of system, user, assistant, is "bot"'),
        ([USER, ASSISTANT | {"content": " "}], r"messages\[1\] is empty"),
    ],
)
def test_unusable_messages_are_rejected_with_their_problem(messages, problem):
    with pytest.raises(data.DataError, match=problem):
        data.from_dict(data.Dialogue, DIALOGUE | {"messages": messages})


@pytest.mark.parametrize(
    ("shape", "values"),
    [  # 21 rows of MedMCQA have two equal options; without them it would be another benchmark
        (data.Question, QUESTION | {"options": ["x", "x"]}),
        (data.Dialogue, DIALOGUE | {"messages": [SYSTEM, USER, ASSISTANT]}),
    ],
)
def test_equal_options_and_a_system_message_are_accepted(shape, values):
    assert data.to_dict(data.from_dict(shape, values)).items() >= values.items()


def test_content_hash_depends_on_every_field():
    row = data.from_dict(data.Question, QUESTION)
    changed = [{"answer": 0}, {"options": ["y", "x"]}, {"context": "c"}, {"image_suspected": True}]
    hashes = {data.content_hash(data.from_dict(data.Question, QUESTION | new)) for new in changed}
    assert len(hashes | {data.content_hash(row)}) == 5


def test_a_formatted_question_starts_with_its_context():
    question = data.Question(id="1", question="Q?", options=["a", "b"], answer=0, context="Text.")
    assert data.format_question(question) == "Text.\nQ?\n(A) a\n(B) b"


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ("Article", "T\n\nWords."),
        ("Dialogue", "Hi\nHello"),
        ("Question", "Which?\n(A) x\n(B) y\ny"),
        ("Consultation", "Hi\nOw\nPain."),
    ],
)
def test_a_formatted_row_has_every_text_that_a_model_trains_on(shape, text):
    assert data.format_row(data.from_dict(*SHAPES[shape])) == text
