"""The learning rate of each arm of dbke_effect, by the rule of preregistration.md.

    python -m clinical_camel run dbke_rates --jobs 2     # about 80 minutes
    python -m experiments.chosen_rates

Prints the scores on the development half, and writes results/chosen_rates.csv: for each arm of
dbke_effect the arm whose runs decide and the chosen rate. The rates then go into
params/dbke_effect/sweep.yaml by hand, before its first run; a test compares the two.
"""

import sys
from pathlib import Path

import pandas as pd

from clinical_camel import controlled_comparison, runs
from clinical_camel.core.settings import Incomplete

FILE = Path(__file__).parent / "results/chosen_rates.csv"
DECIDING = {  # secondary arms: the primary arm that they resemble most; all others: dialogue
    "headings": "monologue",
    "qa_shuffled": "qa",
    "half_raw_half_qa": "qa",
    "unmasked_all": "unmasked",
}
DIALOGUE = "dialogue"


def choose_rates() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the scores of all rates, and arm, deciding arm and chosen rate of each arm.

    Raises Incomplete while runs of dbke_rates are missing.
    """
    arms = list(dict.fromkeys(run.arm for run in runs.list_runs("dbke_effect")))
    scores = controlled_comparison.read_rates(
        runs.list_runs("dbke_rates"), arms, controlled_comparison.Comparison()
    )
    if missing := scores["missing"].sum():
        raise Incomplete(f"{missing} rates have missing runs; run dbke_rates to its end")
    chosen = scores[scores["is_chosen"]].set_index("arm")["learning_rate"]
    deciding = {arm: arm if arm in chosen else DECIDING.get(arm, DIALOGUE) for arm in arms}
    rows = [(arm, decides, chosen[decides]) for arm, decides in deciding.items()]
    return scores, pd.DataFrame(rows, columns=["arm", "deciding_arm", "learning_rate"])


def main() -> int:
    """Print the scores and write the table."""
    try:
        scores, table = choose_rates()
    except Incomplete as error:
        print(error, file=sys.stderr)
        return 1
    table.to_csv(FILE, index=False)
    print(scores.to_string(index=False), table.to_string(index=False), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
