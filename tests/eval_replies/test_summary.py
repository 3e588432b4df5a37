"""What the step showed, in sentences."""

import dataclasses
import re

import pandas as pd
import pytest

from clinical_camel import eval_replies
from clinical_camel.eval_replies.diagnoses import ALL_GROUPS, OUTCOMES
from clinical_camel.eval_replies.overlap import METRICS
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
            "statuses": eval_replies.count_statuses(replies, cases),
            "overlap": eval_replies.summarise_overlap(scored, 0),
            "overlap_typical": eval_replies.compare_typical(scored, MODELS, 0),
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
    assert "Diagnoses of base on 2 records of toy: correct 1 (50 [" in text
    assert "Diagnoses of sft on 2 records of toy: correct 2 (100 [" in text
    assert "Judge overlap rule: sft beats base on 2 of 2 questions of toy, ties on 0" in text
    assert "overlap rule and anna agree on 100% of 2 pairs (kappa undefined)." in text
    assert "2 ties come from two orders with different winners" in text
    assert "On toy, no model clearly beats the typical reply, which reads no question." in text
    assert "no clear difference between sft and base: 50 [" in text
    assert "(adjusted p = 1.000)" in text


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
    assert not any("iagnos" in line for line in lines)
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


def describe(tables, models=MODELS, baseline="base"):
    return eval_replies.describe_results(tables, models, baseline)


def find_line(lines, start):
    (line,) = (line for line in lines if line.startswith(start))
    return line


def test_the_outcomes_of_a_model_add_up_to_its_records(cases, make_tables):
    tables = make_tables(cases, "It is scabies.", "It is gout or scabies.")
    for row in tables["diagnoses"].to_dict("records"):
        if row["icd_group"] == ALL_GROUPS:
            line = find_line(describe(tables), f"Diagnoses of {row['model']} on {row['n']} records")
            counts = re.findall(r"(correct|same group|wrong|several|none) (\d+)", line)
            assert [name for name, _ in counts] == [*OUTCOMES]
            assert sum(int(number) for _, number in counts) == row["n"] == 2


def test_one_reply_to_many_prompts_is_stated(make_case, make_tables):
    cases = [make_case(name=f"g{i}/cause", question=f"What is {i}?") for i in range(12)]
    for i, case in enumerate(cases):
        cases[i] = dataclasses.replace(case, reference=f"Answer {i}.")
    tables = make_tables(cases, "Reply to {name}.", "Monday `follows`.")
    lines = describe(tables)
    assert "Different replies: base 12, sft 1." in find_line(lines, "**toy** (question)")
    (line,) = (line for line in lines if "the same reply" in line)
    assert line == (
        "**sft gives the same reply to 12 of 12 different prompts** of toy: "
        "`\"Monday 'follows'.\"` (most frequent reference: 1 of 12)."
    )
    alike = [dataclasses.replace(case, reference="Yes.") for case in cases]
    tables = make_tables(alike, "Reply to {name}.", "Yes.")
    assert not any("the same reply" in line for line in describe(tables))


@pytest.fixture
def make_changed(make_case, make_tables):
    """Tables of two models on questions, with changed rows of the comparison and of the wins."""
    cases = [make_case(name=f"g{i}/cause", question=f"What is {i}?") for i in range(2)]
    original = make_tables(cases, "Crystals.", "Acid.")

    def make(changes=(), **win):
        tables = dict(original)
        rows = tables["overlap_comparison"].assign(difference=0.0, low=-0.1, high=0.1, p_holm=1.0)
        for metric, difference in dict(changes).items():
            place = rows["metric"].eq(metric)
            values = [difference, difference - 0.01, difference + 0.01, 0.0004]
            rows.loc[place, ["difference", "low", "high", "p_holm"]] = values
        tables["overlap_comparison"] = rows
        tables["wins"] = tables["wins"][:1].assign(**win) if win else tables["wins"]
        return tables

    return make


@pytest.mark.parametrize(
    ("models", "sentence"),
    [
        (["base", "sft"], "sft is worse than base: difference -0.100 [-0.110, -0.090]"),
        (["sft", "base"], "base is better than sft: difference 0.100 [0.090, 0.110]"),
    ],
)
def test_the_later_model_is_better_or_worse_than_the_earlier(make_changed, models, sentence):
    tables = make_changed({"rougeL": -0.1})  # sft minus base
    assert f"ROUGE-L of toy: {sentence} (adjusted p < 0.001)." in describe(tables, models)


def test_clear_changes_of_other_scores_are_named(make_changed):
    lines = describe(make_changed({"gleu": -0.061, "bleu1": -0.02, "rouge2": 0.3}))
    assert (
        "ROUGE-L of toy: no clear difference between sft and base: 0.000 [-0.100, 0.100] "
        "(adjusted p = 1.000). Clearly higher: ROUGE-2 (+0.300). Clearly lower: BLEU-1 (-0.020), "
        "GLEU (-0.061)."
    ) in lines
    every = dict.fromkeys([name for name in METRICS if name != "rougeL"], -0.1)
    lines = describe(make_changed(every))
    assert any(line.endswith("All other scores are clearly lower.") for line in lines)


def test_a_win_rate_that_hides_a_loss_is_stated(make_changed):
    """A win rate counts wins, not their size. It is always that of the model, here sft."""
    for rate, p, changes, end in [
        (0.6, 0.01, {"gleu": -0.06, "bleu1": 0.02}, "lower than those of base**: GLEU (-0.060)."),
        (0.6, 0.01, {"rougeL": -0.1}, "lower than those of base**: ROUGE-L (-0.100)."),
        (0.4, 0.01, {"gleu": -0.06, "bleu1": 0.02}, "than those of base**: BLEU-1 (+0.020)."),
        (0.6, 0.01, {"gleu": 0.06}, "clearly above 50 % (adjusted p = 0.010)."),
        (0.4, 0.01, {"gleu": -0.06}, "clearly below 50 % (adjusted p = 0.010)."),
        (0.6, 0.2, {"gleu": -0.06}, "not clearly different from 50 % (adjusted p = 0.200)."),
    ]:
        win = {"win_rate": rate, "low": rate - 0.05, "high": rate + 0.05, "p_holm": p}
        tables = make_changed(changes, **win, orders_disagree=0)
        for models in (MODELS, MODELS[::-1]):
            line = find_line(describe(tables, models), "Judge overlap rule: sft beats base")
            assert line.endswith(end), line


def test_a_further_baseline_that_beats_a_model_is_named(make_changed):
    tables = make_changed()
    copied = tables["overlap"].iloc[:1].assign(model="copied question")
    values = {"rougeL": 0.3, "rougeL_low": 0.25, "rougeL_high": 0.35}
    rows = tables["overlap"].assign(rougeL_high=[0.2, 0.26, 0.5])  # base, sft, typical reply
    tables["overlap"] = pd.concat([rows, copied.assign(**values)])
    assert (
        "On toy, the baseline `copied question` has a higher ROUGE-L than base: the intervals do "
        "not overlap."
    ) in describe(tables)
    tables["overlap"] = pd.concat([rows, copied.assign(**values | {"rougeL_low": 0.1})])
    assert not any("has a higher ROUGE-L" in line for line in describe(tables))


def test_models_that_beat_the_typical_reply_are_named(make_changed):
    tables = make_changed()
    clear = {"p_holm": 0.01}
    for values, sentence in [
        (
            {"difference": [0.1, 0.2]},
            "On toy, base and sft clearly beat the typical reply, which reads no question.",
        ),
        (
            {"difference": [0.1, -0.2]},
            "On toy, base clearly beats the typical reply, which reads "
            "no question. The typical reply clearly beats sft.",
        ),
        (
            {"difference": [0.1, 0.2], "p_holm": [0.06, 0.01]},
            "On toy, sft clearly beats the typical reply, which reads no question.",
        ),
        (
            {"difference": [0.1, 0.2], "p_holm": 0.06},
            "On toy, no model clearly beats the typical reply, which reads no question.",
        ),
    ]:
        tables["overlap_typical"] = tables["overlap_typical"].assign(**(clear | values))
        assert sentence in describe(tables)
