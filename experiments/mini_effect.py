"""Repeat the embedded study: recipes on the development half, seeds on the exam.

    python -m experiments.mini_effect recipe learning_rate=4.0e-3 num_epochs=8.0
    python -m experiments.mini_effect recipe --study smollm2_135m learning_rate=2.0e-3
    python -m experiments.mini_effect seed 3
    python -m experiments.mini_effect compare

`recipe` trains as in params/<study>/, with the named changes, on the articles of the development
half, and on no others. It examines that half (the embedded model also the primer) and appends a row
to mini_recipes.csv or, with --study, to a table of that study's base model. Recipes are chosen from
these rows, never from the exam.

`seed` trains mini_camel and its control mini_camel_raw with another seed, which also changes the
dialogues, and examines both: rows in mini_seeds.csv. `compare` compares the studies over all seeds:
mini_differences.csv and mini_seeds.png.

A training run takes as long as step 02. On a similar machine the rows are reproducible.
"""

import argparse
import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import yaml
from matplotlib.figure import Figure
from tests.support.project import Memory

from clinical_camel import data, dbke, eval_fewshot, models, note_synthesis, sft_qlora, stats
from clinical_camel.runner.jobs import load_job

RESULTS = Path(__file__).with_name("results")
STUDY, CONTROL = "mini_camel", "mini_camel_raw"


def write_dialogues(study: str, seed: int, articles: str) -> dict[str, list]:
    """Run step 01 in memory; return the rows by the path that a mixture names."""
    changed = {"articles": [articles], "questions": ["mini_exam_train"], "seed": seed}
    settings = load_job(study, "01_dbke").settings.model_copy(update=changed)
    plan = dbke.prepare(settings)
    dialogues, *_ = dbke.synthesise(plan.requests, plan.teacher, Memory(), settings)
    names = {"dialogues": "article", "exam_dialogues": "exam"}
    return {
        f"outputs/{study}/01_dbke/{name}.jsonl": [d for d in dialogues if d.source == source]
        for name, source in names.items()
    }


def train(study: str, seed: int, articles: str, changes: dict) -> tuple[models.LLM, dict]:
    """Run step 02 of a study; return the model and the columns of the table that describe it."""
    params = load_job(study, "02_sft_qlora").params | changes | {"seed": seed}
    recipe = sft_qlora.Recipe.require(params)
    sources = write_dialogues(STUDY if study == CONTROL else study, seed, articles)
    for spec, share in recipe.mixture.items():
        if spec not in sources:
            name = articles if spec == "mini_articles" else spec
            sources[spec] = data.load_training_rows(name, share, seed)
    sources = {spec: sources[spec] for spec in recipe.mixture}
    tokenizer = models.load_tokenizer(recipe.model, recipe.chat_template)
    tokenized = sft_qlora.tokenize_mixture(
        tokenizer, sources, recipe.loss_on, recipe.max_length, recipe.loss_on_all
    )
    base = models.load_base(recipe.model, recipe.quantize, compute_dtype=recipe.compute_dtype)
    with tempfile.TemporaryDirectory() as folder:
        model, log = sft_qlora.train(base, tokenizer, tokenized, recipe, folder=Path(folder))
    columns = {
        "target_tokens": round(tokenized.counts["target_tokens"].sum() * recipe.num_epochs),
        "steps": len(log),
        "last_loss": round(log["loss"].tail(20).mean(), 4),
    }
    tokens = (rows["input_ids"] for rows in tokenized.rows)
    columns["tokens"] = round(sum(map(len, tokens)) * recipe.num_epochs)
    context = model.config.max_position_embeddings
    return models.LLM("tuned", model, tokenizer, context, adapter="default"), columns


def answer(llm: models.LLM, benchmarks: list[str]) -> pd.DataFrame:
    """Answer all questions zero-shot, in the protocols of the embedded study."""
    changed = {"benchmarks": benchmarks, "num_shots": [0]}
    design = load_job(STUDY, "03_eval_fewshot").settings.model_copy(update=changed)
    exam = eval_fewshot.load_exam(design)
    return eval_fewshot.answer_all({llm.name: llm}, *exam, design, Memory())


def score_notes(llm: models.LLM, limit: int) -> dict:
    """Run step 04 on a few consultations; return ROUGE-L and the share of sections present."""
    task = load_job(STUDY, "04_note_synthesis").settings
    corpora = {"mini": data.load_consultations("mini_consultations", limit)}
    notes, _ = note_synthesis.write_notes({llm.name: llm}, corpora, task, journal=Memory())
    row = note_synthesis.score_decodings({"": notes}, corpora, 0).iloc[0]
    return {"rougeL": round(row["rougeL"], 3), "sections": round(row["sections_present"], 3)}


def append(name: str, row: dict) -> None:
    """Append a row to a table at once, so that an interrupted series keeps its rows."""
    file = RESULTS / f"{name}.csv"
    table = pd.DataFrame([row])
    table.to_csv(file, mode="a", header=not file.exists(), index=False, lineterminator="\n")
    print(json.dumps(row), flush=True)


def score(correct: pd.Series) -> dict:
    """Return n, accuracy and its 95 % interval."""
    low, high = stats.wilson_interval(int(correct.sum()), len(correct))
    numbers = {"accuracy": correct.mean(), "low": low, "high": high}
    return {"n": len(correct)} | {name: round(value, 4) for name, value in numbers.items()}


def try_recipe(changes: dict, study: str, seed: int) -> None:
    """Append one row: the recipe and its scores on the development half."""
    llm, columns = train(study, seed, "mini_articles_dev", changes)
    exams = ["mini_exam_dev"] + ["mini_exam_primer"] * study.startswith("mini")
    answers = answer(llm, exams)
    base = models.hash_weights(Path(models.locate(load_job(study, "02_sft_qlora").params["model"])))
    row = {"base": base, "study": study, "seed": seed, "changes": json.dumps(changes), **columns}
    for (benchmark, protocol), rows in answers.groupby(["benchmark", "protocol"], sort=False):
        name = f"{benchmark.removeprefix('mini_exam_')}_{protocol}"
        scores = score(rows["correct"])
        row |= {f"{name}_n": scores["n"], name: scores["accuracy"]}
        row |= {f"{name}_low": scores["low"], f"{name}_high": scores["high"]}
    append(f"{study.partition('_')[0]}_recipes", row | score_notes(llm, 8))


def try_seed(seed: int) -> None:
    """Append a row per study, exam and protocol; `correct` has a digit per question."""
    for study in (STUDY, CONTROL):
        llm, columns = train(study, seed, "mini_articles", {})
        answers = answer(llm, ["mini_exam", "mini_exam_primer"])
        for (benchmark, protocol), rows in answers.groupby(["benchmark", "protocol"], sort=False):
            row = {"study": study, "seed": seed, **columns, "benchmark": benchmark}
            row |= {"protocol": protocol, **score(rows["correct"])}
            append("mini_seeds", row | {"correct": "".join("01"[int(c)] for c in rows["correct"])})


def compare_studies(rows: pd.DataFrame) -> pd.DataFrame:
    """Return mini_camel minus mini_camel_raw on the same questions, per seed and over all seeds.

    The interval resamples conditions, not questions: six questions ask about one condition.
    """
    groups = {
        name: [q.group for q in data.load_questions(name)] for name in rows["benchmark"].unique()
    }
    differences = []
    for (benchmark, protocol), part in rows.groupby(["benchmark", "protocol"], sort=False):
        accuracy = {
            (row.study, row.seed): pd.Series([digit == "1" for digit in row.correct])
            .groupby(groups[benchmark])
            .mean()
            for row in part.itertuples()
        }
        seeds = sorted({seed for _, seed in accuracy})
        for label, chosen in [*((str(seed), [seed]) for seed in seeds), ("all", seeds)]:
            study, control = (
                sum(accuracy[name, seed] for seed in chosen) / len(chosen)
                for name in (STUDY, CONTROL)
            )
            columns = (STUDY, CONTROL, "difference", "low", "high")
            values = (study.mean(), control.mean(), *stats.paired_bootstrap(study, control, seed=0))
            numbers = dict(zip(columns, values, strict=True))
            row = {"benchmark": benchmark, "protocol": protocol, "seed": label}
            row |= {"conditions": len(study)}
            differences.append(row | {name: round(value, 4) for name, value in numbers.items()})
    return pd.DataFrame(differences)


def plot_seeds(rows: pd.DataFrame) -> Figure:
    """Plot each seed's accuracy in both studies, joined by a line, per exam and protocol."""
    panels = list(rows.groupby(["benchmark", "protocol"], sort=False))
    figure, axes = plt.subplots(1, len(panels), figsize=(2.6 * len(panels), 3.2), sharey=True)
    for ax, ((benchmark, protocol), part) in zip(np.atleast_1d(axes), panels, strict=True):
        for _, pair in part.groupby("seed"):
            values = pair.set_index("study")["accuracy"].reindex([STUDY, CONTROL])
            ax.plot(["dialogues", "raw articles"], values, "o-", color="tab:blue", alpha=0.6)
        ax.axhline(0.25, ls=":", color="grey")
        ax.set(title=f"{benchmark}\n{protocol}", ylim=(0, 1), xlim=(-0.4, 1.4))
    np.atleast_1d(axes)[0].set_ylabel("accuracy (dotted: chance)")
    figure.tight_layout()
    return figure


def compare() -> None:
    rows = pd.read_csv(RESULTS / "mini_seeds.csv", dtype={"correct": str})
    differences = compare_studies(rows)
    differences.to_csv(RESULTS / "mini_differences.csv", index=False, lineterminator="\n")
    plot_seeds(rows).savefig(RESULTS / "mini_seeds.png", dpi=120, metadata={"Software": None})
    print(differences.to_string(index=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    recipe = commands.add_parser("recipe", help="one recipe on the development half")
    recipe.add_argument("--study", default=STUDY)
    recipe.add_argument("--seed", type=int, default=0)
    recipe.add_argument("changes", nargs="*", help="setting=value of step 02")
    seeds = commands.add_parser("seed", help="both studies with one seed, on the exam")
    seeds.add_argument("seeds", nargs="+", type=int)
    commands.add_parser("compare", help="all seeds: a table and a figure")
    options = parser.parse_args()
    if options.command == "recipe":
        pairs = (pair.split("=", 1) for pair in options.changes)
        changes = {name: yaml.safe_load(value) for name, value in pairs}
        try_recipe(changes, options.study, options.seed)
    elif options.command == "seed":
        for seed in options.seeds:
            try_seed(seed)
    else:
        compare()


if __name__ == "__main__":
    main()
