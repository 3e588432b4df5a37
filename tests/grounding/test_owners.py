"""Tests of grounding.owners: which drug a dose belongs to, which part of the body a side."""

import re

import pytest

from clinical_camel.grounding.owners import find_owners
from clinical_camel.grounding.quantities import extract_quantities, normalize_text

DRUGS = r"\b(?:metformin|lisinopril|insulin|aspirin|cough|fever)\b"


def pair(text: str) -> list[tuple[str, str]]:
    """Return each quantity with the word that it belongs to."""
    text = normalize_text(text)
    quantities = sorted(extract_quantities(text), key=lambda q: q.start)
    things = [match.span() for match in re.finditer(DRUGS, text)]
    owners = find_owners(text, [(q.start, q.end) for q in quantities], things)
    return [(q.value, text[slice(*things[i])]) for q, i in zip(quantities, owners, strict=True)]


DOSES = [("500 mg", "metformin"), ("10 mg", "lisinopril")]


@pytest.mark.parametrize(
    "text",
    [
        "metformin 500 mg and lisinopril 10 mg",
        "metformin, 500 mg, lisinopril, 10 mg",
        "metformin 500 mg lisinopril 10 mg",
        "metformin at 500 mg, and then the lisinopril, 10 mg",
        "500 mg of metformin and 10 mg of lisinopril",
        "500 mg metformin and 10 mg lisinopril",
        "500 mg metformin 10 mg lisinopril",
        "500 mg metformin tablets with 10 mg lisinopril",
        "metformin 500 mg and 10 mg of lisinopril",
        "metformin and lisinopril 500 mg and 10 mg respectively",
    ],
)
def test_a_dose_belongs_to_its_drug_wherever_it_stands(text):
    assert pair(text) == DOSES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "metformin 500 mg twice a day, lisinopril 10 mg daily",
            "500 mg metformin, 2/day metformin, 10 mg lisinopril, 1/day lisinopril",
        ),
        (
            "twice daily metformin 500 mg and once daily lisinopril 10 mg",
            "2/day metformin, 500 mg metformin, 1/day lisinopril, 10 mg lisinopril",
        ),
        (
            "metformin 500 mg twice daily lisinopril 10 mg daily",
            "500 mg metformin, 2/day metformin, 10 mg lisinopril, 1/day lisinopril",
        ),
        (
            "metformin in the morning and lisinopril at night",
            "morning metformin, night lisinopril",
        ),
        (
            "insulin 10 units in the morning and 20 units at night",
            "10 unit insulin, morning insulin, 20 unit insulin, night insulin",
        ),
        ("cough for 2 weeks and fever for 3 days", "2 week cough, 3 day fever"),
        ("2 weeks of cough and 3 days of fever", "2 week cough, 3 day fever"),
        ("lisinopril went from 10 to 20 mg, metformin stopped", "10→20 mg lisinopril"),
    ],
)
def test_doses_and_times_belong_to_their_drug_or_finding(text, expected):
    assert [" ".join(row) for row in pair(text)] == expected.split(", ")


@pytest.mark.parametrize(
    "text",
    [
        "left knee and right hip pain",
        "pain in the left knee and the right hip",
        "the knee on the left and the hip on the right",
        "left knee pain, right hip pain",
        "the knee pain is on the left side and the hip pain is on the right",
    ],
)
def test_a_side_belongs_to_its_part_of_the_body(text):
    sides = [match.span() for match in re.finditer("left|right", text)]
    parts = [match.span() for match in re.finditer("knee|hip", text)]
    assert find_owners(text, sides, parts) == [0, 1]


def test_without_a_thing_there_is_no_owner():
    assert find_owners("take 10 mg", [(5, 10)], []) == [None]
