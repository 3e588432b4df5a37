"""Our questions and answers in the shapes of lm-evaluation-harness 0.4, so that it can check us.

A task is a YAML file and JSON lines beside it, without Python: `lm-eval run --tasks <name>
--include_path <folder>` asks the same questions in the same words. Replies are left out: the
harness has no reader like ours.
"""

import json
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
import yaml

from clinical_camel import data
from clinical_camel.data import Question
from clinical_camel.eval_fewshot.answering import SETTING
from clinical_camel.eval_fewshot.protocols import (
    PROTOCOLS,
    Protocol,
    continuations,
    question_block,
)

METRICS = ["acc", "acc_norm"]


def export_tasks(
    name: str,
    questions: Sequence[Question],
    shown: Mapping[str, Sequence[Question]],
    protocol: Protocol,
    lead: str = "",
) -> dict[str, str]:
    """File names and texts of a task; a task for each subset where these have other examples.

    `shown` are the worked examples of each question (`choose_exemplars`, "fixed"); `lead` is what
    the chat template puts before a reply (`models.reply_lead`). Raises ValueError for a protocol
    that reads replies, and for examples that differ within a subset.
    """
    if protocol.scores == "reply":
        raise ValueError("a protocol that reads replies has no task in lm-evaluation-harness")
    files = {}
    for task, rows in _tasks(name, questions, shown, protocol):
        examples = shown[rows[0].id]
        if any(shown[q.id] != examples for q in rows):
            raise ValueError(f"{task}: the examples differ from question to question; use fixed")
        files[f"{task}.jsonl"] = _lines(rows, protocol)
        files[f"{task}_fewshot.jsonl"] = _lines(examples, protocol)
        files[f"{task}.yaml"] = yaml.safe_dump(
            {
                "task": task,
                "dataset_path": "json",
                "dataset_kwargs": {
                    "data_files": {"test": f"{task}.jsonl"}
                    | ({"fewshot": f"{task}_fewshot.jsonl"} if examples else {})
                },
                "output_type": "multiple_choice",
                "test_split": "test",
                "num_fewshot": len(examples),
                "doc_to_text": "{{query}}",
                "doc_to_choice": "choices",
                "doc_to_target": "gold",
                "target_delimiter": lead if protocol.chat else " ",
                "fewshot_delimiter": "\n\n",
                "description": protocol.preamble.format(subset=rows[0].subset.replace("_", " ")),
                "metric_list": [
                    {"metric": m, "aggregation": "mean", "higher_is_better": True} for m in METRICS
                ],
            }
            | (
                {"fewshot_split": "fewshot", "fewshot_config": {"sampler": "first_n"}}
                if examples
                else {}
            ),
            sort_keys=False,
        )
    return files


def _tasks(name, questions, shown, protocol) -> Iterator[tuple[str, list[Question]]]:
    """Task names with their questions, in order."""
    groups: dict[str, list[Question]] = {}
    split = protocol.preamble or len({tuple(e.id for e in shown[q.id]) for q in questions}) > 1
    for question in questions:
        groups.setdefault(question.subset if split else "", []).append(question)
    for subset, rows in groups.items():
        yield "_".join(filter(None, [name, subset])), rows


def _lines(rows: Sequence[Question], protocol: Protocol) -> str:
    """One JSON object per question: id, query, choices, gold."""
    return "".join(
        json.dumps(
            {
                "id": row.id,
                "query": _query(row, protocol),
                "choices": [text.strip() for text in continuations(row, protocol)],
                "gold": row.answer,
            },
            ensure_ascii=False,
        )
        + "\n"
        for row in rows
    )


def _query(question: Question, protocol: Protocol) -> str:
    if not protocol.chat:
        return question_block(question, protocol)
    asked = data.question_text(question, protocol.layout != "open")
    return "\n".join(filter(None, [asked, protocol.request]))


def results_json(answers: pd.DataFrame) -> tuple[list[dict], list[dict]]:
    """Answers as the harness writes them: one results object per model, one sample per answer.

    A task is called benchmark_variant_protocol_shots. Only questions that fit are there, as
    `effective` says, and only scored ones: a reply has no log-likelihoods. `acc_stderr` is the
    plain one, as theirs. Each sample names its model and task, which theirs have in the file name.
    """
    found, samples = [], []
    scored = answers[[PROTOCOLS[name].scores != "reply" for name in answers["protocol"]]]
    for model, rows in scored.groupby("model", sort=False):
        results = {"results": {}, "n-shot": {}, "n-samples": {}, "higher_is_better": {}}
        for setting, same in rows.groupby(SETTING[:-1], sort=False):
            task, fits = "_".join(map(str, setting)), same[same["fits"]]
            results["results"][task] = {"alias": task} | _metrics(fits)
            results["n-shot"][task] = int(setting[-1])
            results["n-samples"][task] = {"original": len(same), "effective": len(fits)}
            results["higher_is_better"][task] = dict.fromkeys(METRICS, True)
            samples += [{"model": model, "task": task} | s for s in _samples(fits)]
        found.append(results | {"config": {"model": model}})
    return found, samples


def _metrics(fits: pd.DataFrame) -> dict[str, float | None]:
    found = {}
    for metric, column in zip(METRICS, ("correct", "correct_norm"), strict=True):
        right = fits[column].astype(float)
        spread = float(right.std(ddof=1)) / len(right) ** 0.5 if len(right) > 1 else None
        found |= {f"{metric},none": float(right.mean()) if len(right) else None}
        found |= {f"{metric}_stderr,none": spread}
    return found


def _samples(fits: pd.DataFrame) -> list[dict]:
    return [
        {
            "doc_id": i,
            "doc": {"id": row.id},
            "target": int(row.answer),
            "filtered_resps": [[float(x), False] for x in row.logprobs.split()],
            "filter": "none",
            "metrics": METRICS,
            "acc": float(row.correct),
            "acc_norm": float(row.correct_norm),
        }
        for i, row in enumerate(fits.itertuples())
    ]
