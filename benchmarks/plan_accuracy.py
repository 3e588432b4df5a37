"""Do the constants of `plan` hold for the studies that ran on a CPU?

    python -m benchmarks.plan_accuracy       # about a minute; nothing is trained

A row of results/plan_accuracy.csv for each step in outputs/ that needs a model or a teacher (01 to
04 and 07) and ran on a CPU, except those of the runs of a sweep: seconds and peak memory of the
run, with all its attempts, and of `plan` without downloads.

`time_ratio`, `memory_ratio`: estimated / measured
`fitted`: what a constant of `estimate/speed.py` was fitted to this step for, by the sources in that
    file and outputs/LOG.md; such a row is no test. (Of mini_camel_raw it was another run.)
`threads_run`, `cores_plan`: how many each counts with; with a base model of 20 million parameters
    or more `plan` counts all cores of this machine
`estimated`: whether `plan` had to estimate or leave out some of the work, because texts or a
    tokenizer are not on this machine, or the length of replies is unknown

A run with other settings than those in params/, and one that found all its answers in the journal,
are left out and printed. The table is written anew; the machine had other work in some runs
(outputs/LOG.md), which then took up to twice the time.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.tables import RESULTS, append

from clinical_camel.core.paths import root
from clinical_camel.estimate.costs import Cost, estimate_step, read_measured
from clinical_camel.estimate.measured import FILE
from clinical_camel.runner.jobs import has_params, load_job
from clinical_camel.runs.run_json import read_run_record

MB = 2**20
STEPS = ("01_dbke", "02_sft_qlora", "03_eval_fewshot", "04_note_synthesis", "07_reward_and_rl")
FITTED = {
    ("mini_camel", "02_sft_qlora"): "time",
    ("mini_camel", "03_eval_fewshot"): "time",
    ("mini_camel", "04_note_synthesis"): "time",
    ("mini_camel_raw", "02_sft_qlora"): "time",
    ("mini_camel_raw", "03_eval_fewshot"): "time",
    ("mini_camel", "01_dbke"): "memory",
    ("development_llm", "01_dbke"): "memory",
    ("mini_camel_llm", "01_dbke"): "time and memory",
    ("openstax_llm", "01_dbke"): "time and memory",
    ("smollm2_135m", "01_dbke"): "time",
    ("smollm2_135m", "02_sft_qlora"): "time and memory",
}


def list_rows() -> Iterator[dict[str, Any]]:
    """Yield a row per step that ran on a CPU; print why another one has none.

    Raises ValueError for a study with a rehearsal, whose speeds replace the constants.
    """
    for file in sorted((root() / "outputs").glob("*/*/run.json")):
        study, step = file.parts[-3:-1]
        if step not in STEPS:
            continue
        record = read_run_record(file.parent)
        if not record or not has_params(study, step):
            reason = "run.json is damaged" if not record else "it has no params file"
        elif record["device"].get("gpu"):
            reason = "it ran on a GPU"
        else:
            job = load_job(study, step)
            cost = estimate_step(job, "cpu")
            if cost.measured:
                raise ValueError(f"outputs/{study}/{FILE}: replaces the constants; move it away")
            if measured := read_measured(job, cost):
                yield describe_step(cost, record["device"], *measured)
                continue
            reason = "not complete, other settings, or all its answers were in the journal"
        print(f"{study}/{step} is left out: {reason}", file=sys.stderr)


def describe_step(cost: Cost, device: dict[str, Any], seconds: float, memory: int) -> dict:
    """Return the row of a step; `seconds` and `memory` (bytes): of its run."""
    planned = sum(value for part, value in cost.seconds.items() if part != "download")
    planned_memory = sum(cost.memory.values())
    return {
        "study": cost.study,
        "step": cost.step,
        "cpu": device.get("cpu", ""),
        "threads_run": device.get("threads", 1),
        "cores_plan": os.cpu_count() if cost.machine == "cpu_large" else 1,
        "fitted": FITTED.get((cost.study, cost.step), ""),
        "estimated": bool(cost.work.estimates or cost.work.unknown),
        "seconds_run": round(seconds, 1),
        "seconds_plan": round(planned, 1),
        "time_ratio": round(planned / seconds, 2),
        "memory_mb_run": round(memory / MB),
        "memory_mb_plan": round(planned_memory / MB),
        "memory_ratio": round(planned_memory / memory, 2),
    }


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"  # as in `plan`
    try:
        rows = list(list_rows())
    except ValueError as error:
        sys.exit(str(error))
    (RESULTS / "plan_accuracy.csv").unlink(missing_ok=True)
    for row in rows:
        append("plan_accuracy", row)


if __name__ == "__main__":
    main()
