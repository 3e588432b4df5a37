"""Tests of data.readers: rows of the hub and of files become our row shapes."""

import json
from collections import Counter
from pathlib import Path

import pytest
from tests.support.rows import LETTERED, write_rows

from clinical_camel import data
from clinical_camel.data import readers
from clinical_camel.data.fields import find_unknown, hash_text


def test_medqa_of_the_hub_and_of_a_file_gives_the_same_question():
    from_hub = LETTERED | {"answer_idx": "B", "answer": "y", "meta_info": "step1"}
    assert readers.read_medqa(from_hub) == readers.read_medqa(LETTERED | {"meta_info": "step1"})
    assert readers.read_medqa(from_hub).answer == 1


def test_the_category_of_medqa_mcmle_is_the_subset_of_a_question(root, monkeypatch):
    """Of the authors, also in a file with answer letters; else ours, if we have one."""
    row = {"question": "Which?", "options": dict(zip("ABCD", "abcd", strict=True))}
    published = row | {"answer": "c", "answer_idx": "C", "meta_info": "儿科"}
    lettered = row | {"answer": "C", "meta_info": "儿科"}
    rows = [published, lettered, row | {"answer": "C", "subset": "medqa_mcmle"}]
    write_rows(root / "Mainland/test.jsonl", rows)
    questions = data.load_questions("medqa_mcmle@Mainland/test.jsonl")
    assert [(q.subset, q.answer) for q in questions] == [("儿科", 2), ("儿科", 2), ("", 2)]
    monkeypatch.setattr(
        readers, "read_mcmle_categories", lambda: {hash_text("Which?"): "paediatrics"}
    )
    write_rows(root / "Mainland/ours.jsonl", rows)
    (*_, ours) = data.load_questions("medqa_mcmle@Mainland/ours.jsonl")
    assert ours.subset == "paediatrics"
    assert find_unknown({"meta_info": "step1"}, readers.read_mmlu) == ["meta_info"]  # not dropped


def test_our_categories_of_medqa_mcmle_are_as_the_docs_say():
    categories = readers.read_mcmle_categories()
    counts = Counter(categories.values())
    text = " ".join(
        (Path(__file__).parents[2] / "docs/exams.md").read_text(encoding="utf-8").split()
    )
    assert f"into {len(counts)} categories of ours" in text
    assert f"{counts['other']} questions are *other*" in text
    assert f"({len(categories):,} rows: five questions occur twice" in text


def test_medqa_with_five_options_is_read_from_the_authors_file(root):
    options = dict(zip("ABCDE", "abcde", strict=True))
    row = {"question": "Which?", "answer": "e", "options": options, "answer_idx": "E"}
    write_rows(
        root / "US/test.jsonl", [row, row | {"question": "Who?", "answer": "a", "answer_idx": "A"}]
    )
    first, second = data.load_questions("medqa_us_5_options@US/test.jsonl")
    assert (len(first.options), first.answer, second.answer) == (5, 4, 0)
    assert first.id == "medqa-us-5-test-0000"
    write_rows(root / "US/train.jsonl", [row])
    (training,) = data.load_training_questions("medqa_us_5_options_train@US/train.jsonl")
    assert training.id == "medqa-us-5-train-00000"
    with pytest.raises(data.DataError, match="medqa_us_5_options is not on the hub"):
        data.load_questions("medqa_us_5_options")


def test_training_questions_of_medqa_become_dialogues(root):
    options = dict(zip("ABCDE", ("one", "two", "three", "four", "five"), strict=True))
    row = {"question": "Which?", "answer": "two", "options": options, "answer_idx": "B"}
    write_rows(root / "Mainland/train.jsonl", [row | {"meta_info": "x"}])
    (dialogue,) = data.load_training_rows("medqa_mcmle_dialogues@Mainland/train.jsonl")
    assert (dialogue.id, dialogue.source) == ("medqa-mcmle-train-00000", "medqa_mcmle_dialogues")
    question, reply = (message["content"] for message in dialogue.messages)
    assert question == "Which?\nA. one\nB. two\nC. three\nD. four\nE. five"
    assert reply == "B. two"
    write_rows(root / "Mainland/train.jsonl", [row | {"answer_idx": "F"}])
    with pytest.raises(data.DataError, match="'F' is not one of the options A, B, C, D, E"):
        data.load_training_rows("medqa_mcmle_dialogues@Mainland/train.jsonl")


@pytest.mark.parametrize(
    ("text", "suspected"),
    [
        ("Her ECG is shown below. What is it?", True),
        ("A rash is seen on the back (Figure A).", True),
        ("Refer to the exhibit.", True),
        ("患者心电图如图。", True),
        ("The cells are shown to be CD4 positive.", False),
        ("Which figure skater's injury is this?", False),
    ],
)
def test_image_questions_without_a_mark_are_recognised_by_their_words(text, suspected):
    row = LETTERED | {"meta_info": "", "question": text}
    del row["image_suspected"]
    assert readers.read_medqa(row).image_suspected == suspected


def test_medmcqa_counts_its_answers_from_zero():
    row = {"id": "1", "question": "Q", "opa": "a", "opb": "b", "opc": "c", "opd": "d", "cop": 0}
    question = readers.read_medmcqa(row | {"subject_name": "Anatomy", "exp": "Ans. B"})
    assert (question.options, question.answer) == (["a", "b", "c", "d"], 0)
    assert question.subset == "Anatomy"
    assert "Ans" not in json.dumps(data.to_dict(question))


def test_mmlu_of_the_hub_has_choices_and_an_answer_index():
    row = {"id": "1", "question": "Q", "choices": ["a", "b"], "answer": 1, "subject": "anatomy"}
    question = readers.read_mmlu(row)
    assert (question.options, question.answer, question.subset) == (["a", "b"], 1, "anatomy")


def test_pubmedqa_joins_the_abstract_and_drops_the_conclusion():
    row = {
        "pubid": 42,
        "question": "Q",
        "context": {"contexts": ["Why.", "How."], "labels": ["BACKGROUND", "METHODS"]},
        "long_answer": "SECRET",
        "final_decision": "maybe",
    }
    question = readers.read_pubmedqa(row)
    assert question.context == "Why.\nHow."  # without labels, as in lm-evaluation-harness
    lettered = {"options": {"A": "yes", "B": "no", "C": "maybe"}, "answer": "C"}
    row_of_ours = {"id": "42", "question": "Q", "context": "BACKGROUND: Why.\nMETHODS: How."}
    assert readers.read_pubmedqa(row_of_ours | lettered).context == question.context
    assert (question.id, question.options, question.answer) == ("42", ["yes", "no", "maybe"], 2)
    assert "SECRET" not in json.dumps(data.to_dict(question))


def test_pubmedqa_has_500_labelled_test_rows_and_500_training_rows(hub):
    ids = sorted(readers.pubmedqa_train_ids())
    assert len(ids) == 500
    parts = {"contexts": ["Why."], "labels": ["BACKGROUND"]}
    hub["pqa_labeled", "train"] = [
        {"pubid": int(i), "question": "Q", "context": parts, "final_decision": "yes"}
        for i in (ids[0], 1, 2)
    ]
    assert [q.id for q in data.load_questions("pubmedqa_test")] == ["1", "2"]
    assert [q.id for q in data.load_training_questions("pubmedqa_labelled_train")] == [ids[0]]
    assert len(data.load_questions("pubmedqa")) == 3  # all labelled rows, as in 2023


def test_missing_options_of_a_usmle_item_are_dropped(hub):
    options = {"A": "x", "B": "y", "C": "z", "D": None, "E": None}
    hub["", "test"] = [{"question": "Q", "options": options, "answer_idx": "C", "answer": "z"}]
    (row,) = data.load_questions("usmle_self_eval_step1")
    assert (row.id, row.options, row.answer) == ("usmle_self_eval_step1-000", ["x", "y", "z"], 2)


def test_a_repeated_question_gets_the_same_group_for_any_order_of_its_options():
    swapped = LETTERED | {"id": "m2", "options": {"A": "y", "B": "x", "C": "z"}, "answer": "A"}
    other = LETTERED | {"id": "m3", "question": "Why?"}
    groups = [readers.read_mmlu(row).group for row in (LETTERED, swapped, other)]
    assert groups[0] == groups[1] != groups[2]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"answer": "D"}, "answer 'D' is not one of the options A, B, C"),
        ({"options": {"A": "x", "C": "y"}}, "options should be named A, B"),
        ({"options": ["x", "y"]}, "options should be an object, is list"),
        ({"question": None}, "question should be text, is null"),
    ],
)
def test_a_faulty_public_row_is_reported_by_line(root, change, problem):
    write_rows(root / "my.jsonl", [LETTERED, LETTERED | {"id": "m2"} | change])
    with pytest.raises(data.DataError, match=f"line 2: {problem}"):
        data.load_questions("medqa_us@my.jsonl")


def test_rows_of_a_file_in_the_schema_of_the_hub_get_ids(root):
    row = {"question": "Q", "choices": ["a", "b"], "answer": 1, "subject": "anatomy"}
    write_rows(root / "my.jsonl", [row, row])
    ids = [question.id for question in data.load_questions("mmlu_medical@my.jsonl")]
    assert ids == ["anatomy-000", "anatomy-001"]


def medquad(number, question, answer="A", **more):
    return {
        "document_id": number,
        "document_source": "CDC",
        "document_url": "http://www.cdc.gov/a_b.html",
        "question_focus": "Measles",
        "question": question,
        "answer": answer,
    } | more


def test_medquad_pages_become_articles_without_withheld_answers(hub):
    hub["", "train"] = [medquad("1", "What?"), medquad("1", "Why?"), medquad("2", "How?", None)]
    (article,) = data.load_articles("medquad")
    assert (article.id, article.title, article.group) == ("CDC/1", "Measles", "measles")
    assert [section.heading for section in article.sections] == ["What?", "Why?"]


def test_a_medquad_page_without_a_focus_gets_its_address_as_title():
    assert readers.read_medquad(medquad("1", "What?", question_focus="")).title == "a b"


def test_a_faulty_medquad_row_affects_no_other_page(hub):
    hub["", "train"] = [medquad("1", None), medquad("2", "Why?"), medquad("3", "How?")]
    with pytest.warns(UserWarning, match="row 1: question should be text"):
        articles = data.load_articles("medquad")
    assert [article.id for article in articles] == ["CDC/2", "CDC/3"]


def test_openstax_is_split_at_its_headings():
    row = {"id": "1", "title": "T", "chapter": "C", "sections": ["Introduction", "One", "Two"]}
    row |= {"text": "Before.\nOne\nFirst.\nTwo\nSecond.", "chapter_review": None}
    pairs = [(section.heading, section.text) for section in readers.read_openstax(row).sections]
    assert pairs == [("Introduction", "Before."), ("One", "First."), ("Two", "Second.")]
    with pytest.raises(ValueError, match="heading 'Three' is not a line"):
        readers.read_openstax(row | {"sections": ["Introduction", "One", "Two", "Three"]})
