"""Step 03: the audit of the published numbers, by themselves and beside ours."""

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from clinical_camel import data, eval_fewshot, stats
from clinical_camel.data import Question
from clinical_camel.eval_fewshot import claims

HARNESS = "lm-evaluation-harness, log-likelihood of the option text"
AUDIT = eval_fewshot.audit


def published(*rows, **same):
    """Published accuracies, each with what differs from a good claim of MedQA."""
    good = {"system": "camel", "size": "70b", "benchmark": "medqa_us", "shots": 5}
    good |= {"metric": "accuracy", "value": 60.7, "n": 1273, "protocol": HARNESS}
    good |= {"status": "confirmed (primary)", "source": "card"}
    table = pd.DataFrame([good | same | row for row in rows or [{}]])
    return table.astype({"n": "Int64", "shots": "Int64"})


def scores(*rows, **same):
    """Scores as `score_table` gives them: all 1,273 items, 60.7 % right, in the 2023 harness."""
    good = {"benchmark": "medqa_us", "protocol": "harness_2023", "num_shots": 5, "model": "tuned"}
    good |= {"n": 1273, "too_long": 0, "right": 773, "chance": 0.25, "majority": 0.3}
    made = []
    for row in rows or [{}]:
        score = good | same | row
        right, n = score.pop("right"), score["n"]
        low, high = stats.wilson(right, n)
        accuracy = right / n if n else np.nan
        made.append({"accuracy": accuracy, "low": low, "high": high} | score)
    return pd.DataFrame([{"accuracy_norm": row["accuracy"]} | row for row in made])


def verdict(claim, score, **options):
    row = AUDIT(claim, score, "camel:70b", **options).iloc[0]
    return row["verdict"], row["reason"]


# ------------------------------------------------------------------------ the numbers alone


def test_a_value_is_possible_only_if_some_k_of_n_prints_so():
    table = eval_fewshot.audit_published(
        published({"value": 60.0}, {"value": 61.0}, n=5, benchmark="x")
    )
    assert table["possible"].tolist() == [True, False]  # 3 of 5, and nothing
    assert table["nearest"].tolist() == [60.0, 60.0]


def test_a_tie_may_be_rounded_up_or_down():
    rows = published({"value": 81.2}, {"value": 81.3}, n=144, benchmark="mmlu_college_biology")
    assert eval_fewshot.audit_published(rows)["possible"].all()  # 117 of 144 is 81.25


def test_a_value_that_was_rounded_twice_is_told_from_an_impossible_one():
    rows = published({"value": 48.2}, {"value": 48.5}, n=135, benchmark="mmlu_anatomy")
    table = eval_fewshot.audit_published(rows)  # 65 of 135 is 48.148, by way of 48.15
    assert table["possible"].tolist() == [False, False]
    assert table["rounded_twice"].tolist() == [True, False]


def test_every_possible_value_is_found_possible_and_no_other():
    for n in (7, 92, 135, 144):
        found = {tenths for tenths in range(1001) if claims.fits(tenths / 10, n)}
        exact = [Fraction(1000 * k, n) for k in range(n + 1)]
        half = Fraction(1, 2)
        assert found == {t for k in exact for t in (floor(k), ceil(k)) if abs(t - k) <= half}
        assert eval_fewshot.chance_of_fit(n) == len(found) / 1001


def test_a_value_with_two_decimals_is_refused():
    with pytest.raises(ValueError, match="one decimal"):
        eval_fewshot.audit_published(published({"value": 60.75}))


def test_the_interval_is_that_of_k_of_n_in_percent():
    row = eval_fewshot.audit_published(published()).iloc[0]
    assert [round(row[name], 1) for name in ("low", "high", "half_width")] == [58.0, 63.4, 2.7]
    assert (row["chance"], row["chance_of_fit"]) == (25.0, 1.0)


def test_a_missing_n_is_taken_from_the_only_set_that_fits_and_said_to_be():
    same = {"benchmark": "usmle_self_assessment_step_1", "n": None}
    rows = published({"value": 47.3}, {"value": 31.9}, {"value": 22.2}, **same)
    table = eval_fewshot.audit_published(rows)  # 91; 91 and 119; none
    assert table["n"].tolist() == [91, pd.NA, pd.NA]
    assert table["n_from"].tolist() == ["inferred", "", ""]
    assert table["low"].isna().tolist() == [False, True, True]


def test_the_numbers_alone_show_that_the_pubmedqa_headline_compares_other_items():
    table = eval_fewshot.item_sets(data.load_published())
    headline = table[(table["benchmark"] == "pubmedqa") & (table["shots"] == 5)].set_index("n")
    assert headline.loc[500, "cannot"] == "clinical_camel:70b 77.9"
    assert not headline.loc[500, "all_fit"]
    for value in ("gpt-3.5 60.2", "gpt-4 74.4", "med-palm-2 79.2"):
        assert value in headline.loc[500, "fits"]
    assert headline.loc[1000, "all_fit"]
    assert headline.loc[1000, "by_accident"] == 1.0  # every value fits 1,000: it says nothing


def test_a_recalled_value_is_marked_and_is_no_evidence():
    rows = published(
        {"value": 72.9, "status": "recalled, not found"},
        {"value": 74.4, "system": "gpt-4", "size": ""},
        benchmark="pubmedqa",
    )
    row = eval_fewshot.item_sets(rows).set_index("n").loc[500]
    assert row["cannot"] == "camel:70b 72.9 (recalled)"
    assert row["all_fit"]
    assert row["by_accident"] == pytest.approx(0.5, abs=1e-3)  # one value, fitting by half


def test_the_counts_that_most_medalpaca_scores_fit_are_stated_nowhere():
    table = data.load_published()
    for step, count in ((1, 91), (2, 109), (3, 123)):
        values = table.loc[table["benchmark"] == f"usmle_self_assessment_step_{step}", "value"]
        best = eval_fewshot.fitting_counts(values.tolist(), 60, 135).iloc[0]
        assert (best["n"], best["fitting"], best["of"]) == (count, 9, 13)
        assert best["by_accident"] < 1e-5


def test_every_published_count_and_protocol_is_known():
    table = data.load_published()
    table = table[table["metric"] == "accuracy"]
    for protocol in table["protocol"].unique():
        eval_fewshot.comparable(protocol)
    for row in table[table["n"].notna()].itertuples():
        assert row.n in {each.n for each in claims.sets_of(row.benchmark)}


# ------------------------------------------------------------------------------- beside ours


def test_the_same_score_on_the_same_items_is_reproduced():
    assert verdict(published(), scores())[0] == "reproduced"


def test_a_difference_whose_interval_excludes_zero_differs():
    result, reason = verdict(published(), scores(right=650))  # 51.1
    assert result == "differs"
    assert "between -13.5 and -5.8 points" in reason


def test_a_difference_that_is_only_not_significant_is_not_reproduced():
    claim = published({"benchmark": "mmlu_medical_genetics", "value": 69.0, "n": 100})
    score = scores(benchmark="mmlu_medical_genetics", n=100, right=69)
    assert verdict(claim, score)[0] == "cannot tell"


def test_what_is_not_comparable_says_every_reason():
    claim = published({"status": "recalled, not found", "value": 61.3, "n": 272})
    result, reason = verdict(claim, scores(protocol="letter"))
    assert result == "not comparable"
    for part in ("recalled only", "ours is letter", "no fraction of 272", "ours are 1,273"):
        assert part in reason


@pytest.mark.parametrize(
    ("claim", "score", "reason"),
    [
        ({"n": None}, {}, "number of items is not known"),
        ({"benchmark": "pubmedqa", "value": 77.9, "n": 1000}, {"n": 500, "right": 390}, "500"),
        ({"status": "recalled, not found"}, {}, "recalled"),
        ({"protocol": "as reported by its authors"}, {}, "other protocol"),
        ({}, {"n": 0, "right": 0, "too_long": 1273}, "fits the context"),
    ],
)
def test_each_obstacle_alone_makes_it_not_comparable(claim, score, reason):
    made = scores({"benchmark": claim.get("benchmark", "medqa_us")} | score)
    result, text = verdict(published(claim), made)
    assert result == "not comparable"
    assert reason in text
    assert AUDIT(published(claim), made, "camel:70b")["difference"].isna().all()


def test_a_part_of_the_only_public_items_is_compared_and_said_to_be_a_part():
    result, reason = verdict(published(), scores(n=630, right=250, too_long=8))
    assert result == "differs"
    assert "ours on 638 of the 1,273 items; 8 too long" in reason


def test_acc_and_acc_norm_that_disagree_leave_it_open():
    result, reason = verdict(published(), scores(accuracy_norm=0.5))
    assert result == "cannot tell"
    assert "acc or acc_norm is not stated" in reason


def test_nothing_is_run_for_an_empty_system_and_no_score_of_ours_is_shown():
    table = AUDIT(published({}, {"system": "gpt-4", "size": ""}), scores(), "")
    assert table["verdict"].tolist() == ["not run"] * 2
    assert table[["ours", "n_ours", "low", "high", "difference", "p"]].isna().all(axis=None)
    assert table["detectable"].round(3).tolist() == [0.054] * 2  # what 1,273 items could show


@pytest.mark.parametrize("shots", [0, None])
def test_other_or_unstated_shots_are_not_run(shots):
    assert verdict(published({"shots": shots}), scores())[0] == "not run"


def test_several_models_are_refused_unless_one_is_named():
    both = scores({"model": "base", "right": 500}, {})
    with pytest.raises(ValueError, match="which of base, tuned"):
        verdict(published(), both)
    assert verdict(published(), both, model="tuned")[0] == "reproduced"
    with pytest.raises(ValueError, match="model: 'raw' is not one of base, tuned"):
        verdict(published(), both, model="raw")


def test_an_unknown_system_and_an_unknown_protocol_are_refused():
    with pytest.raises(ValueError, match="system: 'camel' is not one of camel:70b"):
        AUDIT(published(), scores(), "camel")
    with pytest.raises(ValueError, match="COMPARABLE does not say"):
        verdict(published({"protocol": "by ear"}), scores())


def test_mmlu_is_split_into_its_subjects_and_the_rest_is_left():
    rows = [Question(id=s, question="?", options=["a", "b"], answer=0, subset=s) for s in "xy"]
    questions = {"toy": rows[:1], "mmlu_medical": rows}
    answers = pd.DataFrame(
        {"benchmark": ["toy", "mmlu_medical", "mmlu_medical"], "subset": ["x", "x", "y"]}
    )
    split, apart = eval_fewshot.by_subject(answers, questions)
    assert split["benchmark"].tolist() == ["toy", "mmlu_x", "mmlu_y"]
    assert {name: [q.id for q in each] for name, each in apart.items()} == {
        "toy": ["x"],
        "mmlu_x": ["x"],
        "mmlu_y": ["y"],
    }


# ----------------------------------------------------------------------------------- figures


def test_a_recalled_value_is_drawn_hollow():
    rows = published({"value": 60.7}, {"value": 45.2, "size": "13b", "status": "recalled, x"})
    figure = eval_fewshot.plot_published(eval_fewshot.audit_published(rows))
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "s"]
    faces = [to_rgba(line.get_markerfacecolor()) == to_rgba("white") for line in dots]
    assert faces == [False, True]
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["5-shot", "5-shot (recalled only, not found)", "chance"]


def test_ten_benchmarks_by_eight_protocols_have_a_dot_each_and_their_range():
    rows = [
        {"benchmark": f"benchmark_{i}", "protocol": f"protocol_{k}", "right": 400 + 50 * k}
        for i in range(10)
        for k in range(8)
    ]
    figure = eval_fewshot.plot_protocols(scores(*rows))
    axis = figure.axes[0]
    texts = [text.get_text() for text in axis.texts]
    assert texts == ["27.5 points\n31.4 to 58.9"] * 10
    assert len(axis.containers) == 80
    figure.draw_without_rendering()
    heights = sorted(label.get_window_extent().y0 for label in axis.get_yticklabels())
    tallest = max(label.get_window_extent().height for label in axis.get_yticklabels())
    assert min(np.diff(heights)) > tallest  # no label over another


def test_protocols_of_several_models_are_refused():
    with pytest.raises(ValueError, match="scores of one model, not of base, tuned"):
        eval_fewshot.plot_protocols(scores({"model": "base"}, {}))
