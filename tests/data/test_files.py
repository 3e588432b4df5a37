"""Tests of data.files: strict reading of JSON lines."""

import gzip

import pytest

from clinical_camel import data
from clinical_camel.data import files

GOOD = b'{"a": 1}\n'


def read_error(content, folder, name="x.jsonl"):
    """Return the message of read_jsonl about this content."""
    (folder / name).write_bytes(content)
    with pytest.raises(data.DataError) as caught:
        files.read_jsonl(folder / name)
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"a": 1', "broken JSON at column 8"),
        (b'{"a": 1} {"b": 2}', "more than one value on the line"),
        (b"[1]", "not a JSON object but list"),
        (b"", "blank line"),
        (b"  ", "blank line"),
        (b'{"a": "\x00"}', "NUL byte at byte 8"),
        (b'{"a": "\\u0000"}', "NUL character"),
        (b'{"a": "\\ud800"}', "half of a surrogate pair"),
        (b'{"a": "\xff"}', "not UTF-8 at byte 8"),
        (b'{"a": 1, "a": 2}', "key 'a' occurs twice"),
        (b'{"b": {"a": 1, "a": 2}}', "key 'a' occurs twice"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": 1e999}', "1e999 is too large"),
    ],
)
def test_a_bad_line_is_reported_with_its_number(tmp_path, line, problem):
    message = read_error(GOOD + line + b"\n" + GOOD, tmp_path)
    assert "x.jsonl: 1 bad line, nothing was read" in message
    assert f"line 2: {problem}" in message


def test_all_bad_lines_are_reported_at_once(tmp_path):
    message = read_error(b"{\n" + GOOD + b"[]\n" + GOOD + b"\n", tmp_path)
    assert "3 bad lines" in message
    assert [n for n in range(1, 6) if f"line {n}:" in message] == [1, 3, 5]


def test_at_most_twenty_bad_lines_are_described_and_the_rest_numbered(tmp_path):
    message = read_error(b"{\n" * 25, tmp_path)
    assert "25 bad lines" in message
    assert message.count("broken JSON") == 20
    assert message.endswith("and 5 more: lines 21, 22, 23, 24, 25")


def test_a_truncated_last_line_is_reported_as_such(tmp_path):
    message = read_error(GOOD + b'{"a":', tmp_path)
    assert "line 2: broken JSON at column 6: " in message
    assert "truncated file?" in message


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_rejected(tmp_path, content):
    assert read_error(content, tmp_path) == "x.jsonl is empty"


def test_a_complete_last_line_needs_no_line_end(tmp_path):
    (tmp_path / "x.jsonl").write_bytes(GOOD + b'{"a": 2}')
    assert files.read_jsonl(tmp_path / "x.jsonl") == [{"a": 1}, {"a": 2}]


def test_a_byte_order_mark_and_dos_line_ends_are_accepted(tmp_path):
    (tmp_path / "x.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n{"a": 2}\r\n')
    assert files.read_jsonl(tmp_path / "x.jsonl") == [{"a": 1}, {"a": 2}]


def test_a_unicode_line_separator_does_not_end_a_line(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"a": "x\u2028y"}\n', encoding="utf-8")
    assert files.read_jsonl(tmp_path / "x.jsonl") == [{"a": "x\u2028y"}]


def test_a_gzip_file_is_read(tmp_path):
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(GOOD))
    assert files.read_jsonl(tmp_path / "x.jsonl.gz") == [{"a": 1}]


@pytest.mark.parametrize("content", [gzip.compress(GOOD * 100)[:-10], GOOD])
def test_a_broken_gzip_file_is_rejected(tmp_path, content):
    assert "not a complete gzip file" in read_error(content, tmp_path, "x.jsonl.gz")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/etc/x.jsonl", "is an absolute path"),
        ("a/../../x.jsonl", 'contains ".."'),
        ("a\\x.jsonl", "contains a backslash"),
    ],
)
def test_a_path_outside_the_root_is_rejected(root, path, problem):
    with pytest.raises(data.DataError, match=problem):
        files.locate_file(path)


def test_a_folder_is_rejected(root):
    (root / "my").mkdir()
    with pytest.raises(data.DataError, match="my is a folder"):
        files.locate_file("my")


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("data/public/medqa_us/none.jsonl", "'Real data' of docs/running.md"),
        ("outputs/mini_camel/01_dbke/dialogues.jsonl", "Run the step that writes it"),
        ("GBaker/MedQA-USMLE-4-options", "A hub id is not a dataset spec"),
        ("https://example.org/x.jsonl", "An address is not a dataset spec"),
        ("my/x.jsonl", "relative to the project root"),
    ],
)
def test_a_missing_file_is_reported_with_advice(path, advice, root):
    with pytest.raises(data.DataError, match=advice):
        files.locate_file(path)
