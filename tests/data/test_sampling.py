"""Tests of data.sampling: limits, shares, and rows skipped for few-shot examples."""

import pytest
from tests.support.rows import QUESTION, number_rows, write_rows

from clinical_camel import data
from clinical_camel.data.sampling import sample_share


def make_questions(count):
    return [data.from_dict(data.Question, row) for row in number_rows(QUESTION, count)]


def test_a_limited_sample_is_in_file_order_and_spread_over_the_file():
    numbers = [int(row.id[1:]) for row in data.sample(make_questions(100), 20)]
    assert numbers == sorted(numbers)
    assert numbers != list(range(20))
    assert 5 <= sum(number < 50 for number in numbers) <= 15


def test_a_sample_is_selected_by_the_sha256_of_the_id():
    # sha256sum gives 341c0a3e.. for q0, c75de8c1.. for q1, bee98bf1.. for q2
    assert [row.id for row in data.sample(make_questions(3), 1)] == ["q0"]


def test_a_small_sample_is_part_of_a_larger_one():
    ten, twenty = ({row.id for row in data.sample(make_questions(50), n)} for n in (10, 20))
    assert ten < twenty


@pytest.mark.parametrize("limit", [0, 7, 99])
def test_limit_zero_or_above_the_number_of_rows_means_all(limit):
    assert data.sample(make_questions(7), limit) == make_questions(7)


def test_examples_and_training_questions_never_overlap(root):
    write_rows(root / "my.jsonl", number_rows(QUESTION, 30))
    examples = {row.id for row in data.load_training_questions("my.jsonl", limit=5)}
    rest = {row.id for row in data.load_training_questions("my.jsonl", skip=5)}
    assert (len(examples), len(rest), examples & rest) == (5, 25, set())
    with pytest.raises(data.DataError, match="skip 31 is not allowed; write 0 to 30"):
        data.load_training_questions("my.jsonl", skip=31)


def test_a_share_is_that_fraction_of_the_rows_in_order():
    numbers = [int(row.id[1:]) for row in sample_share(make_questions(40), 0.25, seed=1)]
    assert len(numbers) == 10
    assert numbers == sorted(numbers)


def test_another_seed_selects_other_rows():
    first, again, other = (sample_share(make_questions(40), 0.5, seed) for seed in (1, 1, 2))
    assert first == again != other


def test_a_share_above_one_repeats_rows():
    ids = [row.id for row in sample_share(make_questions(4), 2.5, seed=0)]
    assert ids[:8] == ["q0", "q1", "q2", "q3"] * 2
    assert len(ids[8:]) == len(set(ids[8:])) == 2
