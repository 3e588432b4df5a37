"""Read the tables beside the modules of this package."""

import csv
import importlib.resources


def read_table(name: str) -> list[dict[str, str]]:
    """Return the rows of a csv file of this package by column."""
    file = importlib.resources.files("clinical_camel.grounding") / name
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
