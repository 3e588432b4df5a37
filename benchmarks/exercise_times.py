"""How long does each exercise of the course take, and how much memory?

    python -m benchmarks.exercise_times

Each solution of docs/teaching/solutions runs in a process of its own, so that the libraries are
loaded each time, as by a student who opens one sheet. Measured: seconds of each exercise and of
loading the libraries, the processor time of both, and the peak memory of the sheet. The libraries
are loaded where they are first used, mostly in exercise 1. The time that a student needs to think
is not measured.

Writes results/exercise_times.csv, with the processor and what else was running (load average).
Takes about two minutes.
"""

import os
import subprocess
import sys

import pandas as pd
from benchmarks.tables import RESULTS

from clinical_camel.exercises import sheets
from clinical_camel.runs.machine import describe_device, measure_peak_memory

FILE = RESULTS / "exercise_times.csv"
PARTS = ("load", "exercise-1", "exercise-2", "exercise-3")
START = "import sys, benchmarks.exercise_times as t; t.measure(sys.argv[1])"


def measure(stem: str) -> None:
    """Run a solution in this process, and print wall and processor seconds of PARTS, and memory."""
    sheet = next(s for s in sheets.list_sheets("solutions") if s.stem == stem)
    cells = sheets.run_sheet(sheet)
    wall = [sum(c.seconds for c in sheets.select(cells, part)) for part in PARTS]
    busy = [sum(c.processor_seconds for c in sheets.select(cells, part)) for part in PARTS]
    print("ROW", *wall, *busy, measure_peak_memory()["peak_memory_mb"])


def run_all() -> pd.DataFrame:
    """Return a row per sheet and part."""
    rows = []
    for sheet in sheets.list_sheets("solutions"):
        load = round(os.getloadavg()[0], 1)
        command = [sys.executable, "-c", START, sheet.stem]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        line = next(line for line in done.stdout.splitlines() if line.startswith("ROW"))
        *seconds, memory = map(float, line.split()[1:])
        machine = {"machine": describe_device()["cpu"], "cores": os.cpu_count()}
        for part, wall, busy in zip(PARTS, seconds[:4], seconds[4:], strict=True):
            row = {"sheet": sheet.stem, "part": part, "seconds": round(wall, 1)}
            row |= {"processor_seconds": round(busy, 1), "peak_mb": round(memory)}
            rows.append(row | machine | {"load_average": load})
            print(rows[-1], flush=True)
    return pd.DataFrame(rows)


if __name__ == "__main__":
    run_all().to_csv(FILE, index=False)
