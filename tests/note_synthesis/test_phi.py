"""The PHI screen: which identifiers it finds, and that its table has counts only."""

import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from clinical_camel.note_synthesis import phi

OURS = {"ours": phi.match_patterns}
PLANTED = {
    "email": ("write to jo.bell+x@mail.example.org", "jo (at) example.org"),
    "url": ("see https://example.org/p?id=7",),
    "ip": ("from 192.168.10.254",),
    "phone": ("call (415) 555-2671", "ring 020 7946 0018", "+33 1 44 55 66 77"),
    "ssn": ("219-09-9999",),
    "card": ("4111 1111 1111 1111",),
    "record number": ("MRN: 00482913", "policy number XK-48291"),
    "date": ("born 12/03/1961", "on 2023-11-05", "on the 3rd of May 1961", "March 3, 1961"),
    "age over 89": ("a 94-year-old man", "aged 101"),
    "name": ("Mr. John Perry came", "my name is Martha", "Patient: Martha Collins"),
    "address": ("lives at 12 Acacia Avenue", "P.O. Box 118"),
    "postcode": ("London SW1A 1AA", "Austin, TX 78701"),
}
CLEAN = [
    "Temperature 38.1, pulse 84, blood pressure 120/80.",
    "Take 500 mg twice a day for 7/7, then 1/2 tablet.",
    "A woman of 84 with a 2-year-old dog.",
    "L5-S1 disc, T2 signal, HbA1c 7.4, ejection fraction 45%.",
    "Doctor: Good. Patient: I am well. Doctor: Yes.",
    "The doctor may see you in March or May.",
    "Ratio 1.2.3; grade 3/6 murmur; 943 476 cells.",
]


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in PLANTED.items() for text in texts]
)
def test_an_identifier_with_a_fixed_format_is_matched(kind, text):
    assert kind in {m.kind for m in phi.find_identifiers(f"Well, {text}, he said.", OURS)}


@pytest.mark.parametrize("text", CLEAN)
def test_clinical_numbers_are_no_identifiers(text):
    assert phi.find_identifiers(text, OURS) == []


@pytest.mark.parametrize(
    "part",
    [
        *("my name is Ada Abara", "my name is Ada B. Abara", "my name is Ada O'Neill-Smith"),
        *("(415) 555-2671", "a@b.example.org"),  # the web address inside it is dropped
    ],
)
def test_a_match_has_its_place_in_the_text(part):
    text = f"Hello, {part} today."
    (match,) = phi.find_identifiers(text, OURS)
    assert text[match.start : match.end] == part


@pytest.mark.parametrize(
    ("texts", "rows"),
    [
        (["Mr Bell, Mrs Bell, 3 May 1961", "Well."], [["date", 1, 1, 2], ["name", 2, 1, 2]]),
        (["Well."], [["none of the kinds", 0, 0, 1]]),
    ],
)
def test_the_table_has_counts_and_no_words(texts, rows):
    assert phi.count_identifiers(texts, OURS).to_numpy().tolist() == rows


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("1 2-3 4 " * 25_000, 0),
        ("a" * 200_000, 0),
        ("痛" * 200_000, 0),
        ("case" + " " * 200_000, 0),
        ("jo@b.org " * 22_000, 22_000),
    ],
)
def test_200000_characters_are_screened_in_seconds(text, matches):
    started = time.perf_counter()
    assert len(phi.find_identifiers(text, OURS)) == matches
    assert time.perf_counter() - started < 30  # a second here; quadratic time would be minutes


def test_the_prose_about_the_screen_agrees_with_its_benchmark():
    """benchmarks/README.md: nearly all fixed formats; no bare names, towns, spelled-out numbers."""
    folder = Path(__file__).parents[2] / "benchmarks"
    claim = "nearly all with a fixed format; no bare names, no towns and no spelled-out numbers"
    assert claim in (folder / "README.md").read_text(encoding="utf-8")
    table = pd.read_csv(folder / "results/phi_screen.csv")
    table = table.query("measure == 'recall' and screen == 'both'")
    rates = table.set_index("form").groupby(level=0)["rate"].max()
    bare = ["full name alone", "first name alone", "a town alone", "spelt out"]
    assert (rates[bare] == 0).all()
    unformed = [*bare, "my name is joan bell", "a at b dot org", "bare number"]
    unformed += ["12 acacia avenue", "Acacia Avenue"]
    assert (rates.drop(unformed) > 0.95).all()


def test_without_presidio_only_our_patterns_are_used(monkeypatch):
    phi.load_presidio.cache_clear()
    monkeypatch.setattr(phi.importlib.util, "find_spec", lambda name: None)
    assert list(phi.load_recognizers()) == ["ours"]
    phi.load_presidio.cache_clear()


def test_presidio_needs_no_network_and_no_language_model():
    pytest.importorskip("presidio_analyzer")
    kinds = {match.kind for match in phi.load_presidio()("jo@example.org, 219-09-9999, 8.8.8.8")}
    assert kinds >= {"email", "ssn", "ip"}
    assert not any(name.startswith("en_core") for name in sys.modules)
