"""What the tuning erased of what the base model knew before, in the main question form.

A likelihood falls with the length of an option, and tuning changes which lengths a model prefers.
So the accuracy with likelihoods divided by the length is judged, too.
"""

from collections.abc import Sequence
from dataclasses import replace

from clinical_camel.results.forms import (
    BY_LENGTH,
    EXAM,
    name_question,
    read_control,
    read_exam,
    select,
)
from clinical_camel.results.robustness import NORMALISED, measure_answers
from clinical_camel.results.settings import Results
from clinical_camel.results.sources import Finding, Number, find_result, read_difference
from clinical_camel.results.wording import (
    count_trainings,
    join,
    judge,
    show_chance,
    show_points,
    show_share,
)

FORGETS = "Tuning makes the model forget"  # starts the headlines that say so


def assess_forgetting(settings: Results) -> Finding:
    """Return what the tuning did to what the base model knew, in the main question form."""
    protocol = settings.question_forms[settings.main_form]
    numbers = _read_scores(settings, protocol)
    base = [number for number in numbers if number.quantity == "base model"]
    tuned = [number for number in numbers if number.quantity != "base model"]
    if not (base and tuned):
        return Finding("forgetting", "forgetting", is_run=False)
    before = base[0]
    shown = join([f"after {number.quantity} {show_share(number)}" for number in tuned])
    lead = brief = (
        f"Correct answers to {before.n} questions: before tuning {show_share(before)}, {shown}; "
        f"{show_chance(numbers)}."
    )
    is_one_study = before.table.startswith(f"outputs/{settings.control}/")
    changes = _read_changes(settings, protocol) if is_one_study else []
    for number, verdict in changes:
        lead += f" Dialogues minus base model: {show_points(number)}, {verdict}."
    by_length = (
        _measure_by_length(settings) if is_one_study else _read_by_length(settings, protocol)
    )
    if by_length:
        lead += (
            " If the likelihood of each option is divided by its length, it falls from "
            f"{show_share(by_length[0])} to {show_share(by_length[1])}, after dialogues."
        )
    if forms := _list_unknown_forms(settings):
        lead += (
            f" With {forms}, without examples, the base model is not clearly better than guessing."
        )
    headline = _headline_forgetting(settings, before, [*tuned, *by_length[1:]])
    numbers = [*numbers, *(number for number, _ in changes), *by_length]
    return Finding("forgetting", headline, brief, lead, numbers=numbers)


def _read_scores(settings: Results, protocol: str) -> list[Number]:
    """Return the scores of the controlled comparison if it has the base model, else of the control
    study."""
    numbers = read_exam(settings, settings.forgetting_exam, protocol)
    control = find_result(settings.control, EXAM)
    if control and not any(number.quantity == "base model" for number in numbers):
        return read_control(control, settings.forgetting_exam, protocol, settings.num_shots)
    return numbers


def _measure_by_length(settings: Results) -> list[Number]:
    """Return base and tuned of the embedded study, likelihoods divided by the options' lengths."""
    result = find_result(settings.embedded, EXAM)
    if not result or "answers.csv" not in result.record["artefacts"]:
        return []
    names = {"base": "base model, divided by length", "tuned": "dialogues, divided by length"}
    question = name_question(settings, settings.forgetting_exam)
    scores = [measure_answers(result, question, model, NORMALISED) for model in names]
    chance = read_exam(settings, settings.forgetting_exam, str(question["protocol"]))[0].chance
    return [replace(score, quantity=names[score.quantity], chance=chance) for score in scores]


def _read_by_length(settings: Results, protocol: str) -> list[Number]:
    """Return base and dialogues of the controlled comparison, likelihoods divided by length."""
    numbers = read_exam(settings, settings.forgetting_exam, protocol + BY_LENGTH)
    by_name = {number.quantity: number for number in numbers}
    names = ("base model", "dialogues")
    if not set(names) <= by_name.keys():
        return []
    return [replace(by_name[name], quantity=f"{name}, divided by length") for name in names]


def _list_unknown_forms(settings: Results) -> str:
    """Return the other question forms in which the base model knows nothing it could forget."""
    scores = {
        form: read_exam(settings, settings.forgetting_exam, protocol)
        for form, protocol in settings.question_forms.items()
        if form != settings.main_form
    }
    base = {f: n for f, ns in scores.items() for n in ns if n.quantity == "base model"}
    return join([f"*{form}*" for form, number in base.items() if number.low <= number.chance])


def _headline_forgetting(settings: Results, before: Number, tuned: Sequence[Number]) -> str:
    most = max(number.seeds for number in tuned)
    seeds = count_trainings(most) if most == 1 else f"{most} trainings of each tuned model"
    if before.low <= before.chance:
        return "We cannot tell what tuning erases: the base model is near chance already"
    if all(number.is_at_chance for number in tuned):
        return (
            f"{FORGETS}: asked in {settings.main_form} about the texts of its pretraining, it "
            f"falls to the level of guessing ({seeds})"
        )
    if all(number.high < before.low for number in tuned):
        return f"{FORGETS} a part of the texts of its pretraining ({seeds})"
    return "We found no clear loss of what the base model knew before"


def _read_changes(settings: Results, protocol: str) -> list[tuple[Number, str]]:
    """Return the tuned minus the base model in the embedded study, each with its verdict."""
    if not (result := find_result(settings.embedded, EXAM)):
        return []
    table = result.read("comparison")
    rows = select(table, settings.forgetting_exam, protocol, settings.num_shots)
    return [
        (
            read_difference(row, "dialogues minus base model", result, "comparison"),
            judge(row["p_holm"], len(table)),
        )
        for row in rows
        if row["reference"] == "base"
    ]
