"""Numbers and verdicts in words, the same in the notebook and in README.md."""

from collections.abc import Sequence
from dataclasses import replace

from clinical_camel.core.wording import format_interval, format_percent, format_points, join
from clinical_camel.exam_results.answers import LEVEL
from clinical_camel.results.sources import Finding, Number, Result

MODELS = {  # name of the page: names in step 03 and in step 06
    "base model": ("base", "base"),
    "raw articles": ("raw", "raw"),
    "dialogues": ("dialogues", "dialogue"),
}
BASES = {"mini": "", "smollm2_135m": "SmolLM2-135M"}  # setting `model`: name; "": the shipped one


def name_model(result: Result, finding: Finding) -> Finding:
    """Return a finding whose headline starts with the base model, unless it is the shipped one."""
    model = result.record["params"].get("model", "")
    if not (name := BASES.get(model, model)):
        return finding
    headline = finding.headline[0].lower() + finding.headline[1:]
    return replace(finding, headline=f"{name}: {headline}")


def show_share(number: Number) -> str:
    """Return a share in percent, with its interval.

    >>> show_share(Number("x", 0.471, 0.409, 0.534, 312))
    '47.1 % [40.9, 53.4]'
    """
    return format_percent(number.value, number.low, number.high, unit=" %")


def show_points(number: Number) -> str:
    """Return a difference of two shares in points, with its interval.

    >>> show_points(Number("x", 0.125, 0.058, 0.192, 312, unit="difference"))
    '12.5 points [5.8, 19.2]'
    """
    return format_points({"difference": number.value, "low": number.low, "high": number.high})


def show_value(number: Number) -> str:
    """Return a number of any unit, with its interval."""
    if number.unit == "share":
        return show_share(number)
    if number.unit == "difference":
        return show_points(number)
    return format_interval(number.value, number.low, number.high, ".2f")


def show_chance(numbers: Sequence[Number]) -> str:
    """Return the score of guessing, which is the same for all of them.

    >>> show_chance([Number("x", 0.4, 0.3, 0.5, 10, chance=0.25)])
    'guessing gives 25 %'
    """
    chances = sorted({f"{100 * number.chance:.3g}" for number in numbers})
    return f"guessing gives {' or '.join(chances)} %"


def judge(p: float, comparisons: int) -> str:
    """Return whether a difference is significant by its p-value, after Holm's adjustment.

    >>> judge(0.0176, 24), judge(0.3, 1)
    ('significant (p = 0.018, adjusted for 24 comparisons)', 'not significant (p = 0.30)')
    """
    shown = "p < 0.001" if p < 0.001 else f"p = {show_p(p)}"
    adjusted = f", adjusted for {comparisons} comparisons" if comparisons > 1 else ""
    return f"{'' if p < LEVEL else 'not '}significant ({shown}{adjusted})"


def show_p(p: float) -> str:
    """Return a p-value.

    >>> show_p(0.0176), show_p(0.3), show_p(0.0001)
    ('0.018', '0.30', 'below 0.001')
    """
    return "below 0.001" if p < 0.001 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def count_trainings(seeds: int) -> str:
    """Return how often each model was trained.

    >>> count_trainings(1), count_trainings(10)
    ('one training each', '10 trainings each')
    """
    return f"{'one training' if seeds == 1 else f'{seeds} trainings'} each"


def join_seeds(numbers: Sequence[Number]) -> str:
    """Return the numbers of seeds, such as "9 or 10"."""
    return " or ".join(dict.fromkeys(str(number.seeds) for number in numbers))


def join_counts(numbers: Sequence[Number]) -> str:
    """Return the numbers of questions, each once.

    >>> join_counts([Number("a", 0.1, 0.0, 0.2, 312), Number("b", 0.1, 0.0, 0.2, 312)])
    '312'
    """
    return join([f"{n:,}" for n in dict.fromkeys(number.n for number in numbers)])
