"""Outputs of notebooks as plain text or safe HTML.

Outputs quote what models and articles say. Nothing of it may become live HTML, and no output may
load anything from elsewhere. So every output of the site is one of these:

    text        shown as text
    HTML        only the tags and attributes that are listed below; everything else is removed
    Markdown    converted to HTML; HTML in it is shown as text
    an image    a file of the site with its description
"""

import base64
import hashlib
import html
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nh3
from markdown_it import MarkdownIt
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

Output = dict[str, Any]
TABLE = {"table", "thead", "tbody", "tr", "th", "td", "caption"}
TEXT = {
    "p",
    "b",
    "strong",
    "i",
    "em",
    "code",
    "pre",
    "br",
    "hr",
    "sub",
    "sup",
    "blockquote",
    "small",
}
TAGS = {*TABLE, *TEXT, "div", "span", "h3", "h4", "h5", "h6", "ul", "ol", "li", "a"}
TAGS |= {"details", "summary"}
ATTRIBUTES = {
    "*": {"class", "style", "title"},
    "a": {"href"},
    "th": {"rowspan", "colspan", "valign", "scope"},
    "td": {"rowspan", "colspan", "valign"},
}
STYLES = {
    *("color", "background", "background-color", "padding", "display", "gap", "align-items"),
    *("flex", "min-width", "font-size", "font-weight", "outline", "text-align", "border"),
    *("border-left", "margin", "white-space", "flex-wrap", "max-width", "overflow-x"),
}
_PROGRESS = re.compile(r"^.*\d+%\|[#█▏▎▍▌▋▊▉ ]*\|.*\n?", re.MULTILINE)
_PNG = b"\x89PNG\r\n\x1a\n"


def convert_output(
    output: Output, figures: Path, address: str, move_links: Callable[[str], str]
) -> Output | None:
    """Return an output as plain text or safe HTML; None if nothing of it is for readers.

    An image is written to the folder `figures`, whose address from the page is `address`. The
    function `move_links` changes the links of HTML. Raises
    ValueError for an image without a description, or of another kind than PNG.
    """
    if output["output_type"] == "stream":
        text = _PROGRESS.sub("", "".join(output["text"]))
        return {**output, "name": "stdout", "text": text} if text.strip() else None
    if output["output_type"] == "error":
        return output
    data = {kind: _join(value) for kind, value in output.get("data", {}).items()}
    if images := [kind for kind in data if kind.startswith("image/")]:
        if images != ["image/png"]:
            raise ValueError(f"an output of kind {', '.join(images)}: only image/png is shown")
        alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
        page = _write_image(base64.b64decode(data["image/png"]), alt, figures, address)
    elif "text/html" in data:
        page = move_links(clean_html(data["text/html"]))
    elif "text/markdown" in data:
        page = move_links(convert_markdown(data["text/markdown"]))
    else:
        return {**output, "data": {"text/plain": data.get("text/plain", "")}}
    return {
        **output,
        "metadata": {},
        "data": {"text/html": f'<div class="output-html">{page}</div>'},
    }


def _join(value: Any) -> Any:
    return "".join(value) if isinstance(value, list) else value


def clean_html(page: str) -> str:
    """Return HTML without scripts, styles, forms, frames, images, event handlers and odd links."""
    page = nh3.clean(
        page,
        tags=TAGS,
        clean_content_tags={"script", "style"},
        attributes=ATTRIBUTES,
        filter_style_properties=STYLES,
        attribute_filter=_filter_attribute,
        url_schemes={"https", "http"},
        link_rel="noopener noreferrer",
    )
    scroll = '<div class="table-scroll" tabindex="0" role="region" aria-label="Table">'
    return page.replace("<table", f"{scroll}<table").replace("</table>", "</table></div>")


def _filter_attribute(tag: str, name: str, value: str) -> str | None:
    """Drop a style that would load a file."""
    return None if name == "style" and "url(" in value.lower() else value


def convert_markdown(text: str) -> str:
    """Return Markdown as safe HTML, with coloured code; HTML in the text is shown as text.

    >>> convert_markdown("**bold** <script>alert(1)</script>").strip()
    '<p><strong>bold</strong> &lt;script&gt;alert(1)&lt;/script&gt;</p>'
    """
    parser = MarkdownIt("commonmark", {"html": False, "highlight": _highlight}).enable("table")
    return clean_html(parser.render(text))


def _highlight(code: str, language: str, _: str) -> str:
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        return ""
    return f'<pre class="highlight">{highlight(code, lexer, HtmlFormatter(nowrap=True))}</pre>'


def _write_image(png: bytes, alt: str, figures: Path, address: str) -> str:
    """Write an image under a name made from its bytes, and return the HTML that shows it."""
    if not alt.strip():
        raise ValueError("an image without a description: run.save_figure(..., alt=...)")
    if not png.startswith(_PNG):
        raise ValueError("an output says that it is a PNG image, and is not")
    width, height = struct.unpack(">II", png[16:24])
    name = f"{hashlib.sha256(png).hexdigest()[:16]}.png"
    figures.mkdir(parents=True, exist_ok=True)
    (figures / name).write_bytes(png)
    text = html.escape(alt)
    size = f'width="{width}" height="{height}"'
    return (
        f'<a class="figure" href="{address}/{name}" aria-label="Open the figure alone">'
        f'<img src="{address}/{name}" {size} alt="{text}" loading="lazy"></a>'
    )
