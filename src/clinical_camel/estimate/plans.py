"""The estimates of the studies that step 10 compares, as a table that it can read."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from clinical_camel.core.files import write_bytes
from clinical_camel.estimate.costs import estimate_study
from clinical_camel.published.plans import COLUMNS, FILE, Plan
from clinical_camel.runner.jobs import load_job, load_jobs

STUDY, STEP = "published", "10_published"
TRAINING, EXAM = "02_sft_qlora", "03_eval_fewshot"


def list_planned_studies() -> list[str]:
    """Return the studies that params/published/10_published.yaml names."""
    settings = load_job(STUDY, STEP).settings
    return list(dict.fromkeys([*settings.recipes, *settings.systems.values()]))


def estimate_plan(study: str) -> Plan:
    """Return the estimate of the steps up to the exam, those that a published score needs."""
    costs = estimate_study([job for job in load_jobs(study) if job.step <= EXAM])
    training = next(cost for cost in costs if cost.step == TRAINING)
    return Plan(
        study=study,
        machine=training.machine,
        hours=round(sum(sum(cost.seconds.values()) for cost in costs) / 3600, 3),
        is_minimum=any(cost.work.unknown for cost in costs),
        training_tokens=training.work.tokens,
        teacher_dollars=round(sum(cost.money for cost in costs), 2),
    )


def write_plans(studies: Iterable[str], file: Path = FILE) -> Path:
    """Write the estimate of each study as a row of plans.csv; return the file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for study in studies:
        plan = estimate_plan(study)
        writer.writerow([getattr(plan, name) for name in COLUMNS])
    write_bytes(file, text.getvalue().encode())
    return file
