"""Can a model use what it learned in another direction, in two steps, or in its own words?

Accuracies of the controlled comparison (step 06). They are secondary outcomes: no verdict.
"""

from collections.abc import Iterator, Sequence

from clinical_camel.results.forms import COMPARISON, find_outcome, read_exam
from clinical_camel.results.settings import Results
from clinical_camel.results.sources import Finding, Number, find_result, name_numbers
from clinical_camel.results.wording import MODELS, join, show_chance, show_share

BASE, *TUNED = MODELS
KINDS = {"reversed": "in reverse", "two_step": "in two steps"}  # exam <exam>_<kind>: how it asks
FREE = "plain_reply"  # protocol of free answers


def assess_transfer(settings: Results) -> Finding:
    """Return whether tuned models answer reversed and two-step questions, and answer freely."""
    protocol = settings.question_forms[settings.main_form]
    comparison = find_result(settings.comparison, COMPARISON)
    scores: dict[str, list[Number]] = {}
    for kind, words in KINDS.items():
        exam = f"{settings.exam}_{kind}"
        if comparison and find_outcome(comparison, exam, protocol):
            scores[words] = read_exam(settings, exam, protocol)
    if not scores:
        return Finding("transfer", "reversed and two-step questions", is_run=False)
    every = [number for numbers in scores.values() for number in numbers]
    above = [number for number in every if number.quantity != BASE and number.low > number.chance]
    by_way = {w: [n.quantity for n in numbers if n in above] for w, numbers in scores.items()}
    ways = [
        f"asked {words}, {join(names)} teach more than guessing gives"
        for words, names in by_way.items()
        if names
    ]
    headline = (
        "; ".join(ways).replace("asked", "Asked", 1)
        if ways
        else f"Asked {' or '.join(scores)}, models tuned on {' or on '.join(TUNED)} are not "
        "clearly better than guessing"
    )
    parts = [
        f"{words} {join([f'{n.quantity} {show_share(n)}' for n in numbers])} (n = {numbers[0].n})"
        for words, numbers in scores.items()
    ]
    free = _read_free(settings)
    lead = [
        "*In reverse*: from a finding to its disease. *In two steps*: the question does not name "
        f"the disease, another finding identifies it. Correct answers: {'; '.join(parts)}; "
        f"{show_chance(every)}.",
        *_describe_free(free),
        "These are secondary outcomes: the intervals are not adjusted.",
    ]
    latter = [
        f"{words} {show_share(numbers[-1])} (n = {numbers[-1].n})"
        for words, numbers in scores.items()
    ]
    brief = f"Correct answers after {every[-1].quantity}: {join(latter)}; {show_chance(every)}."
    numbers = [n for words, own in scores.items() for n in name_numbers(words, own)]
    numbers += name_numbers("free reply", free)
    return Finding("transfer", headline, brief, " ".join(lead), numbers=numbers)


def _read_free(settings: Results) -> list[Number]:
    """Return the share of free replies that are the correct option; [] if it was not measured."""
    comparison = find_result(settings.comparison, COMPARISON)
    has_outcome = find_outcome(comparison, settings.exam, FREE)
    return read_exam(settings, settings.exam, FREE) if has_outcome else []


def _describe_free(numbers: Sequence[Number]) -> Iterator[str]:
    if numbers:
        shown = join([f"{number.quantity} {show_share(number)}" for number in numbers])
        yield f"Replies, written without seeing options, that are exactly the correct one: {shown}."
