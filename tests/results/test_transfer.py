"""Reversed and two-step questions on the page: the headline follows the intervals."""

import pytest
from tests.support import toy_results

from clinical_camel.results import transfer


def test_without_these_exams_nothing_is_claimed(project, settings):
    assert not transfer.assess_transfer(settings).is_run
    toy_results.save_control(project)
    assert not transfer.assess_transfer(settings).is_run


def test_each_way_of_asking_has_the_models_that_are_above_guessing(project, settings):
    outcomes = toy_results.OUTCOMES | {"two steps": "mini_exam_two_step/option_text"}
    values = {"reversed": {"raw": 0.26, "dialogue": 0.4}}
    values["two steps"] = {"raw": 0.4, "dialogue": 0.4}
    scores = [
        {"outcome": outcome, "arm": arm, "n": 312, "seeds": 10, "accuracy": value, "chance": 0.25}
        | {"low": value - 0.04, "high": value + 0.04}
        for outcome, accuracies in values.items()
        for arm, value in accuracies.items()
    ]
    toy_results.save_comparison(project, scores=scores, outcomes=outcomes)
    assert transfer.assess_transfer(settings).headline == (
        "Asked in reverse, dialogues teach more than guessing gives; asked in two steps, raw "
        "articles and dialogues teach more than guessing gives"
    )


@pytest.mark.parametrize(
    ("accuracy", "headline"),
    [
        (
            0.28,
            "Asked in reverse, models tuned on raw articles or on dialogues are not clearly better "
            "than guessing",
        ),
        (0.4, "Asked in reverse, dialogues teach more than guessing gives"),
    ],
)
def test_the_headline_follows_the_intervals(project, settings, accuracy, headline):
    scores = [
        {"outcome": outcome, "arm": arm, "n": 312, "seeds": 10, "accuracy": value, "chance": 0.25}
        | {"low": value - 0.04, "high": value + 0.04}
        for outcome in ("reversed", "free answer")
        for arm, value in {"base": 0.31, "raw": 0.26, "dialogue": accuracy}.items()
    ]
    toy_results.save_comparison(project, scores=scores)
    finding = transfer.assess_transfer(settings)
    assert finding.headline == headline
    assert "in reverse base model 31.0 % [27.0, 35.0], raw articles 26.0 % [22.0" in finding.lead
    assert "exactly the correct one: base model 31.0 %" in finding.lead
    assert finding.lead.endswith("the intervals are not adjusted.")
    assert [number.quantity for number in finding.numbers][:2] == [
        "in reverse, base model",
        "in reverse, raw articles",
    ]
    assert finding.numbers[-1].quantity == "free reply, dialogues"
