"""Three wrong ticks: false sentences that the check supports."""

import pytest

from clinical_camel import grounding
from clinical_camel.note_synthesis import wrong_ticks


@pytest.fixture(scope="module")
def exhibit():
    return wrong_ticks.show_wrong_ticks()


def test_three_sentences_are_false_and_every_sentence_has_a_tick(exhibit):
    sentences = grounding.split_note(exhibit.note)
    links = grounding.link_sentences(sentences, exhibit.consultation.turns)
    assert {link.verdict for link in links} == {"supported"}
    assert len(exhibit.reasons) == 3, "the check has improved: write harder pairs"
    assert set(exhibit.reasons) <= set(sentences)
    assert len(sentences) > 10
    assert set(exhibit.annotations) == set(sentences)
    for original, false, _ in wrong_ticks.PAIRS:
        assert exhibit.consultation.note.count(original) == 1
        assert false not in exhibit.consultation.note


def test_grading_reveals_nothing_early_and_says_why(exhibit):
    empty = wrong_ticks.grade_wrong_ticks(exhibit, ["", " "])
    assert not any(why in empty for why in exhibit.reasons.values())
    false, why = next(iter(exhibit.reasons.items()))
    true = next(s for s in grounding.split_note(exhibit.note) if s not in exhibit.reasons)
    text = wrong_ticks.grade_wrong_ticks(exhibit, [false.upper().rstrip("."), true, "Nonsense."])
    assert f"Right: {why}." in text
    assert "this sentence is true" in text
    assert "copy one exactly" in text
    assert text.endswith("1 of 3")


@pytest.mark.parametrize(
    ("answers", "end"),
    [
        (None, "Copy the 3 false sentences into `answers`."),
        ([None, 7], "0 of 3"),
        (lambda false: false[0], "1 of 3"),
        (lambda false: [false[0]] * 3, "1 of 3"),
        (lambda false: [f"✓ {text} (turn 2)" for text in false], "3 of 3"),
        (lambda false: ["\n".join(false)], "0 of 3"),
        (lambda false: [*false, "Migraine."], "Give at most 3 answers."),
    ],
)
def test_odd_answers_are_graded(exhibit, answers, end):
    chosen = answers(list(exhibit.reasons)) if callable(answers) else answers
    assert wrong_ticks.grade_wrong_ticks(exhibit, chosen).endswith(end)
