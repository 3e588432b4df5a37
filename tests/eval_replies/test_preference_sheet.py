"""The sheet on which people choose, and the agreement of judges."""

import csv
import math

import pandas as pd
import pytest

from clinical_camel import eval_replies
from clinical_camel.eval_replies.settings import QUESTION
from clinical_camel.teachers.judge import OverlapJudge

COUNT = 12


@pytest.fixture
def pairs(make_case, make_replies):
    cases = [make_case(QUESTION, f"g{i}/cause", f"Question {i}?") for i in range(COUNT)]
    replies = make_replies(cases, base="=1+{name}", sft="Crystals in {name}")
    return eval_replies.make_pairs(replies, cases, "base", ["base", "sft"])


def fill(folder, name, sheet, choose, delimiter=","):
    """A sheet as a person would save it."""
    file = folder / name
    filled = sheet.assign(choice=[choose(row) for row in sheet.itertuples()])
    filled.to_csv(file, index=False, sep=delimiter, encoding="utf-8-sig", quoting=csv.QUOTE_ALL)
    return file


def prefer_crystals(row):
    return "a" if "Crystals" in row.reply_a else "B "


def test_the_sheet_hides_the_models_and_the_key_restores_them(pairs):
    sheet, key = eval_replies.make_preference_sheet(pairs, 0)
    assert len(sheet) == len(key) == COUNT
    assert not {"model", "baseline", "judge"} & set(sheet.columns)
    for row, side in zip(sheet.itertuples(), key["reply_a"], strict=True):
        assert ("Crystals" in row.reply_a) == (side == "model")
    assert set(key["reply_a"]) == {"model", "baseline"}  # not always on one side
    assert sheet["question"].tolist() != sorted(sheet["question"])


def test_no_cell_is_a_formula(pairs):
    sheet, _ = eval_replies.make_preference_sheet(pairs, 0)
    cells = pd.concat([sheet["reply_a"], sheet["reply_b"]])
    assert cells.str.startswith(("'=", "Crystals")).all()


def test_a_limit_takes_the_same_pairs_whatever_their_order(pairs):
    sheet, _ = eval_replies.make_preference_sheet(pairs, 4)
    shuffled, _ = eval_replies.make_preference_sheet(pairs.sample(frac=1, random_state=1), 4)
    assert sheet["item"].tolist() == shuffled["item"].tolist()
    assert len(sheet) == 4


def test_equal_answers_are_not_on_the_sheet(pairs):
    same = pairs.assign(baseline_reply=pairs["reply"])
    sheet, key = eval_replies.make_preference_sheet(same, 0)
    assert sheet.empty
    assert key.empty


def test_choices_become_verdicts_on_the_right_model(pairs, tmp_path):
    sheet, key = eval_replies.make_preference_sheet(pairs, 0)
    file = fill(tmp_path, "anna.csv", sheet, prefer_crystals, ";")
    verdicts = eval_replies.read_preferences([file], key)
    assert (verdicts["winner"] == "model").all()
    assert set(verdicts["judge"]) == {"anna"}
    assert set(verdicts["decided_by"]) == {"sheet"}  # not "person": a model may have filled it
    wins = eval_replies.summarise_wins(verdicts, 0).iloc[0]
    assert (wins["win_rate"], wins["n"]) == (1, COUNT)


def test_a_person_may_choose_among_some_pairs(pairs, tmp_path):
    sheet, key = eval_replies.make_preference_sheet(pairs, 0)
    file = fill(tmp_path, "anna.csv", sheet.head(3), lambda row: "tie")
    assert eval_replies.read_preferences([file], key)["winner"].tolist() == ["tie"] * 3


def test_a_sheet_of_other_answers_is_rejected(pairs, tmp_path):
    sheet, _ = eval_replies.make_preference_sheet(pairs, 0)
    _, key = eval_replies.make_preference_sheet(pairs.assign(reply="Other."), 0)
    file = fill(tmp_path, "anna.csv", sheet, prefer_crystals)
    message = r"anna\.csv: 12 of 12 items are not of these replies, first \w+; fill preference_sh"
    with pytest.raises(ValueError, match=message):
        eval_replies.read_preferences([file], key)


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (lambda row: "", r"not rated: .*; write one of a, b, tie in choice, once for every item"),
        (lambda row: "c", r"unknown rating: \w+ 'c'"),
    ],
)
def test_a_wrongly_filled_sheet_is_rejected(pairs, tmp_path, choose, message):
    sheet, key = eval_replies.make_preference_sheet(pairs, 0)
    with pytest.raises(ValueError, match=message):
        eval_replies.read_preferences([fill(tmp_path, "anna.csv", sheet, choose)], key)


def test_files_are_read_from_the_project_root_and_have_different_names(pairs, project):
    sheet, _ = eval_replies.make_preference_sheet(pairs, 0)
    for folder in ("a", "b"):
        project.file(f"{folder}/anna.csv", "")
        fill(project.root / folder, "anna.csv", sheet, prefer_crystals)
    assert len(eval_replies.load_preferences(["a/anna.csv"], pairs)) == COUNT
    with pytest.raises(ValueError, match="two files have one name; give each person's its own"):
        eval_replies.load_preferences(["a/anna.csv", "b/anna.csv"], pairs)
    with pytest.raises(ValueError, match=r"human_sheets: .*none\.csv: no such file"):
        eval_replies.load_preferences(["none.csv"], pairs)
    assert eval_replies.load_preferences([], pairs).empty


def test_every_two_judges_are_compared_on_their_common_pairs(pairs, tmp_path):
    """A person who agrees with the rule on 9 of 12 pairs; kappa by hand from the counts."""
    sheet, key = eval_replies.make_preference_sheet(pairs, 0)
    texts = [f"Crystals {i}" if i < 6 else "Rest." for i in range(COUNT)]
    mixed = pairs.assign(reply=texts, baseline_reply=texts[::-1])
    verdicts = eval_replies.compare_pairs(mixed, OverlapJudge(0.02))
    assert verdicts["winner"].tolist() == ["model"] * 6 + ["baseline"] * 6
    person = verdicts.assign(judge="anna")
    person.loc[[0, 1, 6], "winner"] = ["baseline", "baseline", "model"]
    rows = eval_replies.measure_agreement(pd.concat([verdicts, person], ignore_index=True))
    row = rows.iloc[0]
    assert (row["first"], row["second"], row["n"]) == ("overlap rule", "anna", COUNT)
    assert row["observed_agreement"] == 9 / 12
    expected = (6 * 5 + 6 * 7) / 12**2
    assert row["kappa"] == pytest.approx((9 / 12 - expected) / (1 - expected))
    assert row["low"] < row["kappa"] < row["high"]
    assert len(sheet) == len(key)


def test_judges_without_a_common_pair_have_no_kappa(pairs):
    verdicts = eval_replies.compare_pairs(pairs, OverlapJudge(0.02))
    other = verdicts.assign(judge="anna", winner="")
    row = eval_replies.measure_agreement(pd.concat([verdicts, other])).iloc[0]
    assert row["n"] == 0
    assert math.isnan(row["kappa"])
    assert eval_replies.measure_agreement(verdicts).empty
