"""Tests of data.tables: CSV and TSV as rows of a dataset."""

import pytest

from clinical_camel.data.shapes import DataError
from clinical_camel.data.tables import read_table


def write(tmp_path, text):
    file = tmp_path / "my.csv"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_rows_have_their_line_and_empty_cells_are_problems(tmp_path, separator):
    text = "b,a\n1,2\n\n,4\n5,6\n".replace(",", separator)
    rows, problems = read_table(write(tmp_path, text), ("a", "b"), ("note",))
    assert rows == [(2, {"a": "2", "b": "1", "note": ""}), (5, {"a": "6", "b": "5", "note": ""})]
    assert problems == [(4, "b is empty")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n1\n", r"my\.csv: line 1: column b is missing; the first line names a, b, .*, here a"),
        (
            "a,b,note_\n1,2,3\n",
            r"column note_ is not one of .*; did you mean note\?",
        ),
        ("a,b\n", "a line of names, but no row"),
        ("a,b\n1\n", r"my\.csv: line 2: 1 cells, but 2 columns"),
    ],
)
def test_what_is_no_such_table_is_an_error_with_the_remedy(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_table(write(tmp_path, text), ("a", "b"), ("note",))
