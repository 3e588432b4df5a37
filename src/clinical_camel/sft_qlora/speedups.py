"""Shortcuts in training that leave the mathematics as it is: what no loss needs is not computed.

A trainer computes the logits of every token, and half of them belong to words of a patient that
nothing is learned from; the last layer's feed-forward part has no other reader than those logits;
padding behind a row is masked, though no token looks ahead, and a mask keeps attention from its
fastest form; and PEFT adds a LoRA product to a layer's output in three passes where one will do.
Each of SPEEDUPS can be left out, and `benchmarks/sft_speed.py` measures what it is worth.
"""

import contextlib
import types
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from torch.nn import functional as F
from transformers.modeling_layers import GradientCheckpointingLayer
from trl import SFTTrainer

from clinical_camel import models


class Trainer(SFTTrainer):
    """TRL's trainer, with the loss computed from the logits of trained tokens only.

    The same loss: the negative log-likelihood summed over trained tokens, divided by how many the
    whole step has, on every process and in every accumulated batch.
    """

    shortcuts: "Shortcuts | None" = None

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        if self.shortcuts is None:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        labels = inputs.pop("labels")
        self._count_tokens(inputs)
        if self.shortcuts.causal and "attention_mask" in inputs:
            mask = inputs["attention_mask"]
            if bool((mask[:, 1:] <= mask[:, :-1]).all()):  # padding at the end of rows only
                del inputs["attention_mask"]
        rows, places = (labels[:, 1:] != models.IGNORE).nonzero(as_tuple=True)
        self.shortcuts.kept = rows, places
        logits = model(**inputs, use_cache=False).logits[0]
        targets = labels[rows, places + 1]
        count = len(targets) if num_items_in_batch is None else num_items_in_batch
        loss = F.cross_entropy(logits.float(), targets, reduction="sum")
        loss = loss / torch.as_tensor(count).clamp(min=1)
        if num_items_in_batch is not None and self.args.average_tokens_across_devices:
            loss = loss * self.accelerator.num_processes  # over which gradients are averaged
        return (loss, None) if return_outputs else loss

    def _count_tokens(self, inputs) -> None:
        """What TRL's own loss would log as `num_tokens`."""
        mode = "train" if self.model.training else "eval"
        if mode == "train":
            read = inputs.get("attention_mask", torch.ones_like(inputs["input_ids"])).sum()
            self._total_train_tokens += self.accelerator.gather_for_metrics(read).sum().item()
        self._metrics[mode]["num_tokens"] = [self._total_train_tokens]


class Shortcuts:
    """The hooks of one training. `kept`: the rows and places, [tokens] each, that are read."""

    def __init__(self) -> None:
        self.kept: tuple[torch.Tensor, torch.Tensor] = ()
        self.causal = False
        self.hooks: list[Any] = []

    def trained_head(self, base: Any) -> None:
        head = base.get_output_embeddings()
        self.hooks.append(head.register_forward_pre_hook(lambda _, at: (at[0][self.kept][None],)))

    def trained_tail(self, base: Any) -> None:
        def cut(_, states):
            self.shape = states[0].shape
            return tuple(state[self.kept] for state in states)

        def place(_, states, out):
            return out.new_zeros(self.shape).index_put(self.kept, out)

        last = decoder_layers(base)[-1].mlp
        self.hooks += [last.register_forward_pre_hook(cut), last.register_forward_hook(place)]


@contextlib.contextmanager
def applied(trainer: Trainer, names: Sequence[str]) -> Iterator[None]:
    """Within it, `trainer` takes the shortcuts of these names; afterwards the model is as before.

    `trained_tail` and `causal_mask` alone would be wrong: a head over all tokens would read what
    they leave out, or what the padding has become.
    """
    base, shortcuts = trainer.model.get_base_model(), Shortcuts()
    layers = [m for m in trainer.model.modules() if isinstance(m, LoraLayer)]
    try:
        if "trained_head" in names:
            trainer.shortcuts = shortcuts
            shortcuts.causal = "causal_mask" in names
            shortcuts.trained_head(base)
        if "trained_tail" in names:
            shortcuts.trained_tail(base)
        for layer in layers if "fused_lora" in names else ():
            layer.forward = types.MethodType(_forward, layer)
        yield
    finally:
        trainer.shortcuts = None
        for hook in shortcuts.hooks:
            hook.remove()
        for layer in layers:
            layer.__dict__.pop("forward", None)


def problem(names: Sequence[str], base: Any, parallel: str = "data") -> str:
    """Why these shortcuts cannot be taken with this base, or ""."""
    for name in {"trained_tail", "causal_mask"} & set(names):
        if "trained_head" not in names:
            return f"{name}: needs trained_head, whose loss reads no other token"
    if "trained_tail" in names and not hasattr(decoder_layers(base)[-1], "mlp"):
        return f"trained_tail: the layers of {base.config.model_type} have no `mlp`; leave it out"
    if "fused_lora" in names and parallel == "fsdp":
        return "fused_lora: under fsdp a matrix is whole only in its own layer; leave it out"
    return ""


def decoder_layers(base: Any) -> list[Any]:
    """The layers of a decoder, first to last."""
    return [m for m in base.modules() if isinstance(m, GradientCheckpointingLayer)]


def recompute(base: Any, layers: int) -> None:
    """The first `layers` layers (-1: all) keep their input only and are computed again for their
    gradient; the others keep what they computed.

    The first ones, since by their turn in the backward pass the others have been freed.
    """
    if not layers:
        return
    base.activation_checkpointing_enable()
    for layer in decoder_layers(base)[layers:] if layers > 0 else ():
        layer.gradient_checkpointing = False


def _forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    """In place of a PEFT LoRA layer's forward, for one active adapter."""
    (name,) = self.active_adapters
    a, b = self.lora_A[name].weight, self.lora_B[name].weight
    out, low = self.base_layer(x, *args, **kwargs), self.lora_dropout[name](x)
    return AddLora.apply(out, low, a, b, self.scaling[name])


class AddLora(torch.autograd.Function):
    """out + scaling * x A^T B^T, [..., out_features], for x, [..., in_features].

    `a`: [rank, in_features], `b`: [out_features, rank] (LoRA, arXiv:2106.09685, section 4.1), held
    in float32 and multiplied in the precision of `out`.
    """

    @staticmethod
    def forward(ctx, out, x, a, b, scaling):
        flat = x.reshape(-1, x.shape[-1]).to(out.dtype)
        low = flat @ a.to(out.dtype).T
        ctx.save_for_backward(flat, low, a, b)
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
