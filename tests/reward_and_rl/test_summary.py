"""The result of the policy trainings in sentences."""

from types import SimpleNamespace

import pandas as pd
from tests.support.toy_measures import make_exams, make_replies

from clinical_camel.reward_and_rl import changes, summary
from clinical_camel.teachers.comparisons import VerdictCounts

NO_METHODS = changes.compare_methods(make_replies((0, 0, 0)), make_exams())
NO_PARTS = changes.compare_parts(make_replies((0, 0, 0), steps=(0,)))


def make_trained(methods, steps, reasons, last=None):
    """The tables of `train_policies` that the summary reads; `last`: figures of DPO's steps."""
    trainings = {"method": methods, "seed": 0, "steps": steps, "stop_reason": reasons}
    rows = [{"method": "dpo", "step": step, **(last or {})} for step in range(1, 9)]
    return SimpleNamespace(trainings=pd.DataFrame(trainings), steps=pd.DataFrame(rows))


def test_the_summary_says_what_happened_with_numbers():
    methods = ("ppo", "dpo")
    replies = make_replies((0.3, -0.2, 4), methods=methods)
    comparison = changes.compare_with_start(replies, make_exams(12, methods))
    reasons = ["", "loss is nan; use a lower learning rate"]
    trained = make_trained(methods, [10, 4], reasons, {"loss": 0.675, "pair_accuracy": 0.65})
    by_method = changes.compare_methods(replies, make_exams(12, methods))
    text = "\n".join(
        summary.describe_policies(comparison, by_method, changes.compare_parts(replies), trained)
    )
    assert "PPO: the proxy reward rose and the gold reward fell. Proxy +0.3" in text
    assert "at a KL of 2.0 [2.0, 2.0] nats per reply (8 prompts on 4 subjects, 2 seeds)." in text
    assert "as before: PPO +0.000 [0.000, 0.000] of +0.306 (0% of replies); DPO +0.000" in text
    assert (
        "It is not shown with PPO: the interval of its rise and its difference from DPO is" in text
    )
    assert "Change of the gold reward from the replies in which this is as before: PPO -0.2" in text
    assert "a loss of 0.675 (0.693: nothing learned), and 65% of its pairs in the right" in text
    assert "Its change: PPO +0.206 [" in text
    assert "DPO: the proxy reward, which this method does not maximise, rose and the gold" in text
    assert "Proxy reward, PPO minus another method: DPO +0.000 [0.000, 0.000]." in text
    assert "These methods are not at the same KL: PPO 2.0, DPO 2.0." in text
    assert "the exams also ask about training subjects" in text
    assert "PPO from 10.0 to 14.0 tokens" in text
    assert "The accuracy on the exam changed: PPO +50.0 points" in text
    assert "DPO with seed 0 was stopped at step 4: loss is nan; use a lower learning rate." in text
    assert "what PPO, RLOO and GRPO maximise; DPO is only measured by it." in text
    assert "other trainings" not in text
    headline = summary.format_headline(comparison)
    assert headline.startswith(
        "change of proxy / gold reward on held-out prompts (2 trainings each): PPO +0.31 [0.3"
    )
    assert "] / -0.2" in headline
    one = summary.format_headline(comparison.assign(seeds=1))
    assert one.split(": ")[0].endswith("(1 training)")
    uneven = comparison.assign(seeds=comparison["method"].map({"ppo": 1, "dpo": 2}))
    assert "(1 to 2 trainings)" in summary.format_headline(uneven)
    table = summary.format_comparison(comparison)
    assert list(table) == ["PPO", "DPO"]
    assert table.loc["proxy reward"].str.endswith("*").all()
    assert not table.loc["entropy (nats per token)"].str.endswith("*").any()
    assert list(table.loc["KL at the end"]) == ["2.0 [2.0, 2.0]", "2.0 [2.0, 2.0]"]
    counts = ["prompts on subjects", "questions", "seeds"]
    assert list(table.loc[counts, "PPO"]) == ["8 on 4", "24", "2"]
    differences = summary.format_methods(by_method)
    assert list(differences) == ["PPO minus DPO"]
    assert differences.loc["proxy reward", "PPO minus DPO"] == "+0.000 [0.000, 0.000]"
    assert summary.format_methods(NO_METHODS).empty


def test_the_agreement_is_shown_with_its_intervals():
    counts = {"pairs": 9, "both_strict": 4, "ties_first": 3, "ties_second": 2}
    shares = {"agreement": 0.75, "low": 0.5, "high": 0.9, "kappa": 0.4, "kappa_low": 0.1}
    row = {"ranker_1": "rule", "ranker_2": "judge", **counts, **shares, "kappa_high": 0.6}
    (cells,) = summary.format_agreement(pd.DataFrame([row])).to_dict("records")
    assert cells == {
        "rankers": "rule, judge",
        "pairs": 9,
        "ties of each": "3, 2",
        "without ties": 4,
        "agreement": "0.75 [0.50, 0.90]",
        "kappa": "0.40 [0.10, 0.60]",
    }
    assert summary.format_agreement(pd.DataFrame()).empty


def test_nothing_clear_is_said_to_be_unclear():
    comparison = changes.compare_with_start(make_replies((0.0, 0.0, 0)), make_exams())
    trained = make_trained(["ppo"], 10, "")
    text = "\n".join(summary.describe_policies(comparison, NO_METHODS, NO_PARTS, trained))
    assert "PPO: the proxy reward did not rise clearly." in text
    assert "No method changed the length of replies clearly." in text
    assert (
        "No method changed the accuracy on the exam clearly (at the start 12%, chance 25%, n = 24)."
        in text
    )


def test_a_change_without_a_small_adjusted_p_has_no_star():
    comparison = changes.compare_with_start(make_replies((0.3, -0.2, 4)), make_exams(12))
    table = summary.format_comparison(comparison.assign(p_holm=0.06))
    assert not table.astype(str).apply(lambda column: column.str.endswith("*")).to_numpy().any()
    trained = make_trained(["ppo"], 10, "")
    arguments = (comparison.assign(p_holm=0.06), NO_METHODS, NO_PARTS, trained)
    text = "\n".join(summary.describe_policies(*arguments))
    assert "No method changed the length of replies clearly." in text
    assert "No method changed the accuracy on the exam clearly" in text


def test_without_a_measured_policy_the_headline_says_so():
    replies, exams = make_replies((0.3, 0.2, 4), steps=(0,)), make_exams()[:0]
    comparison = changes.compare_with_start(replies, exams)
    assert summary.format_headline(comparison) == "no policy was measured after its start"
    assert summary.format_comparison(comparison).empty
    reason = "the model gave NaN logits; use a lower learning rate"
    trained = make_trained(["ppo"], 1, reason)
    text = "\n".join(summary.describe_policies(comparison, NO_METHODS, NO_PARTS, trained))
    assert "PPO with seed 0 was stopped at step 1: the model gave NaN logits" in text
    assert "length of replies" not in text


def describe_changed(changed, methods=("ppo",)):
    """The sentences if the change of each measure is replaced: by measure, columns and values."""
    replies = make_replies((0.0, -0.2, 4), methods=methods)
    comparison = changes.compare_with_start(replies, make_exams(12, methods))
    for measure, values in changed.items():
        place = comparison["measure"] == measure
        comparison.loc[place, list(values)] = list(values.values())
    trained = make_trained(methods, 1, "")
    lines = summary.describe_policies(comparison, NO_METHODS, NO_PARTS, trained)
    return "\n".join(lines)


def test_an_exam_at_chance_before_training_cannot_show_forgetting():
    words = "The SFT model is not clearly above chance there, so forgetting cannot be seen."
    unclear = {"p_holm": 0.5, "chance": 0.25, "n": 200}
    assert words in describe_changed({"primer_exam": unclear | {"start": 0.24}})
    assert words not in describe_changed({"primer_exam": unclear | {"start": 0.6}})


def test_a_training_share_below_the_held_out_one_was_not_learned_by_heart():
    bias = {"pairs": 0, "bias": float("nan")}
    for share, by_heart in ((0.9, True), (0.6, False)):
        rows = [
            {"part": part, "subset": "all", "accuracy": accuracy, "n": 90, "groups": 9}
            | {"low": accuracy - 0.1, "high": accuracy + 0.1}
            for part, accuracy in (("held out", 0.7), ("training", share))
        ]
        text = " ".join(summary.describe_reward_model(pd.DataFrame(rows), bias, 0.1))
        assert ("is what it learned by heart" in text) == by_heart


def test_with_one_seed_the_intervals_cover_no_other_trainings():
    text = describe_changed({"proxy": {"seeds": 1}} | {"gold": {"seeds": 1}})
    assert "only measured by it" not in text
    replies = make_replies((0.3, -0.2, 4))
    one = changes.compare_with_start(replies, make_exams(12)).assign(seeds=1)
    trained = make_trained(["ppo"], 1, "")
    text = "\n".join(summary.describe_policies(one, NO_METHODS, NO_PARTS, trained))
    assert "The intervals do not cover other trainings." in text


def test_a_fall_that_only_the_interval_shows_is_no_missing_rise():
    fall = {"change": -0.147, "low": -0.263, "high": -0.032, "p_holm": 0.11}
    words = "the proxy reward fell, but not significantly after adjustment, and the gold reward f"
    assert words in describe_changed({"proxy": fall})
    clear = describe_changed({"proxy": fall | {"p_holm": 0.001}})
    assert "PPO: the proxy reward fell, and the gold reward fell." in clear
    rise = {"change": 0.1, "low": 0.01, "high": 0.2, "p_holm": 0.11}
    assert "the proxy reward rose, but not significantly" in describe_changed({"proxy": rise})
    gold = {"proxy": rise | {"p_holm": 0.001}, "gold": fall}
    assert "the gold reward fell, but not significantly" in describe_changed(gold)


def test_a_training_that_did_not_optimise_its_objective_is_named():
    fall = {"change": -0.3, "low": -0.4, "high": -0.2}
    text = describe_changed({"objective": fall}, ("ppo", "rloo", "grpo", "dpo"))
    assert "It fell with PPO, RLOO and GRPO, where the KL costs more than the proxy ga" in text
    assert "These trainings did not optimise it; a lower learning rate may help." in text
    assert "kl_coefficient" not in text
    assert "This training did not optimise it" in describe_changed({"objective": fall})
    assert "did not optimise" not in describe_changed({"objective": fall | {"high": 0.1}})


def test_one_subject_has_no_interval():
    replies = make_replies((0.3, -0.2, 4)).assign(group="a")
    exams = make_exams(12)
    comparison = changes.compare_with_start(replies, exams)
    trained = make_trained(["ppo"], 1, "")
    text = "\n".join(summary.describe_policies(comparison, NO_METHODS, NO_PARTS, trained))
    assert "(no interval: one subject)" in text
    assert "nan" not in text
    assert "nan" not in summary.format_comparison(comparison).to_string()


def test_the_position_bias_of_a_judge_is_stated():
    counts = VerdictCounts(9, 3, 1, 4, 1, 3, prefers_shown_first=2, prefers_shown_second=1)
    (line,) = summary.describe_judge(counts)
    assert "compared 9 pairs in both orders. In 3, the two verdicts disagree: of these" in line
    assert "of these, 2 prefer the reply shown first both times and 1 the one shown sec" in line
    assert summary.describe_judge(None) == []
    rule = VerdictCounts(9, 3, 3, 3, 0, 0, prefers_shown_first=0, prefers_shown_second=0)
    assert summary.describe_judge(rule) == [
        "The judge compared 9 pairs in both orders: its verdicts agree in all."
    ]


def test_the_reward_model_is_described_with_the_bias_it_adds_and_its_calibration():
    row = {"part": "held out", "subset": "all", "n": 212, "groups": 14, "accuracy": 0.495}
    accuracy = pd.DataFrame([row | {"low": 0.39, "high": 0.6}])
    bias = {"pairs": 90, "longer_chosen": 0.4, "longer_preferred": 0.6}
    bias |= {"bias": 0.2, "low": 0.05, "high": 0.35}
    text = "\n".join(summary.describe_reward_model(accuracy, bias, 0.125))
    assert "49.5% of 212 held-out pairs on 14 subjects [39.0, 60.0]: not clearly more" in text
    assert "it is the shorter one, is +20 points [5, 35] (0: no bias; below 0: it prefers" in text
    assert "A rule that always prefers the shorter one is right in 60%." in text
    rule = accuracy.assign(subset="rule: fewer new words", accuracy=0.846)
    text = "\n".join(summary.describe_reward_model(pd.concat([accuracy, rule]), bias, 0.125))
    assert "that no prompt and no reference has; a tie counts half) is right in 84.6% [39.0" in text
    both = pd.concat([accuracy, accuracy.assign(part="training", accuracy=0.9)])
    assert "training pairs, it is right in 90.0%" in "".join(
        summary.describe_reward_model(both, bias, 0.125)
    )
    assert "differs from its accuracy by 12 points on average over 212 pairs" in text
    without = summary.describe_reward_model(accuracy, bias | {"bias": float("nan")}, 0.125)
    assert "Length bias" not in "\n".join(without)
