"""What the step showed, in sentences."""

import dataclasses

import pandas as pd
import pytest

from clinical_camel import eval_replies
from clinical_camel.eval_replies.settings import CONSULTATION
from clinical_camel.teachers.judge import OverlapJudge

MODELS = ["base", "sft"]


@pytest.fixture
def make_tables(make_replies):
    def make(cases, base, sft):
        replies = make_replies(cases, **{"base": base, "sft": sft, "typical reply": "Not at all."})
        table = eval_replies.tabulate_cases(cases)
        scored = eval_replies.score_replies(replies, table)
        named = eval_replies.score_diagnoses(
            replies, table, eval_replies.read_diagnoses(), "chapter"
        )
        pairs = eval_replies.make_pairs(replies, cases, "base", MODELS)
        verdicts = eval_replies.compare_pairs(pairs, OverlapJudge(0.02))
        person = verdicts.assign(judge="anna", orders_disagree=True)
        verdicts = pd.concat([verdicts, person], ignore_index=True)
        return {
            "statuses": eval_replies.count_statuses(replies),
            "overlap": eval_replies.summarise_overlap(scored, 0),
            "overlap_comparison": eval_replies.compare_overlap(scored, "base", MODELS, 0),
            "diagnoses": eval_replies.summarise_diagnoses(named),
            "diagnosis_comparison": eval_replies.compare_diagnoses(named, "base", MODELS, 0),
            "verdicts": verdicts,
            "wins": eval_replies.summarise_wins(verdicts, 0),
            "agreement": eval_replies.measure_agreement(verdicts),
        }

    return make


def test_the_sentences_state_the_numbers_of_the_tables(cases, make_tables):
    tables = make_tables(cases, "It is gout.", "Uric acid or {name}.")
    text = "\n".join(eval_replies.describe_results(tables, MODELS, "base"))
    assert "**toy** (diagnosis): complete replies: base 2 of 2; sft 2 of 2." in text
    assert "base names the right diagnosis of 1 of 2 records of toy (50 [" in text
    assert "sft names the right diagnosis of 2 of 2 records of toy (100 [" in text
    assert "another one of the same ICD group 0 times" in text
    assert "Judge overlap rule: sft beats base on 2 of 2 questions of toy, ties on 0" in text
    assert "overlap rule and anna agree on 100% of 2 pairs (kappa undefined)." in text
    assert "2 ties come from two orders with different winners" in text
    assert "The typical reply, which reads no question, overlaps with the reference of toy" in text
    assert "no clear difference (adjusted p = 1.000)" in text


def test_the_headline_has_diagnoses_win_rate_and_overlap(cases, make_tables):
    tables = make_tables(cases, "It is gout.", "Uric acid or {name}.")
    headline = eval_replies.format_headline(tables, MODELS)
    assert headline.startswith("right diagnosis: base 1 of 2, sft 2 of 2; win rate of sft on toy: ")
    assert headline.endswith("ROUGE-L of consultations: base 0.00, sft 0.00")
    assert headline.count("win rate") == 1  # of the first judge only


def test_a_task_without_cases_is_not_mentioned(make_case, make_tables):
    tables = make_tables([make_case()], "x", "y")
    lines = eval_replies.describe_results(tables, MODELS, "base")
    headline = eval_replies.format_headline(tables, MODELS)
    assert not any("diagnosis" in line for line in lines)
    assert "diagnosis" not in headline
    assert "consultations" not in headline


def test_a_model_alone_has_a_headline(cases, make_replies, make_tables):
    tables = make_tables(cases, "It is gout.", "Uric acid.")
    for name in ("overlap_comparison", "diagnosis_comparison", "wins", "agreement"):
        tables[name] = tables[name].iloc[:0]
    assert "win rate" not in eval_replies.format_headline(tables, ["base"])
    assert eval_replies.describe_results(tables, ["base"], "base")


def test_the_headline_weighs_the_parts_by_their_replies(make_case, make_tables):
    """Three cases of one part score 1, the one of another part scores 0: the mean is 0.75."""
    cases = [
        make_case(CONSULTATION, f"g{i}/visit", "Is it bad?", reference="Not at all.", part=part)
        for i, part in enumerate(["new", "new", "new", "in training"])
    ]
    cases[3] = dataclasses.replace(cases[3], reference="Yes, very.")
    tables = make_tables(cases, "Not at all.", "No.")
    headline = eval_replies.format_headline(tables, MODELS)
    assert headline == "ROUGE-L of consultations: base 0.75, sft 0.00"


def test_the_headline_names_the_part_of_each_win_rate(make_case, make_tables):
    cases = [
        make_case(name=f"g{i}/cause", question=f"What is {i}?", part=part)
        for i, part in enumerate(["in training", "in training", "held out of RL"])
    ]
    headline = eval_replies.format_headline(make_tables(cases, "Gout.", "Uric acid."), MODELS)
    parts = headline.split("; ")
    assert [part.partition(":")[0] for part in parts] == [
        "win rate of sft on toy, in training",
        "win rate of sft on toy, held out of RL",
    ]


@pytest.mark.parametrize(
    ("places", "sentence"),
    [
        (
            ["first", "second", "first", ""],
            "In 4, the two verdicts disagree. Of these, 2 prefer the reply shown first both times, "
            "1 the one shown second, and 1 are a tie in one order.",
        ),
        (None, "The two verdicts never disagree."),
    ],
)
def test_the_position_bias_of_the_judge_is_stated(make_case, make_tables, places, sentence):
    tables = make_tables([make_case(name=f"g{i}/cause") for i in range(4)], "Acid.", "Uric acid.")
    judged = tables["verdicts"][:4].assign(decided_by="judge")
    changes = {"orders_disagree": bool(places), "preferred_position": places or ""}
    tables["verdicts"] = judged.assign(**changes)
    text = "\n".join(eval_replies.describe_results(tables, MODELS, "base"))
    assert f"The judge compared 4 pairs in both orders. {sentence}" in text


def test_a_rule_has_no_position_bias_to_state(cases, make_tables):
    tables = make_tables(cases, "It is gout.", "Uric acid or {name}.")
    assert "in both orders" not in "".join(eval_replies.describe_results(tables, MODELS, "base"))
