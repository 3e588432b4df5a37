"""The article before the question: matched by title or id, or an error that names the question."""

import json

import pytest

from clinical_camel import data, eval_fewshot
from clinical_camel.data import Question
from clinical_camel.eval_fewshot import PROTOCOLS, Design
from clinical_camel.eval_fewshot.open_book import check_open_book

BOOK = {"gout": "Gout\n\nCause\nUrate."}
QUESTION = Question(id="q", question="What is it?", options=["x", "y"], answer=0, group="gout")


def build_prompt(name, llm, **changes):
    question = Question(
        **{"id": "q", "question": "What is it?", "options": ["x", "y"], "answer": 0}
        | {"group": "gout"}
        | changes
    )
    opened = eval_fewshot.make_variant(question, "open_book", 0, BOOK)
    return eval_fewshot.build_prompt(opened, [], PROTOCOLS[name], llm.tokenizer)


def test_the_article_precedes_the_question_in_every_kind_of_prompt(llm):
    article = "Gout\n\nCause\nUrate."
    expected = {
        "option_text": f"Abstract: {article}\nQuestion: What is it?\nAnswer:",
        "cloze": f"Abstract: {article}\nWhat is it?",
        "conversation": f"<s><|user|>{article}\nWhat is it?<|end|><|assistant|>",
    }
    assert {name: build_prompt(name, llm) for name in expected} == expected


def test_an_article_precedes_the_context_of_the_question(llm):
    prompt = build_prompt("option_text", llm, context="A trial.")
    assert prompt.startswith("Abstract: Gout\n\nCause\nUrate.\nA trial.\nQuestion:")


def test_articles_are_found_by_title_and_by_id():
    book = eval_fewshot.read_book("mini_articles")
    assert book["stable angina"] == book["stable-angina"]
    assert book["stable angina"].startswith("stable angina\n\nClinical features\n")


def test_the_article_of_a_shipped_question_states_its_answer():
    book = eval_fewshot.read_book("mini_articles")
    for question in data.load_questions("mini_exam"):
        text = eval_fewshot.make_variant(question, "open_book", 0, book).context
        assert question.options[question.answer].lower() in text.lower()


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"group": "gouty"}, 'title or id "gouty", the group of question q; did you mean gout'),
        ({"group": ""}, "question q has no group"),
    ],
)
def test_a_question_without_an_article_is_an_error(question, message, llm):
    with pytest.raises(ValueError, match=message):
        build_prompt("option_text", llm, **question)


def test_a_missing_article_is_reported_before_anything_runs():
    assert list(check_open_book("mini_articles", ["mini_exam", "mini_exam_reversed"])) == []
    (problem,) = check_open_book("mini_articles_dev", ["mini_exam"])
    assert problem.startswith('open_book: no article has the title or id "')
    assert problem.endswith("(benchmark mini_exam)")
    (problem,) = check_open_book("", ["mini_exam"])
    assert problem.startswith("open_book: is empty, but variants has open_book")
    assert list(check_open_book("outputs/x/articles.jsonl", ["mini_exam"])) == []  # not yet made
    assert list(check_open_book("mini_articles", ["medqa_us"])) == []  # on the hub


def test_a_file_of_articles_can_be_the_book(tmp_path, monkeypatch):
    (tmp_path / "my").mkdir()
    row = {"id": "g", "title": "gout", "sections": [{"heading": "Cause", "text": "Urate."}]}
    (tmp_path / "my/articles.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert eval_fewshot.read_book("my/articles.jsonl")["gout"] == "gout\n\nCause\nUrate."


def test_the_settings_demand_articles_for_the_variant():
    problems = Design.check({"variants": ["open_book"]})
    assert any("open_book: is empty" in problem for problem in problems)
    problems = Design.check({"variants": ["open_book"], "open_book": "mini_articles"})
    assert ["mini_exam_primer" in problem for problem in problems] == [True]
