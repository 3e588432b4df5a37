"""Do dialogues teach more? The headline says no more than the tables carry."""

import pytest
from tests.support import toy_results

from clinical_camel.results import effect


def test_without_a_result_nothing_is_claimed(settings):
    for assess in (effect.assess_effect, effect.assess_forms, effect.assess_forgetting):
        finding = assess(settings)
        assert not finding.is_run
        assert finding.numbers == []


def test_one_training_is_named_as_one(project, settings):
    toy_results.save_control(project)
    finding = effect.assess_effect(settings)
    assert finding.headline == (
        "In one training of each, dialogues teach more than raw articles if the exam asks in plain "
        "text"
    )
    assert "base model 25.0 % [20.0, 30.0], raw articles 35.0 % [30.0, 40.0] and" in finding.lead
    assert "guessing gives 25 %. Dialogues minus raw articles: 15.0 points [" in finding.lead
    assert "significant (p = 0.01, adjusted for 2 comparisons)" in finding.lead
    assert "controlled comparison with 3 pairs of seeds has not been run" in finding.lead
    assert "The difference is significant in 1 of 2 ways of asking this exam." in finding.lead
    assert finding.sentences == []


def test_what_both_trainings_share_is_named(project, settings):
    toy_results.save_control(project)
    shared = "source,rows\nmini_chat,90\n"
    for name, own in (("raw", "mini_articles,69"), ("dialogues", "outputs/a/dialogues.jsonl,345")):
        project.file(f"outputs/{name}/02_sft_qlora/mixture.csv", f"{shared}{own}\n")
        steps = {"raw": 630, "dialogues": 1798}[name]
        project.file(f"outputs/{name}/02_sft_qlora/train_log.csv", f"step\n1\n{steps}\n")
    finding = effect.assess_effect(settings)
    (sentence,) = finding.sentences
    assert "The training on dialogues takes 1,798 steps, that on raw articles 630." in finding.lead
    assert sentence == "Both models also learn from the same other dialogues: `mini_chat` (90)."


@pytest.mark.parametrize(
    ("changes", "headline"),
    [
        ({"p_holm": 0.06}, "We cannot tell whether dialogues teach more than raw articles"),
        ({"gain": -0.15}, "In one training of each, raw articles teach more than dialogues if"),
    ],
)
def test_the_headline_follows_the_adjusted_p_and_the_sign(project, settings, changes, headline):
    toy_results.save_control(project, **changes)
    assert effect.assess_effect(settings).headline.startswith(headline)


@pytest.mark.parametrize(
    ("verdict", "headline"),
    [
        ("helps", "Dialogues teach more than raw articles"),
        ("hurts", "Dialogues teach less than raw articles"),
        ("cannot tell", "We cannot tell whether dialogues teach more than raw articles"),
        ("preliminary", "No verdict yet on dialogues and raw articles: runs are missing"),
        (
            "no effect larger than 5 points",
            "Dialogues and raw articles teach equally well: there is no effect larger than 5 "
            "points",
        ),
    ],
)
def test_the_verdict_of_the_controlled_comparison_counts(project, settings, verdict, headline):
    toy_results.save_control(project)
    toy_results.save_comparison(project, verdict)
    finding = effect.assess_effect(settings)
    assert finding.headline == headline
    assert "12.0 points [9.0, 15.0], over 10 pairs of seeds: significant (p = 0.004" in finding.lead
    assert "one seed" not in finding.lead
    text = " ".join(finding.sentences)
    assert "Dialogues against the same sentences without questions: no effect larger than" in text
    assert ("A true difference below 6.0 points" in text) == (verdict == "cannot tell")
    assert ("larger than 5 points" in finding.lead) == (verdict in ("helps", "hurts"))
    assert "not equal in everything" not in finding.lead  # 5 % more tokens with loss
    assert "The arms are not equal in everything: tokens with loss +31 %." in text


def test_a_verdict_names_an_effect_that_may_be_small(project, settings):
    toy_results.save_comparison(project, "helps", value=0.06)
    lead = effect.assess_effect(settings).lead
    assert "The effect may be smaller than 5 points, the smallest effect of interest." in lead


def test_the_forms_are_repeated_with_other_seeds(project, settings):
    toy_results.save_control(project)
    toy_results.save_repeats(project, option_text=0.12, chat=0.0)
    finding = effect.assess_forms(settings)
    assert finding.headline == "Dialogues are ahead in 1 of 2 question forms"
    assert finding.lead == (
        "We repeated both trainings with 5 seeds (n = 300 questions). Dialogues minus raw "
        "articles: 12.0 points [8.0, 16.0] (plain text) and 0.0 points [-4.0, 4.0] (options "
        "listed). With *options listed*, no model is clearly better than guessing, so no "
        "difference can show."
    )
    assert "not other seeds" in finding.sentences[0]
    assert (
        "learn from as many tokens, but the one on raw articles takes 20 % fewer steps"
        in (finding.sentences[1])
    )


@pytest.mark.parametrize(
    ("values", "headline"),
    [
        ({"option_text": 0.0}, "No question form shows a clear advantage of dialogues"),
        ({"option_text": 0.1, "chat": 0.1}, "Dialogues are ahead in every question form"),
    ],
)
def test_the_headline_on_the_forms_counts_them(project, settings, values, headline):
    toy_results.save_repeats(project, **values)
    assert effect.assess_forms(settings).headline == headline


def test_the_controlled_comparison_replaces_the_repeats(project, settings):
    toy_results.save_repeats(project, option_text=0.0)
    toy_results.save_comparison(project)
    finding = effect.assess_forms(settings)
    assert "12.0 points [9.0, 15.0] (plain text) and 5.0 points [2.0, 8.0] (con" in finding.lead
    assert {number.table for number in finding.numbers} == {
        "outputs/dbke_effect/06_controlled_comparison/contrasts.csv"
    }
    assert finding.sentences == ["The intervals are not adjusted for the number of question forms."]


@pytest.mark.parametrize(
    ("primer", "headline"),
    [
        (0.25, effect.FORGETS),
        (0.45, "Tuning makes the model forget a part of what it knew before"),
        (0.58, "We found no clear loss of what the base model knew before"),
    ],
)
def test_forgetting_is_judged_by_the_intervals(project, settings, primer, headline):
    toy_results.save_control(project, primer=primer)
    finding = effect.assess_forgetting(settings)
    assert finding.headline == headline
    assert "the base model answers 60.0 % [55.0, 65.0] of 300 questions" in finding.lead
    assert "(one training each)" in finding.lead


def test_forgetting_has_the_test_of_the_embedded_study(project, settings):
    toy_results.save_control(project)
    row = toy_results.difference("tuned", "base", -0.35, 0.002, exam="mini_exam_primer")
    toy_results.save(project, "mini_camel", "03_eval_fewshot", comparison=[row])
    (sentence,) = effect.assess_forgetting(settings).sentences
    assert "-35.0 points [-40.0, -30.0], is significant (p = 0.002)" in sentence
