"""The further sweeps on the page: verdicts, gains per doubling, rewording; and what has not run."""

import pytest
from tests.support import toy_results

from clinical_camel import results
from clinical_camel.core.settings import Incomplete
from clinical_camel.results import sweeps

STEP = "06_controlled_comparison"
PARAMS = {"outcomes": {"plain question": "mini_exam/option_text"}, "smallest_effect": 0.05}


def assess(settings):
    return {finding.name: finding for finding in sweeps.assess_sweeps(settings)}


def test_sweeps_without_a_result_are_named_in_their_order(settings):
    findings = sweeps.assess_sweeps(settings)
    assert [finding.headline for finding in findings if not finding.is_run] == [
        "SmolLM2-135M over several seeds (`dbke_smollm2`)",
        "more dialogues per article (`dbke_scaling`)",
        "smaller and larger base models (`dbke_sizes`)",
        "rewording or conversation with SmolLM2-135M (`dbke_reworded`)",
    ]
    assert "smaller and larger base models (`dbke_sizes`)" in results.format_readme(settings)


@pytest.mark.parametrize(
    ("verdict", "headline"),
    [
        ("helps", "on the exam, asked in plain text, dialogues teach more than raw articles"),
        (
            "cannot tell",
            "we cannot tell whether dialogues teach more than raw articles, asked in plain text",
        ),
        (
            "no effect larger than 5 points",
            "on the exam, asked in plain text, dialogues and raw articles differ by less than 5 "
            "points",
        ),
    ],
)
def test_a_real_language_model_has_its_verdicts(project, settings, verdict, headline):
    toy_results.save_comparison(project, verdict, study="dbke_smollm2")
    finding = assess(settings)["dbke_smollm2"]
    assert finding.headline == f"SmolLM2-135M over several seeds: {headline}"
    assert finding.brief.startswith(
        "Correct answers to 260 questions, 10 pairs of seeds, p adjusted for 3 comparisons: "
        "dialogues minus raw articles 12.0 points [9.0, 15.0] ("
    )
    text = "; dialogues minus single questions with answers -4.0 points [-7.0, -1.0]"
    assert f"{text} (we cannot tell, p = 0.30" in finding.brief
    assert "learning rate 0.008 (raw articles: 0.004)" in finding.brief
    assert finding.brief.endswith(sweeps.CAVEATS["dbke_smollm2"])
    assert sweeps.REMARKS["dbke_smollm2"] in finding.lead
    assert sweeps.REMARKS["dbke_smollm2"] not in finding.brief
    assert finding.contrasts == []  # Table 1 is that of the shipped model
    assert {number.table for number in finding.numbers} == {
        f"outputs/dbke_smollm2/{STEP}/contrasts.csv",
        f"outputs/dbke_smollm2/{STEP}/scores.csv",
    }


def test_a_sweep_whose_runs_are_missing_has_not_run_yet(project, settings):
    rows = [toy_results.contrast("dialogue", "raw", 0.12, "preliminary")]
    for study, scaling in (("dbke_smollm2", {}), ("dbke_sizes", {"dialogues": ["a", "b"]})):
        params = PARAMS | {"scaling": scaling}
        fits = [fit("dialogues", 0.03)]
        toy_results.save(project, study, STEP, params, contrasts=rows, scaling=fits)
    assert not any(finding.is_run for finding in sweeps.assess_sweeps(settings))


def fit(curve, gain):
    row = {"curve": curve, "quantity": "dialogues per article", "arms": 5, "seeds": 3}
    return row | {"gain_per_doubling": gain, "low": gain - 0.01, "high": gain + 0.01}


@pytest.mark.parametrize("study", ["dbke_scaling", "dbke_sizes"])
def test_a_curve_has_its_gain_per_doubling(project, settings, study):
    rows = [toy_results.contrast("passes_20", "passes_1", 0.1, "secondary")]
    fits = [fit("six passes", 0.03), fit("equal steps", 0.005)]
    arms = ["passes_1", "passes_5", "passes_20"]
    params = PARAMS | {"scaling": {"six passes": arms}}
    missing = [{"arm": arm, "status": "missing" if arm == arms[1] else "complete"} for arm in arms]
    tables = {"contrasts": rows, "scaling": fits, "runs": missing}
    tables |= toy_results.list_trainings(*arms, passes_20=150)
    tables["scaling_points"] = list_points("six passes", arms, [0.2, 0.4, 0.3])
    tables["scaling_points"] += list_points("equal steps", arms, [0.2, 0.3, 0.4])
    toy_results.save(project, study, STEP, params, **tables)
    assert not assess(settings)[study].is_run
    tables["runs"] = [row | {"status": "complete"} for row in missing]
    toy_results.save(project, study, STEP, params, **tables)
    finding = assess(settings)[study]
    assert finding.headline.endswith(
        ": accuracy rises (six passes); we cannot tell whether accuracy changes (equal steps)"
    )
    assert finding.lead == f"{finding.brief} {sweeps.REMARKS[study]}"
    assert finding.brief == (
        "Asked in plain text: in a straight-line fit, accuracy changes by 3.0 points [2.0, 4.0] "
        "(six passes) and 0.5 points [-0.5, 1.5] (equal steps) per doubling of the dialogues per "
        "article, over 3 pairs of seeds; this comparison has no verdicts, and its intervals are "
        "not adjusted. Differences (n = 260): passes_20 minus passes_1 10.0 points [7.0, 13.0] "
        "(50 % more steps). "
        f"{sweeps.WORDS[study]}"
    )
    assert [(n.n, n.items, n.seeds) for n in finding.numbers] == [
        *[(5, "arms", 3)] * 2,
        (260, "questions", 10),
    ]
    points = params | {"other_points": {"135 M": "large/raw"}}  # then all questions count
    toy_results.save(project, study, STEP, points, **tables)
    assert assess(settings)[study].brief.startswith("Asked in plain text, all questions: in")
    ends = [toy_results.contrast("passes_20", "passes_1", 0.02, "secondary")]
    toy_results.save(project, study, STEP, params, **tables | {"contrasts": ends})
    assert "rises" not in assess(settings)[study].headline
    falls = [fit("six passes", -0.03)]
    ends = [toy_results.contrast("passes_20", "passes_1", -0.1, "secondary")]
    toy_results.save(project, study, STEP, params, **tables | {"scaling": falls, "contrasts": ends})
    assert assess(settings)[study].headline.endswith(": accuracy falls (six passes)")


@pytest.mark.parametrize(
    ("accuracies", "gain", "change"),
    [
        ([0.2, 0.3, 0.4], 0.03, "accuracy rises"),
        ([0.2, 0.4, 0.35], 0.03, "we cannot tell whether accuracy changes"),
        ([0.4, 0.3, 0.2], -0.03, "accuracy falls"),
        ([0.3, 0.4, 0.2], -0.03, "we cannot tell whether accuracy changes"),
    ],
)
def test_a_curve_without_a_planned_difference_of_its_ends_must_rise_or_fall_at_every_point(
    project, settings, accuracies, gain, change
):
    rows = [toy_results.contrast("dialogue_1m", "raw_1m", 0.1, "secondary")]
    arms = ["raw_03m", "raw_1m", "raw_4m"]
    tables = {"contrasts": rows, "scaling": [fit("raw articles", gain)]}
    tables["runs"] = [{"arm": arm, "status": "complete"} for arm in arms]
    tables["scaling_points"] = list_points("raw articles", arms, accuracies)
    tables |= toy_results.list_trainings("dialogue_1m", "raw_1m")
    params = PARAMS | {"scaling": {"raw articles": arms}}
    toy_results.save(project, "dbke_sizes", STEP, params, **tables)
    headline = assess(settings)["dbke_sizes"].headline
    assert headline == f"Smaller and larger base models: {change} (raw articles)"


@pytest.mark.parametrize(
    ("pair", "value", "change"),
    [
        (("a", "c"), -0.2, "accuracy rises"),  # the first minus the last
        (("c", "a"), 0.01, "we cannot tell whether accuracy changes"),
        (("c", "b"), 0.01, "accuracy rises"),  # not the ends, so every point must rise
    ],
)
def test_only_the_difference_of_the_ends_decides(project, settings, pair, value, change):
    arms = ["a", "b", "c"]
    rows = [toy_results.contrast(*pair, value, "secondary")]
    tables = {"contrasts": rows, "scaling": [fit("texts", 0.03)]}
    tables["runs"] = [{"arm": arm, "status": "complete"} for arm in arms]
    tables["scaling_points"] = list_points("texts", arms, [0.2, 0.3, 0.4])
    tables |= toy_results.list_trainings(*arms)
    params = PARAMS | {"scaling": {"texts": arms}}
    toy_results.save(project, "dbke_scaling", STEP, params, **tables)
    headline = assess(settings)["dbke_scaling"].headline
    assert headline == f"More dialogues per article: {change} (texts)"


def list_points(curve, arms, accuracies):
    return [
        {"curve": curve, "arm": arm, "x": x, "accuracy": accuracy}
        for x, (arm, accuracy) in enumerate(zip(arms, accuracies, strict=True), start=1)
    ]


def test_rewording_has_all_planned_contrasts_and_what_else_differs(project, settings):
    values = {("dialogue", "raw"): 0.1, ("dialogue", "paraphrase"): 0.01}
    values |= {("paraphrase", "raw"): 0.09}
    rows = [toy_results.contrast(*pair, value, "secondary") for pair, value in values.items()]
    rows = [row | {"seeds": 3} for row in rows]
    tables = toy_results.list_trainings("dialogue", "raw", "paraphrase", raw=50)
    toy_results.save(project, "dbke_reworded", STEP, PARAMS, contrasts=rows, **tables)
    finding = assess(settings)["dbke_reworded"]
    assert finding.headline == (
        "Rewording or conversation with SmolLM2-135M: dialogues are ahead of raw articles; we "
        "cannot tell dialogues from paraphrases; paraphrases are ahead of raw articles"
    )
    assert finding.lead == (
        "Asked in plain text: dialogues minus raw articles 10.0 points [7.0, 13.0] (2 times as "
        "many steps and format chat (raw articles: plain)); dialogues minus paraphrases 1.0 points "
        "[-2.0, 4.0]; paraphrases minus raw articles 9.0 points [6.0, 12.0] (2 times as many steps "
        "and format chat (raw articles: plain)) (n = 260, 3 pairs of seeds; this comparison has no "
        "verdicts, and its intervals are not adjusted). "
        f"{sweeps.UNSURE} {sweeps.CAVEATS['dbke_reworded']} {sweeps.REMARKS['dbke_reworded']}"
    )


def test_unstable_trainings_are_counted(project, settings):
    rows = [toy_results.contrast("dialogue", "raw", 0.1, "secondary")]
    tables = toy_results.list_trainings("dialogue", "raw")
    tables["trainings"][1]["is_unstable"] = True
    toy_results.save(project, "dbke_reworded", STEP, PARAMS, contrasts=rows, **tables)
    text = (
        "1 of 2 trainings were unstable (a very large gradient, or a rising loss) and count: raw "
        "articles 1."
    )
    assert assess(settings)["dbke_reworded"].brief.endswith(text)


def test_a_table_of_an_earlier_version_is_named_with_the_remedy(project, settings):
    rows = [toy_results.contrast("dialogue", "raw", 0.1, "secondary")]
    tables = toy_results.list_trainings("dialogue", "raw")
    for row in tables["trainings"]:
        del row["is_unstable"]
    toy_results.save(project, "dbke_reworded", STEP, PARAMS, contrasts=rows, **tables)
    with pytest.raises(Incomplete, match=r"trainings.csv has no column is_unstable; run the step"):
        assess(settings)


def test_base_models_of_several_sizes_have_the_sizes_of_their_adapters(project, settings):
    rows = [toy_results.contrast("raw", "dialogue", 0.1, "secondary")]
    tables = toy_results.list_trainings("dialogue", "raw")
    larger = {"parameters": 4_000_000, "adapter_parameters": 1_320_000}
    tables["trainings"][0] |= larger
    tables["trainings"].append({"arm": "base"} | toy_results.TRAINED | {"parameters": None})
    toy_results.save(project, "dbke_sizes", STEP, PARAMS, contrasts=rows, **tables)
    assert assess(settings)["dbke_sizes"].lead.endswith(
        "The adapter has 59 and 33 % as many parameters as the base model, from the smallest to "
        "the largest."
    )


def test_differences_that_are_all_open_are_one_sentence(project, settings):
    pairs = [("dialogue", "raw"), ("dialogue", "paraphrase")]
    rows = [toy_results.contrast(*pair, 0.01, "secondary") for pair in pairs]
    tables = toy_results.list_trainings("dialogue", "raw", "paraphrase")
    toy_results.save(project, "dbke_reworded", STEP, PARAMS, contrasts=rows, **tables)
    assert assess(settings)["dbke_reworded"].headline == (
        "Rewording or conversation with SmolLM2-135M: none of the 2 planned differences is clear"
    )


def test_all_other_outcomes_are_named_those_that_exclude_0_first(project, settings):
    rows = [toy_results.contrast("dialogue", "raw", 0.01, "secondary")]
    others = {"reversed": -0.09, "cloze": 0.02, "plain question, all questions": 0.2}
    scores = []
    for outcome, value in others.items():
        rows.append(toy_results.contrast("dialogue", "raw", value, "", outcome=outcome, n=312))
        for arm, accuracy in {"dialogue": 0.4 + value, "raw": 0.4}.items():
            scores.append({"outcome": outcome, "arm": arm, "accuracy": accuracy})
    tables = toy_results.list_trainings("dialogue", "raw")
    toy_results.save(project, "dbke_smollm2", STEP, PARAMS, contrasts=rows, scores=scores, **tables)
    finding = assess(settings)["dbke_smollm2"]
    clear = (
        "Of 3 other outcomes of dialogues minus raw articles, the interval excludes 0 in: reversed "
        "-9.0 points [-12.0, -6.0] (31.0 minus 40.0 %, n = 312) and plain question with all "
        "questions 20.0 points [17.0, 23.0] (60.0 minus 40.0 %, n = 312)."
    )
    unclear = "It contains 0 in: cloze 2.0 points [-1.0, 5.0] (42.0 minus 40.0 %, n = 312)."
    assert f"{clear} {unclear}" in finding.lead
    assert clear in finding.brief
    assert unclear not in finding.brief


def test_a_further_sweep_is_named_by_its_folder(project, settings):
    rows = [toy_results.contrast("headings", "raw", -0.1, "secondary")]
    tables = toy_results.list_trainings("headings", "raw")
    toy_results.save(project, "mine", STEP, PARAMS, contrasts=rows, **tables)
    finding = sweeps.assess_sweep(settings, "mine")
    heading = "`mine`: the same sentences with the questions as headings are behind raw articles"
    assert finding.headline == heading
    assert sweeps.assess_sweep(settings, "other").headline == "`other`"


@pytest.mark.parametrize("study", ["dbke_smollm2", "dbke_reworded"])
def test_a_correct_answer_before_tuning_is_not_called_knowledge(study):
    """Most correct answers of a base model near chance are luck."""
    assert (
        "answers correctly before tuning by more than 1 nat, even if by luck"
        in (sweeps.REMARKS[study])
    )
