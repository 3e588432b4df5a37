"""Tests of data.files: strict reading of dataset files."""

import gzip
import re

import pandas as pd
import pytest

from clinical_camel import data
from clinical_camel.data import files

GOOD = b'{"a": 1}\n'


def read(content, folder, name="x.jsonl"):
    """Return the rows of a file with this content; raises DataError."""
    (folder / name).write_bytes(content)
    raw = files.read_rows(folder / name)
    files.require_no_problems(name, raw.problems, raw.unit)
    return raw.rows


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"a": 1', "broken JSON at column 8"),
        (b'{"a": 1,}', "broken JSON at column [89]"),  # Python 3.13 names the comma
        (b"{'a': 1}", "broken JSON at column 2"),
        ('{"a": "caf\u00e9"}'.encode("latin-1"), r"not UTF-8 at byte 11 \(0xE9, 'é'.*UTF-8"),
        (b'{"a": 1} {"b": 2}', "more than one value"),
        (b'{"a": 1},', "a comma after the object; delete it"),
        (b"# my exam", "a comment, which JSON does not have; delete the line"),
        (b"[1]", "not a JSON object but list"),
        (b'"a"', "not a JSON object but str"),
        (b"7", "not a JSON object but int"),
        (b"", "blank line"),
        (b"  ", "blank line"),
        (b'{"a": "\x00"}', "NUL byte at byte 8"),
        (b'{"a": "\\u0000"}', "NUL character"),
        (b'{"a": "\\ud800"}', "half of a surrogate pair"),
        (b'{"a": "\xff"}', "not UTF-8 at byte 8"),
        (b'\xef\xbb\xbf{"a": 1}', "a byte order mark inside the file"),
        (b'{"a": 1, "a": 2}', "key 'a' occurs twice"),
        (b'{"b": {"a": 1, "a": 2}}', "key 'a' occurs twice"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": 1e999}', "1e999 is too large"),
    ],
)
def test_a_bad_line_is_reported_with_its_number(tmp_path, line, problem):
    with pytest.raises(data.DataError) as caught:
        read(GOOD + line + b"\n" + GOOD, tmp_path)
    assert "x.jsonl: 1 bad line, nothing was read" in str(caught.value)
    assert re.search(rf"line 2: {problem}", str(caught.value))


def test_at_most_twenty_bad_lines_are_described_and_the_rest_numbered(tmp_path):
    with pytest.raises(data.DataError, match="25 bad lines") as caught:
        read(b'{"a\n' * 25, tmp_path)
    assert str(caught.value).count("broken JSON") == 20
    assert str(caught.value).endswith("and 5 more: lines 21, 22, 23, 24, 25")


def test_a_truncated_last_line_is_reported_as_such(tmp_path):
    with pytest.raises(
        data.DataError, match=r"line 2: broken JSON at column 6: .*truncated file\?"
    ):
        read(GOOD + b'{"a":', tmp_path)


@pytest.mark.parametrize(
    ("content", "values"),
    [
        (GOOD + b'{"a": 2}', [1, 2]),  # no line end
        (b'\xef\xbb\xbf{"a": 1}\r\n{"a": 2}\r\n', [1, 2]),  # byte order mark, DOS line ends
        ('{"a": "x\u2028y"}\n'.encode(), ["x\u2028y"]),  # a line separator of Unicode
        (GOOD + b'{"a": 2}\n\n \n', [1, 2]),  # blank lines at the end
        (b'[{"a": 1}, {"a": 2}]', [1, 2]),
        (b'[\n  {\n    "a": 1\n  },\n  {"a": 2}\n]\n', [1, 2]),
        (b'{\n  "a": 1\n}\n', [1]),  # a single row over several lines
    ],
)
def test_other_forms_of_json_lines_are_read(tmp_path, content, values):
    assert read(content, tmp_path) == [{"a": value} for value in values]
    assert read(gzip.compress(content), tmp_path, "x.jsonl.gz") == [{"a": v} for v in values]


PACKED = gzip.compress(GOOD * 100, mtime=0)  # the same name of a test in every process


@pytest.mark.parametrize("content", [PACKED[:-1], PACKED[:-10], GOOD])
def test_a_broken_gzip_file_is_rejected(tmp_path, content):
    with pytest.raises(data.DataError, match="x.jsonl.gz is not a complete gzip file"):
        read(content, tmp_path, "x.jsonl.gz")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/etc/x.jsonl", "is an absolute path"),
        ("a/../../x.jsonl", 'contains ".."'),
        ("a\\x.jsonl", "contains a backslash"),
        ("my", "my is a folder"),
        ("data/public/medqa_us/none.jsonl", "'Real data' of docs/running.md"),
        ("outputs/mini_camel/01_dbke/dialogues.jsonl", "Run the step that writes it"),
        ("GBaker/MedQA-USMLE-4-options", "A hub id is not a dataset spec"),
        ("https://example.org/x.jsonl", "An address is not a dataset spec"),
        ("my/x.jsonl", "relative to the project root"),
    ],
)
def test_a_path_that_is_no_file_of_the_project_is_rejected_with_advice(root, path, problem):
    (root / "my").mkdir()
    with pytest.raises(data.DataError, match=problem):
        files.locate_file(path)


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": ["x", "y"], "b": [[1], [2]]}',
        b'{\n "a": ["x", "y"],\n "b": [[1], [2]]\n}\n',
        b'{"a": {"0": "x", "1": "y"}, "b": {"0": [1], "1": [2]}}',  # DataFrame.to_json
    ],
)
def test_an_object_by_column_holds_its_rows(tmp_path, content):
    assert read(content, tmp_path) == [{"a": "x", "b": [1]}, {"a": "y", "b": [2]}]
    assert files.read_first_row(tmp_path / "x.jsonl") is None


def test_an_object_by_id_holds_its_rows(tmp_path):
    rows = [{"id": "q1", "a": 1}, {"id": "own", "a": 2}]
    content = b'{"q1": {"a": 1}, "q2": {"id": "own", "a": 2}}'
    assert read(content, tmp_path, "x.json") == rows
    assert read(content.replace(b", ", b",\n "), tmp_path, "x.json") == rows


def test_parquet_rows_are_read_without_their_empty_cells(tmp_path):
    table = pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [["p", "q"], ["r"]]})
    table.to_parquet(tmp_path / "x.parquet")
    content = (tmp_path / "x.parquet").read_bytes()
    assert read(content, tmp_path) == [{"a": 1, "b": "x", "c": ["p", "q"]}, {"a": 2, "c": ["r"]}]
    with pytest.raises(data.DataError, match="x.jsonl is not a complete Parquet file"):
        read(content[:-20], tmp_path)


def test_a_small_gzip_file_of_many_gib_is_rejected_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_BYTES", 1000)
    bomb = gzip.compress(b" " * 50_000_000)
    monkeypatch.setattr(files, "BLOCK", 500)
    with pytest.raises(data.DataError, match="x.jsonl.gz has more than 1 GiB unpacked, the limit"):
        read(bomb, tmp_path, "x.jsonl.gz")
    with pytest.raises(data.DataError, match="more than 1 GiB"):
        read(b" " * 2000, tmp_path)


def test_the_first_row_is_read_without_the_rest(tmp_path):
    (tmp_path / "x.jsonl").write_bytes(GOOD + b"{broken")
    assert files.read_first_row(tmp_path / "x.jsonl") == {"a": 1}
    (tmp_path / "x.jsonl").write_bytes(b'[{"a": 1}]')
    assert files.read_first_row(tmp_path / "x.jsonl") is None
