"""What could mislead in a comparison and what it does not show, if that depends on the sweep."""

from collections.abc import Collection, Iterator

import pandas as pd

from clinical_camel.controlled_comparison.settings import Comparison
from clinical_camel.controlled_comparison.trainings import LARGE
from clinical_camel.core.wording import join

RULES = "extractive"  # the teacher that copies sentences of the article


def describe_threats(design: Comparison, runs: pd.DataFrame) -> str:
    """Return what could mislead and depends on the sweep, as a Markdown list.

    `runs`: `tabulate_runs`.
    """
    rates = (
        "Each primary arm has its own learning rate, chosen on other diseases."
        if design.rate_sweep
        else "This sweep compares no learning rates, so one arm may have a better one."
    )
    texts = (
        "Each pair of seeds has other texts and trainings (their effects are not separated)."
        if len({*runs["data_seed"]}) > 1
        else "All pairs have the same texts, so the intervals say nothing about other texts."
    )
    texts += " Runs are compared only within a pair."
    return f"- *Settings.* {rates}\n- *Random variation.* {texts}"


def describe_scope(
    design: Comparison,
    trainings: pd.DataFrame,
    teachers: Collection[str],
    rates: pd.DataFrame,
) -> list[str]:
    """Return what the comparison does not show and depends on the sweep, as sentences.

    `trainings`: `read_trainings`; `teachers`: the kinds of teacher of step 01 (`list_teachers`);
    `rates`: `read_rates`, empty without a sweep of rates.
    """
    sizes = [f"{size / 1e6:.1f}" for size in sorted({*trainings["parameters"].dropna()})]
    names = join(sizes) if sizes else "an unknown number of"
    models = "base models have" if len(sizes) > 1 else "base model has"
    sentences = [
        "Rules wrote the dialogues. A language model would word them differently."
        if set(teachers) == {RULES}
        else "A language model wrote the texts once; another may write others. An exposure counts "
        "the words of the article, so facts in other words are missing from the exposures.",
        f"The {models} {names} million parameters. Larger models may differ.",
    ]
    if not design.has_verdict:
        sentences.append(
            "This sweep reports intervals and draws no verdict (`has_verdict: false`)."
        )
    return [*sentences, *_describe_unstable(trainings), *_describe_rates(rates)]


def _describe_unstable(trainings: pd.DataFrame) -> Iterator[str]:
    """Yield the trainings that were unstable (`trainings.describe_stability`): they count."""
    rows = trainings[trainings["is_unstable"]]
    if texts := [
        f"`{row.arm}` ({row.seed}): gradient norm {row.highest_gradient_later:.0f}, loss "
        f"{row.highest_loss_later:.1f} (start: {row.highest_loss_start:.1f})"
        for row in rows.itertuples()
    ]:
        yield (
            f"{len(rows)} of {len(trainings)} trainings were unstable: after the first tenth of "
            f"the steps, a gradient had a norm above {LARGE:g} before it was clipped, or the loss "
            "was above the highest of the start. They count. Highest values after the start: "
            f"{'; '.join(texts)}."
        )


def _describe_rates(rates: pd.DataFrame) -> Iterator[str]:
    """Yield which arms have the highest or the lowest learning rate that was tried."""
    if rates.empty:
        return
    tried = rates.groupby("arm")["learning_rate"]
    is_choice = rates["is_chosen"] & (tried.transform("nunique") > 1)
    for word, limit, further in (("highest", "max", "higher"), ("lowest", "min", "lower")):
        arms = rates.loc[is_choice & (rates["learning_rate"] == tried.transform(limit)), "arm"]
        if len(arms):
            yield (
                f"For {join([f'`{arm}`' for arm in arms])}, the chosen learning rate is the {word} "
                f"that was tried, so a {further} one may be better."
            )
    if is_choice.any():
        yield "An arm for which several rates were not tried has a rate chosen for another arm."
