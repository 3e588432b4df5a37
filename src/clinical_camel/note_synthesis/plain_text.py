"""A model's output as a plain note: no code fence, JSON, HTML, table or Markdown."""

import html
import json
import re
from collections.abc import Iterator, Sequence

from clinical_camel.note_synthesis.structure import split_heading

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)\w*[ \t]*$\n?", re.MULTILINE)
_BLOCK = re.compile(r"</?(?:p|div|br|h[1-6]|ul|ol|li|table|tr|section|hr|html|body)\b[^<>]*>", re.I)
_INLINE = re.compile(r"</?(?:b|strong|i|em|u|span|td|th|code)\b[^<>]*>", re.I)
_TABLE_HEAD = re.compile(r"^[ \t]*\|.*\|[ \t]*\n[ \t]*\|[ :|-]+\|[ \t]*$\n?", re.MULTILINE)
_ROW = re.compile(r"^[ \t]*\|(?P<cells>.*)\|[ \t]*$", re.MULTILINE)
_HASHES = re.compile(r"^[ \t]*#{1,6}[ \t]+(.+)$", re.MULTILINE)
_BOLD = re.compile(r"(\*\*|__)(?=\S)(.+?)\1")
_SENTENCE_END = r"(?<=[.!?])(?<!^\w\.)(?<!^\w\w\.)(?<!^III\.)"  # not "1." or "II."
# A requested heading in other forms: "- Plan:", "II. Plan", "[Plan]", "Plan (P):", "Plan - rest"
_HEADING = re.compile(
    r"[^\w(]*+(?:(?:\d{1,2}|[ivx]{1,4})[.)]\s*+)?[^\w(]*+(?P<name>[^\W\d_][\w /&,'-]{0,60}?)"
    r"(?:\s*\(\w{1,4}\))?(?:\s?[:：]|\s[-–—]\s|[^\w(:：]*$)(?P<rest>.*)",
    re.IGNORECASE,
)


def to_plain_note(text: str, requested: Sequence[str] = ()) -> str:
    r"""Return the note in an output, with each requested heading at the start of a line.

    Plain text with "Heading:" lines stays as it is. The keys of a JSON object, and the first cells
    of a table with two columns, become headings.

    >>> to_plain_note('```json\n{"Plan": ["Rest.", "Fluids."]}\n```')
    'Plan:\nRest.\nFluids.'
    >>> to_plain_note("<h2>Plan</h2><p>Rest.</p>"), to_plain_note("| Plan | Rest. |")
    ('Plan\nRest.', 'Plan: Rest.')
    >>> to_plain_note("- **Pain:** yes. Plan: Rest.", ["Pain", "Plan"])
    'Pain: yes.\nPlan: Rest.'
    """
    plain = _FENCE.sub("", text)
    if (value := _read_json(plain)) is not None:
        plain = "\n".join(_list_lines(value))
    if _BLOCK.search(plain):
        plain = html.unescape(_INLINE.sub(" ", _BLOCK.sub("\n", plain)))
        plain = "\n".join(line.strip() for line in plain.splitlines() if line.strip())
    plain = _ROW.sub(_join_cells, _TABLE_HEAD.sub("", plain))
    plain = _HASHES.sub(lambda match: match[1].rstrip(" \t\r#:") + ":", plain)
    plain = _BOLD.sub(r"\2", plain)
    return _align_headings(plain, requested) if requested else plain


def _read_json(text: str) -> dict | None:
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or ":" not in text[start:end]:
        return None
    try:
        value = json.loads(text[start : end + 1])
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _list_lines(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield f"{key[:1].upper()}{key[1:]}:"
            yield from _list_lines(part)
    elif isinstance(value, list):
        for part in value:
            yield from _list_lines(part)
    elif value is not None:
        yield str(value)


def _join_cells(match: re.Match) -> str:
    cells = [cell.strip() for cell in match["cells"].split("|")]
    return (": " if len(cells) == 2 else " ").join(cells)


def _align_headings(text: str, requested: Sequence[str]) -> str:
    names = {name.casefold(): name for name in requested}
    inline = "|".join(map(re.escape, requested))
    text = re.sub(rf"{_SENTENCE_END}[ \t]+(?=(?:{inline}):)", "\n", text, flags=re.MULTILINE)
    lines = []
    for line in text.split("\n"):
        match = None if split_heading(line, names)[0] else _HEADING.fullmatch(line)
        if match and (name := names.get(match["name"].casefold())):
            line = f"{name}: {match['rest'].strip()}".rstrip()
        lines.append(line)
    return "\n".join(lines)
