"""A page of a drawing: what does not fit is an error, colours have contrast, text stays text."""

import re
import xml.etree.ElementTree as ET

import pytest

from clinical_camel.course import svg


def make_page():
    page = svg.Page("toy", "A <title>", "What is drawn & why.")
    page.text(16, 32, "A <title>", style="title")
    bottom = page.box((16, 50, 200), "step", "Heading", ["a line"])
    page.arrow((100, bottom), (100, bottom + 20))
    return page


def test_a_page_is_xml_with_title_and_description():
    root = ET.fromstring(make_page().render())
    names = {child.tag.rpartition("}")[2]: child.text for child in root}
    assert names["title"] == "A <title>"
    assert names["desc"] == "What is drawn & why."
    assert root.get("role") == "img"
    assert "A <title>" in [element.text for element in root.iter() if element.tag.endswith("text")]


def test_a_text_that_does_not_fit_is_an_error():
    page = make_page()
    with pytest.raises(ValueError, match="does not fit into 100 units"):
        page.box((16, 200, 100), "step", "A heading that is far too long")
    with pytest.raises(ValueError, match="leaves the page"):
        page.text(400, 200, "outside of the page")


@pytest.mark.parametrize(
    "draw",
    [
        lambda page: page.text(16, 34, "again"),
        lambda page: page.text(190, 75, "over the border"),
        lambda page: page.box((100, 60, 300), "data", "over the other"),
    ],
)
def test_what_overlaps_is_an_error(draw):
    page = make_page()
    assert page.list_overlaps() == []
    draw(page)
    with pytest.raises(ValueError, match=r"toy: .* \| "):
        page.render()


def luminance(colour):
    parts = re.findall("..", colour[1:]) if len(colour) == 7 else [c * 2 for c in colour[1:]]
    values = [int(part, 16) / 255 for part in parts]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", svg.COLOURS)
def test_text_and_borders_have_contrast_on_both_backgrounds(name):
    light_fill, light_stroke, dark_fill, dark_stroke = svg.COLOURS[name]
    assert contrast(svg.INK[0], light_fill) > 7
    assert contrast(svg.PAPER[0], dark_fill) > 7
    assert contrast(light_stroke, svg.INK[1]) > 3
    assert contrast(dark_stroke, svg.PAPER[1]) > 3


def test_no_font_is_smaller_than_12_pixels_on_a_page_of_400():
    assert min(svg.SIZE, svg.SMALL, svg.TITLE) * 400 / svg.WIDTH >= 12
