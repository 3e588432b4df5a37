"""Exercises of step 04: right answers, and typical wrong ones with their reasons."""

import re

import pytest

from clinical_camel import note_synthesis
from clinical_camel.exercises import notes, sheets
from clinical_camel.exercises.feedback import OPEN, RIGHT, WRONG
from clinical_camel.note_synthesis.planted import EDITS


def test_ticks():
    exhibit = note_synthesis.show_wrong_ticks()
    false = list(exhibit.reasons)
    assert notes.grade_ticks(["", "", ""]).verdict == OPEN
    assert notes.grade_ticks(false).verdict == RIGHT
    two = notes.grade_ticks([*false[:2], "Sleep makes it better."])
    assert two.verdict == WRONG
    assert "2 of 3" in two.reason
    assert exhibit.reasons[false[0]] in two.reason
    assert "read the turns in brackets" in two.reason
    assert notes.grade_ticks(["a", "b", "c", "d"]).verdict == WRONG


def test_the_sheet_names_every_kind_of_error():
    (sheet,) = (s for s in sheets.list_sheets() if s.stem == "04_note_synthesis")
    text = sheet.read_text(encoding="utf-8")
    assert [kind for kind in EDITS if kind.split()[-1] not in text] == []


def words(text):
    return set(re.findall(r"[a-z]+", text.lower()))


def share(sentence, transcript):
    return len(words(sentence) & words(transcript)) / len(words(sentence))


def with_punctuation(sentence, transcript):
    one, other = set(sentence.lower().split()), set(transcript.lower().split())
    return len(one & other) / len(one)


def with_case(sentence, transcript):
    one, other = ({w.strip(".,?!") for w in text.split()} for text in (sentence, transcript))
    return len(one & other) / len(one)


def of_transcript(sentence, transcript):
    return len(words(sentence) & words(transcript)) / len(words(transcript))


def of_parts(sentence, transcript):
    return sum(w in transcript.lower() for w in words(sentence)) / len(words(sentence))


@pytest.mark.parametrize(
    ("function", "verdict", "part"),
    [
        (share, RIGHT, "never sees a missing negation"),
        (with_punctuation, WRONG, "Punctuation"),
        (with_case, WRONG, "without case"),
        (of_transcript, WRONG, "not of the transcript"),
        (of_parts, WRONG, "not parts of words"),
        (lambda s, t: 0.5, WRONG, "Count different words"),
        (lambda s, t: None, OPEN, "returns nothing yet"),
    ],
)
def test_shared_words(function, verdict, part):
    result = notes.grade_shared_words(function)
    assert result.verdict == verdict
    assert part in result.reason


def find_numbers(sentences, turns):
    spoken = set(re.findall(r"[a-z0-9]+", " ".join(turns).lower()))
    parts = {s: re.findall(r"[a-z0-9]+", s.lower()) for s in sentences}
    return [
        s
        for s, tokens in parts.items()
        if any(w.isdigit() and w not in spoken for w in tokens)
        or sum(w in spoken for w in tokens) < len(tokens) / 2
    ]


@pytest.mark.parametrize(
    ("function", "verdict", "part"),
    [
        (find_numbers, RIGHT, "Report both numbers"),
        (notes.find_by_check, RIGHT, "The check of notebook 04"),
        (lambda sentences, turns: [], WRONG, "misses too much"),
        (lambda sentences, turns: sentences, WRONG, "too many correct sentences"),
        (lambda sentences, turns: "none", WRONG, "Return a list"),
        (lambda sentences, turns: ["x"], WRONG, "'x' is no sentence of the note"),
        (lambda sentences, turns: None, OPEN, "returns nothing yet"),
    ],
)
def test_a_finder_of_errors(function, verdict, part, monkeypatch):
    monkeypatch.setattr(notes, "plant_errors", lambda count=12: PLANTED[:count])
    result = notes.grade_error_finder(function)
    assert result.verdict == verdict
    assert part in result.reason


PLANTED = notes.plant_errors()
