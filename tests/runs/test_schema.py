"""The schema of a step: its settings class, or its parameters cell."""

import re
import subprocess
import sys

import pytest
from tests.support.bad_params import STEPS

from clinical_camel.core.settings import StepSettings, parameters_cell
from clinical_camel.runs import schema

CELL = "seed: int = 0\ncopy: list[float] = [0.5]\n_group: dict[str, list[str]] = {}"


def test_the_parameters_cell_is_the_schema_of_a_step_without_settings(project):
    project.notebook("01_first", CELL, "print(seed, copy, _group)")
    good = {"seed": 1, "copy": [1.0], "_group": {"a": ["b"]}}
    assert schema.check_params("01_first", good) == []
    assert schema.check_params("01_first", good | {"copy": [1], "_group": {"a": [2]}}) == [
        "copy[0]: 1 is int, not float; write 1.0",
        '_group.a[0]: 2 is int, not str; write it in quotes, "2"',
    ]
    assert schema.check_params("01_first", {"sede": 1}) == [
        *(f"{name}: missing; notebooks/01_first.ipynb declares it" for name in good),
        "sede: not a parameter of notebooks/01_first.ipynb; did you mean seed?",
    ]


def test_a_parameter_that_no_later_cell_reads_is_rejected(project):
    project.notebook("01_first", "seed: int = 0\ndepth: int = 1", "print(seed)\ndepth = 2")
    (problem,) = schema.check_params("01_first", {"seed": 0, "depth": 1})
    assert problem.startswith("depth: declared in notebooks/01_first.ipynb but no later cell reads")


@pytest.mark.parametrize("name", ["stats", "data", "first"])
def test_a_step_named_like_a_module_without_settings_has_its_cell(name, project):
    project.notebook(f"01_{name}", "seed: int = 0", "print(seed)")
    assert not issubclass(schema.settings_class(f"01_{name}"), StepSettings)


@pytest.mark.parametrize("step", STEPS)
def test_every_number_has_a_lower_limit(step):
    cls = schema.settings_class(step)
    for line in parameters_cell(cls).splitlines():
        name, annotation = re.match(r"(\w+): (.*?) = ", line).groups()
        if "int" in annotation or "float" in annotation:
            default = cls.model_fields[name].default
            number = -1000 if "int" in annotation else -1000.0
            if isinstance(default, list):
                number = [number]
            elif isinstance(default, dict):
                number = {next(iter(default), "a"): number}
            assert "-1000" in cls.check({name: number})[0], name


@pytest.mark.parametrize(
    ("step", "name", "inside", "outside"),
    [
        ("01_dbke", "seed", [0, 2**32 - 1], [-1, 2**32]),
        ("02_sft_qlora", "mixture", [{"mini_chat": 2.5}], [{"mini_chat": -0.01}]),
        ("02_sft_qlora", "warmup_steps", [0.0, 0.99, 100.0], [-1.0]),
        ("02_sft_qlora", "max_grad_norm", [0.01], [0.0]),
        ("03_eval_fewshot", "num_shots", [[0], [8]], [[-1], [9]]),
        ("01_dbke", "dialogues_per_article", [1, 100], [0, 101]),
        ("02_sft_qlora", "lora_rank", [1, 1024], [0, 1025]),
        ("02_sft_qlora", "max_length", [64, 4096], [63, 131073]),
        ("02_sft_qlora", "validation_fraction", [0.0, 0.5], [-0.01, 0.51]),
        ("03_eval_fewshot", "token_budget", [64, 10**6], [63, 10**6 + 1]),
        ("04_note_synthesis", "repetition_penalty", [0.5, 5.0], [0.49, 5.01]),
    ],
)
def test_a_range_includes_its_limits_as_declared(step, name, inside, outside):
    cls = schema.settings_class(step)
    assert [value for value in inside if cls.check({name: value})] == []
    assert [value for value in outside if not cls.check({name: value})] == []


def test_what_may_be_empty_is_listed():
    may_be_empty = set()
    for step in STEPS:
        for name, field in schema.settings_class(step).model_fields.items():
            is_several = isinstance(field.default, list | dict)
            if is_several and not any(hasattr(c, "min_length") for c in field.metadata):
                may_be_empty.add(name)
    assert may_be_empty == {
        *("questions", "exemplars", "scores", "compare_with", "training_sources", "speedups"),
        "loss_on_all",
        *("note_exemplars", "other_decodings", "licences"),
        *("evaluation_sets", "article_limits"),
    }


def test_checking_a_study_imports_no_torch():
    code = (
        "import sys; from clinical_camel.runner import jobs\n"
        "jobs.load_jobs('mini_camel'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
