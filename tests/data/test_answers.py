"""Tests of data.answers: a file whose answers count from 1 is refused as a whole."""

import pytest
from tests.support.rows import LETTERED, QUESTION, write_rows

from clinical_camel import data
from clinical_camel.data import loading

FOUR = ["a", "b", "c", "d"]
OWN = QUESTION | {"options": FOUR}
COP = {"question": "Q", **dict(zip(("opa", "opb", "opc", "opd"), FOUR, strict=True))}
MMLU = {"question": "Q", "choices": FOUR, "subject": "anatomy"}


def load(root, spec, base, key, answers):
    write_rows(root / "my.jsonl", [base | {"id": f"q{i}", key: a} for i, a in enumerate(answers)])
    return data.load_questions(spec)


SCHEMAS = {
    "own": ("my.jsonl", OWN, "answer"),
    "medmcqa": ("medmcqa@my.jsonl", COP, "cop"),
    "mmlu": ("mmlu_medical@my.jsonl", MMLU, "answer"),
}


@pytest.mark.parametrize(("spec", "base", "key"), SCHEMAS.values(), ids=SCHEMAS)
@pytest.mark.parametrize("answers", [[1, 4], [2, 1, 3], [4], [1, 2] * 8, [1] * 11, [1, "A", 4]])
def test_answers_that_count_from_one_are_refused(root, spec, base, key, answers):
    with pytest.raises(data.DataError, match=r"no answer.* is 0.*the file counts from 1; subtract"):
        load(root, spec, base, key, answers)


@pytest.mark.parametrize(("spec", "base", "key"), SCHEMAS.values(), ids=SCHEMAS)
@pytest.mark.parametrize("answers", [[0, 3], [0, 1, 2], [0]])
def test_answers_that_count_from_zero_are_read(root, spec, base, key, answers):
    assert [q.answer for q in load(root, spec, base, key, answers)] == answers


def test_a_few_rows_without_a_zero_are_read_unless_they_are_of_medmcqa(root):
    assert [q.answer for q in load(root, "my.jsonl", OWN, "answer", [2, 1])] == [2, 1]
    with pytest.raises(
        data.DataError, match="no answer of 2 rows is 0.*If it counts from 0, write"
    ):
        load(root, "medmcqa@my.jsonl", COP, "cop", [2, 1])
    assert [q.answer for q in load(root, "medmcqa@my.jsonl", COP, "cop", ["C", "b"])] == [2, 1]


def test_a_file_with_both_bases_is_refused_by_line(root):
    with pytest.raises(data.DataError, match="line 2: answer 4 is not an index of the 4 options"):
        load(root, "my.jsonl", OWN, "answer", [0, 4])


@pytest.mark.parametrize("letters", [["B", "A", "D"], ["b", "a", "d"], ["(B)", "A.", " d "]])
def test_letters_in_either_case_are_read(root, letters):
    assert [q.answer for q in load(root, "my.jsonl", OWN, "answer", letters)] == [1, 0, 3]
    options = dict(zip("abcd", FOUR, strict=True))
    rows = load(root, "medqa_us@my.jsonl", LETTERED | {"options": options}, "answer", letters)
    assert [q.answer for q in rows] == [1, 0, 3]


@pytest.mark.parametrize("options", [["Rest", "Ice"], {"A": "Rest", "b": "Ice", "C": None}])
@pytest.mark.parametrize("answer", [1, "B", " ice ", "B. Ice", "(b) ice", "Ice."])
def test_an_answer_is_an_index_a_letter_or_the_text_of_an_option(root, options, answer):
    row = QUESTION | {"options": options, "context": None}
    rows = load(root, "my.jsonl", row, "answer", ["A", answer])
    assert [(q.options, q.answer) for q in rows] == [(["Rest", "Ice"], i) for i in (0, 1)]


@pytest.mark.parametrize("answer", ["2", "E", "", "a joint", "B. a"])
def test_an_answer_that_is_no_letter_of_an_option_is_refused(root, answer):
    with pytest.raises(data.DataError, match="line 1: answer "):
        load(root, "my.jsonl", OWN, "answer", [answer])


def test_an_answer_that_is_a_letter_and_another_option_is_refused(root):
    with pytest.raises(data.DataError, match="line 1: answer 'A' is a letter and the text of"):
        load(root, "my.jsonl", QUESTION | {"options": ["O", "A", "B", "AB"]}, "answer", ["A"])
    rows = load(root, "my.jsonl", QUESTION | {"options": ["A", "B", "AB"]}, "answer", ["B", "A"])
    assert [q.answer for q in rows] == [1, 0]


def test_an_answer_letter_whose_text_is_of_another_option_is_refused(root):
    options = dict(zip("ABCD", FOUR, strict=True))
    row = LETTERED | {"options": options, "answer": "b"}
    with pytest.raises(data.DataError, match="line 1: answer 'b' is not the text of option C"):
        load(root, "medqa_us@my.jsonl", row, "answer_idx", ["C"])


def test_letters_of_mmlu_are_read(root):
    rows = load(root, "mmlu_medical@my.jsonl", MMLU, "answer", ["B", "a"])
    assert [q.answer for q in rows] == [1, 0]


def test_a_table_is_no_unknown_name(root):
    (root / "my.csv").write_text("id,question\n1,Q\n")
    with pytest.raises(data.DataError, match="my.csv is a CSV table"):
        data.load_questions("my.csv")


def test_the_first_row_of_a_large_file_says_nothing_about_its_base(root, monkeypatch):
    rows = [COP | {"id": f"q{i}", "cop": cop} for i, cop in enumerate([3, 0])]
    write_rows(root / "my.jsonl", rows)
    monkeypatch.setattr(loading, "QUICK_BYTES", 10)
    assert data.check_spec("medmcqa@my.jsonl", ("Question",), for_training=False) == []
