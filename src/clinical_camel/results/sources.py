"""The result of a step, if it is there, and the numbers that the page takes from it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from clinical_camel.core.files import read_json
from clinical_camel.core.hashing import hash_file
from clinical_camel.core.paths import root
from clinical_camel.core.settings import Incomplete


@dataclass(frozen=True, slots=True)
class Result:
    """A complete result: outputs/<study>/<step>, with its run record."""

    study: str
    step: str
    record: dict[str, Any]

    def name_table(self, name: str) -> str:
        """Return the path of a table, from the project folder."""
        return f"outputs/{self.study}/{self.step}/{name}.csv"

    @property
    def params(self) -> str:
        """The path of the params file, from the project folder."""
        return f"params/{self.study}/{self.step}.yaml"

    def read(self, name: str, *columns: str) -> pd.DataFrame:
        """Return a table.

        Raises Incomplete if it is missing, not as the run wrote it, or of an earlier version of the
        code, without one of the `columns`.
        """
        path = self.name_table(name)
        expected = self.record["artefacts"].get(f"{name}.csv")
        again = f"run the step again: python -m clinical_camel run {self.study} {self.step[:2]}"
        if not (root() / path).is_file() or hash_file(root() / path) != expected:
            raise Incomplete(f"{path} is missing or differs from its run record; {again} --force")
        table = pd.read_csv(root() / path)
        if missing := [name for name in columns if name not in table]:
            raise Incomplete(f"{path} has no column {', '.join(missing)}; {again} --force")
        return table


def find_result(study: str, step: str) -> Result | None:
    """Return the result of a step, or None if it has not run to its end, or has no whole record."""
    record = read_json(root() / "outputs" / study / step / "run.json")
    parts = [record.get(name) for name in ("params", "notes", "artefacts")]
    is_complete = record.get("status") == "complete" and all(isinstance(p, dict) for p in parts)
    return Result(study, step, record) if is_complete else None


@dataclass(frozen=True, slots=True)
class Number:
    """A number of the page. Shares and differences of shares are from 0 to 1.

    `unit`: "share", "difference" (of two shares) or a measure; `n`: the number of `items`;
    `seeds`: trainings of each model behind the number; `chance`: the score of guessing.
    """

    quantity: str
    value: float
    low: float
    high: float
    n: int
    items: str = "questions"
    unit: str = "share"
    chance: float = np.nan
    seeds: int = 1
    table: str = ""
    params: str = ""

    @property
    def is_at_chance(self) -> bool:
        """Whether the interval contains the score of guessing."""
        return bool(self.low <= self.chance <= self.high)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two single trainings on one exam, a row of a table: their scores, the first minus the second.

    `names`: of the two, as in `scores`, which also has the base model. `p`: adjusted for
    `comparisons`. `significant`: in how many of `ways` of asking this exam the difference is
    significant. `steps`: of both trainings, if they are known.
    """

    names: tuple[str, str]
    scores: list[Number]
    difference: Number
    p: float
    comparisons: int
    significant: int
    ways: int
    form: str  # of the questions, in words
    base: str = ""  # in words; empty is the shipped model
    steps: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two arms of the controlled comparison, a row of Table 1: the first minus the second.

    `names` and `scores`: of the two. `p`: adjusted for `comparisons`. `meaning`: the verdict in
    words. `everything`: the difference on all questions. `readings`: what else differs.
    """

    names: tuple[str, ...]
    scores: list[Number]
    difference: Number
    p: float
    comparisons: int
    meaning: str
    everything: Number | None
    readings: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A headline, what it rests on, and the numbers.

    `brief`: the main numbers, for README.md. `lead` and `sentences`: all, for the notebook.

    `is_run` is false if nothing has run yet; the headline then names what is missing. `pair`: its
    row of the table of single trainings. `contrasts`: rows of the table of planned contrasts.
    """

    name: str
    headline: str
    brief: str = ""
    lead: str = ""
    sentences: list[str] = field(default_factory=list)
    numbers: list[Number] = field(default_factory=list)
    is_run: bool = True
    pair: Pair | None = None
    contrasts: list[Contrast] = field(default_factory=list)

    @property
    def places(self) -> dict[str, str]:
        """The tables of the numbers with their params files, in order, each once."""
        return {number.table: number.params for number in self.numbers if number.table}


def read_score(row: dict[str, Any], quantity: str, result: Result, table: str = "scores") -> Number:
    """Return an accuracy of `scores.csv` (step 03 or 06) as a number."""
    return Number(
        quantity,
        row["accuracy"],
        row["low"],
        row["high"],
        int(row["n"]),
        chance=row["chance"],
        seeds=int(row.get("seeds", 1)),
        table=result.name_table(table),
        params=result.params,
    )


def read_difference(
    row: dict[str, Any], quantity: str, result: Result, table: str, **others: Any
) -> Number:
    """Return a difference of a table of comparisons as a number."""
    others = {"unit": "difference", "seeds": int(row.get("seeds", 1))} | others
    return Number(
        quantity,
        row["difference"],
        row["low"],
        row["high"],
        int(row["n"]),
        table=result.name_table(table),
        params=result.params,
        **others,
    )


def name_numbers(measure: str, numbers: Sequence[Number]) -> list[Number]:
    """Return the numbers with the measure in front of their names, for the table of all numbers."""
    return [replace(number, quantity=f"{measure}, {number.quantity}") for number in numbers]
