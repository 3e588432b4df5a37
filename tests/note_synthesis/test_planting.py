"""Planted errors: every kind makes its change, and a new value is never in the source."""

import random
import re

import pytest

from clinical_camel.note_synthesis import edits, inventions, planting

SOURCE = "she is a woman. her left knee hurts"


def plant(kind: str, sentence: str, source: str = SOURCE) -> set[str]:
    """All changes by ten seeds; test_check_quality has an example of each kind."""
    return {planting.plant(kind, sentence, source, random.Random(seed)) for seed in range(10)}


@pytest.mark.parametrize(
    ("kind", "sentence", "changed"),
    [
        ("dose", "Naproxen 500 mg.", {"Naproxen 250 mg.", "Naproxen 1000 mg.", "Naproxen 1500 mg.",
                                      "Naproxen 2000 mg.", "Naproxen 125 mg."}),
        ("dose", "Rest.", {""}),
        ("side", "All right now.", {""}),
        ("swapped doses", "A 5 mg, B 5 mg.", {""}),
        ("frequency", "Naproxen for a week.", {""}),
        ("negated finding", "No fever.", {"Fever.", "Has fever."}),
        ("patient's finding moved to family", "My mother has gout.", {""}),
        ("possible made certain", "As soon as possible.", {""}),
        ("sex", "Her mother has gout.", {""}),
    ],
)  # fmt: skip
def test_an_error_is_planted_only_where_it_fits(kind, sentence, changed):
    assert plant(kind, sentence) <= changed
    assert plant(kind, sentence)


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
