"""Tests of data.sampling: limits, shares, and rows skipped for few-shot examples."""

import pytest
from tests.support.rows import DIALOGUE, QUESTION, number_rows, write_rows

from clinical_camel import data


def test_a_limited_sample_is_in_file_order_and_spread_over_the_file(root):
    write_rows(root / "my.jsonl", number_rows(QUESTION, 100))
    numbers = [int(row.id[1:]) for row in data.load_questions("my.jsonl", limit=20)]
    assert numbers == sorted(numbers)
    assert numbers != list(range(20))
    assert 5 <= sum(number < 50 for number in numbers) <= 15


def test_a_sample_is_selected_by_the_sha256_of_the_id(root):
    # sha256sum gives 341c0a3e.. for q0, c75de8c1.. for q1, bee98bf1.. for q2
    write_rows(root / "my.jsonl", number_rows(QUESTION, 3))
    assert [row.id for row in data.load_questions("my.jsonl", limit=1)] == ["q0"]


def test_a_small_sample_is_part_of_a_larger_one(root):
    write_rows(root / "my.jsonl", number_rows(QUESTION, 50))
    ten = {row.id for row in data.load_questions("my.jsonl", limit=10)}
    assert ten < {row.id for row in data.load_questions("my.jsonl", limit=20)}


@pytest.mark.parametrize("limit", [0, 7, 99])
def test_limit_zero_or_above_the_number_of_rows_means_all(root, limit):
    write_rows(root / "my.jsonl", number_rows(QUESTION, 7))
    assert len(data.load_questions("my.jsonl", limit=limit)) == 7


def test_a_negative_limit_is_rejected(root):
    write_rows(root / "my.jsonl", number_rows(QUESTION, 7))
    with pytest.raises(data.DataError, match="limit: -1 is negative"):
        data.load_questions("my.jsonl", limit=-1)


def test_examples_and_training_questions_never_overlap(root):
    write_rows(root / "my.jsonl", number_rows(QUESTION, 30))
    examples = {row.id for row in data.load_training_questions("my.jsonl", limit=5)}
    rest = {row.id for row in data.load_training_questions("my.jsonl", skip=5)}
    assert (len(examples), len(rest), examples & rest) == (5, 25, set())


def test_skip_beyond_the_file_is_rejected(root):
    write_rows(root / "my.jsonl", number_rows(QUESTION, 3))
    with pytest.raises(data.DataError, match="skip 4 is not allowed; write 0 to 3"):
        data.load_training_questions("my.jsonl", skip=4)


def test_a_share_is_that_fraction_of_the_rows_in_order(root):
    write_rows(root / "my.jsonl", number_rows(DIALOGUE, 40))
    numbers = [int(row.id[1:]) for row in data.load_dialogues("my.jsonl", share=0.25, seed=1)]
    assert len(numbers) == 10
    assert numbers == sorted(numbers)


def test_another_seed_selects_other_rows(root):
    write_rows(root / "my.jsonl", number_rows(DIALOGUE, 40))
    first, second = (data.load_dialogues("my.jsonl", share=0.5, seed=seed) for seed in (1, 2))
    assert first != second
    assert first == data.load_dialogues("my.jsonl", share=0.5, seed=1)


def test_a_share_above_one_repeats_rows(root):
    write_rows(root / "my.jsonl", number_rows(DIALOGUE, 4))
    ids = [row.id for row in data.load_dialogues("my.jsonl", share=2.5)]
    assert ids[:8] == ["d0", "d1", "d2", "d3"] * 2
    assert len(ids[8:]) == len(set(ids[8:])) == 2


@pytest.mark.parametrize("share", [-0.1, float("nan")])
def test_a_negative_share_is_rejected(root, share):
    with pytest.raises(data.DataError, match=r"share .* is not allowed; write 0\.0 or more"):
        data.load_dialogues("my.jsonl", share=share)
