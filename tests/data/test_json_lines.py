"""Tests of data.json_lines beyond those of whole files (test_files)."""

import pytest

from clinical_camel.data.json_lines import decode_utf8, parse_line, parse_value


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"caf\xe9", r"byte 4 \(0xE9, 'é' in Windows-1252 or Latin-1\); save the file as UTF-8"),
        (b"it\x92s", r"byte 3 \(0x92, '’' in Windows-1252 or Latin-1\)"),
        (b"a\x81b", r"byte 2 \(0x81\); save the file as UTF-8"),
        (b"a\x00b", "NUL byte at byte 2"),
    ],
)
def test_a_byte_that_is_not_utf8_is_named(content, problem):
    with pytest.raises(ValueError, match=problem):
        decode_utf8(content)


@pytest.mark.parametrize("content", [b"[" * 200_000, b'{"a":' * 200_000])
def test_deep_nesting_is_refused(content):
    with pytest.raises(ValueError, match="nested too deeply|broken JSON"):
        parse_value(content)


def test_a_value_over_several_lines_names_the_line_of_its_fault():
    with pytest.raises(ValueError, match="broken JSON at line 3, column 8"):
        parse_value(b'[\n  {"a": 1},\n  {"b" 2}]')
    assert parse_line(b'{"a": "\\u00e9"}') == {"a": "é"}
