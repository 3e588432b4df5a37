"""Objections to a difference: the length of options, questions that resemble training texts."""

import pytest
from tests.support import toy_results

from clinical_camel.results import effect, robustness
from clinical_camel.results.sources import find_result

QUESTION = {"benchmark": "mini_exam", "protocol": "option_text", "num_shots": 0}


@pytest.fixture
def control(project):
    toy_results.save_control(project)
    toy_results.save_answers(project)
    return find_result("mini_camel_raw", "03_eval_fewshot")


def test_a_difference_is_paired_by_question_and_clustered(control):
    pair = ("dialogues", "raw")
    plain = robustness.compare_answers(control, QUESTION, pair, robustness.RAW)
    assert (plain.value, plain.n, plain.unit) == (0.5, 8, "difference")
    assert plain.low < 0.5 < plain.high
    by_length = robustness.compare_answers(control, QUESTION, pair, robustness.NORMALISED)
    assert by_length.value == 0.375
    clean = robustness.compare_answers(
        control, QUESTION, pair, robustness.RAW, frozenset({"q0", "q1"})
    )
    assert (clean.n, clean.value) == (6, pytest.approx(2 / 6))


def test_the_finding_answers_both_objections(project, settings, control):
    lead = effect.assess_effect(settings).lead
    assert "divided by its length, the difference is 37.5 points [" in lead
    assert "resemble" not in lead
    rows = [{"benchmark": exam, "id": "q0"} for exam in ("mini_exam", "other")]
    toy_results.save(project, "mini_camel_raw", "09_score_checks", overlaps=rows)
    finding = effect.assess_effect(settings)
    assert "on the 7 questions that do not resemble a training text, it is 42.9 po" in finding.lead
    assert [number.quantity for number in finding.numbers[-2:]] == [
        "difference, divided by length",
        "difference, without look-alike questions",
    ]


def test_without_answers_nothing_is_said(project, settings):
    toy_results.save_control(project)
    assert "Two objections" not in effect.assess_effect(settings).lead
