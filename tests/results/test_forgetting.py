"""What the tuning erased: judged by intervals, in both ways of scoring."""

import pytest
from tests.support import toy_results

from clinical_camel.results import forgetting


def test_without_a_result_nothing_is_claimed(settings):
    finding = forgetting.assess_forgetting(settings)
    assert not finding.is_run
    assert finding.numbers == []


@pytest.mark.parametrize(
    ("primer", "headline"),
    [
        (
            0.25,
            "Tuning makes the model forget: asked in plain text about the texts of its "
            "pretraining, it falls to the level of guessing (one training each)",
        ),
        (
            0.45,
            "Tuning makes the model forget a part of the texts of its pretraining (one training "
            "each)",
        ),
        (0.58, "We found no clear loss of what the base model knew before"),
    ],
)
def test_forgetting_is_judged_by_the_intervals(project, settings, primer, headline):
    toy_results.save_control(project, primer=primer)
    finding = forgetting.assess_forgetting(settings)
    assert finding.headline == headline
    assert "to 300 questions: before tuning 60.0 % [55.0, 65.0], after raw articl" in finding.lead
    assert "not clearly better than guessing" not in finding.lead


def test_a_form_in_which_the_base_model_guesses_shows_no_forgetting(project, settings):
    rows = [
        toy_results.score(model, value, protocol, exam="mini_exam_primer")
        for protocol, values in (("option_text", (0.6, 0.25)), ("chat", (0.26, 0.25)))
        for model, value in zip(("base", "dialogues"), values, strict=True)
    ]
    toy_results.save(project, "mini_camel_raw", "03_eval_fewshot", scores=rows)
    lead = forgetting.assess_forgetting(settings).lead
    assert "With *options listed*, without examples, the base model is not clearly better" in lead


def test_forgetting_is_judged_by_both_ways_of_scoring(project, settings):
    """The share of correct options falls to guessing, the share divided by length does not."""
    toy_results.save_comparison(project, primer=0.25, by_length=0.58)
    finding = forgetting.assess_forgetting(settings)
    assert "divided by its length, it falls from 60.0 % [" in finding.lead
    assert "to 58.0 % [" in finding.lead
    assert finding.headline.startswith("We found no clear loss")


def test_replay_has_its_scores_on_both_exams_and_its_pairs(project, settings):
    arms = {"base": (1, 0.6, 0.25), "dialogue": (10, 0.24, 0.49), "replay_30": (3, 0.58, 0.47)}
    scores = [
        {"outcome": outcome, "arm": arm, "n": 240, "seeds": seeds, "accuracy": value}
        | {"low": value - 0.05, "high": value + 0.05, "chance": 0.25}
        for arm, (seeds, *values) in arms.items()
        for outcome, value in zip(("primer exam", "plain question"), values, strict=True)
    ]
    toy_results.save_comparison(project, scores=scores)
    finding = forgetting.assess_forgetting(settings)
    sentence = (
        "(*replay*, 3 pairs of seeds), the score is 58.0 % [53.0, 63.0] with 30 % replay "
        "(`mini_exam`, n = 240: 47.0 % [42.0, 52.0])."
    )
    assert finding.brief.endswith(sentence)
    assert finding.lead.endswith(
        f"{sentence} Step 06 has the intervals of their differences to dialogues alone."
    )
    assert [number.quantity for number in finding.numbers][-2:] == [
        "30 % replay",
        "30 % replay, `mini_exam`",
    ]
    assert finding.headline.startswith("Tuning makes the model forget")
    toy_results.save_comparison(project)
    assert "replay" not in forgetting.assess_forgetting(settings).lead
