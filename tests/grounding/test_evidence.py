"""Tests of grounding.evidence: the turns next to a tick are those that state the facts."""

import pytest
from tests.support.visit import visit

from clinical_camel import data, grounding

VISIT = visit(
    "D: Good morning. Tell me about the headaches.",
    "P: I am a woman of 41. They began four weeks ago.",
    "D: Any vomiting?",
    "P: No, but I feel sick.",
    "D: Does coffee help?",
    "P: It makes it worse.",
    "D: Do you take any medicines?",
    "P: Lisinopril 10 mg for my blood pressure, and simvastatin 20 mg at night.",
    "D: Does anyone in the family have migraine?",
    "P: My mother has migraine. She had a stroke, too.",
    "D: Do you smoke?",
    "P: I stopped in 2010.",
    "D: Any allergies?",
    "P: Aspirin. My lips swelled.",
    "D: Your blood pressure is 132 over 84 and your eyes are normal. I think that it is migraine.",
    "P: Is it bad?",
    "D: No. Take sumatriptan 50 mg, at most two tablets a day. The left arm is weak.",
    "P: The right arm is fine.",
    "D: I will see you again in two months.",
)


@pytest.mark.parametrize(
    ("sentence", "turns"),
    [
        ("41-year-old woman with headaches for four weeks.", [1, 2]),
        ("No vomiting.", [3, 4]),  # a question only with its answer
        ("She feels sick.", [4]),
        ("Coffee makes it worse.", [5, 6]),
        ("Takes lisinopril 10 mg.", [8]),
        ("Simvastatin 20 mg at night.", [8]),
        ("Her mother has migraine.", [10]),  # not the turn about the patient
        ("Migraine.", [15]),  # not the turn about the mother
        ("Her mother had a stroke.", [10]),
        ("Stopped smoking in 2010.", [11, 12]),
        ("Allergies: aspirin.", [13, 14]),
        ("Blood pressure 132 over 84.", [15]),  # not the other turn with a blood pressure
        ("Eyes normal.", [15]),
        ("At most two tablets a day.", [17]),  # words of any note, and a number
        ("Review in two months.", [19]),
        ("Left arm weakness.", [17]),
        ("The right arm is fine.", [18]),
        ("All questions were answered.", []),  # nothing that a turn could state
        ("The patient understands and agrees with the plan.", []),
        ("Noncontributory.", []),
    ],
)
def test_the_turns_of_a_tick_state_its_facts(sentence, turns):
    link = grounding.link_sentences([sentence], VISIT)[0]
    assert link.reasons == ()
    assert [source + 1 for source in link.sources] == turns


def test_each_tick_of_the_embedded_notes_has_a_turn_and_each_question_its_answer():
    for row in data.load_consultations("mini_consultations"):
        for link in grounding.link_sentences(grounding.split_note(row.note), row.turns):
            questions = [i for i in link.sources if row.turns[i].text.endswith("?")]
            assert link.verdict == "supported", link
            assert link.sources, link
            assert {i + 1 for i in questions} <= set(link.sources), link


def test_a_place_that_contradicts_a_sentence_is_named_too():
    link = grounding.link_sentences(["Takes lisinopril 20 mg."], VISIT)[0]
    assert (link.verdicts, link.sources) == (("contradicted",), (7,))
