"""Tests of models.choices: problems of models and adapters found without opening a weight."""

import pytest
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from clinical_camel.core.base_models import ATTENTION_PACKAGES
from clinical_camel.models.choices import ATTENTION, check_adapters, check_model


def test_transformers_has_every_attention_code():
    assert set(ATTENTION) - {""} <= {"eager", *ALL_ATTENTION_FUNCTIONS.valid_keys()}
    assert {name for name in ATTENTION if name.startswith("flash")} == set(ATTENTION_PACKAGES)


@pytest.mark.parametrize(
    ("model", "files", "problem"),
    [
        ("mini", [], ""),
        ("owner/name", [], ""),
        ("smollm2_135m", [], ""),  # not fetched: `run` says so, and `plan` needs no weights
        (
            "nowhere",
            [],
            "nowhere: no such folder, and neither mini nor smollm2_135m nor mini_0.3m nor",
        ),
        ("data/model", [], "data/model: no such folder"),
        ("base", ["config.json", "chat_template.jinja"], "base has no .safetensors"),
        ("base", ["model.safetensors"], "base has no config.json"),
        ("base", ["model.safetensors", "config.json"], "base has no chat template"),
        ("base", ["model.safetensors", "config.json", "chat_template.jinja"], ""),
    ],
)
def test_a_model_is_checked_by_name_and_files(model, files, problem, project):
    for name in files:
        project.file(f"{model}/{name}", "{}")
    problems = list(check_model(model, ""))
    assert len(problems) == bool(problem)
    assert all(problem in text for text in problems)
    if "no chat template" in problem:
        assert list(check_model(model, "llama2")) == []


def test_adapters_need_their_weights_unless_an_earlier_step_creates_them(project):
    project.file("good/adapter_model.safetensors", "")
    adapters = {"base": "", "good": "good", "later": "outputs/study/adapter", "bad": "bad"}
    assert list(check_adapters(adapters)) == [
        "adapters.bad: no adapter_model.safetensors in bad; name an adapter folder"
    ]


def test_the_baseline_must_be_one_of_the_adapters(project):
    assert list(check_adapters({"base": ""}, "bass")) == [
        'baseline: "bass" is not in adapters; did you mean base?'
    ]
