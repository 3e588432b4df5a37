"""Tests of the contrasts: pairing, verdicts on constructed cases, the error rate of the family."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import nct, t
from tests.support.toy_comparison import make_answers, make_design

from clinical_camel import two_way
from clinical_camel.controlled_comparison import contrasts
from clinical_camel.controlled_comparison.contrasts import pair_scores
from clinical_camel.core.verdicts import CANNOT_TELL, HELPS, HURTS, PRELIMINARY, SECONDARY

NO_EFFECT = "no effect larger than 5 points"


def make_pair(effect, conditions=52, seeds=5, spread=0.05, seed=0):
    """Return answers of the arms `dialogue` and `raw` with a known difference."""
    generator = np.random.default_rng(seed)
    base = np.clip(generator.normal(0.45, 0.1, (conditions, 1)), 0.1, 0.8)
    effects = effect + generator.normal(0, spread, (conditions, 1)) + np.zeros(seeds)
    rates = {"raw": base - effects / 2, "dialogue": base + effects / 2}
    return make_answers(rates, seeds, generator)


def judge(answers, **changed):
    design = make_design(contrasts=["dialogue - raw"], **changed)
    return contrasts.compare_all(answers, "", design).iloc[0]


def test_a_large_effect_helps_and_its_opposite_hurts():
    row = judge(make_pair(0.2))
    assert row["verdict"] == HELPS
    assert row["difference"] == pytest.approx(0.2, abs=0.06)  # the coverage: test_two_way
    assert judge(make_pair(-0.2))["verdict"] == HURTS


def test_no_effect_with_a_small_variance_is_ruled_out():
    answers = make_pair(0.0, conditions=150, spread=0.0, seed=2)
    assert judge(answers)["verdict"] == NO_EFFECT


def test_no_effect_with_a_large_variance_cannot_be_told():
    answers = make_pair(0.0, conditions=12, seeds=2, spread=0.3, seed=1)
    row = judge(answers)
    assert row["verdict"] == CANNOT_TELL
    assert row["min_detectable_effect"] > 0.05


def test_a_significant_effect_that_is_too_small_to_matter_is_no_relevant_effect():
    row = {"difference": 0.02, "p_holm": 0.01, "p_equivalence": 0.01}
    assert contrasts.choose_verdict(row, make_design()) == NO_EFFECT


def test_too_few_seeds_have_no_test_and_no_verdict():
    answers = make_pair(0.3, seeds=2)
    assert judge(answers)["verdict"] == HELPS
    row = judge(answers, min_seeds=3)
    assert row["verdict"] == CANNOT_TELL
    assert row[["p", "p_holm", "p_equivalence", "min_detectable_effect"]].isna().all()
    assert row["low"] > 0.1  # the interval stays


def test_a_true_difference_of_the_detectable_size_is_found_with_80_percent_power():
    row = judge(make_pair(0.1, conditions=20, seeds=2, spread=0.2))
    assert row["df"] < 100  # so few that a normal quantile would be too small
    critical = t.isf(0.05 / 2, row["df"])  # the only contrast
    power = nct.sf(critical, row["df"], row["min_detectable_effect"] / row["error"])
    assert power == pytest.approx(0.8, abs=0.01)


def test_answers_are_paired_by_question_and_seed():
    answers = make_pair(0.1, conditions=3, seeds=2)
    shuffled = answers.sample(frac=1, random_state=0)
    assert judge(shuffled)["difference"] == judge(answers)["difference"]
    cells = answers[(answers["id"] == "c1q2") & (answers["seed"] == "1, 1")]
    scores = pair_scores(shuffled, ["dialogue", "raw"]).loc["c1", "c1q2"]
    assert scores[:, "1, 1"].to_dict() == dict(zip(cells["arm"], cells["score"], strict=True))


def test_a_seed_or_a_question_that_one_arm_lacks_is_neither_used_nor_counted():
    answers = make_pair(0.1, seeds=3)
    lacks = (answers["arm"] == "raw") & (answers["seed"] == "2, 2")
    lacks |= (answers["arm"] == "dialogue") & answers["id"].isin(["c1q2", "c1q3"])
    row = judge(answers[~lacks])
    assert (row["n"], row["conditions"], row["seeds"]) == (52 * 4 - 2, 52, 2)
    both = answers[(answers["seed"] != "2, 2") & ~answers["id"].isin(["c1q2", "c1q3"])]
    assert row["difference"] == pytest.approx(judge(both)["difference"])
    means = both.groupby("arm")["score"].mean()
    assert row["accuracy_control"] == pytest.approx(means["raw"])
    only = contrasts.score_arms(answers[~lacks], make_design()).set_index("arm")
    assert only[["n", "seeds"]].loc["dialogue"].tolist() == [52 * 4 - 2, 3]


def test_a_contrast_without_a_run_cannot_tell_and_still_counts_in_the_adjustment():
    answers = make_pair(0.1)
    design = make_design(contrasts=["dialogue - raw", "dialogue - qa"])
    table = contrasts.compare_all(answers, "", design)
    assert table["seeds"].tolist() == [5, 0]
    assert table["p_holm"].iloc[0] == pytest.approx(2 * table["p"].iloc[0])
    assert np.isnan(table["p_holm"].iloc[1])
    assert table["verdict"].iloc[1] == CANNOT_TELL


def test_a_contrast_without_a_test_still_counts_in_the_adjustment():
    answers = make_pair(0.1)
    third = answers[(answers["arm"] == "raw") & (answers["seed"] < "2")].assign(arm="qa")
    design = make_design(contrasts=["dialogue - raw", "dialogue - qa"], min_seeds=3)
    table = contrasts.compare_all(pd.concat([answers, third]), "", design)
    assert table["seeds"].tolist() == [5, 2]
    assert table["p_holm"].iloc[0] == pytest.approx(2 * table["p"].iloc[0])
    assert np.isnan(table["p_holm"].iloc[1])


def test_while_runs_are_missing_there_is_no_verdict_and_no_adjusted_test():
    design = make_design(contrasts=["dialogue - raw"])
    row = contrasts.compare_all(make_pair(0.3), "Preliminary: ...", design).iloc[0]
    assert row["verdict"] == PRELIMINARY
    assert np.isnan(row["p_holm"])


def test_contrasts_without_a_planned_verdict_have_an_interval_and_no_test():
    design = make_design(contrasts=["dialogue - raw"], has_verdict=False)
    row = contrasts.compare_all(make_pair(0.3), "", design).iloc[0]
    assert row["verdict"] == SECONDARY
    assert row["low"] < row["difference"] < row["high"]
    assert row[["p", "p_holm", "p_equivalence"]].isna().all()


def test_only_the_primary_outcome_has_a_verdict():
    answers = make_pair(0.2)
    both = pd.concat([answers, answers.assign(outcome="conversation")])
    table = contrasts.compare_all(both, "", make_design(contrasts=["dialogue - raw"]))
    assert list(table["verdict"]) == [HELPS, ""]
    assert table["p_holm"].isna().tolist() == [False, True]


def test_the_family_makes_a_false_claim_in_at_most_5_of_100_sweeps(monkeypatch):
    monkeypatch.setattr("gc.collect", lambda: 0)  # statsmodels calls it per family: half a second
    # four contrasts of arms that are equally good; three of them share an arm
    design = make_design(contrasts=["a - b", "a - c", "a - d", "e - a"])
    generator = np.random.default_rng(3)
    claims, unadjusted, sweeps = 0, 0, 300
    for _ in range(sweeps):
        rates = np.clip(generator.normal(0.4, 0.1, (30, 1)), 0.1, 0.8) + np.zeros(4)
        counts = {arm: generator.binomial(4, rates) for arm in "abcde"}
        rows = []
        for text in design.contrasts:
            difference = counts[text[0]] - counts[text[-1]]
            estimate = two_way.estimate_mean(difference, np.full(30, 4), 0, resamples=100)
            p = two_way.compute_p_difference(estimate)
            rows.append({"is_primary": True, "difference": estimate.mean, "p": p})
        table = contrasts.judge_contrasts(pd.DataFrame(rows).assign(p_equivalence=1.0), "", design)
        claims += table["verdict"].isin([HELPS, HURTS]).any()
        unadjusted += (table["p"] < 0.05).any()
    assert claims / sweeps <= 0.07
    assert unadjusted / sweeps > 0.07  # without the adjustment, the family claims too often


def test_scores_of_every_arm_have_an_interval_and_the_base_model_one_seed():
    base = make_answers({"base": np.full((52, 1), 0.25)}, 1, np.random.default_rng(4))
    answers = pd.concat([make_pair(0.2), base.assign(seed="-")])
    scores = contrasts.score_arms(answers, make_design()).set_index("arm")
    assert dict(scores["seeds"]) == {"raw": 5, "dialogue": 5, "base": 1}
    assert (scores["low"] < scores["accuracy"]).all()
    assert (scores["accuracy"] < scores["high"]).all()
    assert scores.loc["base", "accuracy"] == base["score"].mean()


def test_questions_chosen_by_the_answers_of_the_base_model_have_no_chance_level():
    plain = make_pair(0.2)
    names = ("plain question, all questions", "primer exam")
    answers = pd.concat([plain, *(plain.assign(outcome=name) for name in names)])
    scores = contrasts.score_arms(answers, make_design(base_margin=1.0))
    assert set(scores.loc[scores["chance"].notna(), "outcome"]) == set(names)
    every = contrasts.score_arms(answers, make_design())
    assert set(every["chance"]) == {0.25}


def test_two_seeds_of_an_arm_give_no_interval():
    answers = make_pair(0.1)
    scores = contrasts.score_arms(answers[answers["seed"] < "2"], make_design(min_seeds=3))
    assert scores["seeds"].tolist() == [2, 2]
    assert scores[["low", "high"]].isna().all(axis=None)
    assert scores["accuracy"].between(0, 1).all()


def test_arms_without_a_common_seed_are_refused_with_their_names():
    answers = make_pair(0.1, seeds=1)
    answers.loc[answers["arm"] == "raw", "seed"] = "9, 9"
    scores = pair_scores(answers, ["dialogue", "raw"])
    assert contrasts.count_pairs(scores) == {"n": 0, "conditions": 0, "seeds": 0}
    with pytest.raises(ValueError, match="dialogue, raw have no question or no seed"):
        contrasts.estimate_score(scores, {"dialogue": 1.0, "raw": -1.0}, make_design())


def test_a_further_contrast_is_paired_as_a_primary_one_and_has_no_test():
    answers = make_pair(0.1, seeds=3)
    lacks = (answers["arm"] == "raw") & (answers["seed"] == "2, 2")
    design = make_design(contrasts=["raw - qa"], further_contrasts=["dialogue - raw"])
    both = pd.concat([answers[~lacks], answers[~lacks].assign(outcome="conversation")])
    table = contrasts.compare_further(both, design)
    assert list(table.columns) == contrasts.FURTHER_COLUMNS
    assert list(table["outcome"]) == ["plain question", "conversation"]
    assert not {"p", "p_holm", "verdict", "is_primary"} & set(table.columns)
    expected = judge(answers[~lacks])
    for name in contrasts.FURTHER_COLUMNS[2:]:
        assert table.loc[0, name] == expected[name], name
    assert table.loc[0, "seeds"] == 2
    assert (table["low"] < table["difference"]).all()


def test_a_further_contrast_with_one_pair_of_seeds_has_no_interval():
    answers = make_pair(0.1, seeds=1)
    both = pd.concat([answers, answers.assign(outcome="conversation")])
    design = make_design(further_contrasts=["dialogue - raw", "dialogue - qa"], contrasts=["a - b"])
    table = contrasts.compare_further(both, design)
    assert table["seeds"].tolist() == [1, 0]
    assert table["n"].tolist() == [52 * 4, 0]
    assert table[["difference", "low", "high"]].isna().all(axis=None)


def test_no_further_contrasts_give_an_empty_table():
    table = contrasts.compare_further(make_pair(0.1), make_design(further_contrasts=[]))
    assert table.empty
    assert list(table.columns) == contrasts.FURTHER_COLUMNS


def test_specialties_are_compared_in_the_primary_outcome():
    specialties = {f"c{i}": "heart" if i < 30 else "lung" for i in range(50)}
    table = contrasts.compare_subgroups(make_pair(0.2), specialties, make_design())
    assert list(table["specialty"]) == ["heart", "lung"]
    assert list(table["conditions"]) == [30, 20]


def test_each_seed_has_its_difference():
    answers = make_pair(0.2)
    table = contrasts.compare_seeds(answers, make_design(contrasts=["dialogue - raw"]))
    assert list(table["seeds"]) == ["0, 0", "1, 1", "2, 2", "3, 3", "4, 4"]
    assert table["difference"].mean() == pytest.approx(judge(answers)["difference"])
