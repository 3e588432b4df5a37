"""Do we score as lm-evaluation-harness does? The same questions, in its code and in ours.

    pip install lm_eval==0.4.13
    python benchmarks/harness_agreement.py                       # all sets, about an hour
    python benchmarks/harness_agreement.py --sets medqa_us --shots 5

Each question set is exported as a task of the harness (`eval_fewshot.export_tasks`), which then
asks the shipped base in float32 by itself, without sight of our code: its prompts, its tokens, its
log-likelihoods. A row in harness_agreement.csv says on how many questions the same option was
chosen and how far the log-likelihoods are apart at most. Only questions that fit the context whole
are asked. Reads data/public (README, "Real data").
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from mini_effect import Journal, append

from clinical_camel import data, eval_fewshot, models

AIM = 1e-4  # nats
SETS = {  # questions and examples
    "mini_exam": ("mini_exam", "mini_exam_train"),
    "medqa_us": ("medqa_us/medqa_us_test_shared", "medqa_us_train@medqa_us/medqa_us_dev"),
    "medmcqa": ("medmcqa/medmcqa_validation_shared", "medmcqa_train@medmcqa/medmcqa_train_first5"),
    # asked: the training half, which has 500 rows (the other 249), since nothing is scored here
    "pubmedqa": ("pubmedqa/pubmedqa_train", "pubmedqa_train@pubmedqa/pubmedqa_train"),
    "mmlu_medical": ("mmlu_med/mmlu_med_test_shared", "mmlu_medical_dev@mmlu_med/mmlu_med_dev"),
    "medqa_mcmle": ("medqa_mcmle/medqa_mcmle_test_shared", ""),
}


def spec(name: str, place: str) -> str:
    """A dataset spec: shipped, or the reader of a name on a file of data/public."""
    if "/" not in place:
        return place
    name, _, file = place.rpartition("@") if "@" in place else (name, "", place)
    return f"{name}@data/public/{file}.jsonl"


def ask_us(llm, name, questions, pools, design) -> dict[str, list[float]]:
    """Log-likelihoods by question id, of the questions that fit."""
    answers = eval_fewshot.answer_all(
        {"base": llm}, {name: questions}, pools, design, 8192, Journal()
    )
    fits = answers[answers["fits"]]
    return {row.id: [float(x) for x in row.logprobs.split()] for row in fits.itertuples()}


def ask_harness(llm, name, questions, shown, protocol, backend=None) -> dict[str, list[float]]:
    """The same by the harness, from the exported files alone; by its `hf` backend if none given."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    lead = models.reply_lead(llm.tokenizer) if protocol.chat else ""
    files = eval_fewshot.export_tasks(f"ours_{name}", questions, shown, protocol, lead)
    with tempfile.TemporaryDirectory() as folder:
        for file, text in files.items():
            Path(folder, file).write_text(text, encoding="utf-8")
        before = Path.cwd()
        os.chdir(folder)  # the paths in a task file start at the working directory
        try:
            found = lm_eval.simple_evaluate(
                model=backend or HFLM(pretrained=llm.model, tokenizer=llm.tokenizer, batch_size=16),
                tasks=[Path(file).stem for file in files if file.endswith(".yaml")],
                task_manager=TaskManager(include_path=folder, include_defaults=False),
                apply_chat_template=protocol.chat,
                fewshot_as_multiturn=protocol.chat,
                bootstrap_iters=0,
            )
        finally:
            os.chdir(before)
    return {
        row["doc"]["id"]: [reply[0] for reply in row["filtered_resps"]]
        for rows in found["samples"].values()
        for row in rows
    }


def compare(name: str, protocol: str, shots: int, limit: int, llm: models.LLM) -> Iterator[dict]:
    """Rows of the table: in float32 and, where these are more than AIM apart, in float64 too.

    A long option's log-likelihood is a sum of some hundred nats, of which float32 keeps six
    digits: there, two right programs differ by more than AIM, and each from its own float64.
    """
    place, examples = SETS[name]
    questions = data.load_questions(spec(name, place), 0)
    pools = {name: data.load_training_questions(spec(name, examples)) if examples else []}
    asked, pools = eval_fewshot.take_exemplars({name: questions}, pools, max(shots, 1))
    design = eval_fewshot.Design([protocol], [shots])
    chosen = data.sample(asked[name], min(limit, len(asked[name])))
    for dtype in (torch.float32, torch.float64):
        llm.model.to(dtype)
        ours = ask_us(llm, name, chosen, pools, design)
        fitting = [q for q in chosen if q.id in ours]
        shown = design.shown(name, pools, fitting, shots)
        theirs = ask_harness(llm, name, fitting, shown, eval_fewshot.PROTOCOLS[protocol].on(name))
        pairs = [(np.array(ours[q.id]), np.array(theirs[q.id])) for q in fitting]
        apart = max(np.abs(a - b).max() for a, b in pairs)
        yield {
            "benchmark": name,
            "protocol": protocol,
            "num_shots": shots,
            "dtype": str(dtype).removeprefix("torch."),
            "asked": len(chosen),
            "n": len(pairs),
            "same_choice": sum(int(a.argmax() == b.argmax()) for a, b in pairs),
            "max_difference": f"{apart:.1e}",
            "lowest": round(min(float(b.min()) for _, b in pairs), 1),
        }
        if apart <= AIM:
            break
    llm.model.float()


def main() -> None:
    scored = [name for name, p in eval_fewshot.PROTOCOLS.items() if p.scores != "reply"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=SETS)
    parser.add_argument("--protocols", nargs="*", default=scored, choices=scored)
    parser.add_argument("--shots", nargs="*", type=int, default=[0])
    parser.add_argument("--rows", type=int, default=320)
    asked = parser.parse_args()
    llm = models.load("mini", {"base": ""})["base"]
    for name in asked.sets:
        for protocol in asked.protocols:
            for shots in asked.shots:
                for row in compare(name, protocol, shots, asked.rows, llm):
                    append("harness_agreement", row)


if __name__ == "__main__":
    main()
