"""Every ranker of the settings applied to the same replies."""

import pytest
from tests.support.toy_policies import toy_settings
from tests.support.toy_rewards import ToyJudge, make_prompt, make_reply

from clinical_camel.data import DataError
from clinical_camel.reward_and_rl import preferences, rankers

GOOD, WRONG = "Inhaled salbutamol.", "Rest."


def test_every_ranker_ranks_the_replies_that_ended(tmp_path):
    cut = make_reply("asthma", f"{GOOD} {GOOD} and", complete=False)
    replies = [make_reply("asthma", GOOD), cut, make_reply("asthma", WRONG)]
    settings = toy_settings(rankers=["rule", "judge"], prompts={"mini_triples": 0.1})
    ranked, counts = rankers.rank_replies(replies, [], settings, tmp_path / "judge")
    assert list(ranked) == ["rule", "judge"]
    for rows in ranked.values():
        assert {row.reply: row.rank for row in rows} == {GOOD: 1, WRONG: 2}
    assert counts is None  # the overlap judge is a rule: it has no order


@pytest.mark.parametrize("is_rule", [True, False])
def test_the_verdicts_of_a_language_model_are_counted(is_rule, tmp_path, monkeypatch):
    judge = ToyJudge(len)
    judge.is_rule = is_rule
    monkeypatch.setattr("clinical_camel.teachers.judge.load_judge", lambda *_: judge)
    replies = [make_reply("asthma", text) for text in (GOOD, WRONG)]
    settings = toy_settings(rankers=["judge"], prompts={"mini_triples": 0.1})
    _, counts = rankers.rank_replies(replies, [], settings, tmp_path / "judge")
    assert (counts is None) == is_rule


def test_a_file_ranks_what_the_policy_wrote_whatever_a_spreadsheet_did_to_it(project):
    """A policy writes single carriage returns and NUL: nothing could read a sheet with them."""
    texts = ["Inhaled\nsalbutamol. ", "Re\rst\x00.", "No.", "No. "]
    replies = [make_reply("asthma", text) for text in texts]
    sheet = preferences.make_ranking_sheet(replies, seed=0)
    ranks = sheet["reply"].map({"Inhaled\nsalbutamol. ": 1, "Re\nst .": 2, "No.": 3})
    sheet = sheet[ranks.notna()].assign(rank=ranks.dropna().astype(int))
    text = sheet.to_csv(index=False, lineterminator="\n").replace("\n", "\r\n")
    (project.root / "anna.csv").write_bytes(text.encode())
    settings = toy_settings(rankers=["anna.csv"])
    rows = rankers.rank_replies(replies, [make_prompt("asthma")], settings, project.root / "judge")
    ranked = {row.reply: row.rank for row in rows[0]["anna.csv"]}
    assert ranked == dict(zip(texts[:3], (1, 2, 3), strict=True))


HEAD = "prompt_id,reply,rank\n"
GOUT = "gout/treatment-1,{},1\ngout/treatment-1,Rest.,{}\n"


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (GOUT.format("Yes.", "best"), "line 3: rank 'best' is not a whole number from 1"),
        ("none,x,1\nnone,y,2\n", "line 2: prompt_id 'none' is no prompt of this step"),
        (GOUT.format("Yes.", 1), "the 2 ranked replies make no pair"),
        (GOUT.format("Yes.", 2), "no pair on training prompts; rank more prompts"),
    ],
)
def test_a_ranking_that_cannot_be_used_is_an_error_without_any_reply(lines, problem, project):
    project.file("anna.csv", HEAD + lines)
    prompts = [make_prompt("asthma"), make_prompt("gout")]
    with pytest.raises(DataError, match=problem):
        rankers.load_rankings(toy_settings(rankers=["anna.csv"]), prompts, prompts[1:])


def test_a_judge_that_cannot_be_used_is_an_error_without_any_reply(monkeypatch):
    monkeypatch.delenv("TEACHER_API_KEY", raising=False)
    judge = {"kind": "openai", "model": "m", "terms": "own", "base_url": "https://host.example/v1"}
    judge |= {"money_cap": 1.0, "price_in": 1.0, "price_out": 1.0}
    with pytest.raises(ValueError, match="judge.base_url: .* needs a key"):
        rankers.load_rankings(toy_settings(rankers=["judge"], judge=judge), [], [])
    assert rankers.load_rankings(toy_settings(rankers=["rule"], judge=judge), [], []) == {}
