"""Does `harness_now` ask and score as the stock tasks of lm-evaluation-harness do?

    pip install lm_eval==0.4.13
    python -m benchmarks.stock_agreement                           # the mini base, some minutes
    python -m benchmarks.stock_agreement --model my/model --rows 0 --sets pubmedqa

The stock tasks (medqa_4options, medmcqa, pubmedqa, mmlu_*) read local rows instead of a download;
prompts, choices and metrics are theirs. A row of stock_agreement.csv counts the questions with an
equal prompt and with the same predicted option, and has both accuracies (0-shot, float32). Reads
data/public (docs/running.md, "Real data"); needs no network.
"""

import argparse
import collections
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.harness_agreement import SETS, make_spec, score_ours
from benchmarks.tables import append
from tests.support.stock_tasks import list_requests, load_stock_tasks, write_stock_task

from clinical_camel import data, eval_fewshot, models

FILES = {
    "medqa_us": SETS["medqa_us"][0],
    "medmcqa": SETS["medmcqa"][0],
    "pubmedqa": "pubmedqa/pubmedqa_test_shared",
    "mmlu_medical": SETS["mmlu_medical"][0],
}
LABEL = re.compile(r"[A-Z][^a-z:]*: ")  # of a section of a PubMedQA abstract in our files


def to_stock_row(benchmark: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of our file in the schema of the dataset that the stock task downloads."""
    options, answer = list(row["options"].values()), "ABCD".index(row["answer"])
    if benchmark == "medqa_us":
        endings = {f"ending{i}": option for i, option in enumerate(options)}
        return {"id": row["id"], "sent1": row["question"], "sent2": "", "label": answer} | endings
    if benchmark == "medmcqa":
        named = dict(zip(("opa", "opb", "opc", "opd"), options, strict=True))
        return {"question": row["question"], "cop": answer} | named
    if benchmark == "mmlu_medical":
        choices = {"choices": options, "answer": answer, "subject": row["subject"]}
        return {"question": row["question"]} | choices
    parts = re.split(r"\n(?=[A-Z][^a-z:\n]*: )", row["context"])
    contexts = [LABEL.sub("", part, count=1) for part in parts]
    decision = {"final_decision": options[answer]}
    return {"QUESTION": row["question"], "CONTEXTS": contexts} | decision


def read_rows(benchmark: str, limit: int) -> tuple[list[data.Question], list[dict[str, Any]]]:
    """Return the questions as we load them, and the same rows for the stock task."""
    questions = data.load_questions(make_spec(benchmark, FILES[benchmark]), limit)
    lines = Path("data/public", f"{FILES[benchmark]}.jsonl").read_text(encoding="utf-8")
    by_id = {row["id"]: row for row in map(json.loads, lines.splitlines())}
    return questions, [to_stock_row(benchmark, by_id[question.id]) for question in questions]


def compare(benchmark: str, limit: int, llm: models.LLM) -> dict[str, Any]:
    """Return a row of the table; only questions that fit the context are scored."""
    questions, rows = read_rows(benchmark, limit)
    design = eval_fewshot.Design(protocols=["harness_now"], num_shots=[0], token_budget=8192)
    ours = score_ours(llm, benchmark, questions, [], design)
    fitting = [(q, row) for q, row in zip(questions, rows, strict=True) if q.id in ours]
    protocol = eval_fewshot.PROTOCOLS["harness_now"].for_benchmark(benchmark)
    equal, stock, targets = 0, {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for subject, group in _split(benchmark, fitting).items():
            stock_rows = [row for _, row in group]
            name = write_stock_task(Path(folder), benchmark, stock_rows, subject)
            task = load_stock_tasks(Path(folder), [name])[name]
            for (question, _), (pairs, correct) in zip(group, list_requests(task), strict=True):
                prompt = eval_fewshot.build_prompt(question, [], protocol)
                texts = eval_fewshot.list_continuations(question, protocol)
                equal += pairs == [(prompt, text) for text in texts]
                stock[question.id] = pairs
                targets[question.id] = [text.strip() for _, text in pairs].index(correct)
    theirs = score_stock(llm, stock)
    choices = {id: (np.argmax(ours[id]), np.argmax(theirs[id])) for id in theirs}
    answers = {question.id: question.answer for question, _ in fitting}
    return {
        "benchmark": benchmark,
        "source": protocol.source,
        "model": llm.source["model"],
        "questions": len(questions),
        "n": len(choices),
        "equal_prompt": equal,
        "same_choice": sum(int(a == b) for a, b in choices.values()),
        "accuracy_ours": round(float(np.mean([choices[i][0] == answers[i] for i in choices])), 4),
        "accuracy_stock": round(float(np.mean([choices[i][1] == targets[i] for i in choices])), 4),
    }


def _split(benchmark: str, fitting: Sequence[tuple]) -> dict[str, list[tuple]]:
    groups: dict[str, list[tuple]] = collections.defaultdict(list)
    for question, row in fitting:
        groups[question.subset if benchmark == "mmlu_medical" else ""].append((question, row))
    return groups


def score_stock(
    llm: models.LLM, requests: Mapping[str, Sequence[tuple[str, str]]]
) -> dict[str, list[float]]:
    """Return the log-likelihoods that the harness's own model class gives its own requests."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    backend = HFLM(pretrained=llm.model, tokenizer=llm.tokenizer, batch_size=16)
    flat = [(id, pair) for id, pairs in requests.items() for pair in pairs]
    instances = [Instance("loglikelihood", {}, pair, i) for i, (_, pair) in enumerate(flat)]
    scores: dict[str, list[float]] = collections.defaultdict(list)
    for (id, _), (value, _) in zip(flat, backend.loglikelihood(instances), strict=True):
        scores[id].append(value)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="*", default=list(FILES), choices=FILES)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--rows", type=int, default=100, help="0 means all")
    args = parser.parse_args()
    llm = models.load(args.model, {"base": ""})["base"]
    llm.model.to(torch.float32)
    for name in args.sets:
        append("stock_agreement", compare(name, args.rows, llm))


if __name__ == "__main__":
    main()
