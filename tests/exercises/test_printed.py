"""Exercises of step 10: right answers, and typical wrong ones with their reasons."""

import pytest

from clinical_camel import data
from clinical_camel.exercises import printed
from clinical_camel.exercises.feedback import OPEN, RIGHT, WRONG
from clinical_camel.published import item_sets


@pytest.mark.parametrize(
    ("answers", "verdict", "part"),
    [
        ((773, 43, "none"), RIGHT, "from no number of correct answers"),
        ((772, 43, "none"), WRONG, "772 of 1273 is 60.64 %, not 60.7 %. Right: 773."),
        ((773, "none", "none"), WRONG, "47.3 % of 91: There is one. Right: 43."),
        ((773, 43, 390), WRONG, "390 of 500 is 78.00 %, not 77.9 %. Right: none."),
        ((773, 43.0, 389.5), WRONG, "77.9 % of 500: 389.5 is neither a whole number nor 'none'."),
        (("773", " 43 ", "None"), RIGHT, "from no number of correct answers"),
        (("772", 43, "none"), WRONG, "772 of 1273 is 60.64 %, not 60.7 %. Right: 773."),
        ((773, "many", "none"), WRONG, "'many' is neither a whole number nor 'none'."),
        ((773, True, "none"), WRONG, "True is neither a whole number nor 'none'."),
        (("", 43, "none"), OPEN, "for each percentage. Missing: 60.7 % of 1273"),
    ],
)
def test_counts(answers, verdict, part):
    result = printed.grade_counts(dict(zip(printed.PERCENTAGES, answers, strict=True)))
    assert result.verdict == verdict
    assert part in result.reason


def test_the_percentages_are_published_ones():
    values = set(data.load_published()["value"])
    assert all(value in values for value, _ in printed.PERCENTAGES.values())


def test_a_percentage_has_counts_if_it_is_possible():
    for value, n in [(60.7, 1273), (77.9, 500), (81.2, 144), (81.3, 144), (48.2, 135), (0.0, 3)]:
        assert bool(printed.list_counts(value, n)) == item_sets.is_possible(value, n), (value, n)
    assert printed.list_counts(60.7, 1273) == [773]
    assert printed.list_counts(81.2, 144) == printed.list_counts(81.3, 144) == [117]


def with_broken_in_n(predictions, key):
    valid = sum(p == k for p, k in zip(predictions, key, strict=True) if k is not None)
    return valid, len(key)


def without_unread(predictions, key):
    pairs = [pair for pair in zip(predictions, key, strict=True) if None not in pair]
    return sum(p == k for p, k in pairs), len(pairs)


def none_is_correct(predictions, key):
    return sum(p == k for p, k in zip(predictions, key, strict=True)), len(key)


@pytest.mark.parametrize(
    ("function", "verdict", "part"),
    [
        (printed.count_valid, RIGHT, "Both rules matter"),
        (with_broken_in_n, WRONG, "still in n"),
        (without_unread, WRONG, "You dropped an unread reply"),
        (none_is_correct, WRONG, "None equals None"),
        (lambda predictions, key: 3, WRONG, "Return two numbers"),
        (lambda predictions, key: (0, 0), WRONG, "Drop a pair only if its key is None"),
        (lambda predictions, key: None, OPEN, "returns nothing yet"),
    ],
)
def test_broken_records(function, verdict, part):
    result = printed.grade_broken_records(function)
    assert result.verdict == verdict
    assert part in result.reason


RECIPE = """
lora_rank: 64  # published
max_length: 4096  # reference
learning_rate: 2.0e-4  # recalled
seed: 0  # ours
"""


@pytest.mark.parametrize(
    ("recipe", "verdict", "part"),
    [
        (RECIPE, RIGHT, "which it only assumes"),
        (RECIPE.replace("  #", " #"), RIGHT, "which it only assumes"),
        (RECIPE.replace("# ", "#"), RIGHT, "which it only assumes"),
        (RECIPE.replace("2.0e-4", "2e-4"), WRONG, "YAML reads '2e-4' as text"),
        (RECIPE.replace("recalled", "published"), WRONG, "published? Nobody found a source"),
        (RECIPE.replace("  # ours", ""), WRONG, "seed: no mark"),
        (RECIPE.replace("64", "8"), WRONG, "lora_rank: 8 is not the value"),
        (RECIPE.replace("seed: 0  # ours", ""), WRONG, "seed: missing"),
        ("a: [", WRONG, "This is no YAML"),
        ("rank 64", WRONG, "Write lines such as"),
        ("\n", OPEN, "first"),
        (None, WRONG, "triple quotes"),
    ],
)
def test_marks(recipe, verdict, part):
    result = printed.grade_marks(recipe)
    assert result.verdict == verdict
    assert part in result.reason
