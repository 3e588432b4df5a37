"""Tests of core.tables: tables that went through a spreadsheet."""

import math

import pytest

from clinical_camel.core.tables import parse_number, read_table

PLAIN = "item,rating\nn1,safe\nn2,minor error\n"


def read(tmp_path, text, encoding="utf-8"):
    file = tmp_path / "t.csv"
    file.write_bytes(text.encode(encoding))
    return read_table(file)


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        "\ufeff" + PLAIN,
        PLAIN.replace(",", ";"),
        "\ufeff\ufeff" + PLAIN,
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        "sep=;\n" + PLAIN.replace(",", ";"),
        PLAIN.replace("\n", ",,\n"),  # empty columns at the right
        PLAIN + "\n,\n\n",
        PLAIN.replace(",", " , "),
        PLAIN.replace("safe", '"safe"'),
    ],
)
def test_every_form_of_a_saved_table_has_the_same_cells(tmp_path, text):
    table = read(tmp_path, text)
    assert table.columns == ["item", "rating"]
    rows = [{"item": "n1", "rating": "safe"}, {"item": "n2", "rating": "minor error"}]
    assert table.rows == rows


def test_the_lines_of_a_table_are_those_of_its_file(tmp_path):
    assert read(tmp_path, 'sep=,\na,b\n1,"x\ny"\n\n2,z\n').lines == [4, 6]


@pytest.mark.parametrize(
    ("text", "encoding", "problem"),
    [
        ("", "utf-8", "empty"),
        ("\n\n", "utf-8", "empty"),
        ("a,b\n1\n", "utf-8", "line 2: 1 cells, but 2 columns"),
        ("a,b\n1,2,3\n", "utf-8", "line 2: 3 cells, but 2 columns"),
        ("a,a\n1,2\n", "utf-8", "two columns are called a"),
        ("a,,b\n1,2,3\n", "utf-8", "column 2 has no name"),
        ("a,b\n1,é\n", "latin-1", r"not UTF-8; save it as CSV UTF-8 \(see byte 7\)"),
        (PLAIN, "utf-16", "UTF-16; save it as CSV UTF-8"),
        ("\x1f\x8b", "latin-1", "packed with gzip; unpack it"),
        ("PK\x03\x04xl/", "utf-8", r"a spreadsheet \(XLSX\)"),
        ("a,b\n1,\x00\n", "utf-8", "NUL characters"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_by_file_and_line(tmp_path, text, encoding, problem):
    with pytest.raises(ValueError, match=f"t.csv: {problem}"):
        read(tmp_path, text, encoding)


@pytest.mark.parametrize(
    ("text", "decimal_comma", "number"),
    [("0.5", False, 0.5), ("0,5", True, 0.5), ("2,0e-4", True, 2e-4), ("-inf", False, -math.inf)],
)
def test_numbers_are_read_with_point_or_comma(text, decimal_comma, number):
    assert parse_number(text, decimal_comma) == number


@pytest.mark.parametrize(
    ("text", "comma"),
    [("0,5", False), ("1.234,5", True), ("1.000", True), ("1,2,3", True), ("1_0", False), ("x", 1)],
)
def test_a_text_that_may_be_another_number_is_refused(text, comma):
    with pytest.raises(ValueError, match="is not a number|has a point"):
        parse_number(text, comma)


@pytest.mark.parametrize(
    ("text", "decimal_comma"),
    [("a;b\n1;0,5\n", True), ("a;b\n1;0.5\n", False), ("a;b\nx;1, 2\n", False)],
)
def test_commas_are_decimal_only_if_a_number_has_one(tmp_path, text, decimal_comma):
    assert read(tmp_path, text).decimal_comma == decimal_comma


@pytest.mark.parametrize("cell", ['"x\r\ny"', '"x\ny"', '"x\ry"', "x\ry"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_line_ends_in_a_cell_are_those_of_python(tmp_path, cell, end):
    """pandas writes a single carriage return, which language models do, without quotes."""
    table = read(tmp_path, end.join(["a,b", f"1,{cell}", "2,z", ""]))
    assert [row["b"] for row in table.rows] == ["x\ny", "z"]
