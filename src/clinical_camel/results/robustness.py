"""Two objections to a difference between two models, answered with the answers of step 03.

A likelihood falls with the length of an option, so a model may only have learned to like short (or
long) options: then the difference is small if likelihoods are divided by the length. And a question
may resemble a training text: step 09 lists these. Only studies whose answers are committed can be
read, so that every machine writes the same page.
"""

import pandas as pd

from clinical_camel import data, stats
from clinical_camel.results.settings import Results
from clinical_camel.results.sources import Number, Result, find_result

CHECKS = "09_score_checks"
RAW, NORMALISED = "correct", "correct_norm"  # columns of answers.csv


def compare_answers(
    result: Result,
    question: dict[str, object],
    models: tuple[str, str],
    column: str,
    without: frozenset[str] = frozenset(),
) -> Number:
    """Return the accuracy of the first model minus that of the second, question by question.

    `question`: benchmark, protocol and num_shots of answers.csv; `column`: RAW or NORMALISED;
    `without`: ids of questions to leave out. The interval resamples conditions.
    """
    first, second = (
        _select(result, question | {"model": model}, without)[column].astype(float)
        for model in models
    )
    groups = _find_groups(result, str(question["benchmark"]))
    clusters = [groups[name] for name in first.index]
    difference, low, high = stats.paired_bootstrap(
        first, second.loc[first.index], seed=0, clusters=clusters
    )
    place = {"table": result.name_table("answers"), "params": result.params}
    name = f"{models[0]} minus {models[1]}"
    return Number(name, difference, low, high, len(first), unit="difference", **place)


def measure_answers(result: Result, question: dict[str, object], model: str, column: str) -> Number:
    """Return the accuracy of a model with its interval, clustered by condition."""
    answers = _select(result, question | {"model": model})[column].astype(float)
    groups = _find_groups(result, str(question["benchmark"]))
    interval = stats.clustered_interval(answers, [groups[name] for name in answers.index])
    place = {"table": result.name_table("answers"), "params": result.params}
    return Number(model, answers.mean(), *interval, len(answers), **place)


def list_overlapping(settings: Results) -> frozenset[str]:
    """Return the ids of exam questions that resemble a training text of the control study."""
    if not (result := find_result(settings.control, CHECKS)):
        return frozenset()
    table = result.read("overlaps")
    return frozenset(table.loc[table["benchmark"] == settings.exam, "id"].astype(str))


def _select(
    result: Result, values: dict[str, object], without: frozenset[str] = frozenset()
) -> pd.DataFrame:
    answers = result.read("answers").astype({"id": str})
    for name, value in (values | {"variant": "as_given"}).items():
        answers = answers[answers[name] == value]
    return answers[~answers["id"].isin(without)].set_index("id")


def _find_groups(result: Result, benchmark: str) -> dict[str, str]:
    """Return the condition of each question of an exam of step 03."""
    specs = result.record["params"]["benchmarks"]
    spec = next(spec for spec in specs if data.label(spec) == benchmark)
    return {q.id: q.group or q.id for q in data.load_questions(spec)}
