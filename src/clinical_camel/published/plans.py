"""What the studies of published systems would take: the estimates of `plan`, from plans.csv.

`python -m clinical_camel plans` writes the table; a step may not import `estimate`.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("plans.csv")
COLUMNS = ("study", "machine", "hours", "is_minimum", "training_tokens", "teacher_dollars")


@dataclass(frozen=True, slots=True)
class Plan:
    """The estimate of a study. `is_minimum`: the size of a dataset is unknown, so it takes more.

    `hours` on `machine`, of its steps up to the exam; `training_tokens` of all epochs;
    `teacher_dollars`: the price of the teacher's replies.
    """

    study: str
    machine: str
    hours: float
    is_minimum: bool
    training_tokens: int
    teacher_dollars: float

    def describe(self, hourly_rate: float) -> str:
        """Return machine, hours and dollars in words.

        >>> Plan("a", "h100", 67.7, False, 10, 0.0).describe(2.5)
        'needs an H100, about 68 hours, about 169 dollars'
        """
        hours = f"{self.hours:.0f}" if self.hours >= 10 else f"{self.hours:.1f}"
        dollars = self.hours * hourly_rate + self.teacher_dollars
        about = "at least" if self.is_minimum else "about"
        article = "an" if self.machine[0] in "aeh" else "a"  # an A100, an H100
        machine = f"{article} {self.machine.upper()}"
        text = f"needs {machine}, {about} {hours} hours, {about} {dollars:,.0f} dollars"
        return text + (" with its teacher" if self.teacher_dollars else "")


def read_plans(file: Path = FILE) -> dict[str, Plan]:
    """Return the estimate of each study in plans.csv."""
    with file.open(encoding="utf-8", newline="") as stream:
        return {
            row["study"]: Plan(
                row["study"],
                row["machine"],
                float(row["hours"]),
                row["is_minimum"] == "True",
                int(row["training_tokens"]),
                float(row["teacher_dollars"]),
            )
            for row in csv.DictReader(stream)
        }
