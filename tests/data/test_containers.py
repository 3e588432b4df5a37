"""Tests of data.containers: what other containers are, and what to do."""

import pytest

from clinical_camel import data
from clinical_camel.data import files

ROW = '{"id": "a", "question": "x"}\n'


def read(file):
    raw = files.read_rows(file)
    files.require_no_problems(file.name, raw.problems, raw.unit)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"id,question,options\na,x,\"['p','q']\"\n", "is a CSV table, not JSON"),
        (b"id;question\na;x\n", "is a CSV table"),
        (b"\xef\xbb\xbfid\tquestion\na\tx\n", "is a TSV table"),
        (b"PK\x03\x04....xl/workbook.xml", r"is a zip archive or an Office file \(XLSX"),
        (b"\xd0\xcf\x11\xe0....", "is an old Office file"),
        (b"\x28\xb5\x2f\xfd....", "is packed with zstd; unpack it with zstd -d"),
        (b"BZh91AY", "is packed with bzip2; unpack it with bunzip2"),
        (b"\xfd7zXZ\x00", "is packed with xz; unpack it with unxz"),
        (b"ARROW1\x00\x00", "is an Arrow file; save it as Parquet"),
        (b"SQLite format 3\x00", "is an SQLite database"),
        (b"\x80\x04\x95....", "is a Python pickle"),
        (b"%PDF-1.7", "is a PDF"),
        (b"", "is empty"),
        (b"\xef\xbb\xbf\n", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\nsize 1\n", "is a git-lfs .*git lfs pull"),
        (b"\n<!DOCTYPE html>\n404\n", "is a web page.*download the file itself"),
        (b"<?xml version='1.0'?><Error/>", "is an XML file"),
        (b"\x1e" + ROW.encode(), "is a JSON text sequence; delete its characters 0x1E"),
        (b"const x = [{}, {}];", "is JavaScript, not JSON; delete what is before the first"),
        (b"\xef\xbb\xbf\xef\xbb\xbf" + ROW.encode(), "begins with two byte order marks"),
        (b"x" * 257 + b"ustar", "is a tar archive"),
        (
            b"WEBVTT\n\n00:01.000 --> 00:02.000\nHi",
            "is a WebVTT or SRT transcript; write it as one",
        ),
        (b"1\r\n00:00:01,000 --> 00:00:02,000\r\nHi", "is a WebVTT or SRT transcript"),
        (ROW.encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        (ROW.encode("utf-16-le"), "is UTF-16 text; save it as UTF-8"),
        (ROW.encode("utf-16-be"), "is UTF-16 text"),
        (ROW.encode("utf-32"), "is UTF-32 text"),
        (b"Once upon a time\n", "has no JSON: it begins with 'Once upon a time'"),
        (b"[]", "is empty: a JSON array without rows"),
        (b'["a", "b"]', "row 1 is not a JSON object but str"),
        (b'[{"id": "a"},]', "broken JSON at column"),
        (b'[{"id": "a"}', "broken JSON at column"),
        (b'{"data": [{"id": "a"}], "version": "1"}', "has its rows under the key 'data'"),
        (b'{"data": {"mcqs": [{"a": 1}]}}', "has its rows under the key 'data.mcqs'"),
        (b'{"columns": ["a"], "data": [["x"]]}', 'table of pandas .*orient="records"'),
        (b'{"a": ["x", "y"], "b": [1]}', r"has columns of different lengths \(a 2, b 1\)"),
        (
            b'{\n "id": "a"\n}\n{\n "id": "b"\n}\n',
            "more than one value.*write each object on one line",
        ),
        (b'{"q1": {"a": 1}, "q1": {"a": 2}}', "key 'q1' occurs twice"),
    ],
)
def test_another_container_is_refused_with_the_remedy(tmp_path, content, problem):
    (tmp_path / "x.jsonl").write_bytes(content)
    with pytest.raises(data.DataError, match=rf"(?s)x\.jsonl:? .*{problem}") as caught:
        read(tmp_path / "x.jsonl")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["my.json", "my.parquet", "my.json.gz", "my.jsonl"])
def test_a_name_with_a_known_ending_is_a_file(root, name):
    with pytest.raises(data.DataError, match=f"{name} does not exist"):
        data.load_questions(name)
    assert data.label(f"x/{name}") == "my"
