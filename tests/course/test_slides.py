"""Slides: offline, one per section, text of others never as HTML."""

import json
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from clinical_camel.core.paths import root
from clinical_camel.course import slides

PIXEL = "iVBORw0KGgo="
TEXT = "## Scores <b>x</b>\n\nFirst. Second one. Third.\n\n- a point. More.\n\n![x](../docs/x.svg)"


def make_notebook(file):
    figure = new_output(
        "display_data",
        {"image/png": PIXEL, "text/html": "<script>alert(1)</script>"},
        metadata={"image/png": {"alt": 'A "figure".'}},
    )
    sentences = new_output("execute_result", {"text/markdown": "Dialogues win. <img src=x>"})
    cells = [
        new_markdown_cell("# 01 Title\n\n**Question.** Why? It is asked.\n\nOther prose."),
        new_markdown_cell(TEXT),
        new_code_cell("plot()", outputs=[figure]),
        new_markdown_cell("More text.\n\n<details>hidden</details>\n\n## What we saw\n\nIntro."),
        new_code_cell("describe()", outputs=[sentences]),
    ]
    nbformat.write(new_notebook(cells=cells), file)
    return file


def test_a_section_is_a_slide_with_its_figures(tmp_path):
    title, scores, saw = slides.read_slides(make_notebook(tmp_path / "01_toy.ipynb"))
    assert title.text == "**Question.** Why? It is asked."
    assert scores.text == "First. Second one.\n\n- a point."
    assert scores.pictures == [('A "figure".', f"data:image/png;base64,{PIXEL}")]
    assert "Third." in scores.notes
    assert "More text." in scores.notes
    assert "hidden" not in scores.notes
    assert saw.text == "Dialogues win. <img src=x>"


def test_text_is_never_html(project):
    folder = project.root / "outputs/mini_camel"
    folder.mkdir(parents=True)
    make_notebook(folder / "01_toy.ipynb")
    page = slides.make_slides("01_toy")
    assert "<script>alert" not in page
    assert "<img src=x>" not in page
    assert "&lt;img src=x&gt;" in page
    assert "Scores &lt;b&gt;x" in page
    assert 'alt="A &quot;figure&quot;."' in page


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return slides.write_slides(tmp_path_factory.mktemp("slides"))


def test_every_notebook_has_slides_and_a_link(written):
    index = written[0].read_text(encoding="utf-8")
    stems = [file.stem for file in sorted((root() / "notebooks").glob("*.ipynb"))]
    assert [file.stem for file in written[1:]] == stems
    assert re.findall(r'href="(.+?)\.html"', index) == stems


def test_slides_load_nothing_from_outside(written):
    for file in written:
        page = file.read_text(encoding="utf-8")
        assert "default-src 'none'" in page
        sources = re.findall(r'\bsrc="([^"]{0,30})', page)
        assert all(source.startswith("data:image/") for source in sources)
        assert not re.search(r"<link|@import|url\(", page)


def test_every_slide_says_research_only_and_every_picture_has_an_alt_text(written):
    for file in written[1:]:
        page = file.read_text(encoding="utf-8")
        assert page.count("Research only: not for use in care.") >= page.count("<section")
        assert page.count("<img ") == len(re.findall(r'<img src="[^"]+" alt="[^"]+">', page))


def test_the_figures_of_the_executed_notebook_are_there(written):
    executed = root() / "outputs/mini_camel/03_eval_fewshot.ipynb"
    outputs = [
        output
        for cell in json.loads(executed.read_text(encoding="utf-8"))["cells"]
        for output in cell.get("outputs", [])
    ]
    figures = sum("image/png" in output.get("data", {}) for output in outputs)
    page = next(f for f in written if f.stem == executed.stem).read_text(encoding="utf-8")
    assert page.count("data:image/png") == figures > 0
    assert page.count("data:image/svg+xml") == len(slides.DRAWINGS[executed.stem])
