"""Does step 03 score as lm-evaluation-harness does? The same questions in its code and in ours.

    pip install lm_eval==0.4.13
    python -m benchmarks.harness_agreement                       # all sets, about an hour
    python -m benchmarks.harness_agreement --sets medqa_us --shots 5

Each question set is exported as a task of the harness (`eval_fewshot.export_tasks`). The harness
then scores the mini base in float32 with its own code: its prompts, tokens and log-likelihoods. A
row in harness_agreement.csv counts the questions with the same predicted option and has the largest
difference of log-likelihoods. Only questions that fit the context are scored. Reads data/public
(docs/running.md, "Real data").
"""

import argparse
import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from benchmarks.tables import append
from tests.support.project import Memory

from clinical_camel import data, eval_fewshot, models

TOLERANCE = 1e-4  # nats
SETS = {  # questions and exemplars
    "mini_exam": ("mini_exam", "mini_exam_train"),
    "medqa_us": ("medqa_us/medqa_us_test_shared", "medqa_us_train@medqa_us/medqa_us_dev"),
    "medmcqa": ("medmcqa/medmcqa_validation_shared", "medmcqa_train@medmcqa/medmcqa_train_first5"),
    # the training half, with 500 rows (the other has 249): this is no exam score
    "pubmedqa": ("pubmedqa/pubmedqa_train", "pubmedqa_train@pubmedqa/pubmedqa_train"),
    "mmlu_medical": ("mmlu_med/mmlu_med_test_shared", "mmlu_medical_dev@mmlu_med/mmlu_med_dev"),
    "medqa_mcmle": ("medqa_mcmle/medqa_mcmle_test_shared", ""),
}


def make_spec(name: str, source: str) -> str:
    """Return a dataset spec: a registered name, or a reader and a file in data/public."""
    if "/" not in source:
        return source
    name, _, file = source.rpartition("@") if "@" in source else (name, "", source)
    return f"{name}@data/public/{file}.jsonl"


def score_ours(llm, name, questions, pool, design) -> dict[str, list[float]]:
    """Return log-likelihoods by question id, for the questions that fit the context."""
    exam, pools = {name: questions}, {name: pool}
    answers = eval_fewshot.answer_all({"base": llm}, exam, pools, design, Memory())
    fits = answers[answers["fits"]]
    return {row.id: [float(x) for x in row.logprobs.split()] for row in fits.itertuples()}


def score_harness(
    llm, name, questions, exemplars, protocol, backend=None
) -> dict[str, list[float]]:
    """Return log-likelihoods of the harness, from the exported files; default backend: `hf`."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    prefix = models.find_reply_prefix(llm.tokenizer) if protocol.chat else ""
    files = eval_fewshot.export_tasks(f"ours_{name}", questions, exemplars, protocol, prefix)
    with tempfile.TemporaryDirectory() as folder:
        for file, text in files.items():
            Path(folder, file).write_text(text, encoding="utf-8")
        working_directory = Path.cwd()
        os.chdir(folder)  # the paths in a task file start at the working directory
        try:
            results = lm_eval.simple_evaluate(
                model=backend or HFLM(pretrained=llm.model, tokenizer=llm.tokenizer, batch_size=16),
                tasks=[Path(file).stem for file in files if file.endswith(".yaml")],
                task_manager=TaskManager(include_path=folder, include_defaults=False),
                apply_chat_template=protocol.chat,
                fewshot_as_multiturn=protocol.chat,
                bootstrap_iters=0,
            )
        finally:
            os.chdir(working_directory)
    return {
        row["doc"]["id"]: [reply[0] for reply in row["filtered_resps"]]
        for rows in results["samples"].values()
        for row in rows
    }


def compare(name: str, protocol: str, shots: int, limit: int, llm: models.LLM) -> Iterator[dict]:
    """Yield rows of the table: in float32 and, if these differ by more than TOLERANCE, in float64.

    The log-likelihood of a long option is a sum of some hundred nats, with six digits in float32.
    There, two correct programs differ by more than TOLERANCE, and each from its own float64.
    """
    source, exemplar_source = SETS[name]
    questions = data.load_questions(make_spec(name, source))
    if exemplar_source:
        pool = data.load_training_questions(make_spec(name, exemplar_source))
    else:
        questions, pool = eval_fewshot.reserve_exemplars(questions, max(shots, 1))
    design = eval_fewshot.Design(protocols=[protocol], num_shots=[shots], token_budget=8192)
    questions = data.sample(questions, min(limit, len(questions)))
    for dtype in (torch.float32, torch.float64):
        llm.model.to(dtype)
        ours = score_ours(llm, name, questions, pool, design)
        fitting = [q for q in questions if q.id in ours]
        exemplars = eval_fewshot.choose_exemplars(name, fitting, pool, shots, design)
        on_benchmark = eval_fewshot.PROTOCOLS[protocol].for_benchmark(name)
        theirs = score_harness(llm, name, fitting, exemplars, on_benchmark)
        pairs = [(np.array(ours[q.id]), np.array(theirs[q.id])) for q in fitting]
        difference = max(np.abs(a - b).max() for a, b in pairs)
        yield {
            "benchmark": name,
            "protocol": protocol,
            "num_shots": shots,
            "dtype": str(dtype).removeprefix("torch."),
            "questions": len(questions),
            "n": len(pairs),
            "same_choice": sum(int(a.argmax() == b.argmax()) for a, b in pairs),
            "max_difference": f"{difference:.1e}",
            "lowest": round(min(float(b.min()) for _, b in pairs), 1),
        }
        if difference <= TOLERANCE:
            break
    llm.model.float()


def main() -> None:
    fitting = eval_fewshot.list_protocols([*eval_fewshot.PROTOCOLS], "medqa_us")
    protocols = [p for p in fitting if eval_fewshot.PROTOCOLS[p].answer_type != "reply"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=SETS)
    parser.add_argument("--protocols", nargs="*", default=protocols, choices=protocols)
    parser.add_argument("--shots", nargs="*", type=int, default=[0])
    parser.add_argument("--rows", type=int, default=320)
    args = parser.parse_args()
    llm = models.load("mini", {"base": ""})["base"]
    for name, protocol, shots in itertools.product(args.sets, args.protocols, args.shots):
        for row in compare(name, protocol, shots, args.rows, llm):
            append("harness_agreement", row)


if __name__ == "__main__":
    main()
