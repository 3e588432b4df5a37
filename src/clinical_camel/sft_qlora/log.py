"""The trainer's history as a table and as a figure."""

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


def plot_loss(log: pd.DataFrame) -> Figure:
    """Plot the loss of each step, its running mean over a twentieth of the run, and validation."""
    figure, axes = plt.subplots(figsize=(7, 3))
    window = max(1, len(log) // 20)
    axes.plot(log["step"], log["loss"], alpha=0.3, label="single step")
    axes.plot(log["step"], log["loss"].rolling(window, min_periods=1).mean(), label="running mean")
    validation = log.dropna(subset=["validation_loss"])
    if len(validation):
        axes.plot(validation["step"], validation["validation_loss"], "o-", label="validation")
    axes.set(xlabel="optimizer step", ylabel="loss (nats per target token)", ylim=(0, None))
    axes.legend()
    return figure
