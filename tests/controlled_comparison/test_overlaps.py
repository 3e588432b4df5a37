"""Questions that overlap with training texts: the texts of one arm decide for all arms."""

import pandas as pd
import pytest
from tests.support import toy_comparison
from tests.support.toy_comparison import find_copied, make_design

from clinical_camel import data
from clinical_camel.controlled_comparison import overlaps
from clinical_camel.core.settings import Incomplete


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    return toy_comparison.build(tmp_path, monkeypatch)


def test_the_copied_question_is_found_with_its_file(sweep):
    table = overlaps.find_overlaps(sweep, make_design())
    assert table.to_dict("records") == [{"id": find_copied().id, "trained_on": "exam_dialogues"}]


def test_only_the_texts_of_the_named_arm_count(sweep):
    for run in sweep:
        if run.arm == "dialogue":
            file = run.folders["01_dbke"] / "exam_dialogues.jsonl"
            text = file.read_text(encoding="utf-8").replace(find_copied().question, "Hello?")
            file.write_text(text, encoding="utf-8")
    assert overlaps.find_overlaps(sweep, make_design()).empty
    assert len(overlaps.find_overlaps(sweep, make_design(overlap_arm="qa"))) == 1


def test_a_missing_text_is_named_with_the_command(sweep):
    """The tables of a run may have come from elsewhere, without its texts."""
    for run in sweep:
        (run.folders["01_dbke"] / "exam_dialogues.jsonl").unlink(missing_ok=True)
    message = r"exam_dialogues.jsonl is missing; run step 01 again: python -m clinical_camel run"
    with pytest.raises(Incomplete, match=message):
        overlaps.find_overlaps(sweep, make_design())


def test_a_part_of_an_exam_has_the_overlaps_of_the_whole():
    """Searched alone, more of its questions would be found: a word counts by its frequency."""
    text, part = (
        "outputs/mini_camel/01_dbke/exam_dialogues.jsonl",
        "data/recorded/common_exam.jsonl",
    )
    questions = data.load_questions(f"mini_exam@{part}")
    ids = {question.id for question in questions}
    exams = ("mini_exam", f"mini_exam@{part}")
    whole, subset = (set(overlaps._search(exam, text, 0)) for exam in exams)
    assert subset == whole & ids
    sources = ((row.id, data.format_row(row)) for row in data.load_sources(text))
    assert subset < {*data.find_overlaps(questions, sources)["id"]}


def test_an_exam_that_is_no_part_of_a_shipped_one_is_searched_alone():
    text, file = (
        "outputs/mini_camel/01_dbke/exam_dialogues.jsonl",
        "data/recorded/common_exam.jsonl",
    )
    questions = data.load_questions(file)
    sources = ((row.id, data.format_row(row)) for row in data.load_sources(text))
    expected = {*data.find_overlaps(questions, sources)["id"]}
    assert {*overlaps._search(file, text, 1)} == expected


def test_a_run_without_such_texts_has_no_overlap():
    table = overlaps.search_runs([], "mini_exam")
    assert isinstance(table, pd.DataFrame)
    assert list(table) == ["id", "trained_on"]
