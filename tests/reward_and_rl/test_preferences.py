"""Rankings by rule, judge and people; pairs; agreement of two rankers."""

import dataclasses
import json
import math

import pytest
from tests.support.toy_rewards import FACTS, ToyJudge, make_prompt, make_reply

from clinical_camel.data import DataError
from clinical_camel.reward_and_rl import preferences
from clinical_camel.reward_and_rl.shapes import Prompt, RankedReply
from clinical_camel.teachers import OverlapJudge

GOOD, PART, WRONG = "Inhaled salbutamol.", "Salbutamol.", "Rest."
PROMPTS = [make_prompt("asthma"), make_prompt("gout")]


def replies(*texts):
    return [make_reply("asthma", text) for text in texts]


def ranks_of(rankings):
    return {row.reply: row.rank for row in rankings}


def test_the_rule_ranks_by_score():
    rows = preferences.rank_by_rule(replies(WRONG, GOOD, "No.", PART))
    assert ranks_of(rows) == {GOOD: 1, PART: 2, WRONG: 3, "No.": 3}
    assert {row.ranker for row in rows} == {"rule"}


def test_a_judge_ranks_by_wins_and_compares_identical_replies_once():
    judge = ToyJudge(len)
    rows, counts = preferences.rank_by_judge(replies(WRONG, GOOD, PART, WRONG), judge)
    assert ranks_of(rows) == {GOOD: 1, PART: 2, WRONG: 3}
    assert (counts.n, counts.tie) == (3, 0)
    assert len(judge.questions) == 3
    assert judge.questions[0].reference == PROMPTS[0].reference


def test_replies_without_end_are_not_on_the_sheet():
    cut = make_reply("asthma", f"{GOOD} {GOOD} and", complete=False)
    sheet = preferences.make_ranking_sheet([*replies(GOOD), cut], seed=0)
    assert list(sheet["reply"]) == [GOOD]
    assert list(sheet) == ["prompt_id", "question", "reply", "rank"]


def test_the_overlap_judge_prefers_what_is_near_the_reference():
    texts = (WRONG, PROMPTS[0].reference, PART)
    rows, _ = preferences.rank_by_judge(replies(*texts), OverlapJudge(0.0))
    assert ranks_of(rows) == {PROMPTS[0].reference: 1, PART: 2, WRONG: 3}


def test_a_comparison_without_verdict_is_a_tie_and_too_many_are_an_error():
    judge = ToyJudge(lambda text: None if text == PART else len(text))
    rows, counts = preferences.rank_by_judge(replies(WRONG, GOOD, "No.", "Maybe.", PART), judge)
    assert ranks_of(rows)[GOOD] == 1
    assert (counts.n, counts.no_verdict) == (10, 4)
    with pytest.raises(DataError, match="judge toy gave no verdict in 2 of 3 .*no JSON"):
        preferences.rank_by_judge(replies(WRONG, GOOD, PART), judge)


def write_ranking(folder, lines):
    file = folder / "anna.csv"
    file.write_text("\n".join(["prompt_id,reply,rank", *lines]), encoding="utf-8")
    return file


def test_a_filled_sheet_is_read_back(tmp_path):
    sheet = preferences.make_ranking_sheet([*replies(GOOD, "- rest", GOOD, "=1+1")], seed=0)
    assert list(sheet.columns) == ["prompt_id", "question", "reply", "rank"]
    assert sorted(sheet["reply"]) == sorted([GOOD, "'- rest", "'=1+1"])
    sheet["comment"] = "a note for me"
    sheet["rank"] = [{"I": 1, "'": 2}[text[0]] for text in sheet["reply"]]
    sheet.to_csv(tmp_path / "anna.csv", index=False)
    rows = preferences.read_rankings(tmp_path / "anna.csv", PROMPTS)
    assert ranks_of(rows) == {GOOD: 1, "- rest": 2, "=1+1": 2}
    assert {row.ranker for row in rows} == {"anna"}


def test_json_lines_are_read_like_a_table(tmp_path):
    rows = [
        {"prompt_id": PROMPTS[0].id, "reply": text, "rank": i}
        for i, text in enumerate((GOOD, WRONG), 1)
    ]
    file = tmp_path / "r.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)) + "\n")
    assert ranks_of(preferences.read_rankings(file, PROMPTS, "b")) == {GOOD: 1, WRONG: 2}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("other/1,Rest.,1", "line 4: prompt_id 'other/1' is no prompt of this step"),
        ("asthma/treatment-1,x,best", "line 4: rank 'best' is not a whole number from 1"),
        ("asthma/treatment-1,x,0", "line 4: rank '0' is not"),
        (f"asthma/treatment-1,{GOOD},3", "line 4: this reply is also ranked in line 2"),
        ("gout/treatment-1,Rest.,1", "line 4: prompt gout/treatment-1 has one ranked reply"),
        ("asthma/treatment-1,,1", "line 4: reply is empty"),
    ],
)
def test_every_problem_of_a_ranking_is_reported_by_line(tmp_path, line, problem):
    lines = [f"asthma/treatment-1,{GOOD},1", f"asthma/treatment-1,{WRONG},2", line]
    with pytest.raises(DataError, match=problem):
        preferences.read_rankings(write_ranking(tmp_path, lines), PROMPTS)


def test_a_sheet_that_nobody_filled_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no row has a rank"):
        preferences.read_rankings(write_ranking(tmp_path, ["asthma/treatment-1,x,"]), PROMPTS)


def test_pairs_are_replies_of_different_rank_and_the_rest_is_counted():
    rankings = preferences.rank_by_rule(replies(GOOD, WRONG, "No.", GOOD, PART))
    pairs, counts = preferences.make_pairs(rankings, PROMPTS, seed=0)
    texts = {(pair.chosen, pair.rejected) for pair in pairs}
    assert texts == {(GOOD, WRONG), (GOOD, "No."), (GOOD, PART), (PART, WRONG), (PART, "No.")}
    assert dataclasses.asdict(counts) == {
        **{"made": 5, "tied": 1, "identical": 1, "repeated": 3},
        "prompts_without_pair": 0,
    }
    assert math.comb(5, 2) == 5 + 1 + 1 + 3
    assert str(counts).startswith("5 pairs; 1 tied, 1 identical, 3 repeated; 0 prompts without")


def test_replies_that_are_all_equal_make_no_pair():
    with pytest.raises(DataError, match="2 ranked replies make no pair.*higher temperature"):
        preferences.make_pairs(preferences.rank_by_rule(replies(WRONG, "No.")), PROMPTS, 0)


@pytest.mark.parametrize(("by", "units"), [("subject", 6), ("prompt", 12)])
def test_no_subject_or_question_is_in_both_parts_and_the_choice_depends_on_the_seed(by, units):
    questions = [(subject, text) for subject in FACTS for text in ("Cause?", "Signs?")]
    prompts = [
        Prompt(f"{subject}/{text}{i}", subject, [{"role": "user", "content": subject + text}], "")
        for subject, text in questions
        for i in range(2)  # each question twice
    ]
    first = preferences.choose_held_out(prompts, 0.5, by, seed=0)
    assert len(first) == len(prompts) / 2
    assert any(first != preferences.choose_held_out(prompts, 0.5, by, seed) for seed in range(1, 5))
    rankings = [RankedReply(p.id, f"{i}", i, "x") for p in prompts for i in (1, 2)]
    pairs, _ = preferences.make_pairs(rankings, prompts, 0)
    held_out = [prompt for prompt in prompts if prompt.id in first]
    parts = [
        {p.prompt.id: p.prompt for p in part} for part in preferences.split_pairs(pairs, held_out)
    ]
    assert [len(part) for part in parts] == [len(prompts) / 2] * 2
    texts = [{prompt.messages[0]["content"] for prompt in part.values()} for part in parts]
    assert not texts[0] & texts[1]
    if by == "subject":
        assert not {p.group for p in parts[0].values()} & {p.group for p in parts[1].values()}
    with pytest.raises(
        ValueError, match=f"held_out_fraction: 0.01 of {units} {by}s is 0; one {by}"
    ):
        preferences.choose_held_out(prompts, 0.01, by, 0)


@pytest.mark.parametrize(("held_out", "name"), [(PROMPTS, "training"), ([], "held-out")])
def test_a_part_without_pairs_is_an_error_with_the_remedy(held_out, name):
    rankings = preferences.rank_by_rule(replies(GOOD, WRONG))
    pairs, _ = preferences.make_pairs(rankings, PROMPTS, 0)
    message = f"rankers: no pair on {name} prompts; rank more prompts, or change held_out_fraction"
    with pytest.raises(DataError, match=message):
        preferences.split_pairs(pairs, held_out)


def rank(ranker, **texts):
    return [RankedReply("asthma/treatment-1", text, rank, ranker) for text, rank in texts.items()]


def test_agreement_is_over_pairs_that_both_rank_without_a_tie():
    first, second = rank("a", x=1, y=2, z=3), rank("b", x=1, y=3, z=2, other=4)
    result = preferences.compare_rankers(first, second, PROMPTS)
    assert (result["pairs"], result["both_strict"]) == (3, 3)
    assert result["agreement"] == pytest.approx(2 / 3)
    tied = preferences.compare_rankers(first, rank("b", x=1, y=1, z=1), PROMPTS)
    assert (tied["both_strict"], tied["ties_second"]) == (0, 3)
    assert tied["agreement"] != tied["agreement"]  # NaN
    same = preferences.compare_rankers(first, first, PROMPTS)
    assert (same["agreement"], same["kappa"]) == (1.0, 1.0) or same["agreement"] == 1.0


def test_agreement_does_not_depend_on_the_order_of_the_rows():
    ranks = {chr(97 + i): (i % 4, i % 3) for i in range(12)}
    first, second = (
        [
            RankedReply(prompt.id, text, pair[i] + 1, str(i))
            for prompt in PROMPTS
            for text, pair in ranks.items()
        ]
        for i in (0, 1)
    )
    result = preferences.compare_rankers(first, second, PROMPTS)
    for rows in (first[::-1], sorted(first, key=lambda row: (row.rank, row.reply))):
        assert preferences.compare_rankers(rows, second[::-1], PROMPTS) == result
    assert result["kappa_low"] <= result["kappa"] <= result["kappa_high"]


def test_kappa_has_no_interval_with_a_single_subject():
    result = preferences.compare_rankers(
        rank("a", x=1, y=2, z=1), rank("b", x=1, y=2, z=3), PROMPTS
    )
    assert math.isnan(result["kappa_low"])
    assert math.isnan(result["kappa_high"])


def test_every_two_rankers_have_a_row():
    rankings = {name: rank(name, x=1, y=2) for name in ("a", "b", "c")}
    table = preferences.tabulate_agreement(rankings, PROMPTS)
    assert table[["ranker_1", "ranker_2"]].to_numpy().tolist() == [
        ["a", "b"],
        ["a", "c"],
        ["b", "c"],
    ]


def test_rankers_of_different_replies_share_no_pair():
    rankings = {"a": rank("a", x=1, y=2), "b": rank("b", u=1, v=2)}
    row = preferences.tabulate_agreement(rankings, PROMPTS).iloc[0]
    assert row["pairs"] == 0
    assert row[["agreement", "low", "kappa"]].isna().all()


def test_line_ends_of_a_spreadsheet_are_those_of_the_reply(tmp_path):
    sheet = preferences.make_ranking_sheet(replies("Rest.\nDrink.", "No."), seed=0)
    text = sheet.assign(rank=[1, 2]).to_csv(index=False, lineterminator="\n")
    (tmp_path / "anna.csv").write_bytes(text.replace("\n", "\r\n").encode())
    assert set(ranks_of(preferences.read_rankings(tmp_path / "anna.csv", PROMPTS))) == {
        "Rest.\nDrink.",
        "No.",
    }
    line = json.dumps({"prompt_id": PROMPTS[0].id, "reply": "Rest.\r\nDrink.", "rank": 1})
    (tmp_path / "anna.jsonl").write_text(f"{line}\n{line.replace('Rest', 'No')}\n")
    rows = preferences.read_rankings(tmp_path / "anna.jsonl", PROMPTS)
    assert [row.reply for row in rows] == ["Rest.\nDrink.", "No.\nDrink."]
