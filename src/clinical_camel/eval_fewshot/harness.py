"""Questions and answers in the formats of lm-evaluation-harness 0.4, so that it can check ours.

A task is a YAML file with JSON lines, without Python: `lm-eval run --tasks <name> --include_path
<folder>` evaluates the same questions with the same prompts. Protocols that generate replies are
left out: the harness has no parser like ours.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import yaml

from clinical_camel.data import Question
from clinical_camel.eval_fewshot.protocols import (
    METRICS,
    PROTOCOLS,
    Protocol,
    list_continuations,
    render_question,
    render_user_turn,
)
from clinical_camel.exam_results.answers import KEY_COLUMNS


def export_tasks(
    name: str,
    questions: Sequence[Question],
    exemplars: Mapping[str, Sequence[Question]],
    protocol: Protocol,
    reply_prefix: str = "",
) -> dict[str, str]:
    """Return file names and texts of a task; one task per subset if subsets have other exemplars.

    `exemplars` are those of each question (`choose_exemplars`, "fixed"). `reply_prefix` is the text
    that the chat template puts before a reply (`models.find_reply_prefix`). Raises ValueError for a
    protocol that generates replies, and for exemplars that differ within a subset.
    """
    if protocol.answer_type == "reply":
        raise ValueError("lm-evaluation-harness has no task for a protocol that generates replies")
    files = {}
    for task, rows in _split_tasks(name, questions, exemplars, protocol):
        shared = exemplars[rows[0].id]
        if any(exemplars[question.id] != shared for question in rows):
            raise ValueError(
                f"{task}: exemplars differ between questions; set exemplar_choice: fixed"
            )
        data_files, few_shot = {"test": f"{task}.jsonl"}, {}
        if shared:
            data_files["fewshot"] = f"{task}_fewshot.jsonl"
            few_shot = {"fewshot_split": "fewshot", "fewshot_config": {"sampler": "first_n"}}
        files[f"{task}.jsonl"] = _format_rows(rows, protocol)
        files[f"{task}_fewshot.jsonl"] = _format_rows(shared, protocol)
        files[f"{task}.yaml"] = yaml.safe_dump(
            {
                "task": task,
                "dataset_path": "json",
                "dataset_kwargs": {"data_files": data_files},
                "output_type": "multiple_choice",
                "test_split": "test",
                "num_fewshot": len(shared),
                "doc_to_text": "{{query}}",
                "doc_to_choice": "choices",
                "doc_to_target": "gold",
                "target_delimiter": reply_prefix if protocol.chat else " ",
                "fewshot_delimiter": "\n\n",
                "description": protocol.preamble.format(subset=rows[0].subset.replace("_", " ")),
                "metric_list": [
                    {"metric": metric, "aggregation": "mean", "higher_is_better": True}
                    for metric in METRICS
                ],
            }
            | few_shot,
            sort_keys=False,
        )
    return files


def _split_tasks(
    name: str,
    questions: Sequence[Question],
    exemplars: Mapping[str, Sequence[Question]],
    protocol: Protocol,
) -> Iterator[tuple[str, list[Question]]]:
    """Yield task names with their questions, in order."""
    groups: dict[str, list[Question]] = {}
    split = protocol.preamble or len({tuple(e.id for e in exemplars[q.id]) for q in questions}) > 1
    for question in questions:
        groups.setdefault(question.subset if split else "", []).append(question)
    for subset, rows in groups.items():
        yield "_".join(filter(None, [name, subset])), rows


def _format_rows(rows: Sequence[Question], protocol: Protocol) -> str:
    """Return one JSON object per question: id, query, choices, gold."""
    render = render_user_turn if protocol.chat else render_question
    lines = []
    for row in rows:
        delimiter = "" if protocol.chat else " "
        choices = [text.removeprefix(delimiter) for text in list_continuations(row, protocol)]
        fields = {"id": row.id, "query": render(row, protocol), "choices": choices}
        lines.append(json.dumps(fields | {"gold": row.answer}, ensure_ascii=False) + "\n")
    return "".join(lines)


def export_results(answers: pd.DataFrame) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return answers in the harness's format: a results object per model, a sample per answer.

    A task is named benchmark_variant_protocol_shots. Questions that do not fit the context are left
    out (`effective` counts the others), and so are replies, which have no log-likelihoods.
    `acc_stderr` is the standard error of independent questions, as in the harness. Each sample
    names its model and task; the harness has them in the file name.
    """
    results, samples = [], []
    by_likelihood = [PROTOCOLS[name].answer_type != "reply" for name in answers["protocol"]]
    for model, rows in answers[by_likelihood].groupby("model", sort=False):
        result = {"results": {}, "n-shot": {}, "n-samples": {}, "higher_is_better": {}}
        for key, group in rows.groupby(KEY_COLUMNS[:-1], sort=False):
            task, fits = "_".join(map(str, key)), group[group["fits"]]
            result["results"][task] = {"alias": task} | _metrics(fits)
            result["n-shot"][task] = int(key[-1])
            result["n-samples"][task] = {"original": len(group), "effective": len(fits)}
            result["higher_is_better"][task] = dict.fromkeys(METRICS, True)
            samples += [{"model": model, "task": task} | sample for sample in _samples(fits)]
        results.append(result | {"config": {"model": model}})
    return results, samples


def _metrics(fits: pd.DataFrame) -> dict[str, float | None]:
    metrics = {}
    for metric, column in zip(METRICS, ("correct", "correct_norm"), strict=True):
        correct = fits[column].astype(float)
        error = float(correct.std(ddof=1)) / len(correct) ** 0.5 if len(correct) > 1 else None
        metrics |= {f"{metric},none": float(correct.mean()) if len(correct) else None}
        metrics |= {f"{metric}_stderr,none": error}
    return metrics


def _samples(fits: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "doc_id": i,
            "doc": {"id": row.id},
            "target": int(row.answer),
            "filtered_resps": [[float(x), False] for x in row.logprobs.split()],
            "filter": "none",
            "metrics": list(METRICS),
            "acc": float(row.correct),
            "acc_norm": float(row.correct_norm),
        }
        for i, row in enumerate(fits.itertuples())
    ]
