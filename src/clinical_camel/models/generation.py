"""Text written after prompts, batch by batch; what is drawn for a prompt depends on it alone."""

import zlib
from collections.abc import Iterator, Sequence, Set

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from clinical_camel.models.encoding import encode
from clinical_camel.models.loading import LLM
from clinical_camel.models.scoring import halving


@torch.inference_mode()
def generate(
    llm: LLM,
    prompts: Sequence[str],
    *,
    max_new_tokens: int,
    token_budget: int,
    seed: int,
    skip: Set[int] = frozenset(),
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    repetition_penalty: float = 1.0,
) -> Iterator[tuple[int, str, bool]]:
    """Yields (index of the prompt, text written after it, whether it came to its own end).

    Longest prompt first. `temperature=0.0` is greedy. `token_budget` bounds rows x tokens of a
    batch, the new ones counted in; a batch that runs out of memory is halved. Each prompt has a
    random generator of its own, so a run that was resumed, or halved, draws the same. `skip` are
    indices whose text is known: a batch of only such is not written, and batches stay the same.
    """
    if skip.issuperset(range(len(prompts))):
        return
    model, tokenizer = llm.activate(), llm.tokenizer
    ids = [encode(tokenizer, prompt) for prompt in prompts]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]), reverse=True)

    def write(batch: list[list[int]]) -> list[tuple[int, str, bool]]:
        chosen, width = [row[0] for row in batch], len(batch[0])
        pad = tokenizer.pad_token_id
        padded = torch.tensor([[pad] * (width - len(ids[i])) + ids[i] for i in chosen])
        mask = torch.tensor([[0] * (width - len(ids[i])) + [1] * len(ids[i]) for i in chosen])
        draws = [seed + zlib.crc32(prompts[i].encode()) for i in chosen]
        output = model.generate(
            input_ids=padded.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=max_new_tokens,
            pad_token_id=pad,
            eos_token_id=tokenizer.eos_token_id,
            repetition_penalty=repetition_penalty,
            do_sample=False,
            logits_processor=_sampling(draws, temperature, top_p, top_k),
        )
        rows = [row.tolist() for row in output[:, width:]]
        texts = tokenizer.batch_decode(rows, skip_special_tokens=True)
        ended = [tokenizer.eos_token_id in row for row in rows]
        return list(zip(chosen, map(str.strip, texts), ended, strict=True))

    rows = [[i] * len(ids[i]) for i in order]
    for _, written in halving(rows, max_new_tokens, token_budget, write, lambda r: r[0] in skip):
        yield from (each for each in written if each[0] not in skip)


def _sampling(
    seeds: Sequence[int], temperature: float, top_p: float, top_k: int
) -> LogitsProcessorList:
    """What makes the likeliest token a drawn one; nothing for temperature 0."""
    steps = LogitsProcessorList()
    if temperature > 0:
        steps.append(TemperatureLogitsWarper(temperature))
        steps += [TopKLogitsWarper(top_k)] if top_k else []
        steps += [TopPLogitsWarper(top_p)] if top_p < 1 else []
        steps.append(_Gumbel(seeds))
    return steps


class _Gumbel(LogitsProcessor):
    """Adds Gumbel noise, row by row from its own generator.

    The likeliest token is then a draw from the softmax (the Gumbel-max trick, Gumbel 1954), and no
    row's draw depends on which others are in its batch, as it would with one generator for all.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        uniform = [torch.rand(scores.shape[-1], generator=g) for g in self.generators]
        noise = -torch.log(-torch.log(torch.stack(uniform).clamp(1e-20, 1 - 1e-7)))
        return scores.float() + noise.to(scores.device)
