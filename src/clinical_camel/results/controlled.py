"""The controlled comparison (step 06) on the page, with the verdicts by its preregistered rules."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
import yaml

from clinical_camel.core.paths import root
from clinical_camel.core.verdicts import (
    CANNOT_TELL,
    HELPS,
    HURTS,
    NO_EFFECT,
    PRELIMINARY,
    SECONDARY,
    WITHOUT_VERDICT,
    describe_conclusions,
    describe_equivalence,
    describe_open,
    describe_size,
)
from clinical_camel.core.wording import format_points
from clinical_camel.exam_results.answers import LEVEL
from clinical_camel.results.contrasts import (
    ARMS,
    add_size,
    list_contrasts,
    name_arms,
    read_primary,
)
from clinical_camel.results.forms import BY_LENGTH, COMPARISON, find_outcome, read_exam, read_form
from clinical_camel.results.settings import Results
from clinical_camel.results.sources import (
    Contrast,
    Finding,
    Number,
    Result,
    find_result,
    name_numbers,
    read_difference,
)
from clinical_camel.results.wording import (
    join,
    judge,
    show_chance,
    show_points,
    show_share,
)

VERDICTS = {  # headlines, by the verdict of step 06
    HELPS: "On the exam, asked in {form}, dialogues teach more than raw articles",
    HURTS: "On the exam, asked in {form}, dialogues teach less than raw articles",
    CANNOT_TELL: "We cannot tell whether dialogues teach more than raw articles, asked in {form}",
    PRELIMINARY: "No verdict yet on dialogues and raw articles: runs are missing",
    SECONDARY: "This comparison of dialogues and raw articles has no verdict",
}
FURTHER = {  # further ways to ask: what follows the name of the exam, and the protocol
    "sentences to complete": ("_cloze", "cloze"),
    "free answers": ("", "plain_reply"),
}
REASONS = (  # further contrasts of step 06: why dialogues teach more
    ("monologue", "raw"),  # order and repetition
    ("headings", "monologue"),  # the question as a heading
    ("placebo", "monologue"),  # questions that do not fit
    ("dialogue", "placebo"),  # questions that fit
    ("qa", "monologue"),  # questions without several turns
)
NEAR_ZERO = 0.05  # below it, a difference of two scores says little
WITHIN = (
    "On the exam, asked in {form}, dialogues and raw articles differ by less than {limit} points"
)


def assess_controlled(settings: Results, result: Result) -> Finding:
    """Return the verdict on dialogues and raw articles, the other contrasts and conclusions."""
    main, *others = read_primary(result)
    if main["verdict"] in WITHOUT_VERDICT:
        return Finding("effect", VERDICTS[main["verdict"]])
    smallest = result.record["params"]["smallest_effect"]
    headline = VERDICTS.get(main["verdict"], WITHIN).format(
        form=settings.main_form, limit=f"{100 * smallest:g}"
    )
    contrasts = list_contrasts(result)
    single_questions = [*_describe_single_questions(contrasts)]
    reasons = [*_describe_reasons(result, main["outcome"])]
    if single_questions and main["verdict"] == HELPS:
        headline += "; we found no sign that several turns help"
    difference = contrasts[0].difference
    scores = read_form(settings, settings.main_form)
    shown = join([f"{number.quantity} {show_share(number)}" for number in scores])
    lead = [
        f"Correct answers to {main['n']:.0f} questions ({settings.main_form}): {shown}; "
        f"{show_chance(scores)}. The difference is {show_points(difference)}, over "
        f"{main['seeds']:.0f} pairs of seeds"
        + (
            f": {judge(main['p_holm'], contrasts[0].comparisons)}."
            if pd.notna(main["p_holm"])
            else "."
        ),
        *_describe_range(result),
        *_describe_limits(main, smallest),
    ]
    by_length = list(_read_by_length(settings, result))
    if by_length:
        lead.append(
            "If the likelihood of each option is divided by its length, it is "
            f"{show_points(by_length[0])} (not planned before the runs, not adjusted)."
        )
    verdicts = {" - ".join(name_arms(row)): row["verdict"] for row in (main, *others)}
    lead += [
        f"{describe_conclusions(verdicts)} Table 1 has the contrasts.",
        *single_questions,
        *reasons,
        *_describe_diverged(result),
    ]
    further = [number for c in contrasts for number in (*c.scores, c.difference, c.everything)]
    numbers = dict.fromkeys([*scores, *by_length, *filter(None, further)])
    brief = [
        f"The difference is {show_points(difference)}, over {main['seeds']:.0f} pairs of seeds.",
        *_describe_range(result),
        *_describe_sensitivity(contrasts[0], by_length, smallest),
        *single_questions,
        *reasons[:-1],
    ]
    return Finding(
        "effect",
        headline,
        " ".join(brief),
        " ".join(lead),
        numbers=[*numbers],
        contrasts=contrasts,
    )


def _describe_sensitivity(
    contrast: Contrast, by_length: Sequence[Number], smallest: float
) -> Iterator[str]:
    """Yield that another count gives a smaller effect than the planned one, if it may do so."""
    others = {f"on all {n.n} questions": n for n in [contrast.everything] if n}
    if by_length:
        others["with likelihoods divided by length (not planned)"] = by_length[0]
    smaller = {name: n for name, n in others.items() if n.low <= smallest}
    if contrast.difference.low > smallest and smaller:
        shown = join([f"{name} {show_points(number)}" for name, number in smaller.items()])
        yield (
            f"The difference may be smaller than {100 * smallest:g} points if counted otherwise: "
            f"{shown}."
        )


def _describe_single_questions(contrasts: Sequence[Contrast]) -> Iterator[str]:
    """Yield that single questions with answers did as well as dialogues, if they did."""
    for contrast in contrasts:
        if contrast.names == (ARMS["dialogue"], ARMS["qa"]) and contrast.difference.value < 0:
            yield (
                f"Single questions with answers scored {-100 * contrast.difference.value:.1f} "
                f"points higher than dialogues, {judge(contrast.p, contrast.comparisons)}."
            )
            if contrast.everything:
                yield (
                    f"On all {contrast.everything.n} questions (not adjusted), dialogues minus "
                    f"single questions is {show_points(contrast.everything)}."
                )


def _describe_reasons(result: Result, outcome: str) -> Iterator[str]:
    """Yield what may be the reason that dialogues teach more: questions, order, turns.

    The numbers come last.
    """
    if "further_contrasts.csv" not in result.record["artefacts"]:
        return
    table = result.read("further_contrasts")
    by_arms = {name_arms(row): row for row in table[table["outcome"] == outcome].to_dict("records")}
    rows = [by_arms[arms] for arms in REASONS if arms in by_arms and by_arms[arms]["n"]]
    parts = [
        f"{' minus '.join(ARMS[arm] for arm in name_arms(row))} {format_points(row)}"
        for row in rows
    ]
    if not parts:
        return
    matching, questions = by_arms.get(REASONS[3]), by_arms.get(REASONS[2])
    if matching and questions and questions["low"] > 0 and not matching["low"] > 0:
        yield (
            "Exploratory: dialogues with mismatched questions score higher than the same sentences "
            "without questions, too; we cannot show that questions must match their answers."
        )
    seeds = sorted({int(row["seeds"]) for row in rows})
    pairs = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}"
    yield (
        f"Not adjusted, over {pairs} pairs of seeds, with other things that differ (step 06): "
        f"{'; '.join(parts)}."
    )


def _describe_range(result: Result) -> Iterator[str]:
    """Yield the smallest and the largest difference of a pair of seeds: what one training shows."""
    if "seeds.csv" not in result.record["artefacts"]:
        return
    table = result.read("seeds")
    pair = table["treatment"].eq("dialogue") & table["control"].eq("raw")
    points = 100 * table.loc[pair, "difference"]
    yield (
        f"Across pairs of seeds, it ranges from {points.min():.1f} to {points.max():.1f} points."
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
        yield f"Dialogues are {add_size(side, size)}, the smallest effect of interest."
    if row["verdict"] == CANNOT_TELL and pd.notna(row["min_detectable_effect"]):
        yield (
            f"A true difference below {100 * row['min_detectable_effect']:.1f} points would often "
            "be missed."
        )
        if text := describe_open(row["low"], row["high"], smallest):
            yield text
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


def _describe_diverged(result: Result) -> Iterator[str]:
    """Yield the runs whose training diverged: their pairs of seeds are left out."""
    runs = result.read("runs")
    rows = runs[runs["status"] == "diverged"]
    if len(rows):
        names = [f"{r.arm} ({r.data_seed}, {r.training_seed})" for r in rows.itertuples()]
        yield f"Left out, because the training diverged: {join(names)}."


def assess_other_forms(settings: Results, result: Result) -> Finding:
    """Return the difference in the other question forms of step 06, without a verdict."""
    rows = list(_read_contrasts(settings, result))
    numbers = [number for number, _ in rows]
    if not rows:
        return Finding("forms", "the other question forms over several seeds", is_run=False)
    shown = join([_describe_form(number, scores) for number, scores in rows])
    ahead, behind = sum(n.low > 0 for n in numbers), sum(n.high < 0 for n in numbers)
    headline = (
        f"In {len(numbers)} other test{'s' * (len(numbers) > 1)} of the facts, dialogues are ahead "
        f"in {ahead} and behind in {behind} ({max(n.seeds for n in numbers)} pairs of seeds)"
    )
    brief = f"Dialogues minus raw articles (secondary, not adjusted): {shown}."
    lead = f"{brief} There is no verdict."
    numbers += [n for number, scores in rows for n in name_numbers(number.quantity, scores)]
    return Finding("forms", headline, brief, lead, numbers=numbers)


def _describe_form(difference: Number, scores: Sequence[Number]) -> str:
    """Return a difference with the two scores behind it, and whether both are near zero."""
    shown = " minus ".join(f"{100 * score.value:.1f}" for score in scores)
    floor = ": both near zero" if all(score.value < NEAR_ZERO for score in scores) else ""
    points = show_points(difference)
    return f"{difference.quantity} {points} ({shown} %{floor}, n = {difference.n})"


def _read_contrasts(settings: Results, result: Result) -> Iterator[tuple[Number, list[Number]]]:
    """Yield dialogues minus raw articles in the other question forms, and in FURTHER ones.

    With each come the scores of both.
    """
    table = result.read("contrasts")
    pair = table["treatment"].eq("dialogue") & table["control"].eq("raw")
    forms = {form: (settings.exam, own) for form, own in settings.question_forms.items()}
    forms |= {form: (settings.exam + exam, own) for form, (exam, own) in FURTHER.items()}
    del forms[settings.main_form]
    for form, place in forms.items():
        name = find_outcome(result, *place)
        for row in table[pair & table["outcome"].eq(name) & (table["n"] > 0)].to_dict("records"):
            scores = {score.quantity: score for score in read_exam(settings, *place)}
            both = [scores[ARMS[arm]] for arm in name_arms(row)]
            yield read_difference(row, form, result, "contrasts"), both


def describe_causes(settings: Results) -> Iterator[str]:
    """Yield which causes of the difference the comparison does not exclude."""
    result = find_result(settings.comparison, COMPARISON)
    contrasts = result.read("contrasts") if result else pd.DataFrame({"verdict": []})
    if not result or set(contrasts["verdict"]) & {*WITHOUT_VERDICT}:
        yield (
            "The cause of a difference is unknown: questions, repetition, the order of sentences "
            "and numbers of steps differ, too, and the recipe was chosen for dialogues. The "
            "controlled comparison separates them."
        )
        return
    missing, partial = _list_incomplete_arms(settings, result)
    if missing:
        yield f"Planned, but not run yet: {join(missing)}."
    if partial:
        yield f"Not complete: {join(partial)}."
    pairs = [
        "whether " + " differ from ".join(ARMS.get(arm, arm) for arm in name_arms(row))
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
    yield "All other settings were chosen for dialogues, which favours them, if anything."


def _list_incomplete_arms(settings: Results, result: Result) -> tuple[list[str], list[str]]:
    """Return the arms of the sweep without a run that step 06 has read, and those with a part."""
    text = (root() / "params" / settings.comparison / "sweep.yaml").read_text(encoding="utf-8")
    sweep = yaml.safe_load(text)
    runs = result.read("runs")
    counts = runs.loc[runs["status"] != "missing", "arm"].value_counts()
    missing, partial = [], []
    for name in sweep["arms"]:
        planned = sweep.get("pairs", {}).get(name, len(sweep["seeds"]))
        if (count := counts.get(name, 0)) == 0:
            missing.append(f"`{name}`")
        elif count < planned:
            partial.append(f"`{name}` ({count} of {planned} runs)")
    return missing, partial


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
