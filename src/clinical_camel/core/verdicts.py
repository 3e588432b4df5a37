"""The verdicts of step 06 on its contrasts, and which conclusions they carry.

Both were written before the runs, in experiments/preregistration.md. Step 06 decides the verdicts;
the page of results (step 00) has the same words.
"""

from collections.abc import Mapping

HELPS, HURTS, CANNOT_TELL, PRELIMINARY = "helps", "hurts", "cannot tell", "preliminary"
SECONDARY = "secondary"  # `has_verdict: false`: an interval only
WITHOUT_VERDICT = (PRELIMINARY, SECONDARY)
NO_EFFECT = "no effect larger than"  # starts the verdict that a relevant effect is ruled out
# verdicts by contrast, named as in the settings of step 06, and the conclusion if all of them hold
CONCLUSIONS: tuple[tuple[dict[str, str], str], ...] = (
    (
        {"dialogue - raw": HELPS, "dialogue - monologue": HELPS},
        "dialogues teach more, and order and repetition alone do not explain it",
    ),
    (
        {"dialogue - raw": HELPS, "dialogue - monologue": NO_EFFECT},
        "order and repetition of the sentences are enough",
    ),
    (
        {"dialogue - monologue": HELPS, "dialogue - qa": NO_EFFECT},
        "questions matter, several turns do not",
    ),
    ({"dialogue - raw": NO_EFFECT}, "on this exam, DBKE is not worth its cost"),
    ({"dialogue - raw": HURTS}, "on this exam, DBKE is not worth its cost"),
    ({"unmasked - dialogue": HELPS}, "masking the questions costs accuracy"),
    ({"unmasked - dialogue": HURTS}, "masking the questions is worth it"),
)


def name_no_effect(smallest_effect: float) -> str:
    """Return the verdict that a relevant effect is ruled out.

    >>> name_no_effect(0.05)
    'no effect larger than 5 points'
    """
    return f"{NO_EFFECT} {100 * smallest_effect:g} points"


def list_conclusions(verdicts: Mapping[str, str]) -> list[str]:
    """Return the conclusions that verdicts carry; `verdicts`: by contrast.

    >>> list_conclusions({"dialogue - raw": "no effect larger than 5 points"})
    ['on this exam, DBKE is not worth its cost']
    """
    return [
        text
        for needed, text in CONCLUSIONS
        if all(verdicts.get(name, "").startswith(verdict) for name, verdict in needed.items())
    ]


def describe_conclusions(verdicts: Mapping[str, str]) -> str:
    """Return the conclusions as a sentence; it says so if the verdicts carry none."""
    if conclusions := list_conclusions(verdicts):
        return f"By the rules written before the runs, we conclude: {'; '.join(conclusions)}."
    return "None of the conclusions that were written before the runs follows from the verdicts."


def describe_size(verdict: str, low: float, high: float, smallest_effect: float) -> str:
    """Return how large an effect with this verdict and 95 % interval is; "" without one.

    >>> describe_size("helps", 0.06, 0.1, 0.05), describe_size("hurts", -0.1, -0.02, 0.05)
    ('by more than 5 points', 'but the effect may be smaller than 5 points')
    """
    if verdict not in (HELPS, HURTS):
        return ""
    limit = f"{100 * smallest_effect:g} points"
    is_beyond = (low if verdict == HELPS else -high) > smallest_effect
    return f"by more than {limit}" if is_beyond else f"but the effect may be smaller than {limit}"


def describe_open(low: float, high: float, smallest_effect: float) -> str:
    """Return which effects of the smallest size of interest a 95 % interval does not rule out.

    >>> describe_open(-0.06, 0.03, 0.05)
    'Not ruled out: a loss of 5 points.'
    """
    limit = f"{100 * smallest_effect:g} points"
    is_open = {f"a gain of {limit}": high >= smallest_effect}
    is_open |= {f"a loss of {limit}": low <= -smallest_effect}
    effects = " or ".join(text for text, may_be in is_open.items() if may_be)
    return f"Not ruled out: {effects}." if effects else ""


def describe_equivalence(verdict: str, low: float, high: float, smallest_effect: float) -> str:
    """Return why a 95 % interval may reach beyond an effect that is ruled out; "" if it does not.

    >>> describe_equivalence("no effect larger than 5 points", 0.01, 0.04, 0.05)
    ''
    """
    if not verdict.startswith(NO_EFFECT) or max(high, -low) <= smallest_effect:
        return ""
    return (
        "The test that rules out a larger effect corresponds to the 90 % interval; the 95 % "
        "interval reaches further."
    )
