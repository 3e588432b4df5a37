"""The settings of step 02: values that are valid alone but not together."""

import sys

import pytest

from clinical_camel import sft_qlora
from clinical_camel.models.choices import ATTENTION
from clinical_camel.sft_qlora import settings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"speedups": ["causal_mask"]}, "speedups: causal_mask needs target_head"),
        ({"speedups": ["target_tail", "fused_lora"]}, "speedups: target_tail needs target_head"),
        ({"speedups": ["faster"]}, 'speedups[0]: "faster" is not one of target_head,'),
        ({"report_to": "nowhere"}, 'report_to: "nowhere" is not one of none, tensorboard'),
        ({"report_to": "wandb"}, "report_to: wandb is not installed; pip install wandb"),
        ({"lora_targets": ["all-linear", "q_proj"]}, "lora_targets: all-linear excludes other"),
        ({"lr_scheduler": "constant"}, "warmup_steps: without effect if lr_scheduler is constant"),
        (
            {"loss_on_all": ["mini_primer"]},
            "loss_on_all: mini_primer is not in mixture; known: mini_chat",
        ),
        (
            {"loss_on": "all", "loss_on_all": ["mini_chat"]},
            "loss_on_all: without effect if loss_on is all; write []",
        ),
        (
            {"load_best_model_at_end": True},
            "load_best_model_at_end: true needs a validation loss",
        ),
        (
            {"loss_on": "all", "prompt_weight": 0.1},
            "prompt_weight: 0.1 has no effect if loss_on is",
        ),
        ({"prompt_weight": 1.5}, "prompt_weight: 1.5 is not allowed; write a number"),
        ({"mixture": {"mini_chat": 0.0}}, "mixture: every fraction is 0.0"),
        ({"mixture": {"mini_exam": 1.0}}, "mixture (a key): mini_exam holds Question rows"),
        ({"chat_template": "llama"}, 'chat_template: "llama" is not one of "", mini'),
    ],
)
def test_each_problem_is_named_by_its_key(values, message, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)  # as if not installed
    assert sft_qlora.Recipe.check({}) == []
    (problem,) = sft_qlora.Recipe.check(values)
    assert problem.startswith(message)


def test_packing_with_eager_names_every_other_attention():
    (problem,) = sft_qlora.Recipe.check({"packing": True, "attn_implementation": "eager"})
    assert problem.startswith("packing: true with attn_implementation: eager")
    _, _, choices = problem.partition("write ")
    assert set(choices.replace(" or ", ", ").split(", ")) == {'""', *ATTENTION} - {"", "eager"}


def test_schedulers_and_optimizers_are_known_to_the_trainer():
    from transformers import SchedulerType
    from transformers.training_args import OptimizerNames

    assert set(settings.LR_SCHEDULERS) <= {member.value for member in SchedulerType}
    assert set(settings.OPTIMIZERS) <= {member.value for member in OptimizerNames}
