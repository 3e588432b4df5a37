"""Slides from the notebooks: `python -m clinical_camel.course.slides` (or `make slides`).

One HTML file per notebook in slides/, which works from a file, without a server and without a
network: styles, script and pictures are inside. A section of the notebook is a slide: its heading,
the first sentences of its text, its figures, and the sentences of *What we saw*. The complete text
of the section is folded below it, for the speaker. Text of models and articles is shown as text,
never as HTML.
"""

import base64
import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import mistune
import nbformat

from clinical_camel.core.paths import root

STUDY = "mini_camel"  # its executed notebooks are shown, where there are some
OTHERS = {"00_results": "results", "10_published": "published"}  # of steps that it does not have
FOLDER = "slides"
SENTENCES, BOLD, ITEMS = 2, 2, 6  # of a section's text that a slide shows
DRAWINGS = {  # of docs/drawings, after the first slide of a notebook
    "01_dbke": ("pipeline", "dbke"),
    "02_sft_qlora": ("loss_mask", "qlora"),
    "03_eval_fewshot": ("likelihood",),
    "07_reward_and_rl": ("ppo",),
}
BANNER = "Research only: not for use in care."
LICENCE = "Teaching material: CC BY 4.0"
_HEADING = re.compile(r"^#{1,2} (.+)$", re.MULTILINE)
_SENTENCE = re.compile(r"(?<=[.?!])(?<!\*\*Question\.)(?<!Method\.)(?<!\d\.)\s+(?=[A-Z*`\[])")
_MATH = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+)\$", re.DOTALL)
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")  # drawings have slides of their own
_FOLD = re.compile(r"<details>.*?</details>", re.DOTALL)
_render = mistune.create_markdown(escape=True, plugins=["table"])


@dataclass(slots=True)
class Slide:
    """A slide: heading, text as Markdown, complete text for the speaker, pictures as data URLs."""

    heading: str
    text: str = ""
    notes: str = ""
    pictures: list[tuple[str, str]] = field(default_factory=list)  # alt text, data URL


def find_notebook(stem: str) -> Path:
    """Return the executed notebook of STUDY or OTHERS; without one, that without outputs."""
    executed = root() / "outputs" / OTHERS.get(stem, STUDY) / f"{stem}.ipynb"
    return executed if executed.exists() else root() / "notebooks" / f"{stem}.ipynb"


def list_stems() -> list[str]:
    """Return the names of the numbered notebooks, in order."""
    return sorted(file.stem for file in (root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def shorten(text: str) -> str:
    """Return the start of the first paragraph, of the first bold ones, and of the first list.

    >>> shorten("One. Two. Three.\\n\\nMore.\\n\\n- a\\n- b")
    'One. Two.\\n\\n- a\\n- b'
    """
    blocks = [block.strip() for block in re.split(r"\n\s*\n", text) if block.strip()]
    prose = [block for block in blocks if not re.match(r"[-|`<>*#]|\d+\. ", block)][:1]
    bold = [block for block in blocks if block.startswith("**")][:BOLD]  # a question, a caption
    lists = [block for block in blocks if re.match(r"- |\d+\. ", block)]
    if bold and bold[0].startswith("**Question."):  # the start of a notebook
        prose, lists = [], []
    short = [" ".join(_split_sentences(block)[:SENTENCES]) for block in [*prose, *bold]]
    items = re.split(r"\n(?=- |\d+\. )", lists[0])[:ITEMS] if lists else []
    short.append("\n".join(_split_sentences(item)[0] for item in items))
    return "\n\n".join(part for part in short if part)


def _split_sentences(text: str) -> list[str]:
    return _SENTENCE.split(text.replace("\n", " "))


def read_slides(notebook: Path) -> list[Slide]:
    """Return the slides of a notebook, in order."""
    slides: list[Slide] = []
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "markdown":
            slides += _read_sections(cell.source, slides)
        elif slides:
            _add_outputs(slides[-1], cell.get("outputs", []))
    return slides


def _read_sections(source: str, slides: Sequence[Slide]) -> Iterator[Slide]:
    """Yield a slide for each heading; add the text before the first one to the last slide."""
    parts = _HEADING.split(_IMAGE.sub("", _FOLD.sub("", source)))
    if slides and parts[0].strip():
        slides[-1].notes += f"\n\n{parts[0].strip()}"
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        yield Slide(heading.strip(), shorten(text), text.strip())


def _add_outputs(slide: Slide, outputs: Sequence[dict]) -> None:
    """Add the figures of a cell, and the sentences that it computed."""
    for output in outputs:
        content = output.get("data", {})
        if picture := content.get("image/png"):
            alt = output.get("metadata", {}).get("image/png", {}).get("alt", slide.heading)
            slide.pictures.append((alt, f"data:image/png;base64,{picture.strip()}"))
        if slide.heading == "What we saw" and (text := content.get("text/markdown")):
            slide.text = text if isinstance(text, str) else "".join(text)


def read_drawings(stem: str) -> list[Slide]:
    """Return a slide for each drawing of a notebook."""
    slides = []
    for name in DRAWINGS.get(stem, ()):
        content = (root() / f"docs/drawings/{name}.svg").read_bytes()
        title = re.search(r"<title[^>]*>(.*?)</title>", content.decode())[1]
        url = f"data:image/svg+xml;base64,{base64.b64encode(content).decode()}"
        slides.append(Slide(html.unescape(title), pictures=[(html.unescape(title), url)]))
    return slides


def render_markdown(text: str) -> str:
    """Return Markdown as HTML; HTML in it is text, formulas are code.

    >>> render_markdown("<b>x</b> $r$").strip()
    '<p>&lt;b&gt;x&lt;/b&gt; <code>r</code></p>'
    """
    text = _MATH.sub(lambda m: f"`{(m[1] or m[2]).strip()}`", text)
    return _render(text.replace("](../../", "](../"))  # links of an executed notebook


def make_slides(stem: str) -> str:
    """Return the slides of a notebook as a complete HTML page."""
    notebook = find_notebook(stem)
    slides = read_slides(notebook)
    slides[1:1] = read_drawings(stem)
    origin = notebook.relative_to(root()).as_posix()
    pages = "\n".join(_render_slide(slide, number, origin) for number, slide in enumerate(slides))
    return _wrap_page(slides[0].heading, pages)


def _render_slide(slide: Slide, number: int, origin: str) -> str:
    tag = "h1" if number == 0 else "h2"
    pictures = "".join(
        f'<img src="{url}" alt="{html.escape(alt, quote=True)}">' for alt, url in slide.pictures
    )
    notes = ""
    if slide.notes:
        text = render_markdown(slide.notes)
        notes = f"<details><summary>Text of the notebook</summary>{text}</details>"
    return (
        f'<section id="s{number + 1}"><{tag}>{html.escape(slide.heading)}</{tag}>'
        f'<div class="text">{render_markdown(slide.text)}</div>{pictures}{notes}'
        f"<footer>{BANNER} {LICENCE}. From {html.escape(origin)}. {number + 1}</footer></section>"
    )


def _wrap_page(title: str, body: str) -> str:
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style></head>\n"
        f"<body>\n<main>\n{body}\n</main>\n<script>{SCRIPT}</script>\n</body></html>\n"
    )


STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --line: #767676; --link: #005b8f; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #f2f2f2; --paper: #14171a; --line: #9aa0a6; --link: #7cc4ee; } }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: var(--paper);
  font: 22px/1.45 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
a { color: var(--link); }
section { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1.2rem; overflow-wrap: break-word;
  border-bottom: 1px solid var(--line); }
.one section { display: none; min-height: 100vh; border: 0; }
.one section.shown { display: block; }
h1, h2 { line-height: 1.2; margin: 0 0 .6rem; }
img { display: block; max-width: 100%; max-height: 70vh; margin: .8rem auto; background: #fff; }
code, pre { font-size: .85em; white-space: pre-wrap; }
table { border-collapse: collapse; display: block; overflow-x: auto; font-size: .8em; }
td, th { border: 1px solid var(--line); padding: .2rem .5rem; text-align: left; }
details { margin-top: 1rem; font-size: .8em; }
footer { margin-top: 1.2rem; font-size: .6em; }
@media (max-width: 600px) { body { font-size: 18px; } footer { font-size: 13px; } }
@media print { .one section { display: block; min-height: 0; } details { display: none; }
  section { break-after: page; border: 0; } }
"""
SCRIPT = """
const slides = [...document.querySelectorAll("section")];
let at = Math.max(0, slides.findIndex(s => "#" + s.id === location.hash));
function show(i) {
  at = Math.min(Math.max(i, 0), slides.length - 1);
  slides.forEach((s, j) => s.classList.toggle("shown", j === at));
  history.replaceState(null, "", "#" + slides[at].id); scrollTo(0, 0);
}
document.body.classList.add("one"); show(at);
document.addEventListener("keydown", e => {
  if (e.target.closest?.("summary, a")) return;
  const step = {ArrowRight: 1, PageDown: 1, " ": 1, ArrowLeft: -1, PageUp: -1}[e.key];
  if (step) { e.preventDefault(); show(at + step); }
  if (e.key === "Home") show(0);
  if (e.key === "End") show(slides.length - 1);
});
document.querySelector("main").addEventListener("click", e => {
  if (!e.target.closest("a, details")) show(at + (e.clientX < innerWidth / 4 ? -1 : 1));
});
"""


def write_slides(folder: Path | None = None) -> list[Path]:
    """Write the slides of every notebook and a list of them, by default into slides/."""
    folder = folder or root() / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    files, links = [], []
    for stem in list_stems():
        page = make_slides(stem)
        file = folder / f"{stem}.html"
        file.write_text(page, encoding="utf-8")
        files.append(file)
        title = re.search(r"<title>(.*?)</title>", page)[1]
        links.append(f'<li><a href="{file.name}">{title}</a></li>')
    keys = "Arrow keys or a click change the slide; Home and End go to the ends."
    body = f"<section><h1>Slides</h1><p>{keys}</p><ul>{''.join(links)}</ul></section>"
    index = folder / "index.html"
    index.write_text(_wrap_page("Slides", body).replace(f"<script>{SCRIPT}</script>", ""), "utf-8")
    return [index, *files]


if __name__ == "__main__":
    for written in write_slides():
        print(written.relative_to(root()))
