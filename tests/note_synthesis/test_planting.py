"""Planted errors: every kind makes its change, and a new value is never in the source."""

import random
import re

import pytest

from clinical_camel.note_synthesis import edits, inventions, planting

SOURCE = "she is a woman. her left knee hurts"


def plant(kind: str, sentence: str, source: str = SOURCE) -> set[str]:
    """All changes by ten seeds."""
    return {planting.plant(kind, sentence, source, random.Random(seed)) for seed in range(10)}


@pytest.mark.parametrize(
    ("kind", "sentence", "changed"),
    [
        ("dose", "Naproxen 500 mg.", {"Naproxen 250 mg.", "Naproxen 1000 mg.", "Naproxen 1500 mg.",
                                      "Naproxen 2000 mg.", "Naproxen 125 mg."}),
        ("dose", "Rest.", {""}),
        ("dose wrong by a factor of 10 to 1,000", "Digoxin 5 mg.",
         {"Digoxin 50 mg.", "Digoxin 500 mg.", "Digoxin 5000 mg.", "Digoxin 0.5 mg."}),
        ("unit", "Naproxen 500 mg.", {"Naproxen 500 mcg.", "Naproxen 500 g."}),
        ("side", "Pain in the left knee.", {"Pain in the right knee."}),
        ("side", "All right now.", {""}),
        ("swapped doses", "A 5 mg, B 10 mg.", {"A 10 mg, B 5 mg."}),
        ("swapped doses", "A 5 mg, B 5 mg.", {""}),
        ("swapped sides", "Left arm, right leg.", {"right arm, Left leg."}),
        ("swapped times", "Two days of fever, six weeks of cough.",
         {"six weeks of fever, Two days of cough."}),
        ("frequency", "Naproxen twice daily.", {"Naproxen once daily."}),
        ("frequency", "Naproxen for a week.", {""}),
        ("negated finding", "Denies fever.", {"Reports fever."}),
        ("negated finding", "No fever.", {"Fever.", "Has fever."}),
        ("negated verb", "The knee is not warm.", {"The knee is warm."}),
        ("patient's finding moved to family", "My mother has gout.", {""}),
        ("family history moved to the patient", "Her mother had gout.", {"The patient had gout."}),
        ("past made current", "Has a history of gout.", {"Has a current gout."}),
        ("current made past", "She takes naproxen.", {"She used to take naproxen."}),
        ("possible made certain", "Possible gout.", {"Confirmed gout."}),
        ("possible made certain", "As soon as possible.", {""}),
        ("sex", "She takes her tablets.", {"He takes his tablets."}),
        ("sex", "Her mother has gout.", {""}),
        ("name", "Ms. Hill is well.", {f"Ms. {name} is well." for name in inventions.PEOPLE}),
    ],
)  # fmt: skip
def test_each_kind_of_error_makes_its_change(kind, sentence, changed):
    assert plant(kind, sentence) <= changed
    assert plant(kind, sentence)


def test_a_patient_becomes_a_relative():
    changed = plant("patient's finding moved to family", "The patient reports chest pain.")
    assert all(re.fullmatch(r"(?:Her|His) \w+ reports chest pain\.", text) for text in changed)


@pytest.mark.parametrize("kind", [name for name in planting.KINDS if name.startswith("invented")])
def test_what_is_invented_is_added_and_has_no_word_of_the_source(kind):
    source = " ".join([*inventions.GENERICS[1:], *inventions.SYMPTOMS[1:]]).lower()
    for changed in plant(kind, "Pain in the knee.", source):
        assert changed.startswith("Pain in the knee")
    if "generic" in kind:
        assert {inventions.GENERICS[0] in changed for changed in plant(kind, "Pain in it.", source)}


@pytest.mark.parametrize("source", ["take 250 mg or 1000 mg", "two hundred fifty, 1,000, 250."])
def test_a_new_number_is_not_in_the_source(source):
    for changed in plant("dose", "Naproxen 500 mg.", source):
        assert not re.search(r"\b250\b", changed) or "250" not in source


@pytest.mark.parametrize(
    ("number", "source", "absent"),
    [(5, "five days", False), (5, "5 days", False), (5, "25 days, 5.5 mg", True),
     (21, "twenty one", False), (0.5, "0.5 mg", False)],
)  # fmt: skip
def test_a_number_is_looked_up_in_digits_and_in_words(number, source, absent):
    assert edits.is_absent(number, source) == absent


def test_every_kind_leaves_most_of_the_sentence_and_is_repeatable():
    sentence = "She takes naproxen 500 mg twice daily for two weeks for her left knee."
    for kind in planting.KINDS:
        first, again = (planting.plant(kind, sentence, SOURCE, random.Random(1)) for _ in "ab")
        assert first == again
        if first:
            shared = set(first.lower().split()) & set(sentence.lower().split())
            assert len(shared) >= 6
