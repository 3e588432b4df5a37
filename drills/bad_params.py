"""Every kind of wrong params file, on every notebook, through the real command line.

The kinds are in tests/support/bad_params.py; the tests run the same cases in one process. Writes
results/bad_params.csv, prints the slowest case, and fails if a case was not rejected:

    python -m drills.bad_params
"""

import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.bad_params import (
    REPOSITORY,
    STUDY,
    Kind,
    copy_project,
    damage,
    iter_cases,
)

TABLE = Path(__file__).with_name("results") / "bad_params.csv"
COLUMNS = ["kind", "notebook", "rejected", "names_key", "message"]


def run_case(root: Path, name: str, step: str, kind: Kind) -> dict[str, str | bool]:
    """Damage a params file, run the study, restore the file; return the row of the table."""
    file = root / f"params/{STUDY}/{step}.yaml"
    good = file.read_bytes()
    expected = damage(file, kind)
    paths = os.pathsep.join(map(str, (REPOSITORY / "src", REPOSITORY)))
    # some cases are wrong only on a machine without a GPU, or without the hub
    machine = {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    places = {"CLINICAL_CAMEL_ROOT": str(root), "PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, "-m", "clinical_camel", "run", STUDY, step],
        env={**os.environ, **machine, **places},
        capture_output=True,
        text=True,
        check=False,
    )
    file.write_bytes(good)
    line = next((text for text in done.stderr.splitlines() if expected in text), "")
    return {
        "kind": name,
        "notebook": step,
        "rejected": done.returncode == 2 and not (root / "outputs").exists(),
        "names_key": line.startswith(f"params/{STUDY}/{file.name}: "),
        "message": line or " ".join(done.stderr.split()[-30:]),
    }


def main() -> int:
    """Write the table row by row; print how many cases were rejected and the slowest."""
    rows, slowest, most_work = [], 0.0, 0.0
    with tempfile.TemporaryDirectory() as folder, TABLE.open("w", encoding="utf-8") as stream:
        copy_project(Path(folder))
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for case in iter_cases():
            clock, before = time.monotonic(), os.times()
            row = run_case(Path(folder), *case)
            after = os.times()  # a busy machine lengthens the wait, not the processor time
            slowest = max(slowest, time.monotonic() - clock)
            most_work = max(most_work, sum(after[2:4]) - sum(before[2:4]))
            writer.writerow(row)
            stream.flush()
            rows.append(row)
            if not (row["rejected"] and row["names_key"]):
                print(f"{row['kind']}, {row['notebook']}: {row['message']}")
    rejected = sum(bool(row["rejected"] and row["names_key"]) for row in rows)
    kinds = len({row["kind"] for row in rows})
    print(f"{kinds} kinds, {len(rows)} cases, {rejected} rejected by file and key")
    print(f"slowest: {slowest:.1f} s on the clock, {most_work:.1f} s of processor time")
    return 0 if rejected == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
