"""The exam questions that a sweep excludes, before any run is tuned.

    python -m clinical_camel run dbke_smollm2 01
    python -m clinical_camel run dbke_smollm2 --only base
    python -m experiments.list_excluded dbke_smollm2

Writes excluded_<sweep>.csv, a row per question and reason: `overlap` (it resembles a text that
step 01 wrote for the arm `overlap_arm`) or `answered by the base`. Step 06 excludes the
same ones if all runs of `overlap_arm` are complete.
"""

import argparse
import sys
from pathlib import Path

from clinical_camel.controlled_comparison import list_excluded
from clinical_camel.core.settings import Incomplete
from clinical_camel.runner.jobs import load_job
from clinical_camel.runs import list_runs

RESULTS = Path(__file__).with_name("results")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sweep", help="a folder of params/ with a step 06, such as dbke_smollm2")
    sweep = parser.parse_args().sweep
    design = load_job(sweep, "06_controlled_comparison").settings
    try:
        table = list_excluded(list_runs(design.sweep), design)
    except Incomplete as error:
        sys.exit(str(error))
    table.to_csv(RESULTS / f"excluded_{sweep}.csv", index=False, lineterminator="\n")
    print(table["reason"].value_counts().to_string())


if __name__ == "__main__":
    main()
