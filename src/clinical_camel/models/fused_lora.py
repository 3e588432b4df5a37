"""LoRA in one pass, in the precision of the base: for training, scoring and generation.

PEFT adds the low-rank product in three passes, in float32 if the adapter is stored so. With a base
in bfloat16 on a CPU, that takes 1.7 times as long (SmolLM2-135M, rank 32); this costs nothing.
"""

import types
from typing import Any

import torch
from peft.tuners.lora import LoraLayer


def fuse_lora(model: Any) -> list[Any]:
    """Let each LoRA layer of a PEFT model compute in one pass; return the layers.

    A layer does so only while exactly one plain adapter is active on it; else PEFT computes.
    """
    layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
    for layer in layers:
        layer.forward = types.MethodType(_forward, layer)
    return layers


def unfuse_lora(layers: list[Any]) -> None:
    """Undo `fuse_lora`."""
    for layer in layers:
        layer.__dict__.pop("forward", None)


def _forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    """Replace the forward of a PEFT LoRA layer."""
    name = _find_plain_adapter(self)
    if not name or "adapter_names" in kwargs:
        return type(self).forward(self, x, *args, **kwargs)
    a, b = self.lora_A[name].weight, self.lora_B[name].weight
    out, low = self.base_layer(x, *args, **kwargs), self.lora_dropout[name](x)
    return AddLora.apply(out, low, a, b, self.scaling[name])


def _find_plain_adapter(layer: Any) -> str:
    """Return the one active adapter of a layer; "" if there is none, several, or another kind."""
    names = [name for name in layer.active_adapters if name in layer.lora_A]
    if layer.disable_adapters or layer.merged or len(names) != 1:
        return ""
    name = names[0]
    is_plain = name not in layer.lora_variant and layer.lora_B[name].bias is None  # no DoRA
    return name if is_plain and isinstance(layer.lora_A[name], torch.nn.Linear) else ""


class AddLora(torch.autograd.Function):
    """out + scaling * x A^T B^T, [..., out_features], for x, [..., in_features].

    `a`: [rank, in_features], `b`: [out_features, rank] (LoRA, arXiv:2106.09685, section 4.1), in
    float32, multiplied in the precision of `out`, or of autocast. The backward pass runs outside
    autocast, so it needs `x` in the type that was multiplied.
    """

    @staticmethod
    def forward(ctx, out, x, a, b, scaling):
        flat = x.reshape(-1, x.shape[-1]).to(out.dtype)
        low = flat @ a.to(out.dtype).T
        ctx.save_for_backward(flat.to(low.dtype), low, a, b)
        ctx.scaling, ctx.shape, ctx.dtype = scaling, x.shape, x.dtype
        summed = torch.addmm(out.reshape(-1, len(b)), low, b.to(out.dtype).T, alpha=scaling)
        return summed.view(out.shape)

    @staticmethod
    def backward(ctx, grad):
        flat, low, a, b = ctx.saved_tensors
        from_out = grad.reshape(-1, grad.shape[-1])
        from_low = (from_out @ b.to(grad.dtype)) * ctx.scaling
        to_x = None
        if ctx.needs_input_grad[1]:
            to_x = (from_low @ a.to(grad.dtype)).reshape(ctx.shape).to(ctx.dtype)
        to_a, to_b = from_low.T @ flat, (from_out.T @ low) * ctx.scaling
        return grad, to_x, to_a.to(a.dtype), to_b.to(b.dtype), None
