"""The controlled comparison on the page: no sentence says more than its verdict."""

import pytest
from tests.support import toy_results

from clinical_camel.results import controlled, effect, page

START = "On the exam, asked in plain text, "
NO_EFFECT = "no effect larger than 5 points"


@pytest.mark.parametrize(
    ("verdict", "headline", "text"),
    [
        (
            "helps",
            f"{START}dialogues teach more than raw articles; "
            "we found no sign that several turns help",
            "ahead by more than 5 points, the smallest effect of interest.",
        ),
        (
            "hurts",
            f"{START}dialogues teach less than raw articles",
            "Dialogues are behind, but the",
        ),
        (
            "cannot tell",
            "We cannot tell whether dialogues teach more than raw articles, asked in plain text",
            "A true difference below 6.0 points would often be missed. Not ruled out: a gain of 5 "
            "points.",
        ),
        (
            NO_EFFECT,
            f"{START}dialogues and raw articles differ by less than 5 points",
            "The difference is not zero, but by the rule written before the runs, such a small "
            "effect is of no interest. The test that rules out a larger effect corresponds to the "
            "90 % interval",
        ),
    ],
)
def test_the_verdict_of_the_controlled_comparison_counts(
    project, settings, verdict, headline, text
):
    toy_results.save_control(project)
    toy_results.save_comparison(project, verdict)
    finding = effect.assess_effect(settings)
    assert finding.headline == headline
    assert "12.0 points [9.0, 15.0], over 10 pairs of seeds: significant (p = 0.004" in finding.lead
    assert text in finding.lead
    assert "has not been run" not in finding.lead
    assert finding.pair is None
    assert "divided by its length, it is 7.0 points [4.0, 10.0] (not planned" in finding.lead
    assert finding.sentences == []  # README shows everything
    assert (
        "Single questions with answers scored 4.0 points higher than dialogues, not significant "
        "(p = 0.30, adjusted for 3 comparisons)."
    ) in finding.lead
    assert len(finding.contrasts) == 3
    conclusion = "order and repetition of the sentences are enough"
    assert (conclusion in finding.lead) == (verdict == "helps")
    assert ("DBKE is not worth its cost" in finding.lead) == (verdict in ("hurts", NO_EFFECT))
    assert ("None of the conclusions" in finding.lead) == (verdict == "cannot tell")


def test_the_brief_has_the_range_of_single_pairs(project, settings):
    pair = {"treatment": "dialogue", "control": "raw"}
    seeds = [pair | {"seeds": f"{i}, {i}", "difference": 0.01 + i / 10} for i in range(3)]
    toy_results.save_comparison(project, seeds=[*seeds, seeds[0] | {"control": "qa"}])
    brief = effect.assess_effect(settings).brief
    assert (
        "over 10 pairs of seeds. Across pairs of seeds, it ranges from 1.0 to 21.0 points." in brief
    )


def test_the_brief_says_where_the_difference_comes_from(project, settings):
    rows = [
        toy_results.contrast("placebo", "monologue", 0.1, "", seeds=5),
        toy_results.contrast("dialogue", "placebo", -0.02, "", seeds=5),
        toy_results.contrast("monologue", "raw", 0.02, ""),
        toy_results.contrast("headings", "monologue", 0.3, "", outcome="cloze"),
        toy_results.contrast("qa", "monologue", 0.3, "", n=0),
    ]
    toy_results.save_comparison(project, further_contrasts=rows)
    finding = effect.assess_effect(settings)
    sentence = (
        "Exploratory: dialogues with mismatched questions score higher than the same sentences "
        "without questions, too; we cannot show that questions must match their answers."
    )
    numbers = (
        "Not adjusted, over 5 to 10 pairs of seeds, with other things that differ (step "
        "06): the same sentences without questions minus raw articles 2.0 points [-1.0, 5.0]; "
        "dialogues with mismatched questions minus the same sentences without questions 10.0 "
        "points [7.0, 13.0]; dialogues minus dialogues with mismatched questions -2.0 points "
        "[-5.0, 1.0]."
    )
    assert finding.brief.endswith(sentence)
    assert f"{sentence} {numbers}" in finding.lead


def test_a_smaller_effect_by_another_count_is_in_the_brief(project, settings):
    toy_results.save_control(project)
    toy_results.save_comparison(project)
    brief = effect.assess_effect(settings).brief
    start = "The difference may be smaller than 5 points if counted otherwise: "
    assert brief.count(start) == 1
    assert "by length" in brief.partition(start)[2]


def test_further_ways_to_ask_count_even_if_dialogues_are_behind(project, settings):
    rows = [
        toy_results.contrast("dialogue", "raw", 0.12, "helps"),
        toy_results.contrast("dialogue", "raw", 0.05, "", outcome="conversation"),
        toy_results.contrast("dialogue", "raw", -0.1, "", outcome="free answer"),
    ]
    levels = {"conversation": (0.37, 0.49), "free answer": (0.011, 0.003)}
    scores = [
        {"outcome": outcome, "arm": arm, "n": 260, "seeds": 10, "accuracy": value, "chance": 0}
        | {"low": value, "high": value}
        for outcome, values in levels.items()
        for arm, value in zip(("raw", "dialogue"), values, strict=True)
    ]
    toy_results.save_comparison(project, contrasts=rows, scores=scores)
    finding = effect.assess_forms(settings)
    assert finding.headline.startswith(
        "In 2 other tests of the facts, dialogues are ahead in 1 and behind"
    )
    assert (
        "conversation 5.0 points [2.0, 8.0] (49.0 minus 37.0 %, n = 260) and free answers "
        "-10.0 points [-13.0, -7.0] (0.3 minus 1.1 %: both near zero, n = 260)."
    ) in finding.brief
    assert [number.quantity for number in finding.numbers][-2:] == [
        "free answers, dialogues",
        "free answers, raw articles",
    ]


def test_an_effect_that_may_be_small_is_named(project, settings):
    toy_results.save_comparison(project, "helps", value=0.06)
    lead = effect.assess_effect(settings).lead
    assert "Dialogues are ahead, but the effect may be smaller than 5 points, the smallest" in lead


@pytest.mark.parametrize(
    ("verdict", "headline"),
    [
        ("preliminary", "No verdict yet on dialogues and raw articles: runs are missing"),
        ("secondary", "This comparison of dialogues and raw articles has no verdict"),
    ],
)
def test_a_result_without_a_verdict_shows_no_number(project, settings, verdict, headline):
    toy_results.save_comparison(project, verdict)
    finding = effect.assess_effect(settings)
    assert finding.headline == headline
    assert (finding.lead, finding.numbers) == ("", [])


def test_a_diverged_training_is_named(project, settings):
    runs = [{"arm": "raw", "data_seed": 3, "training_seed": 3, "status": "diverged"}]
    toy_results.save_comparison(project, runs=runs)
    lead = effect.assess_effect(settings).lead
    assert lead.endswith("Left out, because the training diverged: raw (3, 3).")


def test_the_other_forms_have_no_verdict_and_leave_out_the_main_one(project, settings):
    toy_results.save_comparison(project)
    finding = effect.assess_forms(settings)
    assert finding.headline == (
        "In 1 other test of the facts, dialogues are ahead in 1 and behind in 0 (10 pairs of seeds)"
    )
    assert finding.lead == (
        "Dialogues minus raw articles (secondary, not adjusted): conversation 5.0 points "
        "[2.0, 8.0] (49.0 minus 37.0 %, n = 260). There is no verdict."
    )
    assert {number.table for number in finding.numbers} == {
        "outputs/dbke_effect/06_controlled_comparison/contrasts.csv",
        "outputs/dbke_effect/06_controlled_comparison/scores.csv",
    }


def test_causes_that_remain_are_named(project, settings):
    (alone,) = controlled.describe_causes(settings)
    assert alone.endswith("The controlled comparison separates them.")
    toy_results.save_comparison(project)
    text = " ".join(controlled.describe_causes(settings))
    assert "cause of a difference is unknown" not in text
    assert "also differ in format: raw articles and the same sentences without questions" in text
    assert "whether dialogues differ from single questions with answers." in text
    assert "0.004 for raw articles and the same sentences" in text
    assert "For dialogues, this is the highest rate that was tried, so another one may be" in text
    toy_results.save_comparison(project, "cannot tell")
    missing, partial, first, *_ = controlled.describe_causes(settings)
    assert missing == "Planned, but not run yet: `placebo`."
    assert partial == "Not complete: `raw` (1 of 3 runs)."
    assert first == (
        "Open after the controlled comparison: whether dialogues differ from raw articles; whether "
        "dialogues differ from single questions with answers."
    )
    assert "also differ in format" in " ".join(page.describe_limits(settings))
