"""The embedded study's effect, repeated: recipes on the development half, seeds on the exam.

    python experiments/mini_effect.py recipe learning_rate=4.0e-3 num_epochs=8.0
    python experiments/mini_effect.py seed 3
    python experiments/mini_effect.py compare

`recipe` trains as params/mini_camel/ says, with the changes named, on the articles of the
development half, and asks that half and the primer exam: a row in mini_recipes.csv. Recipes are
chosen from these rows and never from the exam.

`seed` trains mini_camel and its control mini_camel_raw with another seed, which also writes other
dialogues, and asks the exam: rows in mini_seeds.csv. `compare` draws the seeds together:
mini_differences.csv and mini_seeds.png.

Each training run takes as long as step 02; two processes may run side by side. Run again on a like
machine, the rows are the same.
"""

import argparse
import csv
import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import yaml
from matplotlib.figure import Figure

from clinical_camel import data, dbke, eval_fewshot, models, note_synthesis, runs, sft_qlora, stats

HERE = Path(__file__).with_name("results")
BASE, STUDY, CONTROL = "mini", "mini_camel", "mini_camel_raw"
NO_STUDY = (
    "study",
    "model",
    "quantize",
    "attn_implementation",
    "chat_template",
    "mixture",
    "loss_on",
)


class Journal:
    """What `run.journal` gives, in memory: nothing here is worth resuming."""

    def __init__(self) -> None:
        self.done: dict[str, dict] = {}

    def append(self, key: str, value: dict) -> None:
        self.done[key] = value


def write_dialogues(seed: int, half: str) -> dict[str, list]:
    """Step 01 in memory, on the articles of a half: the paths that a mixture names, their rows."""
    asked = runs.load_params(STUDY, "01_dbke")
    articles = data.load_articles(half)
    questions = [
        q
        for spec in asked["questions"]
        for q in data.load_training_questions(spec, skip=asked["exemplar_count"])
    ]
    sizes = (asked["dialogues_per_article"], asked["exchanges_per_dialogue"], seed)
    requests = dbke.plan_requests(articles, questions, *sizes)
    teacher = dbke.load_teacher(asked["teacher"])
    dialogues, _ = dbke.synthesise(requests, teacher, Journal(), asked["min_exchanges"])
    folder = f"outputs/{STUDY}/01_dbke"
    return {
        f"{folder}/dialogues.jsonl": [d for d in dialogues if d.source == "article"],
        f"{folder}/exam_dialogues.jsonl": [d for d in dialogues if d.source == "exam"],
    }


def train(study: str, seed: int, half: str, changes: dict) -> tuple[models.LLM, dict]:
    """Step 02 of a study on the articles of a half; the model, and what it was shown."""
    asked = runs.load_params(study, "02_sft_qlora") | changes | {"seed": seed}
    written = write_dialogues(seed, half)
    tokenizer = models.load_tokenizer(BASE)
    rows = {}
    for spec, share in asked["mixture"].items():
        name = half if spec == "mini_articles" else spec
        rows[spec] = written.get(spec) or data.load_training_rows(name, share, seed)
    encoded = sft_qlora.encode_mixture(tokenizer, rows, asked["loss_on"], asked["max_length"])
    settings = {name: value for name, value in asked.items() if name not in NO_STUDY}
    base = models.load_base(BASE, asked["quantize"])
    with tempfile.TemporaryDirectory() as folder:
        model, log = sft_qlora.train(base, tokenizer, encoded, folder=Path(folder), **settings)
    shown = {
        "trained_tokens": round(encoded.counts["trained_tokens"].sum() * asked["num_epochs"]),
        "steps": len(log),
        "last_loss": round(log["loss"].tail(20).mean(), 4),
    }
    limit = model.config.max_position_embeddings
    return models.LLM("tuned", model, tokenizer, limit, adapter="default"), shown


def examine(llm: models.LLM, benchmarks: list[str]) -> pd.DataFrame:
    """Every answer without worked examples, in the plain form and in conversation."""
    asked = runs.load_params(STUDY, "03_eval_fewshot")
    questions = {name: data.load_questions(name) for name in benchmarks}
    return eval_fewshot.answer_all(
        {llm.name: llm},
        questions,
        {},
        eval_fewshot.Design(asked["protocols"], [0]),
        asked["token_budget"],
        Journal(),
    )


def notes(llm: models.LLM, limit: int) -> dict:
    """Step 04 on a few consultations: ROUGE-L and the share of sections that are there."""
    asked = runs.load_params(STUDY, "04_note_synthesis")
    visits = {"mini": data.load_consultations("mini_consultations", limit)}
    names = ("prompt", "headings", "unit", "too_long", "sections")
    request = note_synthesis.Request(**{name: asked[name] for name in names})
    settings = {name: asked[name] for name in ("max_new_tokens", "token_budget", "seed")}
    chosen = ("temperature", "top_p", "top_k", "repetition_penalty")
    decoding = note_synthesis.Decoding(**{name: asked[name] for name in chosen})
    written, _ = note_synthesis.write_notes(
        {llm.name: llm}, visits, request, decoding, journal=Journal(), **settings
    )
    row = note_synthesis.by_decoding({"": written}, visits, 0).iloc[0]
    return {"rougeL": round(row["rougeL"], 3), "sections": round(row["sections_present"], 3)}


def append(name: str, row: dict) -> None:
    """One more row of a table; written at once, so that a stopped series keeps what it has."""
    file = HERE / f"{name}.csv"
    new = not file.exists()
    with file.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(row), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)
    print(json.dumps(row), flush=True)


def try_recipe(changes: dict, study: str, seed: int) -> None:
    """One row: the recipe, what it was shown, and what it does on the development half."""
    llm, shown = train(study, seed, "mini_articles_dev", changes)
    answers = examine(llm, ["mini_exam_dev", "mini_exam_primer"])
    base = models.file_hash(Path(models.locate(BASE)))
    row = {"base": base, "study": study, "seed": seed, "changes": json.dumps(changes), **shown}
    for (benchmark, protocol), same in answers.groupby(["benchmark", "protocol"], sort=False):
        low, high = stats.wilson(int(same["correct"].sum()), len(same))
        name = f"{benchmark.removeprefix('mini_exam_')}_{protocol}"
        row |= {f"{name}_n": len(same), name: round(same["correct"].mean(), 4)}
        row |= {f"{name}_low": round(low, 4), f"{name}_high": round(high, 4)}
    append("mini_recipes", row | notes(llm, 8))


def try_seed(seed: int) -> None:
    """A row for each study, exam and form; `correct` has a digit a question, 1 for right."""
    for study in (STUDY, CONTROL):
        llm, shown = train(study, seed, "mini_articles", {})
        answers = examine(llm, ["mini_exam", "mini_exam_primer"])
        for (benchmark, protocol), rows in answers.groupby(["benchmark", "protocol"], sort=False):
            right = rows["correct"].to_numpy()
            low, high = stats.wilson(int(right.sum()), len(right))
            row = {"study": study, "seed": seed, **shown, "benchmark": benchmark}
            row |= {"protocol": protocol, "n": len(right), "accuracy": round(right.mean(), 4)}
            row |= {"low": round(low, 4), "high": round(high, 4)}
            append("mini_seeds", row | {"correct": "".join("01"[int(r)] for r in right)})


def differences(rows: pd.DataFrame) -> pd.DataFrame:
    """mini_camel less mini_camel_raw on the same questions: a row a seed, and one for all of them.

    The interval resamples conditions, not questions: six questions ask about one condition.
    """
    groups = {
        name: [q.group for q in data.load_questions(name)] for name in rows["benchmark"].unique()
    }
    found = []
    for (benchmark, protocol), same in rows.groupby(["benchmark", "protocol"], sort=False):
        right = {
            (r.study, r.seed): pd.Series([digit == "1" for digit in r.correct])
            .groupby(groups[benchmark])
            .mean()
            for r in same.itertuples()
        }
        seeds = sorted({seed for _, seed in right})
        for label, chosen in [*((str(seed), [seed]) for seed in seeds), ("all", seeds)]:
            ours, control = (
                sum(right[study, seed] for seed in chosen) / len(chosen)
                for study in (STUDY, CONTROL)
            )
            mean, low, high = stats.paired_bootstrap(ours, control, seed=0)
            found.append(
                {
                    "benchmark": benchmark,
                    "protocol": protocol,
                    "seed": label,
                    "conditions": len(ours),
                    STUDY: round(ours.mean(), 4),
                    CONTROL: round(control.mean(), 4),
                    "difference": round(mean, 4),
                    "low": round(low, 4),
                    "high": round(high, 4),
                }
            )
    return pd.DataFrame(found)


def plot_seeds(rows: pd.DataFrame) -> Figure:
    """Each seed's accuracy in both studies, joined by a line, for each exam and form."""
    panels = list(rows.groupby(["benchmark", "protocol"], sort=False))
    figure, axes = plt.subplots(1, len(panels), figsize=(2.6 * len(panels), 3.2), sharey=True)
    for ax, ((benchmark, protocol), same) in zip(np.atleast_1d(axes), panels, strict=True):
        for _, pair in same.groupby("seed"):
            values = pair.set_index("study")["accuracy"].reindex([STUDY, CONTROL])
            ax.plot(["dialogues", "raw articles"], values, "o-", color="tab:blue", alpha=0.6)
        ax.axhline(0.25, ls=":", color="grey")
        ax.set(title=f"{benchmark}\n{protocol}", ylim=(0, 1), xlim=(-0.4, 1.4))
    np.atleast_1d(axes)[0].set_ylabel("accuracy (dotted: chance)")
    figure.tight_layout()
    return figure


def compare() -> None:
    rows = pd.read_csv(HERE / "mini_seeds.csv", dtype={"correct": str})
    differences(rows).to_csv(HERE / "mini_differences.csv", index=False, lineterminator="\n")
    plot_seeds(rows).savefig(HERE / "mini_seeds.png", dpi=120, metadata={"Software": None})
    print(differences(rows).to_string(index=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    recipe = commands.add_parser("recipe", help="one recipe on the development half")
    recipe.add_argument("--study", default=STUDY)
    recipe.add_argument("--seed", type=int, default=0)
    recipe.add_argument("changes", nargs="*", help="parameter=value of step 02")
    seeds = commands.add_parser("seed", help="both studies with one seed, on the exam")
    seeds.add_argument("seeds", nargs="+", type=int)
    commands.add_parser("compare", help="all seeds together: a table and a figure")
    asked = parser.parse_args()
    if asked.command == "recipe":
        changes = dict(pair.split("=", 1) for pair in asked.changes)
        changes = {name: yaml.safe_load(value) for name, value in changes.items()}
        try_recipe(changes, asked.study, asked.seed)
    elif asked.command == "seed":
        for seed in asked.seeds:
            try_seed(seed)
    else:
        compare()


if __name__ == "__main__":
    main()
