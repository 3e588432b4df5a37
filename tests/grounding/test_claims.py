"""Tests of grounding.claims: a written time or certainty needs a sign of it in the source."""

import pytest
from tests.support.visit import visit

from clinical_camel import grounding

VISIT = visit(
    "D: What brings you in?",
    "P: I have migraines every week, and I take metformin.",
    "P: I used to smoke cigars, and years ago I had shingles.",
    "D: The x-ray shows a possible kidney stone. It might be gout.",
    "D: The biopsy confirmed psoriasis.",
)


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("Used to take metformin.", "when"),
        ("Previously had migraines.", "when"),
        ("Formerly had migraines.", "when"),
        ("Stopped taking metformin.", "when"),
        ("Currently smokes cigars.", "when"),
        ("Confirmed kidney stone.", "whether"),
        ("X-ray shows a confirmed kidney stone.", "whether"),
        ("It is certainly gout.", "whether"),
        ("X-ray is proof of a kidney stone.", "whether"),
    ],
)
def test_a_claim_without_a_sign_in_the_source_is_unsupported(sentence, kind):
    link = grounding.link_sentences([sentence], VISIT)[0]
    assert link.verdict != "supported"
    assert any(reason.startswith(f"{kind}: ") for reason in link.reasons), link.reasons


@pytest.mark.parametrize(
    "sentence",
    [
        "Takes metformin.",
        "Currently takes metformin.",
        "Previously smoked cigars.",
        "Used to smoke cigars.",
        "Previously had shingles.",
        "Possible kidney stone.",
        "Psoriasis, confirmed by biopsy.",
    ],
)
def test_a_claim_with_a_sign_in_the_source_is_supported(sentence):
    assert grounding.link_sentences([sentence], VISIT)[0].reasons == ()
