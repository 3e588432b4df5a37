"""Exam questions that overlap with training texts: the same are excluded for all arms and seeds."""

import functools
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from clinical_camel import data
from clinical_camel.controlled_comparison.settings import Comparison
from clinical_camel.core.paths import root
from clinical_camel.core.settings import Incomplete

DATA, TRAINING, EXAM = "01_dbke", "02_sft_qlora", "03_eval_fewshot"


class ArmRun(Protocol):
    """A run of a sweep: its arm, and the parameters of each step."""

    arm: str
    params: Mapping[str, Any]


def find_overlaps(runs: Sequence[ArmRun], design: Comparison) -> pd.DataFrame:
    """Return the questions of the primary exam that overlap with training texts: id, trained_on.

    `data.find_overlaps` finds them in the texts that step 01 wrote for any of the runs of the arm
    `overlap_arm`, whatever the kind of the overlap. So all arms and seeds have the same questions.
    `trained_on` is the file of the texts without its folder; a question has a row for each.
    """
    return search_runs([r for r in runs if r.arm == design.overlap_arm], design.exam)


def search_runs(runs: Sequence[ArmRun], exam: str) -> pd.DataFrame:
    """Return the questions of an exam that overlap with texts of these runs: id, trained_on.

    Of these runs, only step 01 is needed. A file may have a part of a shipped exam, such as
    mini_exam@file: the words then count as in the complete exam, so the overlaps are the same.
    Raises Incomplete for a missing text: the tables of a run may be there without its texts.
    """
    frames = [pd.DataFrame({"id": [], "trained_on": []}, dtype=str)]
    for run in runs:
        training, exam_step = run.params[TRAINING], run.params[EXAM]
        specs = [spec for spec in exam_step["benchmarks"] if data.label(spec) == exam]
        texts = [text for text in training["mixture"] if f"/{DATA}/" in text]  # of step 01
        for spec, text in itertools.product(specs, texts):
            if not (root() / text).is_file():
                sweep = Path(text).parts[1]
                raise Incomplete(
                    f"{text} is missing; run step 01 again: python -m clinical_camel run {sweep} 01"
                )
            ids = _search(spec, text, (root() / text).stat().st_mtime_ns)
            frames.append(pd.DataFrame({"id": ids, "trained_on": Path(text).stem}))
    return pd.concat(frames, ignore_index=True).drop_duplicates()


@functools.lru_cache(maxsize=256)
def _search(spec: str, text: str, modified: int) -> tuple[str, ...]:
    """Return the ids of the questions of an exam that overlap with a file, as `modified` (ns)."""
    questions = {question.id: question for question in data.load_questions(spec)}
    exam = data.label(spec)
    every = data.load_questions(exam) if data.is_shipped(exam) else []
    complete = {question.id: question for question in every}
    sources = ((row.id, data.format_row(row)) for row in data.load_sources(text))
    overlaps = data.find_overlaps([*(complete | questions).values()], sources)
    return tuple(id for id in dict.fromkeys(overlaps["id"]) if id in questions)
