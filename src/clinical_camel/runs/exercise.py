"""The self-check of an exercise: did the number go where the student said it would?"""

import contextlib

from clinical_camel.core.paths import root

EXERCISE = "scratch"  # the study that the exercises' commands run as
DIRECTIONS = ("higher", "lower", "same")


def self_check(
    study: str, step: str, table: str, column: str, prediction: str, where: str = ""
) -> None:
    """Print whether the mean of a column is higher or lower in the exercise, or the same.

    Compares the table of this study with that of the exercise, both limited to the rows `where`
    (a pandas query). Says what to do while there is no exercise, or no prediction. Raises
    ValueError for a word that is no direction.
    """
    if prediction not in ("", *DIRECTIONS):
        raise ValueError(f"prediction: {prediction!r} is not one of {', '.join(DIRECTIONS)}")
    if study == EXERCISE:
        print("This is the exercise itself. Go back to the notebook that it came from.")
        return
    here, there = (_mean(name, step, table, column, where) for name in (study, EXERCISE))
    if here is None:
        print("This exercise is about mini_camel: open its notebook.")
    elif there is None:
        print(f"No outputs/{EXERCISE}/{step}/{table}.csv yet: predict, run the command above, and")
        print("then run this cell again.")
    elif not prediction:
        print('Write your prediction first: "higher", "lower" or "same".')
    else:
        found = "same" if here == there else DIRECTIONS[there < here]
        verdict = "as you said" if found == prediction else f"you had said {prediction}"
        print(f"{column}: {here:.4g} here, {there:.4g} in the exercise: {found}, {verdict}.")


def _mean(study: str, step: str, table: str, column: str, where: str) -> float | None:
    """The mean of the column in the finished result, or in the one being written."""
    import pandas as pd  # here, so that the runner starts without it

    for folder in (step, f".{step}.partial"):
        with contextlib.suppress(FileNotFoundError):
            rows = pd.read_csv(root() / "outputs" / study / folder / f"{table}.csv")
            rows = rows.query(where) if where else rows
            return float(rows[column].mean()) if len(rows) else None
    return None
