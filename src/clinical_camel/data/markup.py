"""Leftovers of a page in a text: undo entities and inline tags, refuse tables and other blocks.

Articles of PMC and of the web arrive with JATS or HTML tags, entities and Markdown. Undone is only
what has a plain form with the same meaning: 10<sup>9</sup> becomes 10^9, never 109.
"""

import html
import re

_INLINE = """
    i em b strong u italic bold underline sc small big span font tt monospace roman sans-serif
    overline mark abbr abbrev acronym a ext-link uri email named-content styled-content xref
    cite q nobr wbr bdi kbd var dfn code samp
"""
INLINE = frozenset(_INLINE.split())
LINE_BREAKS = frozenset(("br", "p", "break"))
# tags with a meaning that plain text would lose
_BLOCKS = """
    table table-wrap table-wrap-foot thead tbody tfoot tr td th caption col colgroup ul ol li dl
    dt dd div h1 h2 h3 h4 h5 h6 sec list-item def-list fig fig-group graphic inline-graphic img
    image disp-formula inline-formula tex-math math boxed-text disp-quote blockquote pre script
    style html body head meta link iframe svg input form button nav footer ref-list fn fn-group
    media supplementary-material alternatives hr del ins strike kwd kwd-group journal-meta
    article-meta mixed-citation element-citation person-group
"""
BLOCKS = frozenset(_BLOCKS.split())
# a placeholder such as <name> is no tag; </name> is
_OFTEN_WORDS = """
    title label name list section article abstract ref header note date back front
"""
OFTEN_WORDS = frozenset(_OFTEN_WORDS.split())

_ATTRIBUTE = r"\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'<>=]+)"
_TAG = re.compile(rf"<(?P<end>/?)(?P<name>[A-Za-z][\w:.-]*)(?P<rest>(?:{_ATTRIBUTE})*)\s*/?>")
_SPECIAL = re.compile(r"<!--|<!\[CDATA\[|<\?xml|<!doctype", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});|&nbsp\b")
_PREFIX = re.compile(r"(</?)jats:(?=[a-z])", re.IGNORECASE)  # abstracts of Crossref
_SPACES = re.compile(r"[\u00a0\u2000-\u200a\u202f\u205f\u3000]")
_RAISED = re.compile(r"<(su[pb])(?:\s[^<>]*)?>\s*([^<>]*?)\s*</\1\s*>", re.IGNORECASE)
_FRACTION = re.compile(
    r"(\d?)\s*<sup>\s*(\d+)\s*</sup>\s*[/\u2044\u2215]\s*<sub>\s*(\d+)\s*</sub>", re.IGNORECASE
)
_CITATION = re.compile(
    r"<sup>\s*((?:<xref[^<>]*>[^<>]*</xref>[\s,;\u2013-]*)+)</sup>"
    r"|(?<=[\w.)])(<xref[^<>]*ref-type=[\"']bibr[^<>]*>[^<>]*</xref>)",
    re.IGNORECASE,
)
_CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]+`)", re.DOTALL)
_UNRAISED = re.compile(r"st|nd|rd|th|[^\w+\u2212\u2013-]*")  # 1st, a trade mark, a comma
_CHARGE = re.compile(r"\d*[+\u2212\u2013-]+")
_ADJACENT = re.compile(r"</sup>\s*<sup>|</sub>\s*<sub>", re.IGNORECASE)
_GAP = re.compile(  # 10 <sup>9</sup>, but not 12 <sup>131</sup>I
    r"(?<=\d)\s+(?=<sup>\s*[+\u2212\u2013-]?\d+\s*</sup>(?![A-Za-z]))", re.IGNORECASE
)
_ANY_TAG = re.compile(r"<[^<>]*>")
_MARKDOWN_TABLE = re.compile(r"^\s*\|?(?:\s*:?-{2,}:?\s*\|)+", re.MULTILINE)
_MARKDOWN_IMAGE = re.compile(r"!\[[^\]\n]*\]\([^)\n]*\)")
_MARKDOWN_LINK = re.compile(r"(?<!!)\[([^\]\n]+)\]\((?:https?:|mailto:|#|/)[^)\s]*\)")
_MARKDOWN_STRONG = re.compile(r"(\*\*|__)(?=\w)([^*_\n]+?)(?<=[\w.:!?)])\1")
_MARKDOWN_HEADING = re.compile(r"^#{1,6} +(?=\S)", re.MULTILINE)


def undo_markup(text: str, has_code: bool = False, has_markdown: bool = False) -> str:
    """Return the text without entities and inline tags. Raises ValueError for a block, by its tag.

    `has_code`: code between backticks stays as it is. `has_markdown`: bold, links and heading
    marks are undone as well, tables and images refused.

    >>> undo_markup("200&#x000A0;mg; 10<sup>9</sup>/l, CO<sub>2</sub>, <i>n</i> &lt; 5")
    '200 mg; 10^9/l, CO2, n < 5'
    >>> undo_markup("<table><tr><td>Fever</td></tr></table>")
    Traceback (most recent call last):
    ValueError: markup <table>; write what it says as plain sentences, or delete it
    """
    if has_code and "`" in text:
        parts = _CODE.split(text)
        return "".join(p if i % 2 else undo_markup(p) for i, p in enumerate(parts))
    for _ in range(5):  # "&amp;lt;" was escaped twice, "&lt;i&gt;" is an escaped tag
        before, text = text, _undo_entities(_undo_tags(text))
        if text == before:
            break
    return _undo_markdown(text) if has_markdown else text


def _undo_tags(text: str) -> str:
    if "<" not in text:
        return text
    text = _PREFIX.sub(r"\1", text)
    if special := _SPECIAL.search(text):
        raise _refusal(special[0])
    for tag in _TAG.finditer(text):
        if _is_block(tag):
            raise _refusal(tag[0])
    text = _CITATION.sub(_cite, _GAP.sub("", _ADJACENT.sub("", text)))
    text = _FRACTION.sub(lambda m: f"{m[1]}{' ' if m[1] else ''}{m[2]}/{m[3]}", text)
    text = _TAG.sub(lambda tag: "" if tag["name"].lower() in INLINE else tag[0], text)
    while text != (text := _RAISED.sub(_write_raised, text)):
        pass
    for tag in _TAG.finditer(text):
        if tag["name"].lower() in ("sup", "sub"):
            raise _refusal(tag[0])
    return _TAG.sub(_break_line, text)


def _is_block(tag: re.Match[str]) -> bool:
    name = tag["name"].lower()
    if name in INLINE or name in LINE_BREAKS or name in ("sup", "sub"):
        return False
    is_named = name in BLOCKS or name.startswith("mml:") or (tag["end"] and name in OFTEN_WORDS)
    return bool(is_named or '"' in tag["rest"] or "'" in tag["rest"])


def _refusal(tag: str) -> ValueError:
    printable = "".join(filter(str.isprintable, tag))
    shown = printable if len(printable) <= 40 else printable[:39] + "..."
    return ValueError(f"markup {shown}; write what it says as plain sentences, or delete it")


def _cite(match: re.Match[str]) -> str:
    """Write a raised reference so that its number does not join the word before it."""
    return f" [{_TAG.sub('', match[1] or match[2]).strip()}]"


def _break_line(tag: re.Match[str]) -> str:
    return "\n" if tag["name"].lower() in LINE_BREAKS else tag[0]


def _write_raised(match: re.Match[str]) -> str:
    """Write a superscript or subscript in plain text, so that no number changes.

    After a digit, a raised number gets a caret and a lowered one an underscore; m<sup>2</sup>
    becomes m², Ca<sup>2+</sup> Ca2+, 1<sup>st</sup> 1st, and <sup>131</sup>I 131I.
    """
    content = match[2]
    if content[-1:].isdigit() and match.string[match.end() :][:1].isdigit():
        content += " "  # log<sub>2</sub>3 is not log23
    before = _ANY_TAG.sub("", match.string[: match.start()])
    last = before[-1:]
    if match[1].lower() == "sub":
        return f"_{content}" if last.isdigit() and content[:1].isdigit() else content
    if last.isalpha() and content in ("2", "3"):
        return {"2": "²", "3": "³"}[content]
    if _UNRAISED.fullmatch(content) or (last.isalpha() and _CHARGE.fullmatch(content)):
        return content
    if last.isalnum() or last in (")", "]"):
        return f"^{content}" if " " not in content else f"^({content})"
    return content


def _undo_entities(text: str) -> str:
    if "&" not in text:
        return text
    return _ENTITY.sub(lambda match: _SPACES.sub(" ", html.unescape(match[0])), text)


def _undo_markdown(text: str) -> str:
    for pattern in (_MARKDOWN_TABLE, _MARKDOWN_IMAGE):
        if match := pattern.search(text):
            raise _refusal(match[0].strip())
    text = _MARKDOWN_LINK.sub(r"\1", text)
    text = _MARKDOWN_STRONG.sub(r"\2", text)
    return _MARKDOWN_HEADING.sub("", text)
