"""Tests of grounding.context: cues of NegEx and ConText, and where their scopes end."""

import pytest

from clinical_camel.grounding.context import find_scopes


def cover(text: str, context: str) -> str:
    return " ".join(text[a:b].strip() for a, b in find_scopes(text)[context]).strip()


@pytest.mark.parametrize(
    ("text", "context", "covered"),
    [
        ("no cough", "negated", "cough"),
        ("denies fever, cough or nausea and reports headache", "negated", "fever, cough or nausea"),
        ("pneumonia was ruled out", "negated", "pneumonia"),
        ("declined flu vaccine", "negated", "flu vaccine"),
        ("ct fails to reveal a fracture", "negated", "a fracture"),
        ("fever: denied", "negated", "fever"),
        ("allergies: none known", "negated", "allergies"),
        ("no fever apart from a cough", "negated", "fever"),
        ("no pain but a cough", "negated", "pain"),
        ("no infection secondary to the bite", "negated", "infection"),
        ("no increase in pain", "negated", ""),  # pseudo-negations negate nothing
        ("not only a cough", "negated", ""),
        ("gram negative rods", "negated", ""),
        ("no further bleeding", "negated", ""),
        ("pneumonia has not been ruled out", "negated", ""),
        ("pneumonia has not been ruled out", "possible", "pneumonia has"),
        ("rule out pneumonia", "possible", "pneumonia"),
        ("possible pneumonia", "possible", "pneumonia"),
        ("evaluate for gout", "possible", "gout"),
        ("if you develop fever, come back", "hypothetical", "you develop fever"),
        ("return for fever", "hypothetical", "fever"),
        ("her mother has asthma", "family", "has asthma"),
        ("my father had diabetes and i have asthma", "family", "had diabetes and"),
        ("family history of gout", "family", "gout"),
        ("his mother reports that he has a fever", "family", ""),  # she speaks for the patient
        ("had asthma as a child", "past", "had asthma"),
        ("used to have asthma", "past", "have asthma"),
    ],
)
def test_a_cue_covers_its_scope(text, context, covered):
    assert cover(text, context) == covered
