"""Step 05: the training logs and exam scores of several studies, side by side.

Everything here is drawn from the small tables that steps 02 and 03 left, so it needs no GPU and can
be drawn again at any time.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from clinical_camel.loss_curves.settings import COLUMNS, SCORE_COLUMNS

FRACTIONS = (0.0, 0.1, 0.2, 0.5, 0.8, 1.0)


def stack_logs(logs: Mapping[str, pd.DataFrame], smoothing: float) -> pd.DataFrame:
    """The logs of all studies as one table, with `study` first and `smoothed` last.

    `smoothing` is the share of a run that the running mean looks back over, so that a short and a
    long run are smoothed alike. Raises ValueError for a log without the columns of step 02.
    """
    if not 0 < smoothing <= 1:
        raise ValueError(f"smoothing: {smoothing} is a share of the run, above 0 and at most 1")
    frames = []
    for study, log in logs.items():
        missing = [name for name in COLUMNS if name not in log]
        if missing:
            raise ValueError(f"logs: {study}: no column {', '.join(missing)}")
        window = max(1, round(smoothing * len(log)))
        smoothed = log["loss"].rolling(window, min_periods=1).mean()
        frames.append(log.assign(study=study, smoothed=smoothed))
    stacked = pd.concat(frames, ignore_index=True)
    return stacked[["study", *COLUMNS, "smoothed"]]


def at_fractions(stacked: pd.DataFrame, fractions: Sequence[float] = FRACTIONS) -> pd.DataFrame:
    """Smoothed loss when each fraction of the samples had been seen; 0 is the first step.

    >>> log = pd.DataFrame({"study": "a", "fraction": [0.5, 1.0], "smoothed": [2.0, 1.0]})
    >>> at_fractions(log, (0.0, 1.0)).to_dict("records")
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


def summarise(stacked: pd.DataFrame, scores: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """For each study steps, tokens, first and last smoothed loss, and the exam scores it has.

    One row a study, benchmark, protocol, shots and model; a study without scores has one row.
    """
    rows = []
    for study, log in stacked.groupby("study", sort=False):
        facts = {
            "study": study,
            "steps": int(log["step"].max()),
            "tokens": int(log["tokens"].max()),
            "first_loss": log["smoothed"].iloc[0],
            "last_loss": log["smoothed"].iloc[-1],
        }
        table = scores.get(study, pd.DataFrame())
        found = table[list(SCORE_COLUMNS)].to_dict("records") if len(table) else [{}]
        rows += [facts | row for row in found]
    return pd.DataFrame(rows)


def plot_curves(stacked: pd.DataFrame) -> Figure:
    """Loss against the share of samples seen, raw and smoothed; below it the learning rate."""
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(7, 4.6), sharex=True, height_ratios=(3, 1), layout="constrained"
    )
    for study, log in stacked.groupby("study", sort=False):
        share = 100 * log["fraction"]
        line = top.plot(share, log["smoothed"], label=study)[0]
        top.plot(share, log["loss"], color=line.get_color(), alpha=0.2)
        bottom.plot(share, log["learning_rate"], color=line.get_color())
    top.set(ylabel="loss, nats per trained token", ylim=(0, None))
    top.legend(fontsize=8)
    bottom.set(xlabel="samples seen, %", ylabel="learning rate", ylim=(0, None))
    return figure
