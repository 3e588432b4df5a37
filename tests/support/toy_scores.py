"""Published accuracies and scores of ours, made up for the tests of the audit."""

import numpy as np
import pandas as pd

from clinical_camel import stats

HARNESS = "lm-evaluation-harness, log-likelihood of the option text"


def published(*rows, **same):
    """Published accuracies: each row says how it differs from a valid one on MedQA."""
    valid = {"system": "camel", "size": "70b", "benchmark": "medqa_us", "shots": 5}
    valid |= {"metric": "accuracy", "value": 60.7, "n": 1273, "protocol": HARNESS}
    valid |= {"status": "confirmed (primary)", "source": "card"}
    table = pd.DataFrame([valid | same | row for row in rows or [{}]])
    return table.astype({"n": "Int64", "shots": "Int64"})


def scores(*rows, **same):
    """Scores as `compute_scores` returns them: all 1,273 items, 60.7 % correct, harness_2023."""
    valid = {"benchmark": "medqa_us", "protocol": "harness_2023", "num_shots": 5, "model": "tuned"}
    valid |= {"n": 1273, "too_long": 0, "correct": 773, "chance": 0.25, "majority": 0.3}
    table = []
    for row in rows or [{}]:
        score = valid | same | row
        correct, n = score.pop("correct"), score["n"]
        low, high = stats.wilson_interval(correct, n)
        accuracy = correct / n if n else np.nan
        table.append({"accuracy": accuracy, "low": low, "high": high} | score)
    return pd.DataFrame([{"accuracy_norm": row["accuracy"]} | row for row in table])
