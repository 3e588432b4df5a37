"""Rollouts: replies sampled from a policy as token ids, and what models say about each token.

Prompts are padded on the left and replies on the right, so that the tokens of all replies are the
last columns of one tensor, and only these reach the LM head. A token's number is about that token:
its log-probability was predicted one position before.
"""

import contextlib
import copy
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import save_file

from clinical_camel import models
from clinical_camel.models import LLM, Decoding, ModelError
from clinical_camel.models.adapter_gate import ADAPTER_WEIGHTS
from clinical_camel.reward_and_rl.sampling import tokenize_prompt
from clinical_camel.reward_and_rl.shapes import Prompt, Reply

POLICY = "default"  # PEFT's name of the adapter that is trained; TRL expects this one


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy and its reference, two adapters on one base.

    `llm` is the policy, `reference` PEFT's name of the adapter that it started from.
    """

    llm: LLM
    reference: str

    def list_weights(self) -> dict[str, torch.nn.Parameter]:
        """Return the trained matrices by their names in a file of the adapter."""
        mark = f".{POLICY}."
        return {
            name.replace(mark, "."): parameter
            for name, parameter in self.llm.model.named_parameters()
            if mark in name
        }

    @contextlib.contextmanager
    def use_reference(self) -> Iterator[Any]:
        """Within this context, the model computes as the reference, and nothing is trained."""
        model = self.llm.model
        model.base_model.set_adapter(self.reference, inference_mode=True)
        try:
            yield model
        finally:
            self.llm.activate()


@contextlib.contextmanager
def open_policy(llm: LLM) -> Iterator[Policy]:
    """Yield a policy that starts as a copy of `llm`, an SFT model with an adapter.

    The copy has float32 matrices and no dropout: with dropout, the probability ratio of an
    unchanged policy would not be 1. At the end it is deleted, and `llm` is as it was before. Raises
    ModelError for a model without an adapter.
    """
    model = llm.model
    if not llm.adapter or not isinstance(model, PeftModel):
        raise ModelError(f"adapter: {llm.name} has no adapter; name the SFT adapter of step 02")
    patched = {owner: owner.__dict__.get("forward") for owner in (model, model.get_base_model())}
    config = copy.deepcopy(model.peft_config[llm.adapter])
    config.inference_mode, config.lora_dropout = False, 0.0
    model.add_adapter(POLICY, config)
    source = dict(model.named_parameters())
    with torch.no_grad():
        for name, parameter in source.items():
            if f".{POLICY}." in name:
                parameter.data = parameter.data.float()
                parameter.copy_(source[name.replace(f".{POLICY}.", f".{llm.adapter}.")])
    policy = LLM("policy", model, llm.tokenizer, llm.max_length, POLICY, llm.source)
    policy.activate()
    try:
        with models.freeze_quantization(model):
            yield Policy(policy, llm.adapter)
    finally:
        for owner, forward in patched.items():  # TRL puts its own forward in place
            owner.__dict__.pop("forward", None)
            if forward is not None:
                owner.forward = forward
        llm.activate()
        for name in sorted(set(model.peft_config) & {POLICY, "ref"}):
            model.delete_adapter(name)
        llm.activate()


def has_finite_weights(policy: Policy) -> bool:
    """Return whether no weight of the policy is NaN or infinite."""
    return all(weight.isfinite().all() for weight in policy.list_weights().values())


def save_policy(policy: Policy, sft: Path, folder: Path) -> None:
    """Save a policy as an adapter that `models.load` reads; its other files are those of the SFT
    adapter. One with NaN is not saved."""
    shutil.rmtree(folder, ignore_errors=True)
    if not has_finite_weights(policy):
        return
    shutil.copytree(sft, folder, ignore=shutil.ignore_patterns(ADAPTER_WEIGHTS))
    state = get_peft_model_state_dict(
        policy.llm.model, adapter_name=POLICY, save_embedding_layers=False
    )
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    save_file(tensors, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})


@dataclass(frozen=True, slots=True)
class Rollouts:
    """Replies with their tokens.

    `tokens`, int64 [replies, prompt + reply]: prompts padded left, replies padded right. `mask`,
    the same shape, is 1 for real tokens. `reply_mask`, bool [replies, reply]: the tokens of the
    reply, its end token included.
    """

    replies: list[Reply]
    tokens: torch.Tensor
    mask: torch.Tensor
    reply_mask: torch.Tensor

    def __len__(self) -> int:
        return len(self.replies)

    def count_tokens(self) -> torch.Tensor:
        """Return the number of tokens of each reply, float32 [replies]."""
        return self.reply_mask.sum(1).float()

    def select(self, rows: Sequence[int]) -> "Rollouts":
        """Return some of the replies, without columns that are padding in all of them."""
        tokens, mask = self.tokens[rows], self.mask[rows]
        first, last = mask.any(0).nonzero()[[0, -1], 0].tolist()
        width = self.reply_mask.shape[1] - (mask.shape[1] - 1 - last)
        return Rollouts(
            [self.replies[row] for row in rows],
            tokens[:, first : last + 1],
            mask[:, first : last + 1],
            self.reply_mask[rows, :width],
        )

    def split(self, token_budget: int) -> Iterator[tuple[list[int], "Rollouts"]]:
        """Yield row numbers and their rollouts, longest first, so that little is padding.

        A part has as many replies as `token_budget` allows, at least one.
        """
        prompt = self.tokens.shape[1] - self.reply_mask.shape[1]
        prompts, replies = self.mask[:, :prompt].sum(1).tolist(), self.reply_mask.sum(1).tolist()
        order = sorted(range(len(self)), key=lambda row: prompts[row] + replies[row], reverse=True)
        part: list[int] = []
        for row in order:
            longer = [*part, row]
            width = max(prompts[i] for i in longer) + max(replies[i] for i in longer)
            if part and len(longer) * width > token_budget:
                yield part, self.select(part)
                longer = [row]
            part = longer
        yield part, self.select(part)


def sample_rollouts(
    llm: LLM,
    prompts: Sequence[Prompt],
    decoding: Decoding,
    *,
    token_budget: int,
    seeds: Sequence[int],
) -> Rollouts:
    """Return one reply per prompt; `seeds` has one seed per prompt, which decides its reply.

    Raises ModelError as `models.generate` does.
    """
    ids = [tokenize_prompt(llm, prompt) for prompt in prompts]
    new: list[list[int]] = [[] for _ in prompts]
    complete = [False] * len(prompts)
    for i, tokens, ended in models.generate_tokens(
        llm, ids, decoding, token_budget=token_budget, seeds=seeds
    ):
        new[i], complete[i] = tokens, ended
    return make_rollouts(llm, prompts, ids, new, complete)


def make_rollouts(
    llm: LLM,
    prompts: Sequence[Prompt],
    prompt_ids: Sequence[Sequence[int]],
    reply_ids: Sequence[Sequence[int]],
    complete: Sequence[bool],
) -> Rollouts:
    """Return the rollouts of tokenized prompts and replies."""
    pad = llm.tokenizer.pad_token_id
    prompt_width, reply_width = max(map(len, prompt_ids)), max(map(len, reply_ids))
    tokens, mask = [], []
    for prompt, reply in zip(prompt_ids, reply_ids, strict=True):
        before, after = prompt_width - len(prompt), reply_width - len(reply)
        tokens.append([pad] * before + list(prompt) + list(reply) + [pad] * after)
        mask.append([0] * before + [1] * (len(prompt) + len(reply)) + [0] * after)
    replies = [
        Reply(prompt, llm.tokenizer.decode(ids, skip_special_tokens=True).strip(), done)
        for prompt, ids, done in zip(prompts, reply_ids, complete, strict=True)
    ]
    device = llm.model.device
    mask = torch.tensor(mask, device=device)
    return Rollouts(
        replies, torch.tensor(tokens, device=device), mask, mask[:, prompt_width:].bool()
    )


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a model predicts at each token of replies.

    `log_softmax`, float32 [replies, reply, vocabulary], in nats at the sampling temperature.
    `states`, [replies, reply, width]: the last hidden state before the token.
    """

    log_softmax: torch.Tensor
    states: torch.Tensor

    def log_probs(self, rollouts: Rollouts) -> torch.Tensor:
        """Return the log-probability of each token of the replies, [replies, reply]."""
        targets = rollouts.tokens[:, -rollouts.reply_mask.shape[1] :, None]
        return self.log_softmax.gather(-1, targets).squeeze(-1)

    def entropies(self) -> torch.Tensor:
        """Return the entropy of the next token at each position, in nats, [replies, reply]."""
        return -(self.log_softmax.exp() * self.log_softmax).sum(-1)


def predict(model: Any, rollouts: Rollouts, temperature: float) -> Predictions:
    """Compute what a model predicts at each token of the replies, with gradients if enabled."""
    width = rollouts.reply_mask.shape[1]
    inputs = {"input_ids": rollouts.tokens, "attention_mask": rollouts.mask, "use_cache": False}
    if models.accepts_position_ids(model):  # without them, padding would move the positions
        inputs["position_ids"] = (rollouts.mask.cumsum(1) - 1).clamp(min=0)
    states: list[torch.Tensor] = []

    def take_replies(_: Any, args: tuple) -> tuple:
        states.append(args[0][:, -width - 1 : -1].contiguous())  # else the head is copied per reply
        return (states[-1],)

    hook = model.get_output_embeddings().register_forward_pre_hook(take_replies)
    try:
        logits = model(**inputs).logits
    finally:
        hook.remove()
    return Predictions((logits.float() / temperature).log_softmax(-1), states[-1])


def measure_kl(policy: Predictions, reference: Predictions, mask: torch.Tensor) -> torch.Tensor:
    """Return KL(policy || reference) of each reply, in nats, float32 [replies].

    It is the sum over its tokens of the exact KL of the next token. Its mean over replies of the
    policy is the KL of replies, with less variance than the log ratio (Amini et al. 2025,
    arXiv:2504.10637).
    """
    ratios = policy.log_softmax - reference.log_softmax
    per_token = (policy.log_softmax.exp() * ratios).sum(-1)
    return (per_token * mask).sum(1)
