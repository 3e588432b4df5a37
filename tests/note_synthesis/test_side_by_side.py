"""HTML pages: what is shown, and that nothing from a transcript or a model is live."""

import dataclasses

import pandas as pd
from tests.support.consultations import KNEE, WRONG_NOTE, repeat_text
from tests.support.project import SCRIPT, Page

from clinical_camel import grounding, note_synthesis
from clinical_camel.data import Turn
from clinical_camel.note_synthesis import side_by_side

TAGS, ATTRIBUTES = {"div", "p", "b", "span"}, {"class", "style", "title"}


def annotate(model: str) -> dict:
    row = {"corpus": "toy", "model": model, "id": "v1", "status": "ok", "note": WRONG_NOTE}
    notes = pd.DataFrame([row])
    tables = note_synthesis.measure_faithfulness(notes, {"toy": [KNEE]})
    return note_synthesis.annotate_notes(*tables, "toy", "v1", model)


def require_harmless(page: Page) -> None:
    assert {tag for tag, _ in page.tags} <= TAGS
    assert {name for _, attrs in page.tags for name in attrs} <= ATTRIBUTES


def test_html_in_transcript_note_and_name_is_escaped():
    page = Page(side_by_side.render_side_by_side(repeat_text(SCRIPT), {SCRIPT: SCRIPT}))
    require_harmless(page)
    assert page.text.count(SCRIPT) == 4
    source = side_by_side.render_side_by_side(repeat_text(SCRIPT), {})
    assert "$$" not in source  # two in one text would begin a formula


def test_html_in_an_annotated_sentence_turn_remark_or_title_is_escaped():
    turns = [Turn(speaker=SCRIPT, text=SCRIPT)]
    hostile = dataclasses.replace(KNEE, turns=turns, note=f"Plan: Rest. {SCRIPT}")
    sentences = grounding.split_note(hostile.note)
    of_note = {s: ("unsupported", SCRIPT) for s in sentences}
    page = side_by_side.render_side_by_side(
        hostile, {SCRIPT: hostile.note}, of_note, {1: ("omitted", SCRIPT)}
    )
    row = {"corpus": "toy", "model": "base", "id": "v1", "turns": "1"}
    sentence = row | {"sentence": sentences[0], "verdict": "unsupported", "reasons": SCRIPT}
    notes = pd.DataFrame([row | {"note": hostile.note}])
    corpora = {"toy": [hostile]}
    worst = side_by_side.render_worst(pd.DataFrame([sentence]), notes, corpora)
    omission = pd.DataFrame([row | {"omitted": SCRIPT}])
    worst += side_by_side.render_worst(omission, notes, corpora)
    for html, count in ((page, 6), (worst, 8)):
        shown = Page(html)
        require_harmless(shown)
        assert shown.text.count("<script>alert(1)</script>") == count
        assert "$$" not in html


def test_annotations_have_a_sign_and_a_fixed_legend_besides_their_colour():
    page = side_by_side.render_side_by_side(KNEE, {"base": WRONG_NOTE}, **annotate("base"))
    text = Page(page).text
    assert "✗ Naproxen 50 mg for two weeks. (dose: 50 mg, the source has 500 mg)" in text
    assert "◐ 3. Doctor: Take naproxen 500 mg" in text
    for name, (colour, sign) in side_by_side.LABELS.items():
        assert f"{sign} {name}" in text
        assert colour in page
    assert len({sign for _, sign in side_by_side.LABELS.values()}) == len(side_by_side.LABELS)
    plain = side_by_side.render_side_by_side(KNEE, {"base": WRONG_NOTE})
    assert "✗" not in Page(plain).text


def test_annotating_a_note_loses_no_word(mini_consultations):
    for row in mini_consultations:
        sentences = grounding.split_note(row.note)
        annotations = {sentence: ("supported", "") for sentence in sentences}
        shown = Page(side_by_side._format_note(row.note, annotations)).text
        assert shown.replace("✓ ", "").split() == row.note.split()
        assert shown.count("✓") == len(sentences)
