"""Exercises of step 05: loss and exam score, the running mean, the drops between epochs."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from clinical_camel.core.paths import root
from clinical_camel.exercises.feedback import (
    RIGHT,
    WRONG,
    AnswerError,
    Feedback,
    compare_choice,
    grade_function,
)
from clinical_camel.loss_curves.curves import average_ends

SWEEP = "outputs/dbke_effect"  # runs <arm>_d<data seed>_t<training seed>
ARMS = {"dialogue": "dialogues", "raw": "raw articles"}
SEEDS = range(10)
STUDY = "outputs/mini_camel/02_sft_qlora"
WINDOW = 20  # steps on each side of the end of an epoch


def read_runs() -> pd.DataFrame:
    """Return the last loss and the exam score of the committed runs of ARMS.

    Columns: arm, seed, last_loss (mean of the last twentieth of the steps), accuracy (`mini_exam`,
    asked in plain text).
    """
    rows = [
        {"arm": arm, "seed": seed} | _read_run(root() / SWEEP / f"{arm}_d{seed}_t{seed}")
        for arm in ARMS
        for seed in SEEDS
    ]
    return pd.DataFrame(rows)


def _read_run(folder: Path) -> dict[str, float]:
    _, last_loss = average_ends(pd.read_csv(folder / "02_sft_qlora/train_log.csv"))
    scores = pd.read_csv(folder / "03_eval_fewshot/scores.csv")
    is_row = scores["benchmark"].eq("mini_exam") & scores["protocol"].eq("option_text")
    accuracy = scores.loc[is_row & scores["variant"].eq("as_given"), "accuracy"].item()
    return {"last_loss": last_loss, "accuracy": accuracy}


def read_losses() -> tuple[list[float], int]:
    """Return the committed training losses of mini_camel, and its number of epochs."""
    losses = pd.read_csv(root() / STUDY / "train_log.csv")["loss"].tolist()
    params = json.loads((root() / STUDY / "run.json").read_text(encoding="utf-8"))["params"]
    return losses, int(params["num_epochs"])


def grade_loss_and_score(prediction: object) -> Feedback:
    """Grade a prediction: the exam score of the training with the lower last loss."""
    means = read_runs().groupby("arm")[["last_loss", "accuracy"]].mean()
    lower, other = means["last_loss"].idxmin(), means["last_loss"].idxmax()
    gap = means.loc[lower, "accuracy"] - means.loc[other, "accuracy"]
    truth = "same" if abs(gap) < 0.02 else ("better" if gap > 0 else "worse")
    numbers = "; ".join(
        f"{ARMS[arm]}: last loss {row.last_loss:.3f}, accuracy {100 * row.accuracy:.1f} %"
        for arm, row in means.iterrows()
    )
    because = "The two losses are means over different tokens, so they cannot be compared."
    reasons = {
        "better": f"{numbers}. {because}" if truth == "better" else "A loss is not a score.",
        "worse": f"{numbers}. {because}" if truth == "worse" else "A loss is not a score.",
        "same": f"{numbers}. {because}" if truth == "same" else "A loss says nothing on that.",
    }
    return compare_choice(prediction, truth, reasons)


def grade_running_mean(function: Callable) -> Feedback:
    """Grade `function(losses, window)`: at each step the mean of the last `window` losses."""
    return grade_function(function, _grade_mean)


def _grade_mean(smooth: Callable) -> Feedback:
    losses, window = [8.0, 4.0, 2.0, 1.0, 1.0], 3
    right = pd.Series(losses).rolling(window, min_periods=1).mean().tolist()
    values = [float(value) for value in _as_list(smooth(list(losses), window))]
    if len(values) != len(losses):
        raise AnswerError(
            f"Return a mean for each of {len(losses)} steps, not {len(values)}: at the start, take "
            "the steps that there are."
        )
    if np.allclose(values, right):
        return Feedback(
            RIGHT,
            "The mean looks backwards only, so it lags: while the loss falls, it lies above it.",
        )
    series = pd.Series(losses)
    mistakes = {
        "Your mean is centred: it uses losses of later steps, unknown during training.": (
            series.rolling(window, min_periods=1, center=True).mean()
        ),
        "At the start there are fewer steps: divide by their number, not by the window.": (
            pd.Series([sum(losses[max(0, i - window + 1) : i + 1]) / window for i in range(5)])
        ),
        "This is the mean of all steps so far: older steps must drop out.": (
            series.expanding().mean()
        ),
        "Your window is one step too long.": series.rolling(window + 1, min_periods=1).mean(),
        "Your mean looks forwards.": series[::-1].rolling(window, min_periods=1).mean()[::-1],
    }
    near = [text for text, wrong in mistakes.items() if np.allclose(values, wrong)]
    hint = near[0] if near else "Take the step itself and the steps before it."
    return Feedback(WRONG, f"{hint} Losses {losses}, window {window}: {_rounded(right)}.")


def grade_epoch_drops(function: Callable) -> Feedback:
    """Grade `function(losses, epochs, window)`: how far the loss drops where an epoch ends.

    A drop is the mean of the last `window` losses of an epoch minus that of the first `window`
    losses of the next.
    """
    return grade_function(function, _grade_drops)


def measure_drops(losses: Sequence[float], epochs: int, window: int) -> list[float]:
    """Return the drop at the end of every epoch but the last."""
    length = len(losses) // epochs
    ends = [length * epoch for epoch in range(1, epochs)]
    return [float(np.mean(losses[e - window : e]) - np.mean(losses[e : e + window])) for e in ends]


def _grade_drops(measure: Callable) -> Feedback:
    losses, epochs = read_losses()
    right = measure_drops(losses, epochs, WINDOW)
    values = [float(value) for value in _as_list(measure(list(losses), epochs, WINDOW))]
    if len(values) != len(right):
        raise AnswerError(
            f"{epochs} epochs have {len(right)} ends with a next epoch, not {len(values)}."
        )
    if np.allclose(values, [-value for value in right]):
        raise AnswerError("The sign is reversed: a drop is above 0 if the loss falls.")
    if not np.allclose(values, right):
        pairs = enumerate(zip(values, right, strict=True))
        place = next(index for index, (v, r) in pairs if not np.isclose(v, r))
        raise AnswerError(
            f"The drop after epoch {place + 1} should be {right[place]:.3f}, yours is "
            f"{values[place]:.3f}. An epoch has {len(losses) // epochs} steps; the step after its "
            "last one belongs to the next."
        )
    best = int(np.argmax(right))
    return Feedback(
        RIGHT,
        f"Drops: {_rounded(right)}; the largest is after epoch {best + 1}. The model sees the same "
        "rows again, so part of a drop is memory of these rows.",
    )


def _as_list(result: object) -> list:
    if isinstance(result, str) or not hasattr(result, "__iter__"):
        raise AnswerError(f"Return a list of numbers, not {type(result).__name__}.")
    values = list(result)
    if any(not isinstance(v, int | float | np.number) or math.isnan(v) for v in values):
        raise AnswerError("Every element must be a number.")
    return values


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(float(value), 3) for value in values]
