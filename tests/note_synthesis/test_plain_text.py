"""Notes in all the forms in which models write them."""

import time

import pytest
from tests.support.project import Page

from clinical_camel import grounding, note_synthesis
from clinical_camel.data import Consultation, Turn
from clinical_camel.note_synthesis import SECTIONS, essentials, scores, structure
from clinical_camel.note_synthesis.plain_text import to_plain_note

BODIES = (
    "Left knee hurts. No fever. Takes ramipril.",
    "The knee is warm.",
    "Gout.",
    "Naproxen 500 mg for two weeks.",
)
PLAIN = "\n\n".join(f"{name}:\n{body}" for name, body in zip(SECTIONS, BODIES, strict=True))
TEXTS = [
    "My left knee hurts. I have no fever. I take ramipril.",
    "The knee is warm. You have gout. Take naproxen 500 mg for two weeks.",
]
VISIT = Consultation(id="v", turns=[Turn(speaker="x", text=text) for text in TEXTS], note=PLAIN)


def join(form: str, between: str = "\n", numbers=("I", "II", "III", "IV")) -> str:
    """The sections, each in a form with {n}, {r}, {name} and {body}."""
    rows = zip(range(1, 5), numbers, SECTIONS, BODIES, strict=True)
    return between.join(form.format(n=n, r=r, name=name, body=body) for n, r, name, body in rows)


JSON = "{{" + join('"{name}": "{body}"', ", ") + "}}"
FORMS = {
    "plain": PLAIN,
    "Markdown": join("## {name}\n{body}\n"),
    "Markdown closed": join("# {name} #\n{body}\n"),
    "bold": join("**{name}**\n{body}"),
    "bold colon": join("**{name}:** {body}"),
    "capitals": join("{name}: {body}").replace("Plan:", "PLAN:").replace("Obj", "OBJ"),
    "numbers": join("{n}. {name}: {body}"),
    "brackets": join("{n}) {name}\n{body}"),
    "Roman numbers": join("{r}. {name}\n{body}"),
    "bullets": join("- {name}: {body}"),
    "bold bullets": join("* **{name}:** {body}"),
    "bulleted lines": join("{name}:\n\u2022 {body}"),
    "dash": join("{name} - {body}"),
    "em dash": join("{name} \u2014 {body}"),
    "full-width colon": join("{name}\uff1a{body}"),
    "square brackets": join("[{name}]\n{body}"),
    "equals": join("=== {name} ===\n{body}"),
    "underlined": join("{name}\n-----\n{body}"),
    "initial": join("{name} (X):\n{body}"),
    "quoted": join("> {name}: {body}"),
    "sign": join("\U0001fa7a {name}: {body}"),
    "one line": join("{name}: {body}", " "),
    "table": "| Section | Text |\n| --- | :-- |\n" + join("| {name} | {body} |"),
    "HTML": join("<h2>{name}</h2><p>{body}</p>", ""),
    "JSON": JSON.replace("{{", "{").replace("}}", "}"),
    "fenced JSON": "```json\n" + JSON.replace("{{", "{").replace("}}", "}") + "\n```",
    "fence": f"```\n{PLAIN}\n```",
    "Windows": PLAIN.replace("\n", "\r\n"),
    "old Mac": PLAIN.replace("\n", "\r"),
    "line separator": PLAIN.replace("\n", "\u2028"),
    "no-break space": join("{name}\u00a0:\n{body}").replace("500 mg", "500\u00a0mg"),
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_a_note_means_the_same_in_every_form(text):
    note = to_plain_note(text, SECTIONS)
    assert structure.classify_output(note, True, SECTIONS) == "ok"
    sections = {n: " ".join(b.split()) for n, b in structure.parse_note(note, SECTIONS).items()}
    assert list(sections) == list(SECTIONS)
    for body, expected in zip(sections.values(), BODIES, strict=True):
        assert body.strip("-\u2022 ") == expected
    sentences = grounding.split_note(note)
    assert [" ".join(s.split()) for s in sentences] == grounding.split_note(PLAIN)
    links = grounding.link_sentences(sentences, VISIT.turns)
    assert {link.verdict for link in links} == {"supported"}
    assert scores.score_note(note, PLAIN)["rougeL"] > 0.9
    marks = {link.sentence: ("supported", "") for link in links}
    page = Page(note_synthesis.render_side_by_side(VISIT, {"m": note}, marks)).text
    assert page.count("\u2713") == len(sentences) + 1  # one in the legend


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", "empty"),
        (join("{name}:"), "empty"),
        (join("# {name}"), "empty"),
        ("{}", "empty"),
        (join("{body}", " "), "no sections"),
        ('{"note": "He is well."}', "no sections"),
        ("HPI:\nCough.\nImpression:\nCold.\nTreatment:\nRest.", "ok"),
        ("S: Cough.\nO: Well.\nA: Cold.\nP: Rest.", "ok"),
    ],
)
def test_headings_alone_are_no_note_and_other_headings_of_a_division_count(text, status):
    note = to_plain_note(text, SECTIONS)
    assert structure.classify_output(note, True, SECTIONS) == status


@pytest.mark.parametrize(
    "text",
    ["Plan to rest - at home.", "Give <5 mg if BP < 90.", "{name} is well: yes", "2 ** 2", "a|b"],
)
def test_text_that_only_looks_like_markup_is_unchanged(text):
    assert to_plain_note(text, SECTIONS) == text


@pytest.mark.parametrize("part", ["a", "- ", "*_", "# x ", "| ", "{", "<p", "Plan ", " ", "a. "])
def test_200000_characters_of_anything_are_read_in_seconds(part):
    text = (part * (200_000 // len(part)))[:200_000]
    started = time.perf_counter()
    note = to_plain_note(f"Plan{text}y", SECTIONS)
    structure.classify_output(note, True, SECTIONS)
    essentials.find_allergies(note)
    assert time.perf_counter() - started < 20  # at most two here; quadratic time would be minutes
