"""Compare recipes of the reward model of step 07 on a development split of its training prompts.

    python -m experiments.reward_recipes
    python -m experiments.reward_recipes --cells 1 'prompts={mini_triples: 0.1}'

A recipe is a learning rate, a rank, a number of epochs and a number of replies per prompt. The
other settings are those of params/<study>/07_reward_and_rl.yaml, with the named changes. Its
held-out prompts are left out completely: a recipe is chosen on the development prompts, and its
result on the held-out ones is read once, in the study.

Each recipe appends a row to results/reward_recipes.csv at once. An interrupted series continues:
replies and finished recipes are not computed again. All recipes share the replies of the SFT model,
those with fewer replies per prompt use the first of them. Choose by `development_accuracy`: with
a training accuracy far above it, a recipe learns the pairs by heart.
"""

import argparse
import contextlib
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from clinical_camel import models, reward_and_rl
from clinical_camel.core.hashing import key_hash
from clinical_camel.core.paths import root
from clinical_camel.reward_and_rl import Prompt, Reply, RewardAndRl
from clinical_camel.runner.jobs import load_job
from clinical_camel.runs.journal import Journal

RESULTS = Path(__file__).with_name("results") / "reward_recipes.csv"
STEP = "07_reward_and_rl"
DEVELOPMENT = 0.3  # share of the training prompts, or subjects
RATES, RANKS, EPOCHS, REPLIES = (1.0e-4, 3.0e-4, 1.0e-3), (4, 16), (1, 2), (4, 8)
COLUMNS = ["learning_rate", "rank", "epochs", "replies_per_prompt"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One recipe of the comparison."""

    learning_rate: float
    rank: int
    epochs: int
    replies_per_prompt: int


@dataclass(frozen=True, slots=True)
class Material:
    """What all recipes share; `replies` in the order of the prompts, some of `development`."""

    prompts: list[Prompt]
    development: list[Prompt]
    replies: list[Reply]


def list_cells() -> list[Cell]:
    """Return all recipes, those with the fewest replies first."""
    grid = itertools.product(REPLIES, EPOCHS, RANKS, RATES)
    return [Cell(rate, rank, epochs, replies) for replies, epochs, rank, rate in grid]


def split_prompts(settings: RewardAndRl) -> tuple[list[Prompt], list[Prompt]]:
    """Return the training prompts of the study, and those of them that are development."""
    training, _ = reward_and_rl.load_prompts(settings)
    names = reward_and_rl.choose_held_out(
        training, DEVELOPMENT, settings.held_out_by, settings.seed + 1
    )
    return training, [prompt for prompt in training if prompt.id in names]


def load_material(settings: RewardAndRl, folder: Path) -> tuple[Material, dict[str, Any]]:
    """Return the material, and what decides it; replies are saved in `folder` as they come."""
    prompts, development = split_prompts(settings)
    llm = models.load(
        settings.model,
        {"sft": settings.adapter},
        settings.quantize,
        settings.chat_template,
        settings.compute_dtype,
    )["sft"]
    how = reward_and_rl.choose_sampling(settings) | {"replies_per_prompt": max(REPLIES)}
    key = reward_and_rl.make_sampling_key(llm, prompts, **how)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(Journal(folder / "journal_replies.jsonl", key)) as journal:
        replies = reward_and_rl.sample_replies(llm, prompts, **how, journal=journal)
    return Material(prompts, development, replies), key


def select_replies(replies: Sequence[Reply], count: int) -> list[Reply]:
    """Return the first `count` of the max(REPLIES) replies to each prompt."""
    return [reply for i, reply in enumerate(replies) if i % max(REPLIES) < count]


def measure_cell(cell: Cell, material: Material, settings: RewardAndRl) -> dict[str, Any]:
    """Train a reward model by a recipe; return its accuracy on training and development pairs."""
    started = time.monotonic()
    changed = settings.model_copy(
        update={"reward_learning_rate": cell.learning_rate, "reward_epochs": cell.epochs}
    )
    replies = select_replies(material.replies, cell.replies_per_prompt)
    rankings = reward_and_rl.rank_by_rule([reply for reply in replies if reply.complete])
    pairs, _ = reward_and_rl.make_pairs(rankings, material.prompts, settings.seed)
    parts = reward_and_rl.split_pairs(pairs, material.development)
    model = reward_and_rl.build_reward_model(
        settings.model,
        settings.adapter,
        rank=cell.rank,
        quantize=settings.quantize,
        chat_template=settings.chat_template,
        compute_dtype=settings.compute_dtype,
        seed=settings.seed,
    )
    tokenized = [
        reward_and_rl.tokenize_pairs(model.tokenizer, part, settings.reward_max_length)
        for part in parts
    ]
    recipe = reward_and_rl.make_recipe(changed)
    with tempfile.TemporaryDirectory() as folder:
        reward_and_rl.train_reward_model(model, tokenized[0], recipe, Path(folder))
    row: dict[str, Any] = {}
    for name, part in zip(("training", "development"), tokenized, strict=True):
        scores = reward_and_rl.score_pairs(model, part, settings.token_budget)
        every = reward_and_rl.tabulate_accuracy(scores).iloc[0]
        row |= {f"{name}_{key}": round(every[key], 4) for key in ("n", "accuracy", "low", "high")}
    row["development_groups"] = every["groups"]
    row["calibration_error"] = round(reward_and_rl.measure_calibration_error(scores), 4)
    row["length_bias"] = round(reward_and_rl.measure_length_bias(scores)["bias"], 4)
    return row | {"seconds": round(time.monotonic() - started, 1)}


def run_cells(
    cells: Sequence[Cell], key: str, file: Path, measure: Callable[[Cell], dict[str, Any]]
) -> pd.DataFrame:
    """Measure the recipes that `file` lacks under `key`, append each row; return all rows of key.

    `key` identifies everything else that decides a row.
    """
    finished = read_rows(file, key)
    done = {tuple(row) for row in finished[COLUMNS].to_numpy()} if len(finished) else set()
    for number, cell in enumerate(cells, start=1):
        if tuple(asdict(cell).values()) in done:
            continue
        print(f"recipe {number} of {len(cells)}: {cell}", flush=True)
        row = {"key": key, **dict(zip(COLUMNS, asdict(cell).values(), strict=True))}
        table = pd.DataFrame([row | measure(cell)])
        table.to_csv(file, mode="a", header=not file.exists(), index=False, lineterminator="\n")
    return read_rows(file, key)


def read_rows(file: Path, key: str) -> pd.DataFrame:
    """Return the rows of `file` under `key`."""
    if not file.exists():
        return pd.DataFrame()
    table = pd.read_csv(file, dtype={"key": str})
    return table[table["key"] == key]


def load_settings(study: str, changes: Sequence[str]) -> RewardAndRl:
    """Return the settings of a study with changes such as `adapter=outputs/x/adapter`."""
    pairs = (change.split("=", 1) for change in changes)
    values = {name: yaml.safe_load(value) for name, value in pairs}
    return RewardAndRl.require(load_job(study, STEP).params | values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", default="clinicalgpt_mini")
    parser.add_argument("--cells", type=int, default=0, help="only the first recipes; 0 means all")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the table")
    parser.add_argument("changes", nargs="*", help="setting=value of step 07")
    args = parser.parse_args()
    settings = load_settings(args.study, args.changes)
    material, sampling = load_material(settings, root() / "outputs" / "scratch" / "reward_recipes")
    unused = ("reward_learning_rate", "reward_lora_rank", "reward_epochs", "replies_per_prompt")
    used = settings.model_dump(exclude=set(unused))
    key = key_hash([used, sampling, DEVELOPMENT])[:12]
    cells = list_cells()[: args.cells or None]
    table = run_cells(cells, key, args.results, lambda cell: measure_cell(cell, material, settings))
    best = table.sort_values("development_accuracy", ascending=False)
    print(best.to_string(index=False))
    print(json.dumps({"study": args.study, "changes": args.changes, "key": key}))


if __name__ == "__main__":
    main()
