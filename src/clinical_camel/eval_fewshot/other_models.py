"""The same exams, answered by the models of other studies.

Two scores are compared only if exam, protocol, number of exemplars and number of questions are
equal. The number of parameters of a base model is read from the run.json beside its scores.
"""

from collections.abc import Iterator, Mapping

import pandas as pd

from clinical_camel import data
from clinical_camel.core.files import read_json
from clinical_camel.core.paths import root
from clinical_camel.core.wording import format_accuracy, format_percent
from clinical_camel.exam_results.pages import hide_index, name_protocol

SETUP = ["benchmark", "protocol", "num_shots"]
COLUMNS = ["study", "parameters", *data.SCORE_COLUMNS, "same_questions"]


def read_other_scores(compare_with: Mapping[str, str]) -> pd.DataFrame:
    """Return the scores of the tables in the setting `compare_with`: COLUMNS but the last.

    `parameters` is the size of the base model, 0 if its run did not record it. Raises ValueError,
    with the name, for a table that cannot be read.
    """
    tables = [pd.DataFrame(columns=COLUMNS[:-1])]
    for study, text in compare_with.items():
        file = root() / text
        try:
            table = data.read_scores(file)
        except (OSError, ValueError) as error:
            raise ValueError(f"compare_with.{study}: {error}") from None
        parameters = read_json(file.with_name("run.json")).get("notes", {}).get("parameters", 0)
        tables.append(table.assign(study=study, parameters=int(parameters))[COLUMNS[:-1]])
    return pd.concat(tables[1:] or tables, ignore_index=True)


def compare_studies(
    study: str, scores: pd.DataFrame, parameters: int, compare_with: Mapping[str, str]
) -> pd.DataFrame:
    """Return the scores of this study and of others in the same evaluations: COLUMNS.

    `scores`: `compute_scores`; of variants only `as_given` counts. An evaluation that no other
    study has is left out. `same_questions`: n is that of this study, so the scores can be compared.
    Raises ValueError as `read_other_scores` does.
    """
    others = read_other_scores(compare_with)
    if "variant" in scores:
        scores = scores[scores["variant"] == "as_given"]
    own = scores[scores["n"] > 0].assign(study=study, parameters=parameters)
    tables = [pd.DataFrame(columns=COLUMNS)]
    for key, rows in own.groupby(SETUP, sort=False):
        same = others[(others[SETUP] == list(key)).all(axis=1)]
        if len(same):
            n = rows["n"].max()
            both = pd.concat([same[COLUMNS[:-1]], rows[COLUMNS[:-1]]])
            tables.append(both.assign(same_questions=both["n"] == n))
    return pd.concat(tables[1:] or tables, ignore_index=True)


def format_other_models(table: pd.DataFrame) -> pd.DataFrame:
    """Return the evaluations with the fewest exemplars for the page: one row each and study.

    Columns: exam, protocol, study (with the parameters of its base model), n, chance, and the
    accuracy of each model with its 95 % interval in percent; "not compared" for another n.
    """
    shown = table[table["num_shots"] == table["num_shots"].min()]
    rows = []
    for key, scores in shown.groupby([*SETUP, "study", "parameters"], sort=False):
        exam, _, _, study, parameters = key
        first, size = scores.iloc[0], format_parameters(parameters)
        row = {"exam": exam, "protocol": name_protocol(first), "study": f"{study}, {size}"}
        row |= {"n": f"{first['n']:,}", "chance": format_percent(first["chance"])}
        for score in scores.to_dict("records"):
            row[score["model"]] = format_score(score)
        rows.append(row)
    return hide_index(pd.DataFrame(rows).fillna(""))


def format_score(score: Mapping) -> str:
    """Return a row of `compare_studies` in percent; "not compared" for other questions."""
    if not score["same_questions"]:
        return "not compared"
    return format_accuracy(score)


def format_parameters(parameters: int) -> str:
    """Return a number of parameters as people write it.

    >>> format_parameters(1_104_128), format_parameters(134_515_008), format_parameters(0)
    ('1.1 M', '135 M', 'size not recorded')
    >>> format_parameters(1_711_376_384)
    '1.7 B'
    """
    if not parameters:
        return "size not recorded"
    unit, letter = (1e9, "B") if parameters >= 999_500_000 else (1e6, "M")
    value = parameters / unit
    return f"{value:.1f} {letter}" if value < 10 else f"{value:.0f} {letter}"


def describe_other_models(
    study: str, scores: pd.DataFrame, table: pd.DataFrame, compare_with: Mapping[str, str]
) -> str:
    """Return which evaluations are in the table of `compare_studies`, and why others are not."""
    if not compare_with:
        return "`compare_with` is empty: no other study is compared."
    names = " and ".join(f"`{name}`" for name in compare_with)
    return " ".join(_list_reasons(study, names, scores, table))


def _list_reasons(
    study: str, names: str, scores: pd.DataFrame, table: pd.DataFrame
) -> Iterator[str]:
    evaluations = list(dict.fromkeys(scores[SETUP].itertuples(index=False, name=None)))
    shared = set(table[SETUP].itertuples(index=False, name=None))
    yield f"{len(shared)} of {len(evaluations)} evaluations of this study are also in {names}."
    missing: dict[str, list[str]] = {}
    for exam, protocol, shots in evaluations:
        if (exam, protocol, shots) not in shared:
            missing.setdefault(exam, []).append(f"{protocol}, {shots}-shot")
    if missing:
        partly = {exam for exam, _, _ in shared}
        exams = [
            f"`{exam}`" + (f" as {' or '.join(ways)}" if exam in partly else "")
            for exam, ways in missing.items()
        ]
        yield f"In no other study: {'; '.join(exams)}."
    others = table[~table["same_questions"].astype(bool)]
    own = table[table["study"] == study].set_index(SETUP)["n"]
    for (exam, other, n), rows in others.groupby(["benchmark", "study", "n"], sort=False):
        setups = list(rows[SETUP].itertuples(index=False, name=None))
        ways = " and ".join(dict.fromkeys(f"{name}, {shots}-shot" for _, name, shots in setups))
        here = own.loc[setups].iloc[0]
        yield f"`{exam}` ({ways}) is not compared with `{other}`: n is {n:,} there, {here:,} here."
