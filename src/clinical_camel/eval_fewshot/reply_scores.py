"""Free answers in detail, and format compliance: does a model answer in the requested form?

Knowledge and format are separate. A model that knows the answer and writes it in another form has a
low accuracy; one that obeys the form and guesses has chance. So both are reported.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from clinical_camel.core.wording import format_percent
from clinical_camel.eval_fewshot.answering import FREE_COLUMNS
from clinical_camel.eval_fewshot.protocols import PROTOCOLS
from clinical_camel.eval_fewshot.replies import UNREAD
from clinical_camel.exam_results.answers import (
    KEY_COLUMNS,
    Benchmarks,
    compute_interval,
    list_clusters,
)
from clinical_camel.exam_results.pages import hide_index, name_protocol

MEASURES = {  # what counts as the requested form
    "option": "reply names one option",
    "ended": "reply ends by itself",
    "probability": "probability of all options",
}


def compute_free_scores(answers: pd.DataFrame, questions: Benchmarks) -> pd.DataFrame:
    """Return the scores of free answers; no row if no protocol asks for them.

    Columns: KEY_COLUMNS, n, clusters; `exact_match` and `contains` with their 95 % intervals (see
    `exact_match`); `chance`, which is 0 for both; `answer_logprob`: the mean log-probability of the
    correct answer in nats, and `token_logprob`: the mean over the answers of that log-probability
    divided by the tokens of the answer. Both log-probabilities also tell models apart whose exact
    matches are all 0.
    """
    rows = []
    if not set(FREE_COLUMNS) <= set(answers):
        return pd.DataFrame(rows)
    free = answers[answers["fits"] & answers["answer_tokens"].notna()]
    for key, group in free.groupby(KEY_COLUMNS, sort=False):
        row = dict(zip(KEY_COLUMNS, key, strict=True))
        by_id = {question.id: question for question in questions[row["benchmark"]]}
        clusters = list_clusters(group["id"], by_id)
        row |= {"n": len(group), "clusters": len(set(clusters))}
        for name, column in {"exact_match": "correct", "contains": "contains"}.items():
            values = group[column].astype(bool)
            low, high = compute_interval(values, clusters)
            row |= {name: values.mean(), f"{name}_low": low, f"{name}_high": high}
        logprob, tokens = (group[c].astype(float) for c in ("answer_logprob", "answer_tokens"))
        row |= {"chance": 0.0, "answer_logprob": logprob.mean()}
        rows.append(row | {"token_logprob": (logprob / tokens).mean()})
    return pd.DataFrame(rows)


def compute_compliance(answers: pd.DataFrame) -> pd.DataFrame:
    """Return how often each model answers in the requested form, one row per evaluation.

    Columns: KEY_COLUMNS, n, `measure` (MEASURES) and `compliance`, a share:

    option        replies from which one option can be parsed
    ended         free answers whose first line the model itself ended
    probability   likelihoods: the summed probability of all options, as a mean over the questions.
                  The rest of the probability is on texts that are no option. Of letters, a small
                  sum means that the model would not write a letter. Of texts, it is always small

    `accuracy_if_compliant`: the accuracy among the compliant replies; missing for likelihoods.
    """
    rows = []
    for key, group in answers[answers["fits"]].groupby(KEY_COLUMNS, sort=False):
        row = dict(zip(KEY_COLUMNS, key, strict=True)) | {"n": len(group)}
        protocol = PROTOCOLS[row["protocol"]].for_benchmark(row["benchmark"])
        if protocol.answer_type == "reply":
            measure = "ended" if protocol.is_free else "option"
            obeys = group["complete"] if protocol.is_free else group["predicted"] != UNREAD
            obeys = obeys.astype(bool)
            accuracy = group.loc[obeys, "correct"].mean() if obeys.any() else np.nan
            row |= {"measure": measure, "compliance": obeys.mean()}
        else:
            row |= {"measure": "probability", "compliance": _sum_probabilities(group)}
            accuracy = np.nan
        rows.append(row | {"accuracy_if_compliant": accuracy})
    columns = [*KEY_COLUMNS, "n", "measure", "compliance", "accuracy_if_compliant"]
    return pd.DataFrame(rows, columns=columns)


def _sum_probabilities(group: pd.DataFrame) -> float:
    sums = (np.exp(np.array(text.split(), dtype=float)).sum() for text in group["logprobs"])
    return float(np.mean(list(sums)))


# --------------------------------------------------------------------------------- for the page


def format_free_scores(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per exam, protocol and model, in percent; chance is 0 in every row."""
    rows = [
        {
            "exam": row["benchmark"],
            "protocol": name_protocol(row),
            "model": row["model"],
            "exact match": _format_share(row, "exact_match"),
            "contains": _format_share(row, "contains"),
            "log-probability per token": f"{row['token_logprob']:.2f}",
            "n": f"{row['n']:,}",
        }
        for row in table.to_dict("records")
    ]
    return hide_index(pd.DataFrame(rows))


def _format_share(row: Mapping, name: str) -> str:
    return format_percent(row[name], row[f"{name}_low"], row[f"{name}_high"])


def format_compliance(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per exam and protocol: what is measured, and each model in percent.

    A reply has the accuracy among the compliant replies in brackets.
    """
    rows = []
    for _, group in table.groupby(KEY_COLUMNS[:-1], sort=False):
        first = group.iloc[0]
        row = {"exam": first["benchmark"], "protocol": name_protocol(first)}
        row["measure"] = MEASURES[first["measure"]]
        rows.append(row | {r["model"]: _format_compliance(r) for r in group.to_dict("records")})
    return hide_index(pd.DataFrame(rows).fillna(""))


def _format_compliance(row: Mapping) -> str:
    accuracy = format_percent(row["accuracy_if_compliant"])
    return format_percent(row["compliance"]) + (f" ({accuracy} correct)" if accuracy else "")
