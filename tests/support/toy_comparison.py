"""A sweep of fake runs in the real file formats: three arms, two pairs of seeds, eight conditions.

The answers are drawn from a seeded generator with the accuracy of `ACCURACY`, so the truth is
known. Nothing is trained.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clinical_camel import data, runs
from clinical_camel.core.files import write_json

REPOSITORY = Path(__file__).parents[2]
SWEEP = "toy_sweep"
CONDITIONS = 8
ACCURACY = {"dialogue": 0.85, "raw": 0.45, "qa": 0.85, "base": 0.25}
EVALUATIONS = [
    ("mini_exam", "option_text"),
    ("mini_exam", "conversation"),
    ("mini_exam_primer", "option_text"),
]
LOSS_GUARD = (
    "In [5]: TrainingError: step 7 of 798: grad_norm is nan: lower learning_rate, or check the "
    "rows and the base; stopped, earlier checkpoints stay on disk"
)
SWEEP_FILE = """\
base: mini_camel
steps: [01_dbke, 02_sft_qlora, 03_eval_fewshot]
seeds: [[0, 0], [1, 1]]
common: {03_eval_fewshot: {num_shots: [0]}}
arms:
  dialogue: {}
  raw: {02_sft_qlora: {learning_rate: 2.0e-3}}
  qa: {01_dbke: {form: qa}}
"""
PARAMS = """\
study: toy_sweep
sweep: toy_sweep
rate_sweep: ""
contrasts: [dialogue - raw, dialogue - qa]
further_contrasts: [qa - raw]
outcomes:
  plain question: mini_exam/option_text
  conversation: mini_exam/conversation
  reversed: mini_exam_reversed/option_text
  probability: mini_exam/conversation/as_given/probability
  format: mini_exam/conversation/as_given/complete
  primer exam: mini_exam_primer/option_text
forgetting: primer exam
overlap_arm: dialogue
base_margin: 0.0
articles: mini_articles
scaling: {turns: [raw, dialogue]}
smallest_effect: 0.05
alpha: 0.05
min_seeds: 2
resamples: 500
seed: 0
"""


def build(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[runs.SweepRun]:
    """Write the project, its params and the results of every run; return the runs."""
    monkeypatch.setenv("CLINICAL_CAMEL_ROOT", str(root))
    (root / "notebooks").symlink_to(REPOSITORY / "notebooks")
    shutil.copytree(REPOSITORY / "params/mini_camel", root / "params/mini_camel")
    folder = root / "params" / SWEEP
    folder.mkdir()
    (folder / "sweep.yaml").write_text(SWEEP_FILE, encoding="utf-8")
    (folder / "06_controlled_comparison.yaml").write_text(PARAMS, encoding="utf-8")
    sweep_runs = runs.list_runs(SWEEP)
    for number, run in enumerate(sweep_runs):
        write_run(run, np.random.default_rng(number))
    return sweep_runs


def write_run(run: runs.SweepRun, generator: np.random.Generator) -> None:
    """Write the files of steps 01, 02 and 03 that step 06 reads, and no others."""
    for step, folder in run.folders.items():
        folder.mkdir(parents=True, exist_ok=True)
        record = {"status": "complete", "params": run.params[step], "seconds": 1.0}
        write_json(folder / "run.json", record | {"notes": {"parameters": 1_115_264}})
    if not (run.folders["01_dbke"] / "dialogues.jsonl").exists():  # the arm raw shares it
        _write_dialogues(run.folders["01_dbke"], 1 + (run.arm == "dialogue"))
    training, exam = run.folders["02_sft_qlora"], run.folders["03_eval_fewshot"]
    mixture = {"source": ["dialogues"], "rows": [CONDITIONS], "tokens": [1000]}
    pd.DataFrame(mixture | {"target_tokens": [600]}).to_csv(training / "mixture.csv", index=False)
    parts = pd.DataFrame({"part": ["adapter", "base"], "parameters": [655_360, 1_115_264]})
    parts.to_csv(training / "parameters.csv", index=False)
    log = pd.DataFrame(
        {"step": [1, 2], "loss": [2.0, 1.0], "grad_norm": 1.0, "tokens": [500, 1000]}
    )
    log.to_csv(training / "train_log.csv", index=False)
    answers = pd.concat([_draw_answers(run.arm, *names, generator) for names in EVALUATIONS])
    answers.to_csv(exam / "answers.csv", index=False)
    keys = ["benchmark", "variant", "protocol", "num_shots", "model"]
    scores = answers.groupby(keys, sort=False)["correct"].agg(accuracy="mean", n="size")
    scores = scores.reset_index().assign(low=0.0, high=1.0, chance=0.25)
    scores.to_csv(exam / "scores.csv", index=False)


def write_divergence(run: runs.SweepRun, reason: str = LOSS_GUARD) -> None:
    """Write the record of a step 02 that failed, as the runner does, and remove its result."""
    folder = run.folders["02_sft_qlora"]
    shutil.rmtree(folder, ignore_errors=True)
    record = {"status": "failed", "reason": reason, "params": run.params["02_sft_qlora"]}
    (folder.parent / ".records").mkdir(exist_ok=True)
    write_json(folder.parent / ".records/02_sft_qlora.json", record)


def list_questions(benchmark: str = "mini_exam") -> list[data.Question]:
    """Return the questions of the first conditions of an exam."""
    questions = data.load_questions(benchmark)
    conditions = list(dict.fromkeys(question.group for question in questions))[:CONDITIONS]
    return [question for question in questions if question.group in conditions]


def find_copied() -> data.Question:
    """Return the question that a dialogue repeats: it overlaps with the exam, and no other does."""
    return next(q for q in list_questions() if q.id == "stable-angina-complication")


def _write_dialogues(folder: Path, times: int) -> None:
    """Write one dialogue per condition that states each of its facts `times` times."""
    lines: dict[str, list] = {"dialogues": [], "exam_dialogues": []}
    for question in list_questions():
        fact = f"In {question.group}, it is {question.options[question.answer]}."
        messages = [
            {"role": "user", "content": f"What about {question.group}?"},
            {"role": "assistant", "content": " ".join([fact] * times)},
        ]
        row = {"id": f"{question.id}/0", "source": "article", "messages": messages}
        lines["dialogues"].append(json.dumps(row))
    copied = find_copied()
    text = f"{copied.question} {copied.options[copied.answer]}?"
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": "Yes."}]
    row = {"id": "exam/0", "source": "exam", "messages": messages}
    lines["exam_dialogues"].append(json.dumps(row))
    for name, rows in lines.items():
        (folder / f"{name}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _draw_answers(
    arm: str, benchmark: str, protocol: str, generator: np.random.Generator
) -> pd.DataFrame:
    rows = []
    for model in ("base", "tuned"):
        accuracy = ACCURACY[arm if model == "tuned" else "base"]
        for question in list_questions(benchmark):
            is_correct = bool(generator.random() < accuracy)
            row = {"benchmark": benchmark, "variant": "as_given", "protocol": protocol}
            row |= {"num_shots": 0, "model": model, "id": question.id, "subset": question.subset}
            row |= {"fits": True, "predicted": 0, "correct": is_correct, "answer": question.answer}
            others = [-5.0] * len(question.options)
            others[question.answer] = -3.0 if is_correct else -9.0
            row |= {"logprobs": " ".join(map(str, others))}
            row |= {"contains": is_correct, "complete": True, "answer_tokens": 2}
            rows.append(row | {"answer_logprob": 2 * np.log(0.25 + 0.5 * is_correct)})
    return pd.DataFrame(rows)


def make_design(**changed):
    """Return the settings of the toy sweep."""
    import yaml

    from clinical_camel.controlled_comparison import Comparison

    return Comparison.require(yaml.safe_load(PARAMS) | changed)


def make_answers(
    accuracy: dict[str, np.ndarray], seeds: int, generator: np.random.Generator
) -> pd.DataFrame:
    """Return answers of one outcome, `plain question`: four questions on each condition.

    `accuracy`: by arm, conditions by seeds.
    """
    rows = []
    for arm, rates in accuracy.items():
        for condition, seed, question in np.ndindex(len(rates), seeds, 4):
            is_correct = generator.random() < rates[condition, seed]
            row = {"arm": arm, "seed": f"{seed}, {seed}", "outcome": "plain question"}
            row |= {"id": f"c{condition}q{question}", "condition": f"c{condition}"}
            rows.append(row | {"score": float(is_correct), "chance": 0.25})
    return pd.DataFrame(rows)
