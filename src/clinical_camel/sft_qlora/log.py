"""The trainer's history as a table and as a figure."""

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure


def tabulate_history(history: Sequence[Mapping[str, float]]) -> pd.DataFrame:
    """Return the trainer's history with one row per step; `train` describes the columns."""
    steps = [entry for entry in history if "loss" in entry]
    validation = {e["step"]: e["eval_loss"] for e in history if "eval_loss" in e}
    last, offset, previous = steps[-1]["step"], 0.0, 0.0
    rows = []
    for entry in steps:
        tokens = entry.get("num_tokens", 0.0)
        if tokens < previous:  # the trainer restarts its count when it resumes
            offset += previous
        previous = tokens
        rows.append(
            {
                "step": int(entry["step"]),
                "fraction": entry["step"] / last,
                "loss": entry["loss"],
                "learning_rate": entry["learning_rate"],
                "grad_norm": entry["grad_norm"],
                "tokens": int(tokens + offset),
                "validation_loss": validation.get(entry["step"], float("nan")),
            }
        )
    return pd.DataFrame(rows)


def find_window(log: pd.DataFrame) -> int:
    """Return a twentieth of the steps, at least one: the window of every mean loss of step 02."""
    return max(1, len(log) // 20)


def plot_loss(log: pd.DataFrame, num_epochs: float) -> Figure:
    """Plot the loss of each step, its running mean, validation, and the end of each epoch."""
    figure, axes = plt.subplots(figsize=(7, 3.3), layout="constrained")
    window = find_window(log)
    for epoch in range(1, math.ceil(num_epochs)):
        label = "end of an epoch" if epoch == 1 else None
        end = epoch / num_epochs * log["step"].iloc[-1]
        axes.axvline(end, color="0.7", linestyle=":", linewidth=1, label=label)
    axes.plot(log["step"], log["loss"], alpha=0.3, label="single step")
    mean = log["loss"].rolling(window, min_periods=1).mean()
    axes.plot(log["step"], mean, label=f"mean of the last {window} steps")
    validation = log.dropna(subset=["validation_loss"])
    if len(validation):
        axes.plot(validation["step"], validation["validation_loss"], "o-", label="validation")
    axes.set(xlabel="optimizer step", ylabel="loss (nats per target token)", ylim=(0, None))
    figure.legend(loc="outside upper center", ncols=4, fontsize=9)
    return figure
