"""Figures of step 07: every measure against steps, and rewards against the KL."""

import math

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from clinical_camel.reward_and_rl.measures import LABELS
from clinical_camel.reward_and_rl.settings import EXAM_KEY, METHODS

NAMES = {
    "ppo": "PPO",
    "rloo": "RLOO",
    "grpo": "GRPO",
    "dpo": "DPO",
    "grpo_exam_key": "GRPO, exam key",
}
MARKERS = dict(zip(METHODS, "os^Dv", strict=True))
COLOURS = dict(zip(METHODS, sns.color_palette("colorblind", len(METHODS)), strict=True))
COLUMNS = 2
REWARD_LABEL = "proxy reward of the batch, with the truncation penalty"
KEY_LABEL = "correct answers minus the truncation penalty"


def plot_measures(curves: pd.DataFrame) -> Figure:
    """Plot the change of each measure of `changes.tabulate_curves` against steps: a panel each, a
    line per method, its 95 % interval as a bar. The title has the value of the SFT model."""
    shown = [name for name in LABELS if (curves["measure"] == name).any()]
    rows = -(-len(shown) // COLUMNS)
    figure, panels = plt.subplots(
        rows, COLUMNS, figsize=(8, 2.2 * rows + 0.6), sharex=True, squeeze=False
    )
    for name, axes in zip(shown, panels.flat, strict=False):
        here = curves[curves["measure"] == name]
        for i, (method, part) in enumerate(here.groupby("method", sort=False)):
            _plot_line(axes, part, method, shift=0.12 * (i - (here["method"].nunique() - 1) / 2))
        start = here.loc[here["step"] == 0, "mean"].mean()
        axes.set_title(f"{LABELS[name]}; SFT: {start:.2f}", fontsize=9)
        axes.axhline(0, color="grey", linewidth=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    for axes in panels.flat[len(shown) :]:
        axes.set_visible(False)
    for axes in panels[-1]:
        axes.set_xlabel("step")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, ncols=len(labels), fontsize=9, loc="upper center")
    figure.tight_layout(rect=(0, 0, 1, 0.97))
    return figure


def plot_rewards_against_kl(curves: pd.DataFrame) -> Figure:
    """Plot the change of the proxy and gold rewards against the KL, a line per method from step 0.

    Reward hacking is a proxy that rises where the gold falls (Gao et al. 2023, arXiv:2210.10760).
    """
    figure, panels = plt.subplots(1, 2, figsize=(8, 3.2))
    for name, axes in zip(("proxy", "gold"), panels, strict=True):
        for method, part in curves.groupby("method", sort=False):
            kl = part[part["measure"] == "kl"].set_index("step")["mean"]
            rows = part[part["measure"] == name].set_index("step")
            style = {"color": COLOURS[method], "marker": MARKERS[method], "label": NAMES[method]}
            axes.plot(kl[rows.index], rows["change"], **style)
            _plot_interval(axes, kl[rows.index].iloc[-1:], rows.iloc[-1:], method)
        axes.axhline(0, color="grey", linewidth=0.8)
        axes.set(xlabel=LABELS["kl"], ylabel=f"change of the {LABELS[name]}")
        axes.grid(alpha=0.3)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, ncols=len(labels), fontsize=9, loc="upper center")
    figure.tight_layout(rect=(0, 0, 1, 0.93))
    return figure


def plot_reward_log(log: pd.DataFrame) -> Figure:
    """Plot the loss of the reward model against steps; dotted: guessing (ln 2).

    `log`: of `reward_training.train_reward_model`.
    """
    figure, axes = plt.subplots(figsize=(8, 3))
    axes.plot(log["step"], log["loss"], color=COLOURS[METHODS[0]])
    axes.axhline(math.log(2), color="grey", linestyle=":")
    axes.set(xlabel="step", ylabel="loss (dotted: ln 2)")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    return figure


def plot_training_rewards(steps: pd.DataFrame) -> Figure:
    """Plot the reward of each training batch, mean over seeds, a line per method.

    The exam key's reward is another unit, so it has a panel of its own. Methods without replies in
    training (DPO) have no line.
    """
    rewarded = steps.dropna(subset="reward") if "reward" in steps else steps[:0]
    is_key = rewarded["method"] == EXAM_KEY
    parts = [(KEY_LABEL, rewarded[is_key])] if is_key.any() else []
    if not parts or not is_key.all():
        parts.insert(0, (REWARD_LABEL, rewarded[~is_key]))
    figure, panels = plt.subplots(1, len(parts), figsize=(8, 3.2), squeeze=False)
    for axes, (label, rows) in zip(panels[0], parts, strict=True):
        for method, part in rows.groupby("method", sort=False):
            mean = part.groupby("step")["reward"].mean()
            axes.plot(mean.index, mean, color=COLOURS[method], label=NAMES[method])
        axes.set(xlabel="step")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(label, fontsize=9)
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=9)
    figure.tight_layout()
    return figure


def _plot_line(axes: Axes, part: pd.DataFrame, method: str, shift: float) -> None:
    """Plot the changes of a method; `shift` moves its points along the steps, so that intervals
    do not overlap."""
    style = {"color": COLOURS[method], "marker": MARKERS[method], "label": NAMES[method]}
    axes.plot(part["step"] + shift, part["change"], markersize=4, **style)
    _plot_interval(axes, part["step"] + shift, part, method)


def _plot_interval(axes: Axes, places: pd.Series, rows: pd.DataFrame, method: str) -> None:
    axes.vlines(places, rows["low"], rows["high"], color=COLOURS[method], linewidth=1, alpha=0.6)
