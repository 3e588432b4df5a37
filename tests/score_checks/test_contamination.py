"""Tables of exam questions that occur in training data. The search is in tests/data."""

import dataclasses
import math

import pandas as pd
import pytest
from tests.support.planted_questions import FAINT, GOUT, LONG
from tests.support.toy_scores import answers_of, exam_of

from clinical_camel import data, score_checks
from clinical_camel.data import Article, Section

SALT = "Salt is a crystal that is found in the sea and in the earth."


def article(name, text):
    return Article(id=name, title="T", sections=[Section(heading="", text=text)])


def test_each_benchmark_is_counted_in_each_source_and_each_question_once():
    questions = {"a": [GOUT], "b": [GOUT, FAINT]}
    training_data = {
        "leaky": [article("x", LONG), article("y", LONG)],
        "other": [article("x", SALT)],
    }
    overlaps = data.search_sources(questions, training_data)
    assert len(overlaps) == 4  # two rows of one source, for each benchmark
    counts = score_checks.count_overlaps(overlaps, questions, training_data)
    counts = counts.set_index(["benchmark", "trained_on"])
    row = counts.loc[("b", "leaky"), ["rows", "n", "question", "share"]]
    assert row.tolist() == [2, 2, 1, 0.5]
    assert counts.xs("other", level="trained_on")["share"].tolist() == [0.0, 0.0]
    text = score_checks.format_closest_pairs(overlaps, questions, 1)
    assert text.count("similarity 1.00") == 2
    assert "allopurinol" in text


def test_without_training_data_the_tables_are_empty():
    questions = {"b": [GOUT, FAINT]}
    overlaps = data.search_sources(questions, {})
    counts = score_checks.count_overlaps(overlaps, questions, {})
    assert (len(counts), set(counts) > {"benchmark", "trained_on", "share"}) == (0, True)
    text = score_checks.format_closest_pairs(overlaps, questions, 1)
    assert text == "no exam question found in the training data"


def test_a_clean_score_leaves_out_overlapping_questions():
    correct = {"a": [True, False, False], "b": [True], "c": [True]}
    answers = pd.concat([answers_of(name, base=values) for name, values in correct.items()])
    questions = dict.fromkeys(correct, [dataclasses.replace(GOUT, id=id) for id in "012"])
    overlaps = pd.DataFrame({"benchmark": ["a", "a", "b"], "id": "0"})
    exam = exam_of(answers, questions)
    table = score_checks.compute_clean_scores(exam, overlaps)
    assert table["accuracy"].tolist() == pytest.approx([1 / 3, 1.0, 1.0])
    assert table["accuracy_clean"].tolist() == pytest.approx([0.0, math.nan, 1.0], nan_ok=True)
    counts = table[["n", "n_clean", "overlapping"]].to_numpy().tolist()
    assert counts == [[3, 2, 1], [1, 0, 1], [1, 1, 0]]
    everything = pd.DataFrame(
        {"benchmark": ["a"] * 3 + ["b", "c"], "id": ["0", "1", "2", "0", "0"]}
    )
    table = score_checks.compute_clean_scores(exam, everything)
    assert table["n_clean"].tolist() == [0, 0, 0]
    assert table["accuracy"].tolist() == pytest.approx([1 / 3, 1.0, 1.0])


def test_the_page_has_both_scores_with_their_n():
    questions = {"toy": [dataclasses.replace(GOUT, id=str(i)) for i in range(10)]}
    exam = exam_of(answers_of(base=[True] * 8 + [False] * 2), questions)
    overlaps = pd.DataFrame({"benchmark": ["toy"], "id": ["0"]})
    page = score_checks.format_clean_scores(score_checks.compute_clean_scores(exam, overlaps))
    assert page[["n", "n clean"]].to_numpy().tolist() == [[10, 9]]
    assert page["accuracy clean"].tolist() == ["77.8 [45.3, 93.7]"]
