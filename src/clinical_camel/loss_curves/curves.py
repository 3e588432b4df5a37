"""Training curves: stacked logs, a table and a figure."""

import math
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from clinical_camel.core.values import escape_label
from clinical_camel.loss_curves.logs import LOG_COLUMNS, describe_faults

FRACTIONS = (0.0, 0.1, 0.2, 0.5, 0.8, 1.0)
# ClinMED-LLAMA3 (Research Square rs-4703651 v1): its loss at the same shares of its samples. Of the
# end, the text only says that the loss stabilises. Another model and other texts.
PUBLISHED_STUDY = "ClinMED-LLAMA3 (published)"
PUBLISHED_LOSSES = (2.1883, 2.11, 1.7616, 1.4807, 1.3245)


def stack_logs(logs: Mapping[str, pd.DataFrame], smoothing: float) -> pd.DataFrame:
    """Return the logs of all studies as one table, `study` first, `smoothed` and `window` last.

    `smoothing` is the window of the running mean as a share of the run, so that short and long runs
    are smoothed alike; `window` is its number of steps. Where the loss is NaN or infinite, so is
    the running mean: it must not look as if the training went on.
    """
    frames = []
    for study, log in logs.items():
        window = max(1, int(smoothing * len(log) + 1e-9))  # rounded down, as in step 02
        finite = log["loss"].where(np.isfinite(log["loss"]))
        smoothed = finite.rolling(window, min_periods=1).mean().where(finite.notna(), log["loss"])
        frames.append(log.assign(study=study, smoothed=smoothed, window=window))
    stacked = pd.concat(frames, ignore_index=True)
    return stacked[["study", *LOG_COLUMNS, "smoothed", "window"]]


def average_ends(log: pd.DataFrame) -> tuple[float, float]:
    """Return the mean loss of the first and of the last twentieth of the steps, as step 02 does.

    Steps without a finite loss do not count; the log must have a finite one.
    """
    losses = log.loc[np.isfinite(log["loss"]), "loss"]
    window = max(1, len(losses) // 20)
    return float(losses.head(window).mean()), float(losses.tail(window).mean())


def tabulate_losses(stacked: pd.DataFrame) -> pd.DataFrame:
    """Return the smoothed loss at each of FRACTIONS of the samples; 0 is the first step.

    If the loss of a study is not always a number, the column `problem` says where.

    >>> log = pd.DataFrame({"study": "a", "fraction": [0.5, 1.0], "smoothed": [2.0, 1.0]})
    >>> table = tabulate_losses(log.assign(step=[1, 2], loss=[2.0, 1.0]))
    >>> table[["study", "0 %", "50 %", "100 %"]].to_dict("records")
    [{'study': 'a', '0 %': 2.0, '50 %': 2.0, '100 %': 1.0}]
    """
    rows = []
    for study, log in stacked.groupby("study", sort=False):
        row = {"study": study}
        for fraction in FRACTIONS:
            reached = log[log["fraction"] <= fraction + 1e-9]
            value = (reached if len(reached) else log.head(1))["smoothed"].iloc[-1]
            row[f"{fraction:.0%}".replace("%", " %")] = value
        rows.append(row | {"problem": describe_faults(log)})
    table = pd.DataFrame(rows)
    return table if table["problem"].any() else table.drop(columns="problem")


def format_losses(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of `tabulate_losses` for the page: rounded, and the published row below."""
    names = [f"{fraction:.0%}".replace("%", " %") for fraction in FRACTIONS]
    published = dict(zip(names, PUBLISHED_LOSSES, strict=False)) | {"study": PUBLISHED_STUDY}
    page = pd.concat([table.round(4), pd.DataFrame([published])], ignore_index=True)
    return page.astype(object).where(page.notna(), "")


def format_headline(stacked: pd.DataFrame) -> str:
    """Return the first and last mean loss of each study, or from which step it is no number."""
    parts = []
    for study, log in stacked.groupby("study", sort=False):
        fault = describe_faults(log)
        if not np.isfinite(log["loss"].iloc[-1]):
            parts.append(f"{study} {fault}")
            continue
        first, last = average_ends(log)
        parts.append(f"{study} {first:.2f} to {last:.2f}" + (f" ({fault})" if fault else ""))
    return "mean loss, first and last twentieth of the steps: " + ", ".join(parts)


def plot_curves(stacked: pd.DataFrame, epochs: Mapping[str, float] | None = None) -> Figure:
    """Plot the loss per step and smoothed, and the learning rate, by share of samples seen.

    `epochs`: the number of epochs of each study, if known; a dotted line marks the end of each.
    A cross marks the last finite loss of a training that diverged. Diamonds are the published
    losses of ClinMED-LLAMA3.
    """
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(7, 4.6), sharex=True, height_ratios=(3, 1), layout="constrained"
    )
    for study, log in stacked.groupby("study", sort=False):
        share, finite = 100 * log["fraction"], np.isfinite(log["loss"])
        fault = describe_faults(log)
        label = f"{escape_label(study)} ({fault})" if fault else escape_label(study)
        label += f", running mean of {log['window'].iloc[0]:,} steps"
        line = top.plot(share, log["smoothed"].where(finite), label=label)[0]
        count = (epochs or {}).get(study, 1.0)
        for epoch in range(1, math.ceil(count)):
            colour = line.get_color() if len(set(epochs.values())) > 1 else "grey"
            top.axvline(100 * epoch / count, linestyle=":", linewidth=0.9, color=colour)
        top.plot(share, log["loss"].where(finite), color=line.get_color(), alpha=0.2)
        if fault and finite.any():
            last = log[finite].iloc[-1]
            top.plot(100 * last["fraction"], last["smoothed"], "x", color=line.get_color())
        bottom.plot(share, log["learning_rate"], color=line.get_color())
    points = [100 * fraction for fraction in FRACTIONS[: len(PUBLISHED_LOSSES)]]
    top.plot(points, PUBLISHED_LOSSES, "D--", color="grey", markersize=4, label=PUBLISHED_STUDY)
    top.set(ylabel="loss, nats per target token", ylim=(0, None))
    top.legend(fontsize=9)
    bottom.set(xlabel="samples seen, %", ylabel="learning rate", ylim=(0, None))
    return figure
