"""Verdicts over both orders, and their counts."""

from clinical_camel.teachers.comparisons import Verdict, count_verdicts


def make(number: int, winner: str, *orders: str) -> Verdict:
    return Verdict(id=str(number), winner=winner, orders=orders or (winner, winner))


def test_counts_add_up_and_separate_position_bias_from_ties():
    rows = [
        make(0, "first"),
        make(1, "second"),
        make(2, "tie"),
        make(3, "tie", "first", "second"),  # each time the reply that was shown first
        make(4, "tie", "second", "first"),
        make(5, "tie", "tie", "first"),
        make(6, "", "", "first"),
    ]
    counts = count_verdicts(rows)
    assert (counts.n, counts.first, counts.second, counts.tie, counts.no_verdict) == (7, 1, 1, 4, 1)
    assert counts.orders_disagree == 3
    assert (counts.prefers_shown_first, counts.prefers_shown_second) == (1, 1)
    assert [row.orders_agree for row in rows] == [True, True, True, False, False, False, False]
