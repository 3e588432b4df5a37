"""A second reader's marks are compared with the check, sentence by sentence."""

import csv
import dataclasses

import pandas as pd
import pytest
from tests.support.project import make_messages
from tests.support.toy_dbke import plan_requests

from clinical_camel import dbke
from clinical_camel.data import Dialogue
from clinical_camel.dbke import readings

ANSWER = "Naproxen is a drug that helps the attack. Cats have rashes. Any pain?"
REQUEST = plan_requests(dialogues=1)[0]
CHAT = Dialogue(
    id=REQUEST.id, source="article", messages=make_messages("Hm?", ANSWER, "So?", "Gout hurts.")
)
MARKS = ["reworded without change", "stated", "no statement", "adds something"]


def write_filled(folder, marks=MARKS, name=REQUEST.id):
    """The sheet of CHAT, filled in with these marks."""
    dbke.write_sheet([CHAT], {REQUEST.id: REQUEST}, folder)
    table = pd.read_csv(folder / "readings.csv", dtype=str, keep_default_na=False)
    table.assign(reading=marks, dialogue=name).to_csv(folder / "readings.csv", index=False)
    return folder / "readings.csv"


def test_the_sheet_has_article_and_numbered_sentences_but_no_verdict(tmp_path):
    dbke.write_sheet([CHAT], {REQUEST.id: REQUEST}, tmp_path)
    page = (tmp_path / "dialogue_01.txt").read_text(encoding="utf-8")
    assert "Allopurinol later prevents it." in page
    assert "user: Hm?" in page
    assert "[2] Cats have rashes." in page
    assert "[4] Gout hurts." in page
    with (tmp_path / "readings.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["dialogue", "sentence", "text", "reading", "comment"]
    assert [(row["sentence"], row["reading"]) for row in rows] == [(k, "") for k in "1234"]
    task = (tmp_path / "task.txt").read_text(encoding="utf-8")
    assert all(f"- {name}: " in task for name in readings.READINGS)
    assert not any(word in page + task for word in ("supported", "rejected", "accepted"))


def test_marks_are_counted_by_the_verdict_of_the_check(tmp_path):
    marks = dbke.load_readings(write_filled(tmp_path)).assign(reader="a clinician")
    table = dbke.tabulate_readings(marks, [CHAT], {REQUEST.id: REQUEST})
    assert list(table) == readings.COLUMNS
    counts = table.set_index("reading")
    assert counts.loc["reworded without change", "supported"] == 1
    assert counts.loc["stated", "unsupported"] == 1
    assert counts.loc["no statement", "not_checked"] == 1
    assert counts.loc["adds something", "supported"] == 1
    assert "contradicts" not in counts.index
    first, supported, flagged = dbke.describe_readings(marks, table)
    assert first == "A second reader (a clinician) marked every sentence of the assistant in 1" + (
        " dialogues. Those of this run are compared."
    )
    assert supported.startswith("Of 2 sentences that the `linked` check supports")
    assert "The check missed 1 (50.0% [" in supported
    assert flagged.startswith("Of 1 sentences that the `linked` check does not support")
    assert "1 (100.0% [" in flagged


def test_without_a_second_reader_nothing_is_shown(tmp_path):
    marks = dbke.load_readings(None)
    table = dbke.tabulate_readings(marks, [CHAT], {REQUEST.id: REQUEST})
    assert table.empty
    assert list(table) == readings.COLUMNS
    assert dbke.describe_readings(marks, table) == []
    paraphrase = dataclasses.replace(REQUEST, task="paraphrase")
    read = dbke.load_readings(write_filled(tmp_path))
    assert dbke.tabulate_readings(read, [CHAT], {REQUEST.id: paraphrase}).empty
    other = dbke.load_readings(write_filled(tmp_path, name="another study's"))
    assert dbke.tabulate_readings(other, [CHAT], {REQUEST.id: REQUEST}).empty


def test_marks_of_another_reply_are_refused(tmp_path):
    marks = dbke.load_readings(write_filled(tmp_path))
    marks.loc[1, "text"] = "Dogs have rashes."
    with pytest.raises(ValueError, match="sentence 2 of gout/0 is another text now"):
        dbke.tabulate_readings(marks, [CHAT], {REQUEST.id: REQUEST})


@pytest.mark.parametrize(
    ("mark", "problem"),
    [("", "line 3: reading: '' is unknown"), ("statd", "'statd' is unknown.*'?stated")],
)
def test_a_missing_or_unknown_mark_is_named(mark, problem, tmp_path):
    file = write_filled(tmp_path, [MARKS[0], mark, *MARKS[2:]])
    with pytest.raises(ValueError, match=problem):
        dbke.load_readings(file)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "my_readings.csv: empty"),
        ("dialogue,sentence,text,reading,comment\n", "my_readings.csv: no rows"),
        ("dialogue,sentence\ngout/0,1\n", "my_readings.csv: no column text, reading, comment"),
    ],
)
def test_a_table_without_rows_or_columns_is_named(text, problem, tmp_path):
    file = tmp_path / "my_readings.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=problem):
        dbke.load_readings(file)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_that_excel_saved_is_read(separator, tmp_path):
    file = write_filled(tmp_path)
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    table.to_csv(file, sep=separator, index=False, encoding="utf-8-sig", lineterminator="\r\n")
    marks = dbke.load_readings(file)
    assert marks["reading"].tolist() == MARKS
    assert marks["sentence"].tolist() == [1, 2, 3, 4]
    assert len(dbke.tabulate_readings(marks, [CHAT], {REQUEST.id: REQUEST})) == len(MARKS)


@pytest.mark.parametrize("number", ["", "one", "1.5"])
def test_a_sentence_without_its_number_is_named(number, tmp_path):
    file = write_filled(tmp_path)
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    table.loc[1, "sentence"] = number
    table.to_csv(file, index=False)
    problem = f"readings.csv: line 3: sentence: '{number}' is no number"
    with pytest.raises(ValueError, match=problem):
        dbke.load_readings(file)


def test_a_sentence_that_a_spreadsheet_would_run_is_read_back(tmp_path):
    text = "-5 kg is a loss of weight."
    chat = dataclasses.replace(CHAT, messages=make_messages("Hm?", text))
    dbke.write_sheet([chat], {REQUEST.id: REQUEST}, tmp_path)
    table = pd.read_csv(tmp_path / "readings.csv", dtype=str, keep_default_na=False)
    assert table["text"].tolist() == [f"'{text}"]
    table.assign(reading="stated").to_csv(tmp_path / "readings.csv", index=False)
    assert dbke.load_readings(tmp_path / "readings.csv")["text"].tolist() == [text]
