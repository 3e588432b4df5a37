"""What the curves and scores showed, in sentences computed from the tables."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from clinical_camel.loss_curves.curves import average_ends
from clinical_camel.loss_curves.logs import describe_faults
from clinical_camel.loss_curves.pairing import list_renamed, select_scores

EARLY = 0.2  # share of the samples


def describe_scores_shown(pairs: pd.DataFrame) -> str:
    """Return which of the scores the page shows, with n and chance of each exam."""
    if pairs.empty:
        return "`scores` is empty, so there is no exam score to compare."
    shown = select_scores(pairs)
    exams = [
        f"{exam} (n = {rows['n'].iloc[0]}, chance {100 * rows['chance'].iloc[0]:.0f} %)"
        for exam, rows in shown.groupby("benchmark", sort=False)
    ]
    few = int(shown["num_shots"].iloc[0])
    more = [f"{shots}-shot" for shots in sorted(set(pairs["num_shots"]) - {few})]
    formats = pairs["protocol"].nunique() - shown["protocol"].nunique()
    more += [f"{formats} further formats"] if formats else []
    rest = f"left out: {', '.join(more)}; " if more else ""
    text = (
        f"Accuracy in percent, with 95 % intervals, {few}-shot ({rest}`summary.csv` has all "
        f"{len(pairs)} scores). Exams: {', '.join(exams)}."
    )
    return " ".join([text, *list_renamed(pairs)])


def describe_curves(
    stacked: pd.DataFrame, pairs: pd.DataFrame, adapters: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """Return the result of step 05 as plain sentences.

    `stacked`: of `stack_logs`. `pairs`: of `pair_scores`. `adapters`: of each study, the folder of
    each model.
    """
    sentences = [_describe_log(study, log) for study, log in stacked.groupby("study", sort=False)]
    sentences += _describe_order(pairs)
    sentences += _describe_missing(pairs, adapters)
    if len(stacked["study"].unique()) == 1:
        sentences.append(
            "One training gives one last loss. Whether a lower loss means a better score needs at "
            "least two trainings."
        )
    return sentences


def _describe_log(study: str, log: pd.DataFrame) -> str:
    fault = describe_faults(log)
    finite = log[np.isfinite(log["loss"])]
    if finite.empty:
        return f"The {fault.replace('loss', f'loss of {study}', 1)}: nothing was learned."
    if not np.isfinite(log["loss"].iloc[-1]):
        return (
            f"The {fault.replace('loss', f'loss of {study}', 1)}: the training diverged. The last "
            f"running mean before was {finite['smoothed'].iloc[-1]:.3f} nats per target token."
        )
    first, last = average_ends(log)
    note = f" The {fault}." if fault else ""
    if last >= first:
        return f"The loss of {study} did not fall: {first:.3f} at first, {last:.3f} at last.{note}"
    return (
        f"The loss of {study} fell from {first:.3f} to {last:.3f} nats per target token (means of "
        f"the first and the last twentieth of {len(log):,} steps)."
        f"{_describe_early(finite, first, last)}{note}"
    )


def _describe_early(log: pd.DataFrame, first: float, last: float) -> str:
    """Return how far the loss was after a fifth of the samples; "" if the log has no step there."""
    early = log[log["fraction"] <= EARLY]
    if early.empty:
        return ""
    loss = early["smoothed"].iloc[-1]
    start, then, end = (f"{100 * np.exp(-value):.0f} %" for value in (first, loss, last))
    share, window = (first - loss) / (first - last), min(len(early), log["window"].iloc[0])
    return (
        f" After a fifth of the samples, it was {loss:.3f} (running mean of {window:,} steps): "
        f"{100 * share:.0f} % of the fall. The probability of a correct token (geometric mean) was "
        f"{start} at first, {then} after a fifth of the samples, and {end} at last."
    )


def _describe_order(pairs: pd.DataFrame) -> Iterator[str]:
    """Yield whether the training with the lowest loss has the best score on the first exam.

    Only formats count in which the intervals of the two models do not overlap.
    """
    shown = select_scores(pairs)
    trained = shown[(shown["training"] != "") & np.isfinite(shown["last_loss"].astype(float))]
    trained = trained.dropna(subset="accuracy")  # without a question that fits, there is none
    exam = pairs["benchmark"].iloc[0] if len(pairs) else ""
    trained = trained[trained["benchmark"] == exam]
    if len(trained["training"].unique()) < 2:
        return
    lowest = trained.loc[trained["last_loss"].idxmin(), "training"]
    unclear = []
    for name, rows in trained.groupby("protocol", sort=False):
        low = rows[rows["training"] == lowest]
        others = rows[rows["training"] != lowest]
        if low.empty or others.empty:
            continue
        low, best = low.iloc[0], others.loc[others["accuracy"].idxmax()]
        if low["low"] <= best["high"] and best["low"] <= low["high"]:
            unclear.append(f"`{name}`")
        else:
            yield _compare(low, best)
    if unclear:
        yield (
            f"On {exam}, with questions as {' and '.join(unclear)}, the intervals of the models "
            "overlap, so their order is not clear."
        )
    yield (
        "Losses of trainings on different texts cannot be compared: a lower one may only mean that "
        "its texts are easier to predict."
    )


def _compare(low: pd.Series, best: pd.Series) -> str:
    """Return how the model with the lowest loss compares with the best of the others."""
    is_worse = low["accuracy"] < best["accuracy"]
    verdict = "worse exam" if is_worse else "better exam"
    fewer = "but answers fewer" if is_worse else "and answers more"
    return (
        f"Lower loss, {verdict} with questions as `{low['protocol']}`. The model `{low['model']}` "
        f"has the lower last loss ({low['last_loss']:.3f}; `{best['model']}`: "
        f"{best['last_loss']:.3f}), {fewer} questions correctly: on {low['benchmark']}, "
        f"{_score(low)}; `{best['model']}`: {_score(best)} (n = {low['n']}, chance "
        f"{100 * low['chance']:.0f} %)."
    )


def _score(row: pd.Series) -> str:
    return f"{100 * row['accuracy']:.1f} % [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"


def _describe_missing(
    pairs: pd.DataFrame, adapters: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """Yield which models have scores but no loss, and why."""
    without = pairs[pairs["training"] == ""]
    names = without[["study", "model"]].drop_duplicates().itertuples(index=False)
    models: dict[str, list[str]] = {}
    for study, model in names:
        folder = adapters.get(study, {}).get(model)
        if folder:
            reason = "the log of its training is not among `logs`"
        elif folder == "":
            reason = "it is not tuned"
        else:
            reason = "no run.json beside the scores says which training it had"
        if model not in models.setdefault(reason, []):
            models[reason].append(model)
    for reason, group in models.items():
        yield f"No loss is shown for {' and '.join(group)}: {reason}."
