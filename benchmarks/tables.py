"""Tables of measurements: benchmarks append a row at a time to results/<name>.csv."""

import csv
import json
import os
from pathlib import Path
from typing import Any

# another folder for a trial, or for the tables of a lent machine
RESULTS = Path(os.environ.get("BENCHMARK_RESULTS") or Path(__file__).with_name("results"))


def append(name: str, row: dict[str, Any]) -> None:
    """Append a row to results/<name>.csv at once, so that an interrupted series keeps its rows.

    Raises ValueError if the table has other columns.
    """
    file = RESULTS / f"{name}.csv"
    is_new = not file.exists()
    if not is_new:
        with file.open(newline="", encoding="utf-8") as stream:
            header = next(csv.reader(stream), [])
        if header != list(row):
            raise ValueError(f"{file}: has other columns than this version writes; move it away")
    with file.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(row), lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(row)
    print(json.dumps(row), flush=True)
