"""Replies of other systems from a file."""

import pytest

from clinical_camel.eval_replies.other_systems import read_replies


def test_replies_are_matched_by_task_corpus_and_id(tmp_path, cases, make_replies):
    table = make_replies(cases, gpt="It is {name}.").sample(frac=1, random_state=0)
    file = tmp_path / "replies.csv"
    table.to_csv(file, index=False)
    assert read_replies(file, cases) == [f"It is {case.group}." for case in cases]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="reply"), "no column reply; it needs task, corpus, id, reply"),
        (lambda t: t.iloc[1:], r"no reply to 1 of 6 cases, first consultation toy gout/visit"),
        (lambda t: t.assign(model=["a"] * 3 + ["b"] * 3), "replies of a, b; save those of one"),
        (lambda t: t.iloc[[0, *range(6)]], "line 3: a second reply to consultation toy gout/visit"),
    ],
)
def test_a_file_that_does_not_fit_is_rejected(tmp_path, cases, make_replies, change, message):
    file = tmp_path / "replies.csv"
    change(make_replies(cases, gpt="x")).to_csv(file, index=False)
    with pytest.raises(ValueError, match=message):
        read_replies(file, cases)


def test_a_missing_file_names_the_remedy(tmp_path, cases):
    with pytest.raises(ValueError, match="no such file; run the study that writes it"):
        read_replies(tmp_path / "none.csv", cases)


def test_an_empty_cell_is_an_empty_reply(tmp_path, cases, make_replies):
    file = tmp_path / "replies.csv"
    make_replies(cases, gpt="").to_csv(file, index=False)
    assert read_replies(file, cases) == [""] * 6


def test_the_apostrophe_before_a_formula_is_removed(tmp_path, cases, make_replies):
    file = tmp_path / "replies.csv"
    for cell, reply in (("'- rest", "- rest"), ("'tis gout", "'tis gout")):
        make_replies(cases, gpt=cell).to_csv(file, index=False)
        assert read_replies(file, cases) == [reply] * 6
