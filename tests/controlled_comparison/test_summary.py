"""Tests of the sentences: each verdict has its words, and missing runs are named."""

import numpy as np
import pandas as pd
import pytest
from tests.support.toy_comparison import make_design

from clinical_camel.controlled_comparison import summary
from clinical_camel.controlled_comparison.contrasts import FURTHER_COLUMNS
from clinical_camel.controlled_comparison.mixed_model import COLUMNS
from clinical_camel.controlled_comparison.scaling import FIT_COLUMNS

MINUS = "\N{MINUS SIGN}"
ROW = {"treatment": "dialogue", "control": "raw", "outcome": "plain question"}
ROW |= {"is_primary": True, "n": 177, "conditions": 50, "seeds": 5, "accuracy_treatment": 0.5}
ROW |= {"accuracy_control": 0.37, "difference": 0.13, "low": 0.08, "high": 0.18, "p": 0.001}
ROW |= {"p_holm": 0.004, "p_equivalence": 0.99, "min_detectable_effect": 0.07, "verdict": "helps"}
NO_PAIR = ROW | dict.fromkeys(["difference", "low", "high", "p", "p_holm", "p_equivalence"], np.nan)
NO_PAIR |= {"n": 0, "conditions": 0, "seeds": 0, "verdict": "cannot tell"}
RUNS = pd.DataFrame({"arm": ["dialogue", "raw", "qa"], "data_seed": 3, "training_seed": 3})
RUNS = RUNS.assign(status="complete", reason="")
SCORES = pd.DataFrame({"outcome": ["primer exam"] * 3, "arm": ["base", "raw", "dialogue"]})
SCORES = SCORES.assign(accuracy=[0.57, 0.26, 0.4], low=[0.5, 0.2, 0.35], high=[0.63, 0.3, 0.45])
SCORES = SCORES.assign(chance=0.25)


def describe(*rows, runs=RUNS, models=(), scores=SCORES, further=(), fits=(), **changed):
    design, fits = make_design(**changed), pd.DataFrame(fits, columns=FIT_COLUMNS)
    models = pd.DataFrame(models, columns=COLUMNS)
    tables = pd.DataFrame(rows), pd.DataFrame(further, columns=FURTHER_COLUMNS), models
    return summary.describe_results(design, runs, *tables, scores, fits)


def test_the_first_sentence_is_the_conclusion():
    other = ROW | {"control": "qa", "verdict": "cannot tell"}
    assert describe(ROW, other)[0] == (
        f"**dialogue {MINUS} raw: helps, 13.0 points [8.0, 18.0], by more than 5 points; "
        f"dialogue {MINUS} qa: cannot tell, 13.0 points [8.0, 18.0].**"
    )


def test_the_conclusions_of_the_preregistration_follow_the_verdicts():
    other = ROW | {"control": "monologue"}
    assert describe(ROW, other)[1].startswith(
        "By the rules written before the runs, we conclude: dialogues"
    )
    runs = RUNS.assign(status=["complete", "missing", "missing"])
    rows = [row | {"verdict": "preliminary", "p_holm": np.nan} for row in (ROW, other)]
    assert not any("conclude" in text for text in describe(*rows, runs=runs))


def test_contrasts_without_a_planned_verdict_have_none():
    row = ROW | {"verdict": "secondary"} | dict.fromkeys(["p", "p_holm", "p_equivalence"], np.nan)
    texts = describe(row, has_verdict=False)
    assert texts[0] == f"**dialogue {MINUS} raw: 13.0 points [8.0, 18.0].**"
    assert not any("conclu" in text or "Verdict" in text or "No test" in text for text in texts)
    every = row | {"outcome": "plain question, all questions", "is_primary": False, "n": 312}
    texts = describe(row, every, has_verdict=False)
    assert any("On all 312 questions: 13.0 points [8.0, 18.0]." in text for text in texts)


def test_a_comparison_without_the_base_model_says_so():
    texts = describe(ROW, scores=SCORES[SCORES["arm"] != "base"])
    assert any("No base model has run, so forgetting (primer exam)" in t for t in texts)


@pytest.mark.parametrize(
    ("verdict", "limits", "text"),
    [
        ("helps", (0.08, 0.18), "helps, 13.0 points [8.0, 18.0], by more than 5 points."),
        (
            "helps",
            (0.05, 0.18),
            "helps, 13.0 points [5.0, 18.0], but the effect may be smaller than 5 points.",
        ),
        ("hurts", (-0.2, -0.06), "hurts, -13.0 points [-20.0, -6.0], by more than 5 points."),
        (
            "hurts",
            (-0.2, -0.04),
            "hurts, -13.0 points [-20.0, -4.0], but the effect may be smaller than 5 p",
        ),
        ("no effect larger than 5 points", (0.01, 0.04), "no effect larger than 5 points, 13.0"),
    ],
)
def test_each_verdict_says_how_large_the_effect_is(verdict, limits, text):
    row = ROW | {"verdict": verdict, "low": limits[0], "high": limits[1]}
    row |= {"difference": -0.13 if verdict == "hurts" else 0.13}
    assert any(f"Verdict: {text}" in sentence for sentence in describe(row))


def test_the_sentence_on_a_contrast_says_what_it_isolates_and_its_tests():
    assert describe(ROW)[2].startswith(
        f"dialogue {MINUS} raw (the paper's question): 50.0 % and 37.0 % correct (177 questions, "
        "50 diseases, pairs of seeds: 5; p Holm 0.0040, p equivalence 0.9900)."
    )


def test_a_contrast_that_cannot_tell_says_what_it_would_miss():
    row = ROW | {"verdict": "cannot tell", "p_holm": 0.2, "low": -0.01}
    sentences = describe(row)
    assert any(
        "below 7.0 points would often be missed. Not ruled out: a gain of 5 points." in text
        for text in sentences
    )
    (both,) = (t for t in describe(row | {"low": -0.06}) if "ruled out" in t)
    assert "Not ruled out: a gain of 5 points or a loss of 5 points." in both
    assert "ruled out" not in describe(row | {"low": -0.01, "high": 0.04})[2]
    assert not any("The interval just" in text for text in sentences)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"p": 0.03, "p_holm": 0.06}, "The interval excludes zero. After correction for 2 "
         "comparisons, the test is not significant, and the test counts."),
        ({"p": 0.06, "p_holm": 0.06}, "The interval excludes zero. The test is not "),
        ({"low": -0.01}, "The interval includes zero, but the test is significant, and the "),
        ({}, ""),
    ],
)  # fmt: skip
def test_an_interval_that_disagrees_with_the_test_is_explained(changed, text):
    sentence = describe(ROW | {"verdict": "cannot tell"} | changed)[2]
    assert text in sentence
    assert ("The interval " in sentence) == bool(text)


def test_the_scores_with_the_article_in_the_prompt_are_stated():
    outcomes = {"plain question": "mini_exam/option_text", "reversed": "mini_exam/conversation"}
    outcomes |= {"open book": "mini_exam/option_text/open_book"}
    rows = [
        {"outcome": "open book", "arm": "base", "accuracy": 0.409, "low": 0.342, "high": 0.478},
        {"outcome": "open book", "arm": "dialogue", "accuracy": 0.798, "low": np.nan},
        {"outcome": "plain question", "arm": "dialogue", "accuracy": 0.497, "low": np.nan},
    ]
    scores = pd.DataFrame(rows).assign(chance=0.25)
    texts = describe(ROW, scores=scores, outcomes=outcomes, forgetting="")
    assert (
        "With the article in the prompt (open book): `base` 40.9 [34.2, 47.8] %, `dialogue` 79.8 % "
        "(without 49.7 %)."
    ) in texts
    assert not any("article in the prompt" in text for text in describe(ROW))


def test_arms_with_few_runs_are_named():
    runs = pd.concat([RUNS] * 3)
    extra = pd.DataFrame({"arm": ["open_book", "base"], "status": "complete", "reason": ""})
    texts = describe(ROW, runs=pd.concat([runs, extra]))
    assert (
        "Arms with fewer than 2 runs: `open_book` (1); the others have 3. Scores of so few runs "
        "say little about other seeds."
    ) in texts
    assert not any("fewer than" in text for text in describe(ROW, runs=runs))


def test_a_contrast_with_too_few_seeds_has_no_test():
    row = ROW | {"verdict": "cannot tell", "seeds": 1, "p": np.nan, "p_holm": np.nan}
    sentence = describe(row | {"p_equivalence": np.nan})[2]
    assert sentence.endswith("No test: it needs 2 pairs of seeds.")
    assert "p Holm" not in sentence


def test_a_contrast_without_a_pair_of_seeds_cannot_tell():
    assert describe(NO_PAIR)[2] == (
        f"dialogue {MINUS} raw (the paper's question): not comparable. Verdict: cannot tell, no "
        "common pair of seeds. No test: it needs 2 pairs of seeds."
    )


@pytest.mark.parametrize(("alpha", "is_explained"), [(0.05, True), (0.001, False)])
def test_a_significant_but_small_difference_is_explained(alpha, is_explained):
    row = ROW | {"verdict": "no effect larger than 5 points"}
    sentence = describe(row, alpha=alpha)[2]
    assert ("significant, but by the rule" in sentence) == is_explained


def test_while_runs_are_missing_every_sentence_on_a_contrast_is_preliminary():
    runs = RUNS.assign(status=["complete", "missing", "missing"])
    missing = "Preliminary, because runs are missing: raw (1 of 1 pairs of seeds), qa (1 of 1"
    rows = [ROW | {"verdict": "preliminary", "p_holm": np.nan}, NO_PAIR | {"control": "qa"}]
    rows[1]["verdict"] = "preliminary"
    sentences = describe(*rows, runs=runs)
    assert all(text.strip("*").startswith(missing) for text in sentences[:3])
    words = ("helps", "hurts", "no effect", "cannot tell", "Verdict", "p Holm")
    assert not any(word in text for text in sentences for word in words)
    headline = summary.format_headline(pd.DataFrame(rows), runs, make_design())
    assert headline.startswith(missing)
    assert headline.endswith(
        f"13.0 points [8.0, 18.0]; dialogue {MINUS} qa: no common pair of seeds (1 of 3 runs)"
    )


def test_another_sign_of_the_mixed_model_is_named():
    row = ["dialogue", "raw", -0.5, -0.8, -0.2]
    texts = describe(ROW, models=[[*row, "other sign"]])
    assert f"dialogue {MINUS} raw, checked by a mixed model: other sign." in texts
    same = describe(ROW, models=[[*row, "same sign"]])
    assert "A logistic mixed model has the sign of the difference in 1 of 1 contrasts." in same
    assert not any("mixed" in text for text in describe(ROW))


def test_a_clear_sign_of_the_mixed_model_does_not_change_the_verdict():
    open_one = ROW | {"verdict": "cannot tell"}
    rows = [open_one | {"control": "qa"}, open_one, ROW | {"control": "monologue"}]
    models = [["dialogue", "qa", -0.2, -0.3, -0.1, "same sign"]]
    models.append(["dialogue", "raw", 0.1, -0.1, 0.3, "same sign, but its interval contains zero"])
    models.append(["dialogue", "monologue", 0.3, 0.2, 0.4, "same sign"])
    text = next(t for t in describe(*rows, models=models) if "mixed model" in t)
    assert text.startswith(
        "A logistic mixed model has the sign of the difference in 3 of 3 contrasts. Its interval "
        f"excludes zero for dialogue {MINUS} qa, but the verdict stays cannot tell: the approx"
    )
    untested = [row | {"p_holm": np.nan} for row in rows]
    text = next(t for t in describe(*untested, models=models) if "mixed model" in t)
    assert text.endswith("in 3 of 3 contrasts.")  # too few seeds, not this model, are the reason


PLACEBO = {name: ROW[name] for name in FURTHER_COLUMNS if name in ROW} | {"control": "placebo"}


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ((-0.06, 0.03), "; a gain of 5 points is ruled out."),
        ((-0.06, 0.05), "; a gain of 5 points is not ruled out."),
        ((-0.001, 0.049), "; a gain of 5 points is ruled out."),  # the difference is above 0
        ((-0.004, 0.124), "; a gain of 5 points is not ruled out."),
        ((0.01, 0.04), ""),  # matching questions help
        ((np.nan, np.nan), ""),
    ],
)
def test_questions_that_need_not_match_limit_the_conclusion(limits, text):
    rows = [ROW, ROW | {"control": "monologue"}]
    low, high = limits
    further = [PLACEBO | {"difference": (low + high) / 2, "low": low, "high": high, "seeds": 3}]
    after = describe(*rows, further=further)[2]
    start = "It is open whether" if low + high > 0 else "We found no sign that"
    start += " matching questions help (exploratory): dialogue"
    assert after.startswith(start) == bool(text)
    assert after.endswith(text)
    other = [ROW, ROW | {"control": "monologue", "verdict": "cannot tell"}]
    for sentences in (describe(*other, further=further), describe(*rows)):
        assert not any("matching" in sentence for sentence in sentences)


def test_questions_on_another_section_that_still_help_limit_the_conclusion():
    rows = [ROW, ROW | {"control": "monologue"}]
    placebo = PLACEBO | {"treatment": "placebo", "control": "monologue"}
    assert describe(*rows, further=[placebo])[2] == (
        "In the outcome plain question, dialogues whose questions ask about another section of the "
        "article scored higher than the same sentences without questions (exploratory): "
        f"placebo {MINUS} monologue, 13.0 points [8.0, 18.0], pairs of seeds: 5. So "
        f"dialogue {MINUS} monologue does not show that questions must match their answers. "
        "The table of further contrasts names what else differs between the two."
    )
    texts = describe(*rows, further=[placebo | {"low": -0.01}])
    assert not any("scored higher than" in text for text in texts)


def test_further_contrasts_are_listed_as_exploratory():
    other = PLACEBO | dict.fromkeys(["difference", "low", "high"], np.nan)
    further = [PLACEBO, other, PLACEBO | {"outcome": "cloze"}]
    assert (
        "Further contrasts, exploratory, not adjusted, with their pairs of seeds: dialogue "
        f"{MINUS} placebo (questions that match) 13.0 points [8.0, 18.0], 5 pairs."
    ) in describe(ROW, further=further)
    assert not any("Further" in text for text in describe(ROW, further=[other]))


@pytest.mark.parametrize(
    ("points", "outcome"),
    [({}, "plain question"), ({"135 M": "large/raw"}, "plain question, all questions")],
)
def test_a_gain_per_doubling_names_its_outcome(points, outcome):
    fit = ["turns", "dialogues per article", 3, 3, 0.03, 0.02, 0.04, 0.3]
    assert (
        "turns: in a straight-line fit, accuracy changes by 3.0 [2.0, 4.0] points per doubling of "
        f"dialogues per article (3 seeds; outcome: {outcome})."
    ) in describe(ROW, fits=[fit], other_points=points)


def test_an_accuracy_has_the_interval_of_its_arm_if_both_are_over_the_same_seeds():
    score = {"outcome": "plain question", "chance": 0.25, "low": 0.3, "high": 0.6, "accuracy": 0.5}
    rows = [score | {"arm": "dialogue", "seeds": 5}, score | {"arm": "raw", "seeds": 4}]
    text = describe(ROW, scores=pd.concat([SCORES, pd.DataFrame(rows)]))[2]
    assert "50.0 [30.0, 60.0] % and 37.0 % correct (" in text


def test_a_detectable_effect_that_is_unknown_is_not_stated():
    cannot_tell = ROW | {"verdict": "cannot tell"}
    assert "would often be missed" in describe(cannot_tell)[2]
    for unknown in (np.nan, 0.0):
        text = describe(cannot_tell | {"min_detectable_effect": unknown})[2]
        assert "would often be missed" not in text


def test_outcomes_without_answers_are_named():
    text = "No run has answers for the outcomes: plain question, conversation, reversed"
    assert any(sentence.startswith(text) for sentence in describe(ROW))


def test_runs_that_were_not_used_are_named_with_their_reason():
    runs = RUNS.assign(
        status=["complete", "diverged", "missing"],
        reason=["", "loss is nan at step 7 of 798", "02_sft_qlora is running"],
    )
    assert describe(ROW, runs=runs)[-1] == (
        "The analysis rests on 1 of 3 runs. Training diverged, so the contrasts of the arm do not "
        "use this pair of seeds: raw (3, 3): loss is nan at step 7 of 798. Not used: qa (1 run): "
        "02_sft_qlora is running."
    )


def test_forgetting_names_the_arms_at_chance():
    sentences = describe(ROW)
    assert any(text.startswith("Not above chance") and "`raw`." in text for text in sentences)
    assert not any(text.startswith("Differences there") for text in sentences)


def test_forgetting_names_the_base_models_of_several_sizes():
    larger = SCORES[SCORES["arm"] == "base"].assign(arm="base_4m", accuracy=0.7)
    scores = pd.concat([SCORES.replace({"arm": {"base": "base_1m"}}), larger])
    texts = [t for t in describe(ROW, scores=scores) if t.startswith("Forgetting")]
    assert [text.partition(";")[0] for text in texts] == [
        "Forgetting (primer exam), in percent: before 57.0 [50.0, 63.0] (`base_1m`), "
        "70.0 [50.0, 63.0] (`base_4m`)"
    ]


def test_arms_above_chance_have_their_differences_in_forgetting():
    rows = [PLACEBO | {"outcome": "primer exam"}]
    rows.append(rows[0] | {"treatment": "raw", "control": "raw"})  # neither above chance
    texts = [t for t in describe(ROW, further=rows) if t.startswith("Differences there")]
    assert texts == [
        "Differences there, exploratory, not adjusted: "
        f"dialogue {MINUS} placebo 13.0 points [8.0, 18.0]."
    ]


def test_the_first_two_contrasts_have_their_other_outcomes_and_all_questions():
    secondary = [
        ROW | {"control": control, "outcome": outcome, "is_primary": False, "verdict": ""}
        for control in ("raw", "monologue")
        for outcome in ("cloze", "primer exam", "plain question, all questions")
    ]
    lost = SCORES.assign(low=0.2)
    rows = [ROW, ROW | {"control": "monologue"}, *secondary]
    design = {"contrasts": ["dialogue - raw", "dialogue - monologue"]}
    texts = describe(*rows, scores=lost, **design)
    others = [text for text in texts if text.startswith("Secondary outcomes of")]
    assert len(others) == 2
    assert all("cloze 13.0 points" in text for text in others)
    assert "primer exam" not in others[0]  # both arms are at chance
    assert "primer exam" in others[1]  # the scores have no arm `monologue`
    assert sum("On all 177 questions: 13.0 points" in text for text in texts) == 2


def test_without_verdicts_every_contrast_has_its_other_outcomes():
    controls = ["raw", "monologue", "qa"]
    rows = [ROW | {"control": control} for control in controls]
    rows += [row | {"outcome": "cloze", "is_primary": False} for row in rows]
    rows = [row | {"verdict": "secondary", "p_holm": np.nan} for row in rows]
    design = {"contrasts": [f"dialogue - {control}" for control in controls]}
    for has_verdict, count in ((True, 2), (False, 3)):
        texts = describe(*rows, has_verdict=has_verdict, **design)
        assert sum(text.startswith("Secondary outcomes of") for text in texts) == count


def test_the_headline_has_every_verdict_and_the_number_of_runs():
    assert summary.format_headline(pd.DataFrame([ROW]), RUNS, make_design()) == (
        f"dialogue {MINUS} raw: helps, 13.0 points [8.0, 18.0], by more than 5 points (3 of 3 runs)"
    )


def test_excluded_questions_are_counted_by_the_text_that_they_resemble():
    every = pd.DataFrame({"id": list("abcde"), "condition": ["gout"] * 3 + ["asthma", "croup"]})
    answers = pd.concat(
        [
            every.assign(outcome="plain question, all questions"),
            every[3:].assign(outcome="plain question"),
        ]
    )
    overlaps = pd.DataFrame({"id": ["a", "b", "b", "c", "z"]})
    overlaps["trained_on"] = ["exam_dialogues", "dialogues", *["exam_dialogues"] * 2, "dialogues"]
    specialties = {"gout": "joints", "asthma": "lung", "croup": "lung", "mumps": "children"}
    assert summary.describe_exclusions(answers, overlaps, specialties, make_design()) == (
        "2 of 5 questions, on 2 of 3 diseases, are used. The others resemble a training text of "
        "`dialogue` (2 an exam dialogue, 1 an article dialogue and an exam dialogue). The articles "
        "are on 4 diseases; 1 of them have texts, but no question."
    )


def test_questions_that_the_base_model_answers_are_shown_beside_guessing():
    every = pd.DataFrame({"id": [f"q{i}" for i in range(40)], "condition": "gout", "chance": 0.25})
    answers = [
        every.assign(outcome="plain question, all questions"),
        every[4:-1].assign(outcome="plain question"),
    ]
    overlaps = pd.DataFrame({"id": ["q39"], "trained_on": ["dialogues"]})
    design = make_design(base_margin=1.0)
    text = summary.describe_exclusions(pd.concat(answers), overlaps, {}, design)
    assert (
        "Another 4 are excluded because the base model answers them correctly before tuning, more "
        "than 1 nat ahead of the next option. (Guessing would get about 10 right, by any margin.)"
    ) in text
