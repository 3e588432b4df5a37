"""Walk one training step of the large base models without data, and compare it with `plan`.

    python -m drills.fake_walk [MODEL ...]

Every layer of Llama 2 with 7, 13 and 70 billion parameters, rows of 4,096 tokens, with none, half
and all layers recomputed: peak memory against `plan`, and the census of operations. Minutes on one
CPU core. Exit code 1 if a peak differs by more than 7 %, if a count of operations is wrong, or if
no number of recomputed layers lets 70B fit into 80 GB.
"""

import sys
import time
from collections.abc import Iterator

import pandas as pd

from clinical_camel.core.paths import root
from clinical_camel.core.settings import StepSettings
from clinical_camel.estimate import memory, walk
from clinical_camel.estimate.shapes import find_base
from clinical_camel.estimate.speed import GB, MACHINES
from clinical_camel.estimate.work import Work
from clinical_camel.runner.jobs import load_job

MODELS = tuple(f"meta-llama/Llama-2-{size}-hf" for size in ("7b", "13b", "70b"))
TOLERANCE = 0.07
RESULTS = "drills/results/fake_walk.csv"


def main(models: list[str]) -> int:
    """Print one row per walk, write them to RESULTS, and return the exit code."""
    recipe = load_job("clinical_camel_70b", "02_sft_qlora").settings
    rows = [row for model in models or MODELS for row in walk_model(model, recipe)]
    table = pd.DataFrame(rows)
    if not models:
        table.to_csv(root() / RESULTS, index=False)
    large = table[table["model"].str.contains("70b")]
    fits = large.empty or (large["peak_gb"] < MACHINES["h100"].memory / GB).any()
    is_close = table["plan_to_peak"].sub(1).abs().le(TOLERANCE).all()
    return int(not (fits and is_close and table["census_is_right"].all()))


def walk_model(model: str, recipe: StepSettings) -> Iterator[dict[str, object]]:
    """Yield the results of a model with none, half and all of its layers recomputed."""
    base = find_base(model)
    for layers in (0, base.layers // 2, base.layers):
        changed = recipe.model_copy(update={"gradient_checkpointing_layers": layers})
        start = time.process_time()
        walked = walk.walk_training(base.config, changed)
        done = Work(longest_row=recipe.max_length)
        parts = memory.estimate_training(base, changed, done, MACHINES["h100"])
        plan = sum(parts.values()) - parts["libraries"]
        expected = walk.count_operations(base, layers)
        row = {
            "model": model,
            "recomputed_layers": layers,
            "of": base.layers,
            "peak_gb": round(walked.peak / GB, 2),
            "plan_gb": round(plan / GB, 2),
            "plan_to_peak": round(plan / walked.peak, 3),
            "census_is_right": expected.items() <= walk.name_operations(walked).items(),
            "cpu_seconds": round(time.process_time() - start),
        }
        print(row, flush=True)
        yield row


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
