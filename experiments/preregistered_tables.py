"""The two tables of preregistration.md that need a computation and no run of the sweep.

    python -m experiments.preregistered_tables exclusions
    python -m experiments.preregistered_tables power

`exclusions` writes the dialogues of every data seed in memory, as step 01 does, and searches them
for the exam questions, as step 03 does: excluded_questions.csv, a row per excluded question, for
the exam and for the development half, which chooses the learning rates.

`power` calculates what a number of seeds can detect: power.csv. Its variance components are those
of the difference between dialogues and raw articles in the earlier five seeds (mini_seeds.csv of
commit 9e39f47, option_text, the 177 questions that the first three data seeds leave, on 50
diseases; `two_way`).
"""

import argparse
from pathlib import Path

import pandas as pd
from scipy.stats import norm, t
from tests.support.project import Memory

from clinical_camel import data, dbke
from clinical_camel.controlled_comparison.settings import Comparison
from clinical_camel.runner.jobs import load_job
from clinical_camel.runs import sweeps

RESULTS = Path(__file__).with_name("results")
HALVES = {
    "mini_exam": ("dbke_effect", "mini_articles"),
    "mini_exam_dev": ("dbke_rates", "mini_articles_dev"),
}
DISEASES = 50
SD_DISEASES, SD_CELLS = 0.133, 0.302  # of a disease's effect, and of one disease and seed
PLANNED, ALPHA, POWER = 4, 0.05, 0.8


def search_dialogues(exam: str, sweep: str, articles: str) -> pd.DataFrame:
    """Return the overlaps of an exam with the training dialogues of every data seed of a sweep."""
    questions = {exam: data.load_questions(exam)}
    tables = []
    for seed in dict.fromkeys(run.data_seed for run in sweeps.list_runs(sweep)):
        changed = {"seed": seed, "articles": [articles]}
        settings = load_job("mini_camel", "01_dbke").settings.model_copy(update=changed)
        plan = dbke.prepare(settings)
        dialogues, *_ = dbke.synthesise(plan.requests, plan.teacher, Memory(), settings)
        sources = {
            f"{source} dialogues": [d for d in dialogues if d.source == source]
            for source in ("article", "exam")
        }
        tables.append(data.search_sources(questions, sources).assign(seed=seed))
    return pd.concat(tables)


def list_exclusions() -> pd.DataFrame:
    """Return benchmark, id, kind of overlap, trained_on and the number of data seeds with it."""
    tables = [search_dialogues(exam, *half) for exam, half in HALVES.items()]
    columns = {
        "kind": ("kind", _join),
        "trained_on": ("trained_on", _join),
        "data_seeds": ("seed", "nunique"),
    }
    return pd.concat(tables).groupby(["benchmark", "id"], sort=False).agg(**columns).reset_index()


def _join(values: pd.Series) -> str:
    return " and ".join(sorted(set(values)))


def calculate_power() -> pd.DataFrame:
    """Return standard error and what is detectable, in points, by seeds and kind of effect.

    `detectable`: with 80 % power in Holm's first step. `proves_none`: chance that the equivalence
    test is significant if there is no effect.
    """
    effect = Comparison.model_fields["smallest_effect"].default
    rows = []
    for seeds in (3, 5, 10):
        for kind, sd in (("varies", SD_DISEASES), ("equal", 0.0)):
            error = ((sd**2 + SD_CELLS**2 / seeds) / DISEASES) ** 0.5
            factor = t.isf(ALPHA / 2 / PLANNED, DISEASES - 1) + t.ppf(POWER, DISEASES - 1)
            inside = (effect - t.isf(ALPHA, DISEASES - 1) * error) / error
            rows.append(
                {
                    "seeds": seeds,
                    "effect_between_diseases": kind,
                    "standard_error": round(100 * error, 1),
                    "detectable": round(100 * factor * error, 1),
                    "proves_none": round(max(0.0, 2 * norm.cdf(inside) - 1), 2),
                }
            )
    return pd.DataFrame(rows)


TABLES = {
    "exclusions": ("excluded_questions", list_exclusions),
    "power": ("power", calculate_power),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=TABLES)
    name, compute = TABLES[parser.parse_args().table]
    table = compute()
    table.to_csv(RESULTS / f"{name}.csv", index=False, lineterminator="\n")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
