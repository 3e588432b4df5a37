"""Speedups of training that leave loss and gradients as they are: skip what no loss needs.

    target_head   logits for target tokens only: about half of a dialogue's tokens have no loss
    target_tail   the last layer's MLP for target tokens only: only the logits read its output
    causal_mask   no padding mask: no token attends to padding after it, and attention is faster
    fused_lora    base output plus LoRA product in one pass instead of PEFT's three
    compile       torch.compile of each layer; it takes minutes at the start, and sums are in
                  another order, so losses differ in the last digits

`benchmarks/sft_speed.py` measures each of them.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F
from transformers import TrainerState
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.trainer_pt_utils import LengthGroupedSampler
from trl import SFTTrainer

from clinical_camel.models.fused_lora import fuse_lora, unfuse_lora
from clinical_camel.sft_qlora import token_weights
from clinical_camel.sft_qlora.ordering import ShuffledBatches
from clinical_camel.sft_qlora.settings import COMPILE

BACKEND = "inductor"  # of torch.compile


class Trainer(SFTTrainer):
    """TRL's trainer, with the loss computed from the logits of the tokens with loss only.

    It is the same loss: the negative log-likelihood summed over target tokens, divided by their
    number in the complete step, over all processes and accumulated batches. With a `prompt_weight`
    above 0, it is the weighted mean of module `token_weights`. The validation loss is the mean over
    target tokens at any `prompt_weight`, so that trainings can be compared.
    """

    hooks: "Hooks | None" = None

    def __init__(self, *args, prompt_weight: float = 0.0, **kwargs) -> None:
        self.prompt_weight = prompt_weight
        super().__init__(*args, **kwargs)

    def get_batch_samples(self, epoch_iterator, num_batches, device):
        """Return the batches of a step and their number of target tokens, or sum of weights."""
        batches, count = super().get_batch_samples(epoch_iterator, num_batches, device)
        if self.prompt_weight and count is not None:
            weights = [token_weights.sum_weights(batch, self.prompt_weight) for batch in batches]
            count = torch.stack(weights).sum().to(device)
            if self.args.average_tokens_across_devices and self.args.world_size > 1:
                count = self.accelerator.gather(count).sum()
        return batches, count

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        weight = self.prompt_weight if self.model.training else 0.0
        if self.hooks is None and not weight:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        is_target = token_weights.find_targets(inputs)
        is_read = is_target | token_weights.find_prompt_tokens(inputs) if weight else is_target
        count = num_items_in_batch
        if count is None:
            count = token_weights.sum_weights(inputs, weight)
        del inputs["labels"]
        self._count_tokens(inputs)
        read, tokens = is_read.nonzero(as_tuple=True), inputs["input_ids"][:, 1:][is_read]
        logits = self._compute_logits(model, inputs, read)
        if weight:
            loss = token_weights.sum_weighted_loss(logits, tokens, is_target[read], weight)
        else:
            loss = F.cross_entropy(logits.float(), tokens, reduction="sum")
        loss = loss / torch.as_tensor(count).clamp(min=weight or 1)  # the smallest sum above 0
        if num_items_in_batch is not None and self.args.average_tokens_across_devices:
            loss = loss * self.accelerator.num_processes  # gradients are averaged over processes
        return (loss, None) if return_outputs else loss

    def _compute_logits(self, model, inputs, read) -> torch.Tensor:
        """Return the logits at the rows and positions `read`: [tokens, vocabulary]."""
        if self.hooks is None:
            return model(**inputs, use_cache=False).logits[read]
        if self.hooks.drop_mask and "attention_mask" in inputs:
            mask = inputs["attention_mask"]
            if bool((mask[:, 1:] <= mask[:, :-1]).all()):  # padding at the end of rows only
                del inputs["attention_mask"]
        self.hooks.read = read
        return model(**inputs, use_cache=False).logits[0]

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None) -> None:
        """Load the weights; the count of tokens goes on, too (TRL starts at 0 again)."""
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        file = Path(resume_from_checkpoint) / "trainer_state.json"
        history = TrainerState.load_from_json(str(file)).log_history
        counts = [entry["num_tokens"] for entry in history if "num_tokens" in entry]
        self._total_train_tokens = int(counts[-1]) if counts else 0

    def _load_optimizer_and_scheduler(self, checkpoint) -> None:
        """Load both; loaded states of a paged optimizer are ordinary memory, not marked as paged.

        A checkpoint has the mark. With several GPUs, states are loaded with it to ordinary memory
        of a GPU, and bitsandbytes would prefetch them, which ends the process (its issue 1708).
        """
        super()._load_optimizer_and_scheduler(checkpoint)
        for state in self.optimizer.state.values():
            for value in state.values():
                if hasattr(value, "is_paged"):
                    del value.is_paged

    def _get_train_sampler(self, *args):
        sampler = super()._get_train_sampler(*args)
        if isinstance(sampler, LengthGroupedSampler):
            return ShuffledBatches(sampler, self.args.train_batch_size, self.args.seed)
        return sampler

    def _count_tokens(self, inputs) -> None:
        """Count `num_tokens` for the log, as TRL's own loss does."""
        mode = "train" if self.model.training else "eval"
        if mode == "train":
            tokens = inputs.get("attention_mask", torch.ones_like(inputs["input_ids"])).sum()
            self._total_train_tokens += self.accelerator.gather_for_metrics(tokens).sum().item()
        self._metrics[mode]["num_tokens"] = [self._total_train_tokens]


class Hooks:
    """The hooks of one training.

    `read`: rows and positions, [tokens with loss] each, whose logits predict a token with loss.
    """

    def __init__(self) -> None:
        self.read: tuple[torch.Tensor, torch.Tensor] = ()
        self.drop_mask = False
        self.handles: list[Any] = []

    def add_target_head(self, base: Any) -> None:
        head = base.get_output_embeddings()
        self.handles.append(
            head.register_forward_pre_hook(lambda _, args: (args[0][self.read][None],))
        )

    def add_target_tail(self, base: Any) -> None:
        def select(_, states):
            self.shape = states[0].shape
            return tuple(state[self.read] for state in states)

        def scatter(_, states, out):
            return out.new_zeros(self.shape).index_put(self.read, out)

        mlp = decoder_layers(base)[-1].mlp
        self.handles += [
            mlp.register_forward_pre_hook(select),
            mlp.register_forward_hook(scatter),
        ]


@contextlib.contextmanager
def apply_speedups(trainer: Trainer, names: Sequence[str]) -> Iterator[None]:
    """Within this context, `trainer` uses these speedups; afterwards the model is as before.

    `target_tail` and `causal_mask` need `target_head`: a head over all tokens would read what they
    skip. `Recipe` checks this.
    """
    base, hooks = trainer.model.get_base_model(), Hooks()
    layers: list[Any] = []
    try:
        if "target_head" in names:
            trainer.hooks = hooks
            hooks.drop_mask = "causal_mask" in names
            hooks.add_target_head(base)
        if "target_tail" in names:
            hooks.add_target_tail(base)
        if "fused_lora" in names:
            layers = fuse_lora(trainer.model)
        if COMPILE in names:
            for layer in decoder_layers(base):
                layer.compile(backend=BACKEND, dynamic=True)  # rows have many lengths
        yield
    finally:
        for layer in decoder_layers(base):
            layer._compiled_call_impl = None
        trainer.hooks = None
        for handle in hooks.handles:
            handle.remove()
        unfuse_lora(layers)


def require_supported_speedups(names: Sequence[str], base: Any) -> None:
    """Raise ValueError if the architecture of `base` does not allow one of these speedups."""
    if "target_tail" in names and not hasattr(decoder_layers(base)[-1], "mlp"):
        kind = base.config.model_type
        raise ValueError(f"speedups: target_tail: layers of {kind} have no `mlp`; leave it out")


def decoder_layers(base: Any) -> list[Any]:
    """Return the layers of a decoder, first to last."""
    return [m for m in base.modules() if isinstance(m, GradientCheckpointingLayer)]


def enable_gradient_checkpointing(base: Any, layers: int) -> None:
    """Recompute the first `layers` layers (-1: all) in the backward pass to save memory.

    These layers store their input only. The first ones, because when the backward pass reaches
    them, the activations of the others have been freed.
    """
    if not layers:
        return
    base.activation_checkpointing_enable()
    for layer in decoder_layers(base)[layers:] if layers > 0 else ():
        layer.gradient_checkpointing = False
