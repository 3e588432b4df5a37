"""Is bfloat16 faster than float32 on this CPU, and does it change losses or answers?

    python -m benchmarks.compute_dtype                    # two models, about 25 minutes on one core
    python -m benchmarks.compute_dtype --models mini --steps 5

For each model: the same training steps (NF4, LoRA on all linear layers, dialogues of the embedded
study, same seed) and the same development questions (option_text, 0-shot) in both types. Time is
processor time of one thread. A row has the ratio of the two times, the largest difference between
the losses of one step, and how many of n answers differ. `models.compute.LARGE` follows from it.
Rows go to compute_dtype.csv, the loss of every step to compute_dtype_losses.csv.
Needs `python -m clinical_camel fetch smollm2_135m`.
"""

import argparse
import tempfile
import time
from pathlib import Path

import pandas as pd
from benchmarks.tables import append
from tests.support.project import Memory

from clinical_camel import data, eval_fewshot, models, sft_qlora
from clinical_camel.runner.jobs import load_job

STUDIES = {"mini": "mini_camel", "smollm2_135m": "smollm2_135m"}
DIALOGUES = "outputs/mini_camel/01_dbke/dialogues.jsonl"
TYPES = ("float32", "bfloat16")


def train(study: str, compute_dtype: str, steps: int) -> tuple[float, pd.Series]:
    """Return processor seconds and the loss of each step."""
    params = load_job(study, "02_sft_qlora").params
    changed = {"compute_dtype": compute_dtype, "num_epochs": 1.0, "validation_fraction": 0.0}
    recipe = sft_qlora.Recipe.require(params | changed)
    rows = recipe.batch_size * recipe.gradient_accumulation_steps * steps
    tokenizer = models.load_tokenizer(recipe.model, recipe.chat_template)
    sources = {DIALOGUES: data.load_training_rows(DIALOGUES)[:rows]}
    tokenized = sft_qlora.tokenize_mixture(tokenizer, sources, recipe.loss_on, recipe.max_length)
    base = models.load_base(recipe.model, recipe.quantize, compute_dtype=compute_dtype)
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        _, log = sft_qlora.train(base, tokenizer, tokenized, recipe, folder=Path(folder))
    return time.process_time() - start, log["loss"]


def answer(study: str, compute_dtype: str, questions: int) -> tuple[float, pd.DataFrame]:
    """Return processor seconds and the answers of the base model."""
    design = load_job(study, "03_eval_fewshot").settings.model_copy(
        update={
            "benchmarks": ["mini_exam_dev"],
            "exemplars": {},
            "protocols": ["option_text"],
            "num_shots": [0],
            "question_limit": questions,
        }
    )
    template = design.chat_template
    llms = models.load(design.model, {"base": ""}, design.quantize, template, compute_dtype)
    exam = eval_fewshot.load_exam(design)
    start = time.process_time()
    answers = eval_fewshot.answer_all(llms, *exam, design, Memory())
    return time.process_time() - start, answers


def measure(model: str, steps: int, questions: int) -> None:
    study = STUDIES[model]
    trained = {name: train(study, name, steps) for name in TYPES}
    answered = {name: answer(study, name, questions) for name in TYPES}
    (slow, losses), (fast, others) = (trained[name] for name in TYPES)
    (slow_score, before), (fast_score, after) = (answered[name] for name in TYPES)
    for step, pair in enumerate(zip(losses, others, strict=True), 1):
        values = dict(zip(TYPES, (round(loss, 4) for loss in pair), strict=True))
        append("compute_dtype_losses", {"model": model, "step": step} | values)
    append(
        "compute_dtype",
        {
            "model": model,
            "steps": len(losses),
            "training_ratio": round(slow / fast, 2),
            "first_loss": round(losses.iloc[0], 4),
            "last_loss_float32": round(losses.iloc[-1], 4),
            "last_loss_bfloat16": round(others.iloc[-1], 4),
            "largest_loss_difference": round((losses - others).abs().max(), 4),
            "scoring_ratio": round(slow_score / fast_score, 2),
            "questions": len(before),
            "answers_changed": int((before["predicted"] != after["predicted"]).sum()),
            "correct_float32": int(before["correct"].sum()),
            "correct_bfloat16": int(after["correct"].sum()),
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="*", default=list(STUDIES), choices=list(STUDIES))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--questions", type=int, default=200)
    options = parser.parse_args()
    for model in options.models:
        measure(model, options.steps, options.questions)


if __name__ == "__main__":
    main()
