"""Statuses of replies, and one reply to many prompts."""

import dataclasses

import pytest

from clinical_camel import eval_replies
from clinical_camel.eval_replies.segmentation import split_words
from clinical_camel.eval_replies.settings import CONSULTATION
from clinical_camel.eval_replies.statuses import is_collapsed


def test_statuses_are_counted_by_task_dataset_and_model(cases, make_replies):
    replies = make_replies(cases, base="one two", sft="")
    replies.loc[0, ["status", "dropped_turns"]] = ["looping", 2]
    counts = eval_replies.count_statuses(replies, cases).set_index(["task", "model"])
    row = counts.loc[(CONSULTATION, "base")]
    assert (row["replies"], row["ok"], row["looping"], row["truncated"]) == (2, 1, 1, 1)
    assert (row["words"], counts.loc[(CONSULTATION, "sft"), "words"]) == (2.0, 0.0)


@pytest.mark.parametrize(("style", "words"), [("jieba", 3), ("characters", 6)])
def test_the_length_counts_words_as_the_scores_do(cases, make_replies, style, words):
    replies = make_replies(cases, base="Take 5 mg, twice.", sft="建议多喝水。休息")
    counts = eval_replies.count_statuses(replies, cases, style).set_index(["task", "model"])
    for model, text in (("base", "Take 5 mg, twice."), ("sft", "建议多喝水。休息")):
        own = counts["words"][CONSULTATION, model]
        assert own == len(split_words(text, chinese_words=style))
    assert counts["words"][CONSULTATION, "base"] == 4
    assert counts["words"][CONSULTATION, "sft"] >= words


def make_questions(make_case, count, **values):
    return [
        make_case(name=f"g{i}/cause", question=f"What causes {i}?", **values) for i in range(count)
    ]


def count(cases, make_replies, texts):
    replies = make_replies(cases, base="").assign(reply=texts)
    return eval_replies.count_statuses(replies, cases).iloc[0]


def test_equal_replies_are_counted_whatever_their_white_space(make_case, make_replies):
    cases = make_questions(make_case, 6)
    cases[5] = dataclasses.replace(cases[5], reference="Mites.")
    row = count(cases, make_replies, ["Rest.", " Rest.\n", "Rest. ", "Tea.", "", "..."])
    assert (row["distinct"], row["prompts"], row["same_reply"]) == (2, 6, 3)
    assert (row["frequent_reply"], row["same_reference"]) == ("Rest.", 5)


def test_a_prompt_that_occurs_twice_counts_once(make_case, make_replies):
    cases = [make_case(name=f"g/{i}", question="What causes gout?") for i in range(4)]
    row = count(cases, make_replies, ["Rest."] * 4)
    assert (row["replies"], row["distinct"], row["prompts"], row["same_reply"]) == (4, 1, 1, 1)
    assert not is_collapsed(row)


def test_the_turns_before_the_last_make_another_prompt(make_case, make_replies):
    cases = [make_case(name=f"g{i}/visit", question="And after that?") for i in range(2)]
    earlier = [{"role": "user", "content": "My toe hurts."}, {"role": "assistant", "content": "?"}]
    cases[1] = dataclasses.replace(cases[1], messages=[*earlier, *cases[1].messages])
    assert count(cases, make_replies, ["Rest."] * 2)["prompts"] == 2


def test_replies_without_words_are_no_equal_replies(make_case, make_replies):
    row = count(make_questions(make_case, 4), make_replies, ["", "", "...", ""])
    assert (row["distinct"], row["same_reply"], row["frequent_reply"]) == (0, 0, "")
    assert not is_collapsed(row)


@pytest.mark.parametrize(
    ("prompts", "same_reply", "same_reference", "collapsed"),
    [
        (28, 22, 1, True),
        (28, 7, 1, True),  # a quarter
        (28, 6, 1, False),
        (400, 99, 1, False),
        (400, 100, 1, True),
        (4, 2, 1, False),  # two are no pattern
        (4, 3, 1, True),
        (28, 14, 14, False),  # half of the references are equal as well
        (28, 15, 14, True),
    ],
)
def test_a_model_collapses_with_one_reply_to_a_quarter_of_its_prompts(
    prompts, same_reply, same_reference, collapsed
):
    row = {"prompts": prompts, "same_reply": same_reply, "same_reference": same_reference}
    assert is_collapsed(row) is collapsed
