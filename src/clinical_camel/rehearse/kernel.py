"""In the kernel of a rehearsed notebook: what takes hours is replaced by a measured part of it.

`stage` adds a cell that calls `take_part` to a copy of each notebook. All other cells run as they
are. Only the names that notebooks read from the packages are replaced, in this process.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clinical_camel import data, dbke, eval_fewshot, models, note_synthesis, sft_qlora
from clinical_camel.rehearse.task import Task


def take_part(file: str) -> None:
    """Prepare this kernel for the step of a task file (module `task`)."""
    task = Task.read(Path(file))
    models.load = _load_later(task, "load")
    models.load_base = _load_later(task, "load_base")
    models.identify_model = lambda model: {"model_sha256": "rehearsal"}
    prepare: dict[str, Callable[[Task], None]] = {
        "01_dbke": _prepare_dialogues,
        "02_sft_qlora": _prepare_training,
        "03_eval_fewshot": _prepare_answers,
        "04_note_synthesis": _prepare_notes,
    }
    prepare[task.step](task)
    task.save()


def _load_later(task: Task, name: str) -> Callable[..., Any]:
    """Return a function that loads a model, with its seconds in the facts of the task.

    Modules are imported when they are needed: a step without a model imports no torch.
    """

    def replaced(model: str, *arguments: Any, **options: Any) -> Any:
        from clinical_camel.rehearse import random_model

        task.measured.weights = "own" if random_model.has_own_weights(model) else "random"
        start = time.monotonic()
        result = getattr(random_model, name)(model, *arguments, **options)
        task.measured.facts["load_seconds"] = time.monotonic() - start
        return result

    return replaced


def _prepare_dialogues(task: Task) -> None:
    from clinical_camel.rehearse import dialogues

    dbke.prepare = dialogues.replace_prepare(task, dbke.prepare)
    dbke.synthesise = dialogues.replace_synthesise(task, dbke.synthesise)


def _prepare_training(task: Task) -> None:
    from clinical_camel.rehearse import training

    data.load_training_rows = training.limit_rows(task, data.load_training_rows)
    sft_qlora.train = training.replace_training(task)


def _prepare_answers(task: Task) -> None:
    from clinical_camel.rehearse import answers

    eval_fewshot.answer_all = answers.replace_answers(task, eval_fewshot.answer_all)


def _prepare_notes(task: Task) -> None:
    from clinical_camel.rehearse import notes

    note_synthesis.write_notes = notes.replace_notes(task, note_synthesis.write_notes)
