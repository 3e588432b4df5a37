"""Do dialogues teach more? The headline says no more than the tables carry."""

import pytest
from tests.support import toy_results

from clinical_camel.results import effect


def test_without_a_result_nothing_is_claimed(settings):
    for assess in (effect.assess_effect, effect.assess_forms):
        finding = assess(settings)
        assert not finding.is_run
        assert finding.numbers == []


def test_one_training_is_named_as_one(project, settings):
    toy_results.save_control(project)
    finding = effect.assess_effect(settings)
    assert finding.headline == (
        "Asked in plain text, the model tuned on dialogues scores higher than the one tuned on raw "
        "articles (one training each)"
    )
    assert finding.lead == (
        "The difference is 15.0 points [10.0, 20.0], significant in 1 of 2 ways of asking this "
        "exam (Table 1). The controlled comparison with 3 pairs of seeds has not been run."
    )
    assert finding.sentences == []
    pair = finding.pair
    assert (pair.p, pair.comparisons, pair.significant, pair.ways) == (0.01, 2, 1, 2)
    assert (pair.form, pair.base, pair.steps) == ("plain text", "", ())
    assert [n.value for n in pair.scores] == pytest.approx([0.25, 0.35, 0.5])


def test_what_both_trainings_share_is_named(project, settings):
    toy_results.save_control(project)
    shared = "source,rows\nmini_chat,90\n"
    for name, own in (("raw", "mini_articles,69"), ("dialogues", "outputs/a/dialogues.jsonl,345")):
        project.file(f"outputs/{name}/02_sft_qlora/mixture.csv", f"{shared}{own}\n")
        steps = {"raw": 630, "dialogues": 1798}[name]
        project.file(f"outputs/{name}/02_sft_qlora/train_log.csv", f"step\n1\n{steps}\n")
    finding = effect.assess_effect(settings)
    (sentence,) = finding.sentences
    assert finding.pair.steps == (1798, 630)
    assert sentence == "Both models also learn from the same other dialogues: `mini_chat` (90)."


@pytest.mark.parametrize(
    ("changes", "headline"),
    [
        ({"p_holm": 0.06}, "We cannot tell whether dialogues teach more than raw articles"),
        ({"gain": -0.15}, "Asked in plain text, the model tuned on dialogues scores lower"),
    ],
)
def test_the_headline_follows_the_adjusted_p_and_the_sign(project, settings, changes, headline):
    toy_results.save_control(project, **changes)
    assert effect.assess_effect(settings).headline.startswith(headline)


def test_the_forms_are_repeated_with_other_seeds(project, settings):
    toy_results.save_control(project)
    toy_results.save_repeats(project, option_text=0.12, chat=0.0)
    finding = effect.assess_forms(settings)
    assert finding.headline == "Over 5 seeds, dialogues are ahead in 1 of 2 question forms"
    assert finding.lead == (
        "Dialogues minus raw articles (300 questions): 12.0 points [8.0, 16.0] (plain text) and "
        "0.0 points [-4.0, 4.0] (options listed). The intervals show how a result may vary with "
        "other diseases, not with other trainings; they are not adjusted, and no test was made. "
        "With *options listed*, no model is clearly better than guessing, so no difference can "
        "show."
    )
    assert (
        "learn from as many tokens, but the one on raw articles takes 20 % fewer steps"
        in (finding.sentences[0])
    )


@pytest.mark.parametrize(
    ("values", "headline"),
    [
        ({"option_text": 0.0}, "no question form shows a clear advantage of dialogues"),
        ({"option_text": 0.1, "chat": 0.1}, "dialogues are ahead in every question form"),
    ],
)
def test_the_headline_on_the_forms_counts_them(project, settings, values, headline):
    toy_results.save_repeats(project, **values)
    assert effect.assess_forms(settings).headline == f"Over 5 seeds, {headline}"
