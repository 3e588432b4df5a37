"""The controlled comparison (step 06) on the page, with the verdicts by its preregistered rules."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from clinical_camel.core.verdicts import (
    CANNOT_TELL,
    HELPS,
    HURTS,
    NO_EFFECT,
    PRELIMINARY,
    describe_conclusions,
    describe_equivalence,
    describe_size,
)
from clinical_camel.exam_results.answers import LEVEL
from clinical_camel.results.forms import BY_LENGTH, COMPARISON, find_outcome, read_form
from clinical_camel.results.settings import Results
from clinical_camel.results.sources import (
    Finding,
    Number,
    Result,
    find_result,
    read_difference,
)
from clinical_camel.results.wording import (
    join,
    join_counts,
    judge,
    show_chance,
    show_points,
    show_share,
    start_sentence,
)

ARMS = {  # of step 06, in words
    "dialogue": "dialogues",
    "raw": "raw articles",
    "monologue": "the same sentences without questions",
    "qa": "single questions with answers",
    "unmasked": "dialogues with loss also on the questions",
}
VERDICTS = {  # headlines, by the verdict of step 06
    HELPS: "On the exam, asked in {form}, dialogues teach more than raw articles",
    HURTS: "On the exam, asked in {form}, dialogues teach less than raw articles",
    CANNOT_TELL: "We cannot tell whether dialogues teach more than raw articles, asked in {form}",
    PRELIMINARY: "No verdict yet on dialogues and raw articles: runs are missing",
}
WITHIN = (
    "On the exam, asked in {form}, dialogues and raw articles differ by less than {limit} points"
)
MEANINGS = {  # of a verdict on another contrast
    HELPS: "more correct answers",
    HURTS: "fewer correct answers",
    CANNOT_TELL: "we cannot tell",
}
READINGS = {  # columns of the table of equality
    "target_tokens": "tokens with loss",
    "tokens": "tokens seen",
    "steps": "steps",
    "exposures_mean": "exposures per fact",
}
LARGE_SHARE = 0.1  # a larger difference between arms is named with the verdict


def assess_controlled(settings: Results, result: Result) -> Finding:
    """Return the verdict on dialogues and raw articles, the other contrasts and conclusions."""
    contrasts = result.read("contrasts")
    primary = contrasts[contrasts["is_primary"]].to_dict("records")
    main = next((row for row in primary if _name_arms(row) == ("dialogue", "raw")), primary[0])
    if main["verdict"] == PRELIMINARY:
        return Finding("effect", VERDICTS[PRELIMINARY])
    smallest = result.record["params"]["smallest_effect"]
    headline = VERDICTS.get(main["verdict"], WITHIN).format(
        form=settings.main_form, limit=f"{100 * smallest:g}"
    )
    difference = read_difference(main, "dialogues minus raw articles", result, "contrasts")
    scores = read_form(settings, settings.main_form)
    shown = join([f"{number.quantity} {show_share(number)}" for number in scores])
    lead = [
        f"Correct answers to {main['n']:.0f} questions ({settings.main_form}): {shown}; "
        f"{show_chance(scores)}. The difference is {show_points(difference)}, over "
        f"{main['seeds']:.0f} pairs of seeds"
        + (f": {judge(main['p_holm'], len(primary))}." if pd.notna(main["p_holm"]) else "."),
        *_describe_limits(main, smallest),
    ]
    by_length = list(_read_by_length(settings, result))
    if by_length:
        lead.append(
            "If the likelihood of each option is divided by its length, the difference is "
            f"{show_points(by_length[0])} (not planned before the runs, not adjusted)."
        )
    if readings := _list_readings(result, *_name_arms(main)):
        lead.append(f"The arms are not equal in everything: dialogues have {readings}.")
    others = [row for row in primary if row is not main and row["n"]]
    numbers = [
        read_difference(row, " minus ".join(_name_arms(row)), result, "contrasts") for row in others
    ]
    for row, number in zip(others, numbers, strict=True):
        lead.append(_describe_other(row, number, result, len(primary)))
    verdicts = {" - ".join(_name_arms(row)): row["verdict"] for row in primary}
    lead += [describe_conclusions(verdicts), *_describe_diverged(result)]
    return Finding(
        "effect", headline, " ".join(lead), [], [*scores, difference, *by_length, *numbers]
    )


def _read_by_length(settings: Results, result: Result) -> Iterator[Number]:
    """Yield dialogues minus raw articles with likelihoods divided by the lengths of the options."""
    table = result.read("contrasts")
    protocol = settings.question_forms[settings.main_form] + BY_LENGTH
    rows = table[table["outcome"] == find_outcome(result, settings.exam, protocol)]
    rows = rows[rows["treatment"].eq("dialogue") & rows["control"].eq("raw")]
    for row in rows.to_dict("records"):
        yield read_difference(row, "difference, divided by length", result, "contrasts")


def _describe_limits(row: dict[str, Any], smallest: float) -> Iterator[str]:
    """Yield how large the effect of the main contrast is, and what its verdict does not say."""
    limits = row["verdict"], row["low"], row["high"], smallest
    if size := describe_size(*limits):
        side = "ahead" if row["verdict"] == HELPS else "behind"
        yield f"Dialogues are {_add_size(side, size)}."
    if row["verdict"] == CANNOT_TELL and pd.notna(row["min_detectable_effect"]):
        yield (
            f"A true difference below {100 * row['min_detectable_effect']:.1f} points would often "
            f"be missed, and an effect of {100 * smallest:g} points is not ruled out."
        )
    if row["verdict"].startswith(NO_EFFECT) and row["p_holm"] < LEVEL:
        yield (
            "The difference is not zero, but by the rule written before the runs, such a small "
            "effect is of no interest."
        )
    if text := describe_equivalence(*limits):
        yield text
    is_significant = row["p_holm"] < LEVEL
    if pd.notna(row["p_holm"]) and (row["low"] > 0 or row["high"] < 0) != is_significant:
        yield "The interval is not adjusted for the number of contrasts; the test decides."


def _describe_other(row: dict[str, Any], number: Number, result: Result, count: int) -> str:
    """Return another contrast: what was compared, the difference, its test, what it means."""
    smallest = result.record["params"]["smallest_effect"]
    arms = treatment, control = _name_arms(row)
    first, second = (ARMS.get(arm, arm) for arm in arms)
    text = f"{start_sentence(first)} minus {second}: {show_points(number)}"
    text += f", {judge(row['p_holm'], count)}" if pd.notna(row["p_holm"]) else ""
    size = describe_size(row["verdict"], row["low"], row["high"], smallest)
    text += f": {_add_size(MEANINGS.get(row['verdict'], row['verdict']), size)}"
    text += _describe_all_questions(row, result) if row["verdict"] == CANNOT_TELL else ""
    readings = _list_readings(result, treatment, control)
    return f"{text} ({first} have {readings})." if readings else f"{text}."


def _describe_all_questions(row: dict[str, Any], result: Result) -> str:
    """Return the same difference on all questions, a secondary outcome; "" if it is not there."""
    table = result.read("contrasts")
    same = table["treatment"].eq(row["treatment"]) & table["control"].eq(row["control"])
    rows = table[same & table["outcome"].eq(f"{row['outcome']}, all questions")]
    if rows.empty:
        return ""
    number = read_difference(rows.iloc[0].to_dict(), "", result, "contrasts")
    return (
        f" (on all {number.n} questions, also those that resemble a training text, "
        f"{show_points(number)}, not adjusted)"
    )


def _add_size(text: str, size: str) -> str:
    return f"{text}{',' * size.startswith('but')} {size}".rstrip()


def _describe_diverged(result: Result) -> Iterator[str]:
    """Yield the runs whose training diverged: their pairs of seeds are left out."""
    runs = result.read("runs")
    rows = runs[runs["status"] == "diverged"]
    if len(rows):
        names = [f"{r.arm} ({r.data_seed}, {r.training_seed})" for r in rows.itertuples()]
        yield f"Left out, because the training diverged: {join(names)}."


def _list_readings(result: Result, treatment: str, control: str) -> str:
    """Return the amounts in which two arms differ by more than a tenth, as preregistered.

    Such as "20 % more tokens seen": of the first arm.
    """
    rows = result.read("equality").set_index("arm")
    if not {treatment, control} <= set(rows.index):
        return ""
    ratios = rows.loc[treatment, list(READINGS)] / rows.loc[control, list(READINGS)] - 1
    return join(
        [
            f"{abs(100 * ratio):.0f} % {'more' if ratio > 0 else 'fewer'} {READINGS[name]}"
            for name, ratio in ratios.items()
            if abs(ratio) > LARGE_SHARE
        ]
    )


def _name_arms(row: dict[str, Any]) -> tuple[str, str]:
    return row["treatment"], row["control"]


def assess_other_forms(settings: Results, result: Result) -> Finding:
    """Return the difference in the other question forms of step 06, without a verdict."""
    numbers = list(_read_contrasts(settings, result))
    if not numbers:
        return Finding("forms", "the other question forms over several seeds", is_run=False)
    shown = join([f"{number.quantity} {show_points(number)}" for number in numbers])
    headline = (
        "The same difference in the other question forms, over "
        f"{max(number.seeds for number in numbers)} pairs of seeds"
    )
    lead = (
        f"Dialogues minus raw articles ({join_counts(numbers)} questions): {shown}. These are "
        "secondary outcomes: their intervals are not adjusted, and there is no verdict."
    )
    return Finding("forms", headline, lead, [], numbers)


def _read_contrasts(settings: Results, result: Result) -> Iterator[Number]:
    """Yield dialogues minus raw articles in every question form but the main one."""
    table = result.read("contrasts")
    pair = table["treatment"].eq("dialogue") & table["control"].eq("raw")
    for form, protocol in settings.question_forms.items():
        name = find_outcome(result, settings.exam, protocol)
        if form == settings.main_form:
            continue
        for row in table[pair & table["outcome"].eq(name) & (table["n"] > 0)].to_dict("records"):
            yield read_difference(row, form, result, "contrasts")


def describe_causes(settings: Results) -> Iterator[str]:
    """Yield which causes of the difference the comparison does not exclude."""
    result = find_result(settings.comparison, COMPARISON)
    contrasts = result.read("contrasts") if result else pd.DataFrame({"verdict": []})
    if not result or PRELIMINARY in set(contrasts["verdict"]):
        yield (
            "The cause of a difference is unknown: questions, repetition, the order of sentences "
            "and numbers of steps differ, too, and the recipe was chosen for dialogues. The "
            "controlled comparison separates them."
        )
        return
    pairs = [
        "whether " + " differ from ".join(ARMS.get(arm, arm) for arm in _name_arms(row))
        for row in contrasts[contrasts["verdict"] == CANNOT_TELL].to_dict("records")
    ]
    if pairs:
        yield f"Open after the controlled comparison: {'; '.join(pairs)}."
    yield (
        "The arms of the controlled comparison also differ in format: raw articles and the same "
        "sentences without questions are plain text, as the main question form is; the others are "
        "chats."
    )
    yield from _describe_rates(result)


def _describe_rates(result: Result) -> Iterator[str]:
    """Yield the learning rates of the arms, and which are the highest or lowest that was tried."""
    if "rates.csv" not in result.record["artefacts"]:
        return
    rates = result.read("rates")
    chosen = rates[rates["is_chosen"]].sort_values("learning_rate")
    parts = [
        f"{rate:g} for {join([ARMS.get(arm, arm) for arm in group['arm']])}"
        for rate, group in chosen.groupby("learning_rate")
    ]
    yield f"Each arm has its own learning rate, chosen on other diseases: {'; '.join(parts)}."
    limits = rates.groupby("arm")["learning_rate"].agg(["min", "max"])
    for column, word in (("min", "lowest"), ("max", "highest")):
        at_edge = [
            ARMS.get(row.arm, row.arm)
            for row in chosen.itertuples()
            if row.learning_rate == limits.loc[row.arm, column]
        ]
        if at_edge:
            yield (
                f"For {join(at_edge)}, this is the {word} rate that was tried, so another one may "
                "be better."
            )
