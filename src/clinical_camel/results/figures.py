"""Figure 1: accuracy by question form and training."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from clinical_camel.core.colours import MODEL_COLOURS, MODEL_MARKERS
from clinical_camel.results.wording import MODELS, count_trainings

OFFSET = 0.24  # between two models of one form
SIZE = (8.4, 4.8)  # in inches; at 800 px, the smallest text is 13 px high
FONT = 10.5


def plot_forms(forms: pd.DataFrame) -> Figure:
    """Plot accuracy with its 95 % interval: a group per question form, a colour per model.

    `forms`: `tabulate_forms`. Below each form are the number of questions and of trainings; the
    dashed line is chance. Raises ValueError for an empty table.
    """
    if forms.empty:
        raise ValueError("no score in any question form: run the control study first")
    names = list(dict.fromkeys(forms["form"]))
    figure, axis = plt.subplots(figsize=SIZE, layout="constrained")
    for k, model in enumerate(MODELS):
        rows = forms[forms["model"] == model]
        places = [names.index(form) + OFFSET * (k - 1) for form in rows["form"]]
        values, low, high = (100 * rows[name].to_numpy() for name in ("accuracy", "low", "high"))
        style = {"fmt": MODEL_MARKERS[k], "color": MODEL_COLOURS[k], "capsize": 4}
        spread = [values - low, high - values]
        axis.errorbar(places, values, yerr=spread, label=model, markersize=8, **style)
        for x, value, top in zip(places, values, high, strict=True):
            axis.text(x, top + 1.2, f"{value:.1f}", ha="center", va="bottom", fontsize=FONT)
    chance = 100 * forms["chance"].mean()
    axis.axhline(chance, linestyle="--", color="grey", label=f"guessing ({chance:.0f} %)")
    labels = [
        f"{form}\nn = {rows['n'].max()}, {count_trainings(int(rows['seeds'].max()))}"
        for form, rows in forms.groupby("form", sort=False)
    ]
    axis.set_xticks(range(len(names)), labels, fontsize=FONT + 1)
    axis.set_xlim(-0.6, len(names) - 0.4)
    axis.set_ylim(0, max(60, 100 * forms["high"].max() + 8))
    axis.set_ylabel("correct answers, %", fontsize=FONT + 1)
    axis.tick_params(axis="y", labelsize=FONT)
    axis.grid(visible=True, axis="y", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=4, fontsize=FONT + 0.5)
    return figure
