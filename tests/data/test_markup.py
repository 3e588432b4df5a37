"""Tests of data.markup: what is undone without a change of meaning, and what is refused."""

import pytest

from clinical_camel.data.markup import undo_markup


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("10<sup>9</sup>/l", "10^9/l"),
        ("10 <sup>9</sup>/l", "10^9/l"),
        ("10<sup>&#8722;9</sup>", "10^−9"),
        ("10<sup>-</sup><sup>9</sup>", "10^-9"),
        ("10<sup class='x'><b>9</b></sup>", "10^9"),
        ("10<SUP>9</SUP>", "10^9"),
        ("kg/m<sup>2</sup>", "kg/m²"),
        ("s<sup>-1</sup>", "s^-1"),
        ("Ca<sup>2+</sup>", "Ca2+"),
        ("the 1<sup>st</sup> visit", "the 1st visit"),
        ("give <sup>131</sup>I", "give 131I"),
        ("in 12 <sup>131</sup>I scans", "in 12 131I scans"),
        ("1<sup>1</sup>/<sub>2</sub> tablets", "1 1/2 tablets"),
        ("<sup>3</sup>/<sub>4</sub> tablet", "3/4 tablet"),
        ("H<sub>2</sub>O", "H2O"),
        ("10<sub>9</sub>", "10_9"),
        ("log<sub>2</sub>3", "log2 3"),
        ("5 m<jats:sup>2</jats:sup> <jats:italic>n</jats:italic>", "5 m² n"),
        ("in 2010<xref ref-type='bibr' rid='B3'>3</xref>.", "in 2010 [3]."),
        ("(<xref ref-type='bibr' rid='B3'>3</xref>)", "(3)"),
        ("14 days<sup><xref rid='B3'>3</xref>,<xref rid='B4'>4</xref></sup>", "14 days [3,4]"),
        ("<italic>Candida</italic> <i>n</i> &lt; 5", "Candida n < 5"),
        ("200&#x000A0;mg&#x2009;&times;&nbsp;3", "200 mg × 3"),
        ("3&middot;5 mmol/l", "3·5 mmol/l"),
        ("&amp;lt; 5 and R&amp;D", "< 5 and R&D"),  # escaped twice
        ("&lt;i&gt;Candida&lt;/i&gt;", "Candida"),  # an escaped tag
        ("one<br/>two<p>three</p>", "one\ntwo\nthree\n"),
        # what only looks like markup
        ("p < 0.05 and x > 3", "p < 0.05 and x > 3"),
        ("(r<r2 and a<b and c> d)", "(r<r2 and a<b and c> d)"),
        ("score <or = 5", "score <or = 5"),
        ("AT&T; R&D; Q&A", "AT&T; R&D; Q&A"),
        ("Dear <name>, <think> and </s>", "Dear <name>, <think> and </s>"),
    ],
)
def test_entities_and_inline_tags_are_undone_without_a_change_of_numbers(text, plain):
    assert undo_markup(text) == plain


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("a <table-wrap><tr><td>Fever</td></tr></table-wrap>", "<table-wrap>"),
        ("<TABLE border='1'>", "<TABLE border='1'>"),
        ("<ul><li>x</li></ul>", "<ul>"),
        ("<title>Methods</title>", "</title>"),
        ("<jats:title>Methods</jats:title>", "</title>"),
        ("<mml:math><mml:mi>x</mml:mi></mml:math>", "<mml:math>"),
        ("&lt;td&gt;12&lt;/td&gt;", "<td>"),
        ('<foo bar="x">', '<foo bar="x">'),
        ("<del>5</del> 10 mg", "<del>"),
        ("10<sup>9", "<sup>"),
        ("<!-- hidden -->", "<!--"),
        ("<![CDATA[x]]>", "<![CDATA["),
        ("<script>x</script>", "<script>"),
    ],
)
def test_blocks_are_refused_by_their_tag(text, tag):
    with pytest.raises(ValueError, match="plain sentences") as caught:
        undo_markup(text)
    assert f"markup {tag};" in str(caught.value)


def test_code_between_backticks_stays_as_it_is():
    text = "Write `<td>&lt;` &lt; 3:\n```\n<table>\n```"
    assert undo_markup(text, has_code=True) == "Write `<td>&lt;` < 3:\n```\n<table>\n```"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("**Dose.** 5 mg", "Dose. 5 mg"),
        ("## Methods\nWe did.", "Methods\nWe did."),
        ("see [the guideline](https://example.org/x) first", "see the guideline first"),
        ("*p < 0.05, **p < 0.01", "*p < 0.05, **p < 0.01"),
        ("2 ** 3 and __init__", "2 ** 3 and init"),
    ],
)
def test_markdown_of_an_article_is_undone(text, plain):
    assert undo_markup(text, has_markdown=True) == plain


@pytest.mark.parametrize("text", ["| a | b |\n|---|---|\n| 1 | 2 |", "see ![figure](x.png)"])
def test_tables_and_images_of_markdown_are_refused(text):
    with pytest.raises(ValueError, match="markup "):
        undo_markup(text, has_markdown=True)
