"""The screen for what may identify a person: what it finds, and that it says only how often."""

import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from clinical_camel.note_synthesis import phi

OURS = {"ours": phi.ours}
PLANTED = [
    ("email", "write to jo.bell+x@mail.example.org"),
    ("email", "jo (at) example.org"),
    ("url", "see https://example.org/p?id=7"),
    ("ip", "from 192.168.10.254"),
    ("phone", "call (415) 555-2671"),
    ("phone", "ring 020 7946 0018"),
    ("phone", "+33 1 44 55 66 77"),
    ("ssn", "219-09-9999"),
    ("card", "4111 1111 1111 1111"),
    ("record number", "MRN: 00482913"),
    ("record number", "policy number XK-48291"),
    ("date", "born 12/03/1961"),
    ("date", "on 2023-11-05"),
    ("date", "on the 3rd of May 1961"),
    ("date", "March 3, 1961"),
    ("age over 89", "a 94-year-old man"),
    ("age over 89", "aged 101"),
    ("name", "Mr. John Perry came"),
    ("name", "my name is Martha"),
    ("name", "Patient: Martha Collins"),
    ("address", "lives at 12 Acacia Avenue"),
    ("address", "P.O. Box 118"),
    ("postcode", "London SW1A 1AA"),
    ("postcode", "Austin, TX 78701"),
]
CLEAN = [
    "Temperature 38.1, pulse 84, blood pressure 120/80.",
    "Take 500 mg twice a day for 7/7, then 1/2 tablet.",
    "A woman of 84 with a 2-year-old dog.",
    "L5-S1 disc, T2 signal, HbA1c 7.4, ejection fraction 45%.",
    "Doctor: Good. Patient: I am well. Doctor: Yes.",
    "The doctor may see you in March or May.",
    "Ratio 1.2.3; grade 3/6 murmur; 943 476 cells.",
]


@pytest.mark.parametrize(("kind", "text"), PLANTED)
def test_an_identifier_with_a_form_is_found(kind, text):
    assert kind in {finding.kind for finding in phi.screen(f"Well, {text}, he said.", OURS)}


@pytest.mark.parametrize("text", CLEAN)
def test_clinical_numbers_are_no_identifiers(text):
    assert phi.screen(text, OURS) == []


def test_a_finding_is_the_place_in_the_text():
    text = "Ring (415) 555-2671 now."
    (finding,) = phi.screen(text, OURS)
    assert text[finding.start : finding.end] == "(415) 555-2671"


@pytest.mark.parametrize("name", ["Ada Abara", "Ada B. Abara", "Ada O'Neill-Smith"])
def test_a_name_is_found_to_its_end(name):
    (finding,) = phi.screen(f"Hello, my name is {name} today.", OURS)
    assert finding.end == len(f"Hello, my name is {name}")


def test_what_lies_in_another_finding_is_not_counted_twice():
    assert [f.kind for f in phi.screen("mail a@b.example.org", OURS)] == ["email"]


def test_the_table_says_how_often_and_never_what():
    table = phi.screen_texts({"v1": "Mr Bell, Mrs Bell, 3 May 1961", "v2": "Well."}, OURS)
    assert table.to_numpy().tolist() == [["v1", "name", 2], ["v1", "date", 1]]
    summary = phi.summarise_screen(table, ["v1", "v2"])
    assert summary.to_numpy().tolist() == [["date", 1, 1, 2], ["name", 2, 1, 2]]
    assert "Bell" not in summary.to_csv()


def test_a_clean_corpus_is_a_row_that_says_so():
    found = phi.screen_texts({"v1": "Well."}, OURS)
    assert phi.summarise_screen(found, ["v1"])["kind"].tolist() == ["none of the kinds"]


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("1 2-3 4 " * 25_000, 0),
        ("a" * 200_000, 0),
        ("痛" * 200_000, 0),
        ("case" + " " * 200_000, 0),
        ("jo@b.org " * 22_000, 22_000),
    ],
)
def test_200000_characters_are_screened_in_seconds(text, findings):
    started = time.perf_counter()
    assert len(phi.screen(text, OURS)) == findings
    assert time.perf_counter() - started < 30  # a second here; a square of it takes minutes


def test_what_is_said_of_the_measured_screen_is_what_its_table_has():
    """benchmarks/README.md: of bare names, towns, and numbers spelt out, none; of forms, most."""
    folder = Path(__file__).parents[2] / "benchmarks"
    said = "nearly all; of bare names, towns, and numbers spelt out, none"
    assert said in (folder / "README.md").read_text(encoding="utf-8")
    table = pd.read_csv(folder / "phi_screen.csv").query("what == 'recall' and screen == 'both'")
    rates = table.set_index("form").groupby(level=0)["rate"].max()
    bare = ["full name alone", "first name alone", "a town alone", "spelt out"]
    assert (rates[bare] == 0).all()
    unformed = [*bare, "my name is joan bell", "a at b dot org", "bare number"]
    unformed += ["12 acacia avenue", "Acacia Avenue"]
    assert (rates.drop(unformed) > 0.95).all()


def test_without_presidio_our_patterns_screen_alone(monkeypatch):
    phi.presidio.cache_clear()
    monkeypatch.setattr(phi.importlib.util, "find_spec", lambda name: None)
    assert list(phi.recognizers()) == ["ours"]
    phi.presidio.cache_clear()


def test_presidio_adds_its_recognizers_without_a_network_or_a_language_model():
    pytest.importorskip("presidio_analyzer")
    found = {finding.kind for finding in phi.presidio()("jo@example.org, 219-09-9999, 8.8.8.8")}
    assert found >= {"email", "ssn", "ip"}
    assert not any(name.startswith("en_core") for name in sys.modules)
