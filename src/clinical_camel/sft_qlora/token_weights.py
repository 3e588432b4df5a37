"""The weight of each token in the loss.

The assistant's tokens have weight 1, all other tokens `prompt_weight`. The loss is the weighted
mean of the tokens' negative log-likelihoods: their weighted sum, divided by the sum of the weights
in the complete step, over all processes and accumulated batches. 0.0 is the usual loss on the
assistant's tokens, 1.0 the loss on every token.

The weight is that of "prompt loss weight" (Huerta-Enochian and Ko, arXiv:2401.13586) and "weighted
instruction tuning" (Chatterjee et al., arXiv:2507.07817). The latter divides by the number of
tokens whose weight is not 0, so its loss has a step at 0; a weighted mean has none.
"""

from collections.abc import Mapping

import torch
from torch.nn import functional as F

from clinical_camel.models import IGNORE_INDEX

Batch = Mapping[str, torch.Tensor]


def find_targets(batch: Batch) -> torch.Tensor:
    """Return which tokens the loss mask selects: [rows, positions - 1], the first token left out.

    No token predicts the first one.
    """
    return batch["labels"][:, 1:] != IGNORE_INDEX


def find_prompt_tokens(batch: Batch) -> torch.Tensor:
    """Return which tokens the loss mask leaves out although a token predicts them.

    [rows, positions - 1], as `find_targets`. Padding and the first token of a packed row are
    neither targets nor prompt tokens.
    """
    is_prompt = ~find_targets(batch)
    if "attention_mask" in batch:
        is_prompt &= batch["attention_mask"][:, 1:].bool()
    if "position_ids" in batch:  # 0: the start of a packed row, or padding
        is_prompt &= batch["position_ids"][:, 1:] > 0
    return is_prompt


def sum_weights(batch: Batch, prompt_weight: float) -> torch.Tensor:
    """Return the sum of the weights of a batch's tokens, as a tensor without dimensions."""
    return find_targets(batch).sum() + prompt_weight * find_prompt_tokens(batch).sum()


def sum_weighted_loss(
    logits: torch.Tensor, tokens: torch.Tensor, is_target: torch.Tensor, prompt_weight: float
) -> torch.Tensor:
    """Return the weighted sum of the negative log-likelihoods of `tokens`, in nats.

    `logits`: [tokens, vocabulary], of the positions before the tokens. `is_target`: [tokens].
    """
    losses = F.cross_entropy(logits.float(), tokens, reduction="none")
    return (losses * torch.where(is_target, 1.0, prompt_weight)).sum()
