"""The committed drawings are those that the program makes, and show what the code does."""

import re
import xml.etree.ElementTree as ET

import pytest

from clinical_camel.core.paths import root
from clinical_camel.course import drawings

FOLDER = root() / "docs/drawings"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    files = drawings.write_drawings(tmp_path_factory.mktemp("drawings"))
    return {file.stem: file.read_text(encoding="utf-8") for file in files}


def test_the_committed_drawings_are_up_to_date(made):
    assert {file.stem for file in FOLDER.glob("*")} == set(made)
    for name, text in made.items():
        committed = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
        assert committed == text, f"{name}: run python -m clinical_camel.course.drawings"


def test_no_drawing_loads_anything(made):
    for text in made.values():
        assert not re.search(r"<script|<image|href|@import|url\((?!#)", text)
        assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]


def test_the_description_of_the_pipeline_has_every_step(made):
    page = made["pipeline"]
    description = re.search(r"<desc[^>]*>(.+)</desc>", page)[1]
    steps = {text[:2] for style, text in read_texts(page) if re.match(r"\d\d [A-Z]", text)}
    assert len(steps) == len(list((root() / "notebooks").glob("[0-9][0-9]_*.ipynb")))
    assert [step for step in sorted(steps) if step not in description] == []


def read_texts(document):
    elements = ET.fromstring(document).iter("{http://www.w3.org/2000/svg}text")
    return [(element.get("class") or "", element.text) for element in elements]


def test_the_loss_mask_is_that_of_the_tokenizer(made):
    _, question, answer = drawings.quote_exchange()
    texts = read_texts(made["loss_mask"])
    with_loss = [text for style, text in texts if style == "bold loss"][:-1]  # without the legend
    assert "".join(with_loss) == answer.replace(" ", "") + "</s>"
    without = [text for style, text in texts if style == ""]
    assert "".join(without).startswith("<s><|user|>" + question.replace(" ", ""))
    assert f"with loss: {len(with_loss)} tokens, </s> among them" in without


def test_the_exchange_is_in_the_article():
    section, question, answer = drawings.quote_exchange()
    assert answer in section
    assert question.endswith("?")


def test_the_marked_option_has_the_highest_likelihood(made):
    texts = [text for _, text in read_texts(made["likelihood"])]
    values = [float(text.split()[0]) for text in texts if re.match(r"-\d+\.\d", text)]
    marked = [text for text in texts if text.endswith("answer")]
    assert [float(text.split()[0]) for text in marked] == [max(values)]
    assert len(values) == 4


def test_every_notebook_that_has_a_drawing_shows_it():
    shown = "".join(file.read_text(encoding="utf-8") for file in (root() / "notebooks").glob("*"))
    for name in drawings.DRAWINGS:
        assert f"](../docs/drawings/{name}.svg)" in shown
