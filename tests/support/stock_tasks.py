"""The stock tasks of lm-evaluation-harness on local rows: its own YAML files, without a download.

Used by tests/eval_fewshot/test_protocols.py and benchmarks/stock_agreement.py. A row has the schema
of the dataset that the stock task downloads.
"""

import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

SPLITS = ("train", "validation", "test", "dev")
STOCK_FILES = {  # our benchmark, or a subject of MMLU: the stock task
    "medqa_us": "medqa/medqa.yaml",
    "medmcqa": "medmcqa/medmcqa.yaml",
    "pubmedqa": "pubmedqa/pubmedqa.yaml",
}


def write_stock_task(
    folder: Path, benchmark: str, rows: Sequence[Mapping[str, Any]], subject: str = ""
) -> str:
    """Write a task that includes the stock task of a benchmark and reads `rows`; return its name.

    Everything but the dataset is the stock task's: prompt, choices, target, metrics, delimiters.
    """
    spec = importlib.util.find_spec("lm_eval")
    tasks = Path(spec.origin).parent / "tasks"
    stock = f"mmlu/default/mmlu_{subject}.yaml" if subject else STOCK_FILES[benchmark]
    name = "_".join(filter(None, ["stock", benchmark, subject]))
    data_file = folder / f"{name}.jsonl"
    data_file.write_text("".join(json.dumps(dict(row)) + "\n" for row in rows), encoding="utf-8")
    task = {
        "include": str(tasks / stock),
        "task": name,
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": dict.fromkeys(SPLITS, str(data_file))},
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(task), encoding="utf-8")
    return name


def load_stock_tasks(folder: Path, names: Sequence[str]) -> dict[str, Any]:
    """Return the task objects of lm-evaluation-harness by name."""
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(folder), include_defaults=False)
    return manager.load(list(names))["tasks"]


def list_requests(task: Any) -> list[tuple[list[tuple[str, str]], str]]:
    """Return the zero-shot requests (prompt, continuation) and the correct choice of each row."""
    requests = []
    for doc in task.test_docs():
        prompt = task.fewshot_context(doc, num_fewshot=0)
        pairs = [request.args for request in task.construct_requests(doc, prompt)]
        choices, target = task.doc_to_choice(doc), task.doc_to_target(doc)
        requests.append((pairs, choices[target] if isinstance(target, int) else target))
    return requests
