"""Decide which drug a dose belongs to, and which finding a side or a time.

Grammar of lists, not distance: in "metformin 500 mg and lisinopril 10 mg" a dose follows its drug;
in "500 mg of metformin and 10 mg of lisinopril" it precedes it.
"""

import re
from collections.abc import Sequence

Span = tuple[int, int]

# What may stand between a quantity or a side and the thing after it
_GLUE = re.compile(
    r"[ -]*(?:(?:of|the|a|an|his|her|their|your|my|oral|po|iv|im|tablets?|capsules?|pills?|dose"
    r"|upper|lower|long|short|extended|release|(?:a|per) day|daily|times?)[ -]+)*"
)
_OF = re.compile(
    r"[ -]*(?:(?:tablets?|capsules?|pills?|doses?|units?|a day|daily) )?of (?:the |his |her |my )?"
)
_BEGINS = re.compile(  # a phrase begins after these
    r"(?:[,;:(]|\b(?:and|plus|then|with|or|takes?|taking|on|start(?:ed)?|in|of|to|for|the|has|had|is"
    r"|both|at|a|an))\s*$"
)


def find_owners(text: str, spans: Sequence[Span], things: Sequence[Span]) -> list[int | None]:
    """Return for each span of a clause the index of the thing that it belongs to; None without one.

    Spans are quantities, sides or times; things are drugs, findings or body parts; both are start
    and end in `text`, in order. The thing follows after "of", or if it stands directly behind a
    span that begins its phrase; else it is the nearest before. "Respectively" pairs them by order.

    >>> text = "500 mg of metformin and 10 mg of lisinopril"
    >>> find_owners(text, [(0, 6), (24, 29)], [(10, 19), (33, 43)])
    [0, 1]
    """
    if not things:
        return [None] * len(spans)
    if "respectively" in text and len(spans) == len(things):
        return list(range(len(things)))
    owners: list[int | None] = []
    for i, span in enumerate(spans):
        leads = bool(owners) and spans[i - 1][1] <= things[owners[-1]][0]
        owners.append(_find_owner(text, span, spans[i + 1 :], things, leads))
    return owners


def _find_owner(
    text: str, span: Span, later: Sequence[Span], things: Sequence[Span], leads: bool
) -> int:
    """`leads`: the span before this one stands before its thing, as in "500 mg metformin 10 mg"."""
    before = [i for i, thing in enumerate(things) if thing[0] < span[0]]
    after = next((i for i, thing in enumerate(things) if thing[0] >= span[1]), None)
    if after is None:
        return before[-1]
    gap = text[span[1] : things[after][0]]
    for other in later:  # "500 mg twice a day of metformin": the next quantity is no obstacle
        if other[1] <= things[after][0]:
            gap = gap.replace(text[other[0] : other[1]], "", 1)
    if not before or _OF.fullmatch(gap):
        return after
    is_direct = _GLUE.fullmatch(gap) is not None
    begins = _BEGINS.search(text[things[before[-1]][1] : span[0]]) is not None
    return after if is_direct and (begins or leads) else before[-1]
