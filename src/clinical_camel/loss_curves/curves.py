"""Training curves: stacked logs, a table and a figure."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from clinical_camel.loss_curves.logs import LOG_COLUMNS, describe_faults

FRACTIONS = (0.0, 0.1, 0.2, 0.5, 0.8, 1.0)


def stack_logs(logs: Mapping[str, pd.DataFrame], smoothing: float) -> pd.DataFrame:
    """Return the logs of all studies as one table, with `study` first and `smoothed` last.

    `smoothing` is the window of the running mean as a share of the run, so that short and long runs
    are smoothed alike. Where the loss is NaN or infinite, so is the running mean: it must not look
    as if the training went on.
    """
    frames = []
    for study, log in logs.items():
        window = max(1, round(smoothing * len(log)))
        finite = log["loss"].where(np.isfinite(log["loss"]))
        smoothed = finite.rolling(window, min_periods=1).mean().where(finite.notna(), log["loss"])
        frames.append(log.assign(study=study, smoothed=smoothed))
    stacked = pd.concat(frames, ignore_index=True)
    return stacked[["study", *LOG_COLUMNS, "smoothed"]]


def tabulate_losses(stacked: pd.DataFrame, fractions: Sequence[float] = FRACTIONS) -> pd.DataFrame:
    """Return the smoothed loss at each fraction of the samples; 0 is the first step.

    If the loss of a study is not always a number, the column `problem` says where.

    >>> log = pd.DataFrame({"study": "a", "fraction": [0.5, 1.0], "smoothed": [2.0, 1.0]})
    >>> tabulate_losses(log.assign(step=[1, 2], loss=[2.0, 1.0]), (0.0, 1.0)).to_dict("records")
    [{'study': 'a', '0 %': 2.0, '100 %': 1.0}]
    """
    rows = []
    for study, log in stacked.groupby("study", sort=False):
        row = {"study": study}
        for fraction in fractions:
            reached = log[log["fraction"] <= fraction + 1e-9]
            value = (reached if len(reached) else log.head(1))["smoothed"].iloc[-1]
            row[f"{fraction:.0%}".replace("%", " %")] = value
        rows.append(row | {"problem": describe_faults(log)})
    table = pd.DataFrame(rows)
    return table if table["problem"].any() else table.drop(columns="problem")


def format_headline(stacked: pd.DataFrame) -> str:
    """Return the last smoothed loss of each study, or from which step it is no number."""
    parts = []
    for study, log in stacked.groupby("study", sort=False):
        fault = describe_faults(log)
        last = log["smoothed"].iloc[-1]
        parts.append(f"{study} {fault}" if not np.isfinite(last) else f"{study} {last:.3f}")
        if fault and np.isfinite(last):
            parts[-1] += f" ({fault})"
    return "last loss: " + ", ".join(parts)


def plot_curves(stacked: pd.DataFrame) -> Figure:
    """Plot the loss per step and smoothed, and the learning rate, by share of samples seen.

    A cross marks the last finite loss of a training that diverged.
    """
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(7, 4.6), sharex=True, height_ratios=(3, 1), layout="constrained"
    )
    for study, log in stacked.groupby("study", sort=False):
        share, finite = 100 * log["fraction"], np.isfinite(log["loss"])
        fault = describe_faults(log)
        label = f"{study} ({fault})" if fault else study
        line = top.plot(share, log["smoothed"].where(finite), label=label)[0]
        top.plot(share, log["loss"].where(finite), color=line.get_color(), alpha=0.2)
        if fault and finite.any():
            last = log[finite].iloc[-1]
            top.plot(100 * last["fraction"], last["smoothed"], "x", color=line.get_color())
        bottom.plot(share, log["learning_rate"], color=line.get_color())
    top.set(ylabel="loss, nats per target token", ylim=(0, None))
    top.legend(fontsize=8)
    bottom.set(xlabel="samples seen, %", ylabel="learning rate", ylim=(0, None))
    return figure
