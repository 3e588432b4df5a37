"""What the comparison showed, in sentences computed from the tables."""

from collections.abc import Iterator, Mapping

import pandas as pd

from clinical_camel.controlled_comparison.mixed_model import SAME
from clinical_camel.controlled_comparison.reading import (
    COMPLETE,
    ENDED,
    MISSING,
    is_base,
    warn_missing,
)
from clinical_camel.controlled_comparison.settings import (
    ALL,
    FURTHER,
    ISOLATES,
    Comparison,
    split_contrast,
    split_outcome,
)
from clinical_camel.controlled_comparison.tables import list_lost, name_contrast
from clinical_camel.core.verdicts import (
    CANNOT_TELL,
    HELPS,
    WITHOUT_VERDICT,
    describe_conclusions,
    describe_equivalence,
    describe_open,
    describe_size,
    name_no_effect,
)
from clinical_camel.core.wording import format_p, format_percent, format_points, join

OPEN_BOOK = "open_book"  # the variant of step 03 with the article in the prompt
TEXTS = {
    "dialogues": "an article dialogue",
    "exam_dialogues": "an exam dialogue",
}  # by file of step 01


def describe_results(
    design: Comparison,
    runs: pd.DataFrame,
    contrasts: pd.DataFrame,
    further: pd.DataFrame,
    models: pd.DataFrame,
    scores: pd.DataFrame,
    fits: pd.DataFrame,
) -> list[str]:
    """Return the conclusion and its limits as sentences.

    `runs`: `tabulate_runs`; `contrasts`: `compare_all`; `further`: `compare_further`; `models`:
    `fit_contrasts`; `scores`: `score_arms`; `fits`: `fit_curves`.
    """
    rows = contrasts[contrasts["is_primary"]].to_dict("records")
    warning = warn_missing(runs, design)
    sentences = [f"**{warning}{_list_verdicts(rows, design)}.**"]
    if not warning and design.has_verdict:
        by_name = {f"{row['treatment']} - {row['control']}": row["verdict"] for row in rows}
        sentences.append(describe_conclusions(by_name))
        sentences += _limit_conclusion(by_name, further, design)
    primary = scores[scores["outcome"] == design.primary].to_dict("records")
    by_arm = {score["arm"]: score for score in primary}
    sentences += [f"{warning}{_describe_contrast(row, contrasts, by_arm, design)}" for row in rows]
    sentences += _describe_models(rows, models)
    sentences += _describe_further(further, design)
    if missing := [name for name in design.outcomes if name not in set(scores["outcome"])]:
        sentences.append(f"No run has answers for the outcomes: {', '.join(missing)}.")
    sentences += _describe_secondary(contrasts, scores, design)
    sentences += _describe_open_book(scores, design)
    sentences += _describe_forgetting(scores, further, design)
    sentences += [
        f"{fit.curve}: in a straight-line fit, accuracy changes by "
        f"{format_percent(fit.gain_per_doubling, fit.low, fit.high)} points per doubling of "
        f"{fit.quantity} ({fit.seeds} seeds; outcome: {design.scaling_outcome})."
        for fit in fits.itertuples()
    ]
    return [*sentences, *_describe_few_runs(runs, design), describe_runs(runs)]


def _limit_conclusion(
    verdicts: Mapping[str, str], further: pd.DataFrame, design: Comparison
) -> Iterator[str]:
    """Yield what the arm `placebo` says on the questions, if dialogues beat `monologue`.

    The questions of `placebo` ask about another section of the article than the answer is from. A
    gain of the smallest size of interest is ruled out below the upper limit of an interval.
    """
    if verdicts.get("dialogue - monologue") != HELPS:
        return
    for row in further[further["outcome"] == design.primary].to_dict("records"):
        pair, low, high = (row["treatment"], row["control"]), row["low"], row["high"]
        numbers = f"{name_contrast(row)}, {format_points(row)}, pairs of seeds: {row['seeds']}"
        if pair == ("placebo", "monologue") and low > 0:
            beaten = name_contrast({"treatment": "dialogue", "control": "monologue"})
            yield (
                f"In the outcome {design.primary}, dialogues whose questions ask about another "
                "section of the article scored higher than the same sentences without questions "
                f"(exploratory): {numbers}. So {beaten} does not show that questions "
                "must match their answers. "
                "The table of further contrasts names what else differs between the two."
            )
        if pair == ("dialogue", "placebo") and low <= 0:
            limit = f"a gain of {100 * design.smallest_effect:g} points"
            is_higher = row["difference"] > 0
            text = "It is open whether" if is_higher else "We found no sign that"
            yield (
                f"{text} matching questions help (exploratory): {numbers}; {limit} "
                f"{'is' if high < design.smallest_effect else 'is not'} ruled out."
            )


def _describe_models(rows: list[dict], models: pd.DataFrame) -> Iterator[str]:
    """Yield in how many contrasts the mixed model has the same sign, and why it decides none."""
    if models.empty:
        return
    verdicts = {name_contrast(row): row["verdict"] for row in rows if pd.notna(row["p_holm"])}
    checked = models.assign(name=[name_contrast(row) for row in models.to_dict("records")])
    is_same = checked["check"].str.startswith(SAME)
    text = (
        f"A logistic mixed model has the sign of the difference in {is_same.sum()} of "
        f"{len(models)} contrasts."
    )
    is_clear = (checked["low"] > 0) | (checked["high"] < 0)
    clear = checked.loc[is_clear & (checked["name"].map(verdicts) == CANNOT_TELL), "name"]
    if len(clear):
        text += (
            f" Its interval excludes zero for {join([*clear])}, but the verdict stays "
            f"{CANNOT_TELL}: the approximate method that fits the model gives too narrow "
            "intervals, so the model was planned to check the sign only."
        )
    yield text
    for row in checked[~is_same].itertuples():
        yield f"{row.name}, checked by a mixed model: {row.check}."


def _describe_further(further: pd.DataFrame, design: Comparison) -> Iterator[str]:
    """Yield the further contrasts in the primary outcome that have an interval."""
    rows = further[(further["outcome"] == design.primary) & further["difference"].notna()]
    cells = [
        f"{name_contrast(row)} ({ISOLATES.get((row['treatment'], row['control']), FURTHER)}) "
        f"{format_points(row)}, {row['seeds']} pairs"
        for row in rows.to_dict("records")
    ]
    if cells:
        yield (
            "Further contrasts, exploratory, not adjusted, with their pairs of seeds: "
            f"{'; '.join(cells)}."
        )


def _list_verdicts(rows: list[dict], design: Comparison) -> str:
    return "; ".join(f"{name_contrast(row)}: {_describe_verdict(row, design)}" for row in rows)


def _describe_verdict(row: dict, design: Comparison) -> str:
    """Return the verdict, the difference and whether the interval is beyond the smallest effect."""
    parts = [] if row["verdict"] in WITHOUT_VERDICT else [row["verdict"]]
    parts += [format_points(row) if row["n"] else "no common pair of seeds"]
    size = describe_size(row["verdict"], row["low"], row["high"], design.smallest_effect)
    parts += [size] if size else []
    return ", ".join(parts)


def _describe_contrast(
    row: dict, contrasts: pd.DataFrame, scores: Mapping[str, dict], design: Comparison
) -> str:
    """Return what was compared, the numbers, and the verdict with its limits.

    `scores`: the rows of `score_arms` in the primary outcome, by arm. An accuracy has the interval
    of its arm if both are over the same pairs of seeds.
    """
    pair = row["treatment"], row["control"]
    name = f"{name_contrast(row)} ({ISOLATES.get(pair, FURTHER)})"
    tests = f"; p Holm {format_p(row['p_holm'])}, p equivalence {format_p(row['p_equivalence'])}"
    tests = "" if pd.isna(row["p_holm"]) else tests
    cells = []
    for side, arm in zip(("treatment", "control"), pair, strict=True):
        score = scores.get(arm, {})
        is_same = score.get("seeds") == row["seeds"]
        limits = [score["low"], score["high"]] if is_same else []
        cells.append(format_percent(row[f"accuracy_{side}"], *limits))
    text = (
        f"{name}: {cells[0]} % and {cells[1]} % correct ({row['n']} questions, "
        f"{row['conditions']} diseases, pairs of seeds: {row['seeds']}{tests})."
        if row["n"]
        else f"{name}: not comparable."
    )
    result = f"{_describe_verdict(row, design)}."
    same = contrasts["treatment"].eq(pair[0]) & contrasts["control"].eq(pair[1])
    whole = contrasts[same & contrasts["outcome"].eq(row["outcome"] + ALL)].to_dict("records")
    every = [f"On all {other['n']} questions: {format_points(other)}." for other in whole]
    if row["verdict"] in WITHOUT_VERDICT:
        return " ".join([text, f"Difference: {result}", *every])
    return " ".join([text, f"Verdict: {result}", *every, *_describe_limits(row, design)])


def _describe_limits(row: dict, design: Comparison) -> Iterator[str]:
    """Yield what the verdict on a contrast does not say."""
    is_significant = row["p_holm"] < design.alpha
    if pd.isna(row["p"]):
        yield f"No test: it needs {design.min_seeds} pairs of seeds."
        return
    if row["verdict"] == CANNOT_TELL and row["min_detectable_effect"] > 0:  # not for NaN
        yield (
            f"A true difference below {format_percent(row['min_detectable_effect'])} points would "
            "often be missed."
        )
    text = describe_open(row["low"], row["high"], design.smallest_effect)
    if row["verdict"] == CANNOT_TELL and text:
        yield text
    if row["verdict"] == name_no_effect(design.smallest_effect) and is_significant:
        yield (
            "The difference is significant, but by the rule written before the runs, such a small "
            "effect is of no interest."
        )
    if text := describe_equivalence(
        row["verdict"], row["low"], row["high"], design.smallest_effect
    ):
        yield text
    if (row["low"] > 0 or row["high"] < 0) != is_significant:
        yield _describe_disagreement(is_significant, row["p"] < design.alpha, design)


def _describe_disagreement(is_significant: bool, was_significant: bool, design: Comparison) -> str:
    """Return what counts if the interval and the test disagree about zero.

    `was_significant`: before the correction for the number of contrasts.
    """
    count = len(design.contrasts)
    if is_significant:
        return "The interval includes zero, but the test is significant, and the test counts."
    after = f"After correction for {count} comparisons, the" if was_significant else "The"
    return f"The interval excludes zero. {after} test is not significant, and the test counts."


def _describe_secondary(
    contrasts: pd.DataFrame, scores: pd.DataFrame, design: Comparison
) -> Iterator[str]:
    """Yield the first two contrasts, without verdicts all, in the other outcomes; not adjusted.

    On all questions, and in forgetting if neither arm is above chance, they have sentences
    elsewhere.
    """
    lost = list_lost(scores, design.forgetting)
    shown = design.contrasts[:2] if design.has_verdict else design.contrasts
    for treatment, control in map(split_contrast, shown):
        elsewhere = [design.primary + ALL, *[design.forgetting] * ({treatment, control} <= lost)]
        pair = contrasts["treatment"].eq(treatment) & contrasts["control"].eq(control)
        pair &= ~contrasts["is_primary"] & ~contrasts["outcome"].isin(elsewhere)
        rows = contrasts[pair].to_dict("records")
        cells = "; ".join(f"{row['outcome']} {format_points(row)}" for row in rows)
        if rows:
            yield f"Secondary outcomes of {name_contrast(rows[0])}, not adjusted: {cells}."


def _describe_open_book(scores: pd.DataFrame, design: Comparison) -> Iterator[str]:
    """Yield the scores of each outcome with the article in the prompt, and those without it."""
    for name, text in design.outcomes.items():
        outcome = split_outcome(text)
        rows = scores[scores["outcome"] == name]
        if outcome.variant != OPEN_BOOK or rows.empty:
            continue
        without = outcome._replace(variant="as_given")
        same = [other for other, t in design.outcomes.items() if split_outcome(t) == without]
        plain = scores[scores["outcome"].isin(same[:1])]
        closed = {
            row.arm: format_percent(row.accuracy, row.low, row.high) for row in plain.itertuples()
        }
        cells = [
            f"`{row.arm}` {format_percent(row.accuracy, row.low, row.high)} %"
            + (f" (without {closed[row.arm]} %)" if row.arm in closed else "")
            for row in rows.itertuples()
        ]
        yield f"With the article in the prompt ({name}): {', '.join(cells)}."


def _describe_few_runs(runs: pd.DataFrame, design: Comparison) -> Iterator[str]:
    """Yield which arms have too few complete runs to say something about other seeds."""
    complete = runs[(runs["status"] == COMPLETE) & ~runs["arm"].map(is_base).astype(bool)]
    counts = complete.groupby("arm", sort=False).size()
    few, many = counts[counts < design.min_seeds], counts[counts >= design.min_seeds]
    if few.empty:
        return
    names = ", ".join(f"`{arm}` ({count})" for arm, count in few.items())
    text = f"Arms with fewer than {design.min_seeds} runs: {names}"
    if len(many):
        least, most = many.min(), many.max()
        text += f"; the others have {least if least == most else f'{least} to {most}'}"
    yield f"{text}. Scores of so few runs say little about other seeds."


def _describe_forgetting(
    scores: pd.DataFrame, further: pd.DataFrame, design: Comparison
) -> Iterator[str]:
    """Yield how far each arm falls on the exam of the pretraining, and whether to chance.

    Of the further contrasts, those with an arm above chance have their difference there, too.
    """
    here = scores[scores["outcome"] == design.forgetting]
    before_tuning = here["arm"].map(is_base).astype(bool)
    base, tuned = here[before_tuning], here[~before_tuning]
    if tuned.empty:
        return
    if base.empty:
        yield (
            f"No base model has run, so forgetting ({design.forgetting}) and the accuracy before "
            "tuning are unknown."
        )
        return
    cells = [f"`{r.arm}` {format_percent(r.accuracy, r.low, r.high)}" for r in tuned.itertuples()]
    bases = [
        (format_percent(row.accuracy, row.low, row.high), f" (`{row.arm}`)")
        for row in base.itertuples()
    ]
    before = ", ".join(score + name * (len(bases) > 1) for score, name in bases)
    yield f"Forgetting ({design.forgetting}), in percent: before {before}; {', '.join(cells)}."
    lost = list_lost(tuned, design.forgetting)
    if names := [f"`{arm}`" for arm in tuned["arm"] if arm in lost]:
        yield f"Not above chance, so forgetting cannot be compared: {', '.join(names)}."
    here = further["outcome"].eq(design.forgetting) & further["difference"].notna()
    is_lost = further["treatment"].isin(lost) & further["control"].isin(lost)
    rows = further[here & ~is_lost].to_dict("records")
    if cells := [f"{name_contrast(row)} {format_points(row)}" for row in rows]:
        yield f"Differences there, exploratory, not adjusted: {'; '.join(cells)}."


def describe_runs(runs: pd.DataFrame) -> str:
    """Return on how many runs the analysis rests, which diverged, and which are missing."""
    text = f"The analysis rests on {(runs['status'] == COMPLETE).sum()} of {len(runs)} runs."
    ended, missing = (runs[runs["status"] == status] for status in (ENDED, MISSING))
    if names := [
        f"{r.arm} ({r.data_seed}, {r.training_seed}): {r.reason}" for r in ended.itertuples()
    ]:
        text += (
            " Training diverged, so the contrasts of the arm do not use this pair of seeds: "
            f"{'; '.join(names)}."
        )
    counts = missing.groupby(["arm", "reason"], sort=False).size()
    if parts := [
        f"{arm} ({count} run{'s' if count > 1 else ''}): {reason}"
        for (arm, reason), count in counts.items()
    ]:
        text += f" Not used: {'; '.join(parts)}."
    return text


def describe_exclusions(
    answers: pd.DataFrame, overlaps: pd.DataFrame, specialties: dict[str, str], design: Comparison
) -> str:
    """Return how many questions of the primary outcome remain, and why the others do not.

    `overlaps`: `find_overlaps`; `specialties`: `load_specialties`, of all articles.
    """
    every, rest = (
        answers.loc[answers["outcome"] == name, ["id", "condition"]].drop_duplicates()
        for name in (design.primary + ALL, design.primary)
    )
    excluded = overlaps[overlaps["id"].isin(every["id"])].sort_values("trained_on")
    sources = excluded["trained_on"].replace(TEXTS).groupby(excluded["id"]).agg(" and ".join)
    counts = [f"{count} {name}" for name, count in sources.value_counts().items()]
    by_base = _describe_answered(answers, excluded, len(every) - len(rest) - len(sources), design)
    untested = specialties.keys() - set(every["condition"].str.casefold())
    return (
        f"{len(rest)} of {len(every)} questions, on {rest['condition'].nunique()} of "
        f"{every['condition'].nunique()} diseases, are used. The others resemble a training text "
        f"of `{design.overlap_arm}` ({', '.join(counts) or 'none does'}).{by_base} The articles "
        f"are on {len(specialties)} diseases; {len(untested)} of them have texts, but no question."
    )


def _describe_answered(
    answers: pd.DataFrame, overlaps: pd.DataFrame, count: int, design: Comparison
) -> str:
    """Return how many more questions are excluded because the base model answers them; "" for none.

    `overlaps`: those of these questions. Guessing: the chance of each question without overlap.
    """
    if not count:
        return ""
    plain = answers[answers["outcome"] == design.primary + ALL].drop_duplicates("id")
    chances = plain.loc[~plain["id"].isin(overlaps["id"]), "chance"]
    return (
        f" Another {count} are excluded because the base model answers them correctly before "
        f"tuning, more than {design.base_margin:g} nat ahead of the next option. (Guessing would "
        f"get about {chances.sum():.0f} right, by any margin.) So its score on the rest is too low "
        "and cannot be compared with chance. Other exams exclude nothing."
    )


def format_headline(contrasts: pd.DataFrame, runs: pd.DataFrame, design: Comparison) -> str:
    """Return the verdicts in one line."""
    rows = contrasts[contrasts["is_primary"]].to_dict("records")
    count = f"{(runs['status'] == COMPLETE).sum()} of {len(runs)} runs"
    return f"{warn_missing(runs, design)}{_list_verdicts(rows, design)} ({count})"
