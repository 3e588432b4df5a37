"""Memory by part, compared with loaded models and real optimizers."""

from dataclasses import replace

import pytest
import torch
from transformers import Trainer, TrainingArguments

from clinical_camel import models, sft_qlora
from clinical_camel.estimate import memory
from clinical_camel.estimate.shapes import find_base
from clinical_camel.estimate.speed import MACHINES
from clinical_camel.estimate.work import Work
from clinical_camel.runner.jobs import load_job


@pytest.mark.parametrize("quantize", ["nf4", "int8", ""])
def test_weights_have_the_bytes_of_the_loaded_model(quantize):
    model = models.load_base("mini", quantize)
    loaded = sum(p.numel() * p.element_size() for p in model.parameters())
    for module in model.modules():
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        if state is not None:
            inner = state.state2
            tensors = (state.absmax, state.code, state.offset, inner.absmax, inner.code)
            loaded += sum(t.numel() * t.element_size() for t in tensors)
        if quantize == "int8" and hasattr(module, "state"):
            loaded += 4 * module.out_features
    assert sum(memory.estimate_weights(find_base("mini"), quantize, 4).values()) == loaded


@pytest.mark.parametrize("optimizer", sft_qlora.OPTIMIZERS)
def test_optimizer_states_have_the_bytes_of_the_real_optimizer(optimizer, tmp_path):
    sizes = [(64, 256), (8, 16)]
    weights = [torch.nn.Parameter(torch.ones(size)) for size in sizes]
    arguments = TrainingArguments(output_dir=str(tmp_path), optim=optimizer, use_cpu=True)
    kind, settings = Trainer.get_optimizer_cls_and_kwargs(arguments)
    built = kind(weights, **settings)
    for weight in weights:
        weight.grad = torch.full_like(weight, 0.1)
    built.step()
    measured = 0
    for state in built.state.values():
        tensors = [t for name, t in state.items() if torch.is_tensor(t) and "qmap" not in name]
        measured += sum(t.numel() * t.element_size() for t in tensors if t.numel() > 1)
    assert memory.estimate_optimizer_states(optimizer, sizes) == measured


def test_a_prompt_weight_needs_the_logits_of_all_tokens_with_and_without_target_head():
    base, recipe = find_base("mini"), load_job("mini_camel", "02_sft_qlora").settings

    def logits(share=1.0, **changed) -> int:
        settings, work = recipe.model_copy(update=changed), Work(target_share=share)
        return memory.estimate_training(base, settings, work, MACHINES["cpu"])["logits"]

    assert logits() == logits(prompt_weight=0.1) == logits(speedups=[], prompt_weight=0.1)
    assert logits() != logits(speedups=[])  # TRL's head computes tiles of the logits
    assert logits(0.5) == logits() / 2  # the head runs on target tokens only
    assert logits(0.5, prompt_weight=0.1) == logits()


def test_checkpointing_needs_less_memory_and_a_longer_row_more():
    base = find_base("meta-llama/Llama-2-13b-hf")
    changed = {"gradient_checkpointing_layers": -1, "max_length": 4096, "batch_size": 1}
    recipe = load_job("mini_camel", "02_sft_qlora").settings.model_copy(update=changed)

    def activations(longest_row: int, **changed) -> int:
        work = Work(longest_row=longest_row)
        settings = recipe.model_copy(update=changed)
        return memory.estimate_training(base, settings, work, MACHINES["h100"])["activations"]

    assert activations(4096) < activations(4096, gradient_checkpointing_layers=0) / 5
    assert activations(2048) < activations(4096) == activations(0)


def test_batches_at_once_share_the_weights_and_nothing_else():
    one = replace(MACHINES["cpu_large"], batches_at_once=1)
    work = Work(longest_row=2048, shared_prefix=1500, logit_share=0.1)
    settings = load_job("smollm2_135m", "03_eval_fewshot").settings
    base = find_base("smollm2_135m")
    single = memory.estimate_scoring(base, settings, work, one)
    double = memory.estimate_scoring(base, settings, work, replace(one, batches_at_once=2))
    grown = {part for part in single if double[part] == 2 * single[part] > 0}
    assert grown == {"one layer's activations", "attention mask", "logits"}
    assert all(double[part] == single[part] for part in single.keys() - grown)


def test_packed_rows_of_a_batch_are_one_row_with_one_mask():
    base = find_base("Qwen/Qwen3-8B")
    changed = {"gradient_checkpointing_layers": 0, "max_length": 4096, "packing": True}
    recipe = load_job("mini_camel", "02_sft_qlora").settings.model_copy(update=changed)

    def activations(rows: int) -> int:
        settings = recipe.model_copy(update={"batch_size": rows})
        parts = memory.estimate_training(base, settings, Work(longest_row=4096), MACHINES["h100"])
        return parts["activations"]

    more = 4 * 4096 * 2 * (4 * 4096 - 4096) * base.layers  # tokens x size x longer masks
    assert activations(4) == pytest.approx(4 * activations(1) + more, rel=1e-3)
