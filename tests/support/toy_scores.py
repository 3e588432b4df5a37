"""Answers, scores and published accuracies, made up for the tests of steps 03, 09 and 10."""

import numpy as np
import pandas as pd

from clinical_camel import data, eval_fewshot, score_checks, stats

HARNESS = "lm-evaluation-harness, log-likelihood of the option text"


def published_rows(*rows, **same):
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


def table_of(**accuracy):
    """The table of exam scores: each model has one accuracy in four protocols and 0 or 5 shots."""
    rows = [
        ("exam", protocol, shots, model, 300, value, value - 0.05, value + 0.05, 0.25)
        for model, value in accuracy.items()
        for protocol in ("option_text", "chat", "letter", "cot")
        for shots in (0, 5)
    ]
    return pd.DataFrame(rows, columns=list(data.SCORE_COLUMNS))


def answers_of(benchmark: str = "toy", **models: list[bool]):
    """Answers of each model to questions 0, 1, ...: True if it is correct.

    The correct option is the first, second, third and fourth in turn; a wrong answer the next one.
    """
    shared = {"variant": "as_given", "protocol": "option_text", "num_shots": 0, "subset": ""}
    shared |= {"content_hash": "", "predicted_norm": 0, "correct_norm": True}
    shared |= {"picked_shortest": False, "fits": True, "tokens": 1, "reply": ""}
    shared |= {"logprobs": "-1.0 -2.0 -3.0 -4.0"}
    rows = [
        {"model": model, "benchmark": benchmark, "id": str(i), "correct": is_correct}
        | {"answer": i % 4, "predicted": (i + (not is_correct)) % 4, "confidence": 0.5}
        for model, correct in models.items()
        for i, is_correct in enumerate(correct)
    ]
    return pd.DataFrame(rows).assign(**shared)


def exam_of(answers: pd.DataFrame, questions: dict[str, list[data.Question]], **params):
    """Answers as step 09 reads them: with the scores of step 03 and its parameters."""
    models = dict.fromkeys(answers["model"], "")
    params = {"adapters": models, "baseline": [*models][0], "variants": ["as_given"]} | params
    params |= {"protocols": [answers["protocol"].iloc[0]], "num_shots": [0]}
    scores = eval_fewshot.compute_scores(answers, questions)
    return score_checks.Exam(answers.reset_index(drop=True), scores, questions, params)
