"""Sizes of the sets that `plan` counts without having them, from sizes.csv, each with its source.

A size is published, measured (counted in a file that is not shipped), recalled (from memory, no
source opened) or estimated.
"""

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

from clinical_camel import data


@dataclass(frozen=True, slots=True)
class Size:
    """How many rows a set has, and tokens per row; how far each number can be trusted."""

    rows: int
    rows_status: str
    tokens: int
    tokens_status: str
    source: str

    def describe(self, rows: int) -> str:
        """Return `rows` rows of this set in words, with both statuses and the source."""
        return (
            f"{rows:,} rows ({self.rows_status}) of {self.tokens:,} tokens "
            f"({self.tokens_status}): {self.source}"
        )


def find_size(spec: str) -> Size | None:
    """Return the size of a dataset spec, by its file or by its registered name; None if unknown.

    A local file named after `@` has its own size, which is not that of the registered set.
    """
    sizes = _read_sizes()
    return sizes.get(spec) or (None if "@" in spec else sizes.get(data.label(spec)))


@functools.cache
def _read_sizes() -> dict[str, Size]:
    with Path(__file__).with_name("sizes.csv").open(encoding="utf-8", newline="") as stream:
        return {row.pop("name"): _make_size(row) for row in csv.DictReader(stream)}


def _make_size(row: dict[str, str]) -> Size:
    return Size(**row | {"rows": int(row["rows"]), "tokens": int(row["tokens"])})
