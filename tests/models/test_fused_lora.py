"""fused_lora: the results of PEFT, in one pass."""

import pytest
import torch
from peft import LoraConfig, get_peft_model

from clinical_camel import models
from clinical_camel.models.fused_lora import AddLora, fuse_lora, unfuse_lora

IDS = torch.tensor([[5, 9, 40, 7, 3], [8, 8, 2, 1, 30]])


@pytest.fixture
def model():
    """The shipped model with adapters on different layers, one of them DoRA; none is zero."""
    base = models.load_base("mini", "nf4")
    tuned = get_peft_model(base, make_config(["q_proj", "down_proj"]), "first")
    tuned.add_adapter("second", make_config(["v_proj"]))
    tuned.add_adapter("dora", make_config(["k_proj"], use_dora=True))
    torch.manual_seed(0)
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return tuned.eval()


def make_config(layers: list[str], **options) -> LoraConfig:
    return LoraConfig(r=4, lora_alpha=8, target_modules=layers, task_type="CAUSAL_LM", **options)


def logits(model) -> torch.Tensor:
    with torch.inference_mode():
        return model(IDS).logits


def count_fused(monkeypatch) -> list:
    calls = []
    apply = AddLora.apply
    monkeypatch.setattr(AddLora, "apply", lambda *args: calls.append(1) or apply(*args))
    return calls


@pytest.mark.parametrize(
    ("active", "fused_layers"), [("first", 2), ("second", 1), ("dora", 0), ("none", 0)]
)
def test_the_logits_are_those_of_peft(model, monkeypatch, active, fused_layers):
    if active == "none":
        model.base_model.disable_adapter_layers()
    else:
        model.set_adapter(active)
    stock = logits(model)
    layers, calls = fuse_lora(model), count_fused(monkeypatch)
    torch.testing.assert_close(logits(model), stock, atol=1e-5, rtol=1e-5)
    assert len(calls) == fused_layers * model.config.num_hidden_layers
    unfuse_lora(layers)
    calls.clear()
    torch.testing.assert_close(logits(model), stock, atol=0, rtol=0)
    assert not calls


def test_two_active_adapters_are_added_by_peft(model):
    model.base_model.set_adapter(["first", "second"])
    stock = logits(model)
    fuse_lora(model)
    torch.testing.assert_close(logits(model), stock, atol=1e-5, rtol=1e-5)


def test_float32_inputs_under_autocast_have_the_gradients_of_float32():
    torch.manual_seed(0)
    shapes = ((2, 3, 8), (2, 3, 16), (4, 16), (8, 4))
    inputs = out, x, a, b = [torch.randn(shape, requires_grad=True) for shape in shapes]
    grad = torch.randn(2, 3, 8)
    with torch.autocast("cpu", torch.bfloat16):
        summed = AddLora.apply(out, x, a, b, 0.5)
    gradients = torch.autograd.grad(summed, inputs, grad.to(summed.dtype))
    stock = torch.autograd.grad(out + 0.5 * (x @ a.T @ b.T), inputs, grad)
    for gradient, expected in zip(gradients, stock, strict=True):
        assert gradient.dtype == expected.dtype
        torch.testing.assert_close(gradient, expected, atol=0.1, rtol=0.02)
