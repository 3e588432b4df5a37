"""Score mini_camel_llm apart on the conditions whose article gave an accepted dialogue, or none.

    python -m experiments.llm_coverage

Step 01 of mini_camel_llm rejects some of the recorded replies, and the training then never sees
that article; mini_camel has dialogues on every article. So the scores of the two differ for two
reasons: other dialogues, and fewer conditions. This table separates them:
results/llm_coverage.csv, from the committed outputs. Intervals resample conditions.
"""

import json
from pathlib import Path

import pandas as pd

from clinical_camel import data, stats
from clinical_camel.core.paths import root

STUDY, EXAM, MODEL, BASELINE = "mini_camel_llm", "mini_exam", "llm", "dialogues"
FILE = Path(__file__).with_name("results") / "llm_coverage.csv"


def load_covered(folder: Path) -> set[str]:
    """Return the conditions with an accepted dialogue."""
    titles = {article.id: article.title for article in data.load_articles("mini_articles")}
    lines = (folder / "01_dbke/dialogues.jsonl").read_text(encoding="utf-8").splitlines()
    return {titles[json.loads(line)["id"].rpartition("/")[0]] for line in lines}


def tabulate_coverage(answers: pd.DataFrame, covered: set[str]) -> pd.DataFrame:
    """Return accuracy per way of asking, coverage and model, and `llm` minus `dialogues`."""
    conditions = {question.id: question.group for question in data.load_questions(EXAM)}
    answers = answers.assign(condition=answers["id"].map(conditions))
    answers["has_dialogue"] = answers["condition"].isin(covered)
    rows = []
    keys = ["protocol", "num_shots", "has_dialogue"]
    for key, part in answers.groupby(keys, sort=False):
        by_model = {name: own.set_index("id") for name, own in part.groupby("model", sort=False)}
        baseline = by_model[BASELINE]["correct"]
        for name, own in by_model.items():
            low, high = stats.clustered_interval(own["correct"], own["condition"])
            row = dict(zip(keys, key, strict=True)) | {"model": name, "n": len(own)}
            row |= {"conditions": own["condition"].nunique(), "accuracy": own["correct"].mean()}
            row |= {"low": low, "high": high}
            if name == MODEL:
                values = stats.paired_bootstrap(
                    own["correct"], baseline[own.index], seed=0, clusters=own["condition"]
                )
                names = ("difference", "difference_low", "difference_high")
                row |= dict(zip(names, values, strict=True))
            rows.append(row)
    return pd.DataFrame(rows).round(4)


def main() -> None:
    folder = root() / "outputs" / STUDY
    answers = pd.read_csv(folder / "03_eval_fewshot/answers.csv")
    answers = answers[answers["benchmark"].eq(EXAM) & answers["variant"].eq("as_given")]
    table = tabulate_coverage(answers, load_covered(folder))
    table.to_csv(FILE, index=False, lineterminator="\n")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
