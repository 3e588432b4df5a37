"""Do dialogues teach more? The headline says no more than the tables carry."""

import pytest
from tests.support import toy_results

from clinical_camel.results import effect
from clinical_camel.results.sources import find_result


@pytest.fixture
def compare(settings):
    """A function that compares the models of the control study."""

    def compare():
        result = find_result(settings.control, "03_eval_fewshot")
        return effect.compare_control(result, settings, settings.exam, "control")

    return compare


def test_without_a_result_nothing_is_claimed(settings):
    for assess in (effect.assess_effect, effect.assess_forms):
        finding = assess(settings)
        assert not finding.is_run
        assert finding.numbers == []


def test_one_training_is_named_as_one(project, compare):
    toy_results.save_control(project)
    finding = compare()
    assert finding.headline == (
        "Asked in plain text, the model tuned on dialogues scores higher than the one tuned on raw "
        "articles (one training each)"
    )
    assert finding.lead == (
        "The difference is 15.0 points [10.0, 20.0], significant in 1 of 2 ways of asking this "
        "exam (Table 1). The two texts also differ in form, and the trainings in steps, which this "
        "comparison cannot separate."
    )
    assert finding.sentences == []
    pair = finding.pair
    assert (pair.p, pair.comparisons, pair.significant, pair.ways) == (0.01, 2, 1, 2)
    assert (pair.form, pair.base, pair.steps) == ("plain text", "", ())
    assert [n.value for n in pair.scores] == pytest.approx([0.25, 0.35, 0.5])


def test_what_both_trainings_share_is_named(project, compare):
    toy_results.save_control(project)
    shared = "source,rows\nmini_chat,90\n"
    for name, own in (("raw", "mini_articles,69"), ("dialogues", "outputs/a/dialogues.jsonl,345")):
        project.file(f"outputs/{name}/02_sft_qlora/mixture.csv", f"{shared}{own}\n")
        steps = {"raw": 630, "dialogues": 1798}[name]
        project.file(f"outputs/{name}/02_sft_qlora/train_log.csv", f"step\n1\n{steps}\n")
    finding = compare()
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
def test_the_headline_follows_the_adjusted_p_and_the_sign(project, compare, changes, headline):
    toy_results.save_control(project, **changes)
    assert compare().headline.startswith(headline)


def test_a_control_study_is_no_controlled_comparison(project, settings):
    toy_results.save_control(project)
    assert not effect.assess_effect(settings).is_run
    assert not effect.assess_forms(settings).is_run
