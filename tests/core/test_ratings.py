"""Sheets that people fill in."""

import pytest

from clinical_camel.core.ratings import escape_cell, read_column, read_ratings, unescape_cell


def read(tmp_path, text, encoding="utf-8"):
    file = tmp_path / "anna.csv"
    file.write_text(text, encoding=encoding)
    return read_ratings(file, "choice", ("a", "b"), "sheet.csv")


def test_ratings_are_read_by_item_whatever_their_case(tmp_path):
    assert read(tmp_path, "item;text;choice\nx;1,5;A \ny;;b\n") == {"x": "a", "y": "b"}


def test_another_column_is_read_by_item(tmp_path):
    file = tmp_path / "anna.csv"
    file.write_text("item,text,choice\nx,one,a\ny,two,\n", encoding="utf-8")
    assert read_column(file, "text") == {"x": "one", "y": "two"}
    with pytest.raises(ValueError, match="anna.csv: no column visit; use a copy of sheet.csv"):
        read_column(file, "visit", "sheet.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item,choice\nx,\ny,c\nz,a\nz,a\n", "duplicate item: z; not rated: x; unknown rating: y"),
        ("item,rating\nx,a\n", "anna.csv: no column choice; use a copy of sheet.csv"),
        ("item,choice\n", "anna.csv: no items; use a filled copy of sheet.csv"),
    ],
)
def test_a_wrongly_filled_sheet_names_the_items(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", " =", "＝"])
def test_a_cell_is_no_formula(start):
    assert escape_cell(f"{start}1") == f"'{start}1"
    assert escape_cell("1-2") == "1-2"


@pytest.mark.parametrize("text", ["=1+1", "- fever", "'tis nothing", "", "plain", " =1"])
def test_an_escaped_cell_is_read_back(text):
    assert unescape_cell(escape_cell(text)) == text
    assert unescape_cell("'quoted") == "'quoted"


def test_a_cell_has_nothing_that_would_end_its_row_or_its_file():
    assert escape_cell("a\r\nb\rc\x00d") == "a\nb\nc d"
    assert escape_cell("\r=1") == "'\n=1"
