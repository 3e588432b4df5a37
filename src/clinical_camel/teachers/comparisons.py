"""Pairwise comparisons of two replies: the question, the verdict, and counts of verdicts.

Every judge compares in both orders: reply 1 shown first, then reply 2 shown first. Language models
prefer a position (Zheng et al. 2023, arXiv:2306.05685), so a verdict counts only if both orders
agree; otherwise it is a tie, and counted as such.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from clinical_camel.data import Message

Winner = Literal["first", "second", "tie", ""]
WINNERS = ("first", "second", "tie")
SWAPPED = {"first": "second", "second": "first", "tie": "tie"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two replies, `first` and `second`, to a conversation that ends with a user turn.

    `reference` is a correct reply; "" if there is none. Ids must differ within one call.
    """

    id: str
    messages: list[Message]
    first: str
    second: str
    reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Which reply is better, over both orders; `winner` is "" if the judge gave no verdict.

    `orders` are the winners with the first reply shown first, and with the second shown first; both
    name the reply, not its position. `failure` says why there is no verdict.
    """

    id: str
    winner: Winner
    reason: str = ""
    orders: tuple[Winner, Winner] = ("", "")
    failure: str = ""

    @property
    def orders_agree(self) -> bool:
        """Whether both orders have the same winner."""
        return self.orders[0] == self.orders[1] != ""


class Judge(Protocol):
    """Compares pairs of replies. `is_rule`: no language model and no person decides."""

    name: str
    is_rule: bool

    def compare(self, questions: Sequence[Comparison]) -> list[Verdict]:
        """Return one verdict per comparison, in their order."""
        ...


@dataclass(frozen=True, slots=True)
class VerdictCounts:
    """How verdicts came out. first + second + tie + no_verdict = n.

    `orders_disagree` of the ties are two orders with different winners. Of these,
    `prefers_shown_first` had the reply that was shown first as the winner in both orders, and
    `prefers_shown_second` the other one: a difference between the two is position bias.
    """

    n: int
    first: int
    second: int
    tie: int
    no_verdict: int
    orders_disagree: int
    prefers_shown_first: int
    prefers_shown_second: int


def count_verdicts(verdicts: Iterable[Verdict]) -> VerdictCounts:
    """Count verdicts by winner, and those whose two orders disagree."""
    rows = list(verdicts)
    winners = [verdict.winner for verdict in rows]
    orders = [verdict.orders for verdict in rows if verdict.winner]
    return VerdictCounts(
        n=len(rows),
        **{name: winners.count(name) for name in WINNERS},
        no_verdict=winners.count(""),
        orders_disagree=sum(one != two for one, two in orders),
        prefers_shown_first=orders.count(("first", "second")),
        prefers_shown_second=orders.count(("second", "first")),
    )


def combine_orders(one: Winner, two: Winner) -> Winner:
    """Return the winner over both orders: a tie if they disagree.

    >>> combine_orders("first", "first"), combine_orders("first", "second")
    ('first', 'tie')
    """
    return one if one == two else "tie"
