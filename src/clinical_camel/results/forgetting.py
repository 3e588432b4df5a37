"""What the tuning erased of what the base model knew before, in the main question form.

A likelihood falls with the length of an option, and tuning changes which lengths a model prefers.
So the accuracy with likelihoods divided by the length is judged, too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from clinical_camel.results.forms import BY_LENGTH, COMPARISON, find_outcome, read_exam
from clinical_camel.results.settings import Results
from clinical_camel.results.sources import Finding, Number, find_result, read_score
from clinical_camel.results.wording import (
    count_trainings,
    join,
    show_chance,
    show_share,
)

FORGETS = "Tuning makes the model forget"  # starts the headlines that say so
REPLAY = "replay_"  # starts arms with texts of the pretraining; their percent of the rows follows


def assess_forgetting(settings: Results) -> Finding:
    """Return what the tuning did to what the base model knew, in the main question form."""
    protocol = settings.question_forms[settings.main_form]
    numbers = read_exam(settings, settings.forgetting_exam, protocol)
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
    if by_length := _read_by_length(settings, protocol):
        lead += (
            " If the likelihood of each option is divided by its length, it falls from "
            f"{show_share(by_length[0])} to {show_share(by_length[1])}, after dialogues."
        )
    if forms := _list_unknown_forms(settings):
        lead += (
            f" With {forms}, without examples, the base model is not clearly better than guessing."
        )
    if replay := list(_read_replay(settings, protocol)):
        sentence = _describe_replay(settings, replay)
        brief += f" {sentence}"
        lead += f" {sentence} Step 06 has the intervals of their differences to dialogues alone."
    headline = _headline_forgetting(settings, before, [*tuned, *by_length[1:]])
    numbers = [*numbers, *by_length, *(number for pair in replay for number in pair)]
    return Finding("forgetting", headline, brief, lead, numbers=numbers)


def _read_by_length(settings: Results, protocol: str) -> list[Number]:
    """Return base and dialogues of the controlled comparison, likelihoods divided by length."""
    numbers = read_exam(settings, settings.forgetting_exam, protocol + BY_LENGTH)
    by_name = {number.quantity: number for number in numbers}
    names = ("base model", "dialogues")
    if not set(names) <= by_name.keys():
        return []
    return [replace(by_name[name], quantity=f"{name}, divided by length") for name in names]


def _read_replay(settings: Results, protocol: str) -> Iterator[tuple[Number, Number]]:
    """Yield the scores of each arm with replay: on the exam of the pretraining, on the main one."""
    if not (result := find_result(settings.comparison, COMPARISON)):
        return
    scores = result.read("scores")
    exams = settings.forgetting_exam, settings.exam
    outcomes = [find_outcome(result, exam, protocol) for exam in exams]
    for arm, group in scores[scores["arm"].str.startswith(REPLAY)].groupby("arm"):
        rows = group.set_index("outcome", drop=False)
        if set(outcomes) <= set(rows.index):
            share = f"{arm.removeprefix(REPLAY)} % replay"
            names = share, f"{share}, `{settings.exam}`"
            places = zip(outcomes, names, strict=True)
            yield tuple(read_score(rows.loc[o].to_dict(), name, result) for o, name in places)


def _describe_replay(settings: Results, replay: Sequence[tuple[Number, Number]]) -> str:
    seeds = " or ".join(sorted({str(number.seeds) for pair in replay for number in pair}))
    parts = [
        f"{show_share(old)} with {old.quantity} (`{settings.exam}`, n = {new.n}: {show_share(new)})"
        for old, new in replay
    ]
    return (
        "If some of the training texts are texts of the pretraining (*replay*, "
        f"{seeds} pairs of seeds), the score is {join(parts)}."
    )


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
