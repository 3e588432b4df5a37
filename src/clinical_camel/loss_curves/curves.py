"""Training logs and exam scores, compared from the tables of steps 02 and 03."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from clinical_camel.loss_curves.settings import LOG_COLUMNS, SCORE_COLUMNS

FRACTIONS = (0.0, 0.1, 0.2, 0.5, 0.8, 1.0)


def stack_logs(logs: Mapping[str, pd.DataFrame], smoothing: float) -> pd.DataFrame:
    """Return the logs of all studies as one table, with `study` first and `smoothed` last.

    `smoothing` is the window of the running mean as a share of the run, so that short and long runs
    are smoothed alike.
    """
    frames = []
    for study, log in logs.items():
        window = max(1, round(smoothing * len(log)))
        smoothed = log["loss"].rolling(window, min_periods=1).mean()
        frames.append(log.assign(study=study, smoothed=smoothed))
    stacked = pd.concat(frames, ignore_index=True)
    return stacked[["study", *LOG_COLUMNS, "smoothed"]]


def tabulate_losses(stacked: pd.DataFrame, fractions: Sequence[float] = FRACTIONS) -> pd.DataFrame:
    """Return the smoothed loss at each fraction of the samples; 0 is the first step.

    >>> log = pd.DataFrame({"study": "a", "fraction": [0.5, 1.0], "smoothed": [2.0, 1.0]})
    >>> tabulate_losses(log, (0.0, 1.0)).to_dict("records")
    [{'study': 'a', '0 %': 2.0, '100 %': 1.0}]
    """
    rows = []
    for study, log in stacked.groupby("study", sort=False):
        row = {"study": study}
        for fraction in fractions:
            reached = log[log["fraction"] <= fraction + 1e-9]
            value = (reached if len(reached) else log.head(1))["smoothed"].iloc[-1]
            row[f"{fraction:.0%}".replace("%", " %")] = value
        rows.append(row)
    return pd.DataFrame(rows)


def summarize_studies(stacked: pd.DataFrame, scores: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return steps, tokens, first and last smoothed loss and exam scores of each study.

    One row per study, benchmark, protocol, shots and model; one row for a study without scores.
    """
    rows = []
    for study, log in stacked.groupby("study", sort=False):
        training = {
            "study": study,
            "steps": int(log["step"].max()),
            "tokens": int(log["tokens"].max()),
            "first_loss": log["smoothed"].iloc[0],
            "last_loss": log["smoothed"].iloc[-1],
        }
        table = scores.get(study, pd.DataFrame())
        exams = table[list(SCORE_COLUMNS)].to_dict("records") if len(table) else [{}]
        rows += [training | exam for exam in exams]
    return pd.DataFrame(rows)


def plot_curves(stacked: pd.DataFrame) -> Figure:
    """Plot the loss per step and smoothed, and the learning rate, by share of samples seen."""
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(7, 4.6), sharex=True, height_ratios=(3, 1), layout="constrained"
    )
    for study, log in stacked.groupby("study", sort=False):
        share = 100 * log["fraction"]
        line = top.plot(share, log["smoothed"], label=study)[0]
        top.plot(share, log["loss"], color=line.get_color(), alpha=0.2)
        bottom.plot(share, log["learning_rate"], color=line.get_color())
    top.set(ylabel="loss, nats per target token", ylim=(0, None))
    top.legend(fontsize=8)
    bottom.set(xlabel="samples seen, %", ylabel="learning rate", ylim=(0, None))
    return figure
