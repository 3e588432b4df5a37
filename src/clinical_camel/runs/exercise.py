"""The self-check of an exercise: did the number change as the student predicted?"""

import contextlib

from clinical_camel.core.paths import root

EXERCISE = "scratch"  # the study that the exercises' commands run as
DIRECTIONS = ("higher", "lower", "same")


def self_check(
    study: str, step: str, table: str, column: str, prediction: str, where: str = ""
) -> None:
    """Print whether the mean of a column is higher or lower in the exercise, or the same.

    Compares the table of this study with that of the exercise, both limited to the rows `where`
    (a pandas query). Prints what to do if there is no exercise or no prediction yet. Raises
    ValueError for a prediction that is no direction.
    """
    prediction = prediction.strip().lower()
    if prediction not in ("", *DIRECTIONS):
        raise ValueError(f"prediction: {prediction!r} is not one of {', '.join(DIRECTIONS)}")
    if study == EXERCISE:
        print("This is the exercise itself. Go back to the notebook that it came from.")
        return
    before, after = (_mean(name, step, table, column, where) for name in (study, EXERCISE))
    if before is None:
        print("This exercise is about mini_camel: open its notebook.")
    elif after is None:
        print(f"No outputs/{EXERCISE}/{step}/{table}.csv yet: predict, run the command above, and")
        print("then run this cell again.")
    elif not prediction:
        print('Write your prediction first: "higher", "lower" or "same".')
    else:
        change = "same" if before == after else DIRECTIONS[after < before]
        verdict = "as predicted" if change == prediction else f"you predicted {prediction}"
        print(f"{column}: {before:.4g} here, {after:.4g} in the exercise: {change}, {verdict}.")


def _mean(study: str, step: str, table: str, column: str, where: str) -> float | None:
    """Return the mean of the column in the finished result, else in the one being written."""
    import pandas as pd  # imported late, so that the runner starts without it

    for folder in (step, f".{step}.partial"):
        with contextlib.suppress(FileNotFoundError):
            rows = pd.read_csv(root() / "outputs" / study / folder / f"{table}.csv")
            rows = rows.query(where) if where else rows
            return float(rows[column].mean()) if len(rows) else None
    return None
