"""Which values a parameter may have, by its name: a name means the same in every notebook.

What is refused here costs no kernel and no model. A closed set stands in the module that acts on
it and is read from there as text: importing those modules would bring torch, and a second copy
would drift.
"""

import ast
import csv
import functools
import importlib.util
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clinical_camel.runs.values import nearest, show, texts

# clinical_camel.data, handed over by __main__ (runs imports no other layer). In a notebook it is
# absent, and the loaders refuse the same specs one cell later.
datasets: Any = None

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`; `above` and `below` leave out the end itself."""

    low: float
    high: float = math.inf
    above: bool = False
    below: bool = False

    def holds(self, value: float) -> bool:
        over = value > self.low if self.above else value >= self.low
        return over and (value < self.high if self.below else value <= self.high)

    def __str__(self) -> str:
        start = f"above {self.low}" if self.above else f"{self.low} or more"
        if self.high == math.inf:
            return start
        return f"{start} and {'below' if self.below else 'at most'} {self.high}"


COUNT, LIMIT = Range(1), Range(0)
SHARE, POSITIVE_SHARE, PART = Range(0, 1), Range(0, 1, above=True), Range(0, 1, below=True)
POSITIVE = Range(0, above=True)
RANGES = {
    "seed": Range(0, 2**32 - 1),  # what numpy takes
    "exemplar_count": LIMIT,
    "dialogues_per_article": COUNT,
    "exchanges_per_dialogue": COUNT,
    "min_exchanges": COUNT,
    "passages_per_question": COUNT,
    "near_duplicate": SHARE,
    "teacher_context": COUNT,
    "tries": COUNT,
    "attempts": COUNT,
    "in_flight": COUNT,
    "requests_per_minute": LIMIT,
    "tokens_per_minute": LIMIT,
    "timeout_seconds": COUNT,
    "price_in": LIMIT,
    "price_out": LIMIT,
    "token_cap": LIMIT,
    "money_cap": LIMIT,
    "article_limit": LIMIT,
    "article_limits": LIMIT,
    "question_limit": LIMIT,
    "mixture": LIMIT,  # 2.5: every row twice and half of them a third time
    "max_length": COUNT,
    "lora_rank": COUNT,
    "lora_alpha": COUNT,
    "lora_dropout": PART,
    "learning_rate": POSITIVE_SHARE,
    "warmup_steps": LIMIT,  # below 1 it is a share
    "checkpointed_layers": Range(-1),
    "weight_decay": SHARE,
    "max_grad_norm": POSITIVE,
    "num_epochs": POSITIVE,
    "batch_size": COUNT,
    "gradient_accumulation_steps": COUNT,
    "validation_fraction": PART,
    "save_steps": COUNT,
    "num_shots": Range(0, 8),
    "token_budget": COUNT,
    "consultation_limit": LIMIT,
    "max_new_tokens": COUNT,
    "temperature": LIMIT,
    "top_p": POSITIVE_SHARE,
    "top_k": LIMIT,
    "repetition_penalty": POSITIVE,
    "smoothing": POSITIVE_SHARE,
}
CHOICES = {  # the constant, or the keys of the mapping, that decides
    "teacher": "dbke.teachers.TEACHERS",
    "teacher_terms": "dbke.licences.TERMS",
    "support": "dbke.checks.SUPPORT",
    "quantize": "models.loading.QUANTIZE",
    "chat_template": "models.templates.TEMPLATES",
    "loss_on": "sft_qlora.encoding.LOSS_ON",
    "lr_scheduler": "sft_qlora.training.LR_SCHEDULERS",
    "optimizer": "sft_qlora.training.OPTIMIZERS",
    "speedups": "sft_qlora.speedups.SPEEDUPS",
    "report_to": "sft_qlora.training.REPORT_TO",
    "attn_implementation": "models.loading.ATTENTION",
    "parallel": "sft_qlora.parallel.PARALLEL",
    "protocols": "eval_fewshot.protocols.PROTOCOLS",
    "variants": "eval_fewshot.protocols.VARIANTS",
    "exemplar_choice": "eval_fewshot.protocols.EXEMPLAR_CHOICES",
    "image_questions": "data.shapes.IMAGE_QUESTIONS",
    "too_long": "note_synthesis.prompts.TOO_LONG",
    "prompt": "note_synthesis.prompts.PROMPTS",
    "headings": "note_synthesis.prompts.HEADINGS",
    "unit": "note_synthesis.prompts.UNITS",
    "other_decodings": "note_synthesis.writing.DECODINGS",
}
DATASETS = {  # the row shapes that fit, and whether something is learned from the rows
    "articles": (("Article",), True),
    "questions": (("Question",), True),
    "evaluation_sets": (("Question",), False),
    "mixture": (("Dialogue", "Article"), True),
    "benchmarks": (("Question",), False),
    "exemplars": (("Question",), True),
    "training_sources": (("Dialogue", "Article", "Question"), True),
    "consultations": (("Consultation",), False),
    "note_exemplars": (("Consultation",), True),
}
TABLES = {"logs": "loss_curves.COLUMNS", "scores": "loss_curves.SCORE_COLUMNS"}
FREE = {  # no range and no closed set; see `_no_model` and `_contradictions`
    *("study", "model", "adapters", "baseline", "sections", "lora_targets", "published_system"),
    *("packing", "group_by_length"),
    *("teacher_model", "base_url", "recorded", "student", "licences"),  # see `_teacher`
    "language",  # a code of two letters
}
EMPTY_IS_NONE = {
    *("quantize", "attn_implementation", "chat_template", "adapters", "exemplars"),
    *("published_system", "teacher_model", "base_url", "recorded", "language"),
}
NEEDED = {  # lists and mappings that must hold something
    *("articles", "mixture", "adapters", "benchmarks", "protocols", "num_shots", "variants"),
    *("consultations", "sections", "logs", "lora_targets"),
}


def problems(params: dict[str, Any], root: Path) -> Iterator[str]:
    """What is wrong with values that fit their annotations, one line each, the parameter first."""
    found = {name: list(_generic(name, value)) for name, value in params.items()}
    yield from (problem for listed in found.values() for problem in listed)
    params = {name: value for name, value in params.items() if not found[name]}
    for name, value in params.items():
        if name in RANGES:
            yield from _outside(name, value, RANGES[name])
        if name in CHOICES:
            yield from _not_chosen(name, value, constant(CHOICES[name]))
        if name in DATASETS and datasets:
            yield from _no_dataset(name, value)
        if name in TABLES:
            yield from _no_table(name, value, root)
    yield from _no_model(params, root)
    yield from _contradictions(params)


@functools.cache
def constant(place: str) -> tuple[str, ...]:
    """A tuple of texts, or the keys of a mapping, as `module.NAME` has it in this package.

    >>> constant("sft_qlora.encoding.LOSS_ON")
    ('assistant', 'all')
    """
    module, _, name = place.rpartition(".")
    package = Path(__file__).parents[1]  # read, not imported: a step imports torch
    source = package / f"{module.replace('.', '/')}.py"
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign | ast.Assign):
            targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
            if any(isinstance(t, ast.Name) and t.id == name for t in targets):
                parts = node.value.keys if isinstance(node.value, ast.Dict) else node.value.elts
                return tuple(ast.literal_eval(part) for part in parts)
    raise LookupError(f"{source.name} has no constant {name}")


def _leaves(at: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The scalars inside a value, each with its place."""
    if isinstance(value, list | dict):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            place = f"{at}.{key}" if isinstance(value, dict) else f"{at}[{key}]"
            yield from _leaves(place, item)
    else:
        yield at, value


def _generic(name: str, value: Any) -> Iterator[str]:
    for at, _, text in texts(value, name):
        if text != text.strip():
            yield f"{at}: {show(text)} has white space at an end; write {show(text.strip())}"
        elif not text and (name not in EMPTY_IS_NONE or at.endswith("(a key)")):
            yield f"{at}: is empty; write a name"
    if name in NEEDED and not value:
        yield f"{name}: is empty; name at least one"
    if isinstance(value, list):
        twice = [item for i, item in enumerate(value) if item in value[:i]]
        yield from (f"{name}: {show(item)} stands twice; write it once" for item in twice)


def _outside(name: str, value: Any, limits: Range) -> Iterator[str]:
    for at, number in _leaves(name, value):
        if not limits.holds(number):
            yield f"{at}: {number} is not allowed; write a number that is {limits}"


def _not_chosen(name: str, value: Any, choices: tuple[str, ...]) -> Iterator[str]:
    allowed = choices if "" in choices or name not in EMPTY_IS_NONE else ("", *choices)
    for at, text in _leaves(name, value):
        if text not in allowed:
            named = ", ".join(choice or '""' for choice in allowed)
            yield f"{at}: {show(text)} is not one of {named}"


def _no_dataset(name: str, value: Any) -> Iterator[str]:
    shapes, learn = DATASETS[name]
    keys = [(f"{name} (a key)", spec) for spec in value] if name == "mixture" else []
    specs = keys or _leaves(name, value)  # elsewhere they are values
    for at, spec in specs:
        if not spec and name in EMPTY_IS_NONE:
            continue
        if problem := datasets.spec_problem(spec, shapes, learn):
            yield f"{at}: {problem}"


def _no_table(name: str, value: dict[str, str], root: Path) -> Iterator[str]:
    """Tables of other steps: a .csv with the columns that are needed, if it is there already."""
    for at, text in _leaves(name, value):
        file = root / text
        if not text.endswith(".csv"):
            yield f"{at}: {show(text)} is no table; name a .csv, as in outputs/<study>/<step>/x.csv"
        elif file.is_file():
            with file.open(encoding="utf-8", errors="replace", newline="") as stream:
                header = next(csv.reader(stream), [])
            missing = [column for column in constant(TABLES[name]) if column not in header]
            if missing:
                yield f"{at}: {text} has no column {', '.join(missing)}"
        elif not text.startswith(("outputs/", "data/")):  # those are looked for by the plan
            yield f"{at}: {text} is not there"


def _no_model(params: dict[str, Any], root: Path) -> Iterator[str]:
    """Folders of models and adapters, as far as can be told without opening a weight."""
    for name, text in params.get("adapters", {}).items():
        whole = (root / text / "adapter_model.safetensors").is_file()
        if text and not whole and not text.startswith("outputs/"):
            yield f"adapters.{name}: no adapter_model.safetensors in {text}; name an adapter folder"
    model = params.get("model", "mini")
    folder = root / model
    if model == "mini":
        return
    if folder.is_dir():
        if not list(folder.glob("*.safetensors")):
            yield f"model: {model} has no .safetensors; other weight files are not opened"
        if not (folder / "config.json").is_file():
            yield f"model: {model} has no config.json; name the folder of a model"
        elif not params.get("chat_template") and not _has_template(folder):
            templates = ", ".join(constant(CHOICES["chat_template"]))
            yield f"model: {model} has no chat template; set chat_template to one of {templates}"
    elif not HUB_ID.fullmatch(model) or model.startswith("data/"):
        yield f"model: {model}: no such folder, and neither mini nor a hub id (owner/name)"


def _has_template(folder: Path) -> bool:
    settings = folder / "tokenizer_config.json"
    stands_inside = settings.is_file() and '"chat_template"' in settings.read_text(encoding="utf-8")
    return stands_inside or (folder / "chat_template.jinja").is_file()


def _contradictions(params: dict[str, Any]) -> Iterator[str]:
    """Values that are fine alone and not together."""
    least, most = params.get("min_exchanges", 0), params.get("exchanges_per_dialogue", math.inf)
    if least > most:
        yield f"min_exchanges: {least} is more than exchanges_per_dialogue, {most}"
    yield from _teacher(params)
    speedups = params.get("speedups", [])
    for name in ("trained_tail", "causal_mask"):
        if name in speedups and "trained_head" not in speedups:
            yield f"speedups: {name} keeps what trained_head reads and no more; add trained_head"
    tracker = params.get("report_to", "none")
    known = tracker in constant(CHOICES["report_to"]) and tracker != "none"
    if known and not importlib.util.find_spec(tracker):
        yield f"report_to: {tracker} is not installed; pip install {tracker}, or set it to none"
    targets = params.get("lora_targets", [])
    if "all-linear" in targets and len(targets) > 1:
        yield "lora_targets: all-linear stands alone; write [all-linear] or names of layers"
    shares = params.get("mixture", {})
    if shares and not any(shares.values()):
        yield "mixture: every share is 0.0; keep a part of at least one dataset"
    baseline, adapters = params.get("baseline"), params.get("adapters", {})
    if baseline and adapters and baseline not in adapters:
        yield f"baseline: {show(baseline)} is not in adapters{nearest(baseline, adapters)}"
    if scores := params.get("scores"):
        logs = params.get("logs", scores)
        for study in scores.keys() - logs.keys():
            yield f"scores.{study}: logs has no {study}{nearest(study, logs)}"
    system = params.get("published_system", "")
    if system and system not in (known := published_systems()):
        yield f"published_system: {show(system)} is not in published.csv{nearest(system, known)}"
    if datasets and "benchmarks" in params:
        yield from _without_examples(params)


def _teacher(params: dict[str, Any]) -> Iterator[str]:
    """What a teacher cannot do without."""
    needed = {"local": ["teacher_model"], "openai": ["teacher_model", "base_url"]}
    needed["replay"] = ["recorded"]
    teacher = params.get("teacher", "")
    for name in needed.get(teacher, []):
        if not params.get(name):
            yield f"{name}: is empty; teacher {teacher} needs it"
    if teacher not in ("", "extractive") and params.get("teacher_terms") == "none":
        yield f"teacher_terms: none, but teacher {teacher} has a model; write what its terms say"


def _without_examples(params: dict[str, Any]) -> Iterator[str]:
    if list(_no_dataset("benchmarks", params["benchmarks"])):
        return  # said already; such a spec has no label
    labels = [datasets.label(spec) for spec in params["benchmarks"]]
    for twice in sorted({name for name in labels if labels.count(name) > 1}):
        yield f"benchmarks: two are called {twice}; give one of the files another name"
    exemplars = params.get("exemplars", {})
    for name in exemplars.keys() - set(labels):
        yield f"exemplars.{name}: no benchmark of this name{nearest(name, labels)}"
    shots = max(params.get("num_shots", []), default=0)
    for name in labels:
        if shots > 0 and "exemplars" in params and name not in exemplars:
            yield f"num_shots: {shots} asked for, but exemplars names no training set for {name}"


@functools.cache
def published_systems() -> tuple[str, ...]:
    """The names `system:size` of published.csv."""
    file = Path(importlib.util.find_spec("clinical_camel").origin).with_name("published.csv")
    with file.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream)
        return tuple(sorted({f"{row['system']}:{row['size']}" for row in rows}))
