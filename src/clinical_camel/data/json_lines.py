"""Strict JSON: one object of a line, or one value of a file.

`json` and `pandas` accept many errors of a hand-made or half-downloaded file: `NaN` stays, a
repeated key overwrites the first silently. Here each of these raises a ValueError that says where.
"""

import json
from typing import Any


def parse_line(line: bytes) -> dict[str, Any]:
    """Return the object on one line of JSON lines, in UTF-8.

    Raises ValueError: broken or truncated JSON, not an object, two objects, blank, NUL, bad UTF-8,
    a repeated key, NaN or Infinity, half of a surrogate pair.

    >>> parse_line(b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ValueError: key 'a' occurs twice in one object
    """
    if not line.strip():
        raise ValueError("blank line")
    if line.lstrip().startswith((b"#", b"//")):
        raise ValueError("a comment, which JSON does not have; delete the line")
    value = parse_value(line)
    if not isinstance(value, dict):
        raise ValueError(f"not a JSON object but {type(value).__name__}")
    return value


def parse_value(content: bytes) -> Any:
    """Return the JSON value in these bytes. Raises ValueError as `parse_line`."""
    text = decode_utf8(content)
    value = _parse(text)
    if "\\u" in text:
        _require_clean_escapes(value)
    return value


def decode_utf8(content: bytes) -> str:
    """Return the bytes as text; ValueError with the first byte that is not UTF-8, and the remedy.

    >>> decode_utf8(b"caf\\xe9")
    Traceback (most recent call last):
    ValueError: not UTF-8 at byte 4 (0xE9, 'é' in Windows-1252 or Latin-1); save the file as UTF-8
    """
    if 0 in content:
        raise ValueError(f"NUL byte at byte {content.index(0) + 1}")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(_name_bad_byte(content, error.start)) from None
    if text.startswith("\ufeff"):
        raise ValueError("a byte order mark inside the file (two files joined?)")
    return text


def _name_bad_byte(content: bytes, position: int) -> str:
    byte = content[position : position + 1]
    guess = byte.decode("cp1252", errors="replace")
    shown = f"0x{byte[0]:02X}" + (
        f", {guess!r} in Windows-1252 or Latin-1" if guess != "\ufffd" else ""
    )
    return f"not UTF-8 at byte {position + 1} ({shown}); save the file as UTF-8"


def _parse(text: str) -> Any:
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique_keys,
            parse_constant=_reject_constant,
            parse_float=_parse_finite,
        )
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        if error.msg == "Extra data" and text[error.pos :].strip() == ",":
            raise ValueError("a comma after the object; delete it") from None
        if error.msg == "Extra data":
            raise ValueError(f"more than one value ({line}column {error.colno})") from None
        raise ValueError(f"broken JSON at {line}column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {repeated!r} occurs twice in one object")
    return values


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON; write null")


def _parse_finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is too large for a number")
    return value


def _require_clean_escapes(value: Any) -> None:
    r"""Reject "\u0000" and lone surrogates: valid JSON that no tokenizer or CSV can store."""
    try:
        text = json.dumps(value, ensure_ascii=False)
        if "\\u0000" in text:
            raise ValueError("NUL character in a text")
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair in a text") from None
