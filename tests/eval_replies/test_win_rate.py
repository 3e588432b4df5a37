"""Verdicts on pairs of answers, and win rates."""

import pytest

from clinical_camel import eval_replies
from clinical_camel.eval_replies.settings import QUESTION
from clinical_camel.eval_replies.win_rate import BASELINE, MODEL, TIE
from clinical_camel.teachers.comparisons import Verdict
from clinical_camel.teachers.judge import OverlapJudge

MODELS = ["base", "sft"]


class ToyJudge:
    """Gives the verdicts of a list, in turn; remembers what it was shown."""

    name, is_rule = "toy", False

    def __init__(self, *orders):
        self.orders, self.seen = orders, []

    def compare(self, questions):
        self.seen += questions
        verdicts = []
        for question, (one, two) in zip(questions, self.orders, strict=True):
            winner = "" if not one or not two else one if one == two else "tie"
            failure = "" if winner else "no JSON object"
            values = {"winner": winner, "orders": (one, two), "failure": failure}
            verdicts.append(Verdict(id=question.id, reason="because", **values))
        return verdicts


def make_questions(make_case, count):
    return [make_case(QUESTION, f"g{i}/cause", f"Question {i}?") for i in range(count)]


def compare(make_case, make_replies, judge, texts=("worse {name}", "better {name}"), count=None):
    cases = make_questions(make_case, count or len(judge.orders))
    replies = make_replies(cases, base=texts[0], sft=texts[1])
    return eval_replies.compare_pairs(eval_replies.make_pairs(replies, cases, *ARGS), judge)


ARGS = ("base", MODELS)


def test_each_further_model_is_paired_with_the_baseline_on_every_question(cases, make_replies):
    replies = make_replies(cases, base="b {name}", sft="s {name}", ppo="p {name}")
    pairs = eval_replies.make_pairs(replies, cases, "sft", ["base", "sft", "ppo"])
    assert pairs["model"].tolist() == ["base", "base", "ppo", "ppo"]
    assert set(pairs["baseline_reply"]) == {"s gout", "s scabies"}
    assert pairs["reply"].tolist() == ["b gout", "b scabies", "p gout", "p scabies"]


def test_the_judge_sees_question_reference_and_both_answers(make_case, make_replies):
    judge = ToyJudge(("first", "first"))
    verdicts = compare(make_case, make_replies, judge)
    (shown,) = judge.seen
    assert (shown.first, shown.second) == ("better g0", "worse g0")
    assert shown.messages == [{"role": "user", "content": "Question 0?"}]
    assert shown.reference == "Crystals of uric acid."
    row = verdicts.iloc[0]
    assert (row["winner"], row["decided_by"], row["reason"]) == (MODEL, "judge", "because")


def test_orders_that_disagree_are_a_counted_tie(make_case, make_replies):
    judge = ToyJudge(("first", "second"), ("second", "second"), ("tie", "tie"), ("", "first"))
    verdicts = compare(make_case, make_replies, judge)
    assert verdicts["winner"].tolist() == [TIE, BASELINE, TIE, ""]
    assert set(verdicts["decided_by"]) == {"judge"}
    assert verdicts["orders_disagree"].tolist() == [True, False, False, False]
    assert verdicts["reason"].tolist()[-1] == "no JSON object"
    assert verdicts["preferred_position"].tolist() == ["first", "", "", ""]
    assert eval_replies.count_positions(verdicts) == {
        **{"n": 4, "no_verdict": 1, "orders_disagree": 1},
        **{"prefers_shown_first": 1, "prefers_shown_second": 0},
    }
    row = eval_replies.summarise_wins(verdicts, 0).iloc[0]
    assert (row["wins"], row["ties"], row["losses"], row["no_verdict"]) == (0, 2, 1, 1)
    assert (row["n"], row["orders_disagree"]) == (4, 1)
    assert row["win_rate"] == pytest.approx(1 / 3)  # two halves of three decided pairs
    assert row["win_rate_without_ties"] == 0


@pytest.mark.parametrize(
    ("texts", "winner", "decided_by"),
    [
        (("Rest.", " Rest.\n"), TIE, "equal replies"),
        (("", ""), TIE, "equal replies"),
        (("", "Rest."), MODEL, "empty reply"),
        (("Rest.", " "), BASELINE, "empty reply"),
    ],
)
def test_equal_and_empty_answers_need_no_judge(make_case, make_replies, texts, winner, decided_by):
    verdicts = compare(make_case, make_replies, ToyJudge(), texts, count=1)
    assert (verdicts["winner"].item(), verdicts["decided_by"].item()) == (winner, decided_by)


def test_a_judge_gets_the_different_answers_that_are_not_empty(make_case, make_replies):
    cases = make_questions(make_case, 3)
    replies = make_replies(cases, base="b {name}", sft="s {name}")
    is_sft = replies["model"] == "sft"
    replies.loc[is_sft & (replies["group"] == "g0"), "reply"] = "b g0"
    replies.loc[is_sft & (replies["group"] == "g1"), "reply"] = ""
    pairs = eval_replies.make_pairs(replies, cases, *ARGS)
    (comparison,) = eval_replies.list_comparisons(pairs)
    assert (comparison.id, comparison.first, comparison.second) == (
        *("sft/toy/g2/cause", "s g2", "b g2"),
    )
    judge = ToyJudge(("first", "first"))
    eval_replies.compare_pairs(pairs, judge)
    assert judge.seen == [comparison]


def test_a_rule_has_no_orders_to_count(make_case, make_replies):
    texts = "Acid.", "Crystals of acid."
    verdicts = compare(make_case, make_replies, OverlapJudge(0.02), texts, count=2)
    assert verdicts["decided_by"].tolist() == ["rule", "rule"]
    assert set(eval_replies.count_positions(verdicts).values()) == {0}


def test_a_win_rate_has_an_interval_over_groups(make_case, make_replies):
    orders = [("first", "first")] * 9 + [("second", "second")]
    verdicts = compare(make_case, make_replies, ToyJudge(*orders))
    row = eval_replies.summarise_wins(verdicts, 0).iloc[0]
    assert row["win_rate"] == row["win_rate_without_ties"] == 0.9
    assert row["low"] < 0.9 < row["high"]
    assert row["p"] < 0.05
    one_group = eval_replies.summarise_wins(verdicts.assign(group="all"), 0).iloc[0]
    assert (one_group["low"], one_group["high"], one_group["p"]) == (0, 1, 1)


def test_exchanged_models_have_the_opposite_win_rate(make_case, make_replies):
    cases = make_questions(make_case, 6)
    replies = make_replies(cases, base="Acid.", sft="Crystals of acid.")
    rates = []
    for baseline in MODELS:
        pairs = eval_replies.make_pairs(replies, cases, baseline, MODELS)
        verdicts = eval_replies.compare_pairs(pairs, OverlapJudge(0.02))
        rates.append(eval_replies.summarise_wins(verdicts, 0)["win_rate"].item())
    assert rates == [1, 0]


def test_without_questions_or_a_second_model_the_tables_are_empty(cases, make_replies):
    pairs = eval_replies.make_pairs(make_replies(cases, base="x"), cases, "base", ["base"])
    verdicts = eval_replies.compare_pairs(pairs, ToyJudge())
    assert pairs.empty
    assert verdicts.empty
    wins = eval_replies.summarise_wins(verdicts, 0)
    assert wins.empty
    assert {"win_rate", "p_holm"} <= set(wins.columns)


def test_a_pair_that_no_judge_decided_has_no_rate(make_case, make_replies):
    verdicts = compare(make_case, make_replies, ToyJudge(("", "")))
    row = eval_replies.summarise_wins(verdicts, 0).iloc[0]
    assert row["win_rate"] != row["win_rate"]
    assert (row["low"], row["high"], row["no_verdict"]) == (0, 1, 1)
