"""The trainer's history as a table, and its figure."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure


def training_log(history: Sequence[Mapping[str, float]]) -> pd.DataFrame:
    """The trainer's history as one row a step: what `train` describes."""
    steps = [entry for entry in history if "loss" in entry]
    validation = {e["step"]: e["eval_loss"] for e in history if "eval_loss" in e}
    last, offset, previous = steps[-1]["step"], 0.0, 0.0
    rows = []
    for entry in steps:
        tokens = entry.get("num_tokens", 0.0)
        if tokens < previous:  # the trainer's count starts again when it resumes
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
    """Loss and its running mean over a twentieth of the run, against the step."""
    figure, axes = plt.subplots(figsize=(7, 3))
    window = max(1, len(log) // 20)
    axes.plot(log["step"], log["loss"], alpha=0.3, label="each step")
    axes.plot(log["step"], log["loss"].rolling(window, min_periods=1).mean(), label="running mean")
    checked = log.dropna(subset=["validation_loss"])
    if len(checked):
        axes.plot(checked["step"], checked["validation_loss"], "o-", label="validation")
    axes.set(xlabel="step", ylabel="loss, nats per trained token", ylim=(0, None))
    axes.legend()
    return figure
