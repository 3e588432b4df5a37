"""Score the log-likelihood of continuations, computing shared tokens once.

Three savings: the common prefix of all contexts (few-shot examples) is computed once into a KV
cache; the continuations of one context branch from one row; and the LM head, which costs as much as
several layers if the vocabulary is large, runs only at the positions that predict a continuation.
"""

import collections
import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from clinical_camel.models.batches import Row, plan_batches
from clinical_camel.models.gate import ModelError
from clinical_camel.models.loading import LLM, accepts_position_ids
from clinical_camel.models.tokenization import Pair
from clinical_camel.models.workers import compute_batches

HEAD_ROWS = 512  # positions whose log-probabilities over the vocabulary are in memory at a time
_Limit = Callable[[Sequence[tuple[int, int]]], contextlib.AbstractContextManager[None]]


@torch.inference_mode()
def score_pairs(
    llm: LLM, pairs: Sequence[Pair], token_budget: int, skip: Set[int] = frozenset()
) -> Iterator[tuple[int, float]]:
    """Yield (index of the pair, log-likelihood of its continuation in nats), batch by batch.

    `token_budget` limits rows x tokens of a batch, the prefix included; on a CPU, threads compute
    several batches at once (`workers`). `skip`: indices that are already done. Batches stay the
    same, and a batch of only such indices is not computed, so a resumed run gives exactly the
    numbers of an uninterrupted one. `llm.counts` adds up what is computed: prefix_tokens,
    row_tokens, padding_tokens, head_rows. Raises ModelError for a pair longer than
    `llm.max_length`, or NaN.
    """
    if skip.issuperset(range(len(pairs))):
        return
    longest = max(map(len, pairs))
    if longest > llm.max_length:
        raise ModelError(f"a prompt of {longest} tokens is longer than {llm.max_length}")
    model = llm.activate()
    can_share = _can_share_prefix(model, longest)
    branch = can_share and can_branch(model, longest)
    shared, rows = plan_batches(pairs, branch, can_share)
    prefix = _compute_prefix(model, pairs[0].context[:shared]) if shared else None
    llm.counts["prefix_tokens"] += shared

    def is_done(row: Row) -> bool:
        return all(index in skip for index, _ in row.targets)

    with _limit_head(model) as limit:
        score = functools.partial(_score_batch, llm, limit, prefix, shared)
        for scores, computed in compute_batches(
            rows, shared, token_budget, score, is_done, model.device
        ):
            llm.counts.update(computed)
            yield from (pair for pair in scores if pair[0] not in skip)


def _can_share_prefix(model, longest: int) -> bool:
    """Whether keys and values are all that later tokens need from a prefix.

    Not in recurrent models and hybrids (Mamba, Jamba, LFM2), whose states are no such cache, nor
    with attention in chunks (Llama 4) shorter than the prompt.
    """
    text = model.config.get_text_config()
    chunk = getattr(text, "attention_chunk_size", None)
    layers = {type(layer) for layer in DynamicCache(config=model.config).layers}
    attends = layers <= {DynamicLayer, DynamicSlidingWindowLayer} and not model._is_stateful
    return attends and not (chunk and chunk < longest)


def can_branch(model, longest: int) -> bool:
    """Whether several continuations can share one row, with our own mask and position ids.

    Not for ALiBi models (BLOOM), which derive positions from the mask; not for flash attention,
    which takes no such mask; not with a sliding window shorter than the prompt.
    """
    text = model.config.get_text_config()
    window = getattr(text, "sliding_window", None)
    return (
        accepts_position_ids(model)
        and not getattr(text, "alibi", False)
        and model.config._attn_implementation in ("sdpa", "eager")
        and not (window and window < longest)
    )


class _PrefixLayer(DynamicLayer):
    """Keys and values of the prefix, shared by all batches: never extended or copied in full."""

    def update(self, key_states, value_states, *args, **kwargs):
        parts = ((self.keys, key_states), (self.values, value_states))
        joined = [torch.cat([k.expand(len(new), -1, -1, -1), new], dim=-2) for k, new in parts]
        return joined[0], joined[1]


def _compute_prefix(model, tokens: Sequence[int]) -> DynamicCache:
    ids = torch.tensor([list(tokens)], device=model.device)
    cache = DynamicCache()  # without the config: plain layers, which store the full prefix
    model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    for layer in cache.layers:
        layer.__class__ = _PrefixLayer
    return cache


@torch.inference_mode()  # each thread has its own mode
def _score_batch(
    llm: LLM, limit: _Limit, prefix, shared: int, batch: Sequence[Row]
) -> tuple[list[tuple[int, float]], dict[str, int]]:
    """Return (index of the pair, log-likelihood) for every pair in this batch, and `llm.counts`."""
    model = llm.model
    width = max(map(len, batch))
    pad = llm.tokenizer.pad_token_id or 0
    ids = [[*row.tokens, *[pad] * (width - len(row))] for row in batch]
    inputs = {"input_ids": torch.tensor(ids, device=model.device)}
    if any(len(row.branches) > 1 for row in batch):
        inputs |= _mask_branches(batch, width, shared, model)
    else:
        real = [shared + len(row) for row in batch]
        mask = torch.arange(shared + width)[None, :] < torch.tensor(real)[:, None]
        inputs["attention_mask"] = mask.long().to(model.device)
    targets = [(r, target) for r, row in enumerate(batch) for target in row.targets]
    places = sorted({(r, position) for r, (_, steps) in targets for position, _ in steps})
    tokens = sum(map(len, batch))
    computed = {"row_tokens": tokens, "padding_tokens": width * len(batch) - tokens}
    with limit(places):
        logits = model(**inputs, past_key_values=prefix, use_cache=prefix is not None).logits[0]
    computed["head_rows"] = len(logits)
    at = {place: i for i, place in enumerate(places)}
    steps = [(at[r, position], token) for r, (_, steps) in targets for position, token in steps]
    values = iter(_log_probabilities(logits, steps))
    scores = [(index, sum(next(values) for _ in steps)) for _, (index, steps) in targets]
    if any(value != value for _, value in scores):
        raise ModelError("the model gave NaN logits")
    return scores, computed


def _mask_branches(batch: Sequence[Row], width: int, shared: int, model) -> dict[str, torch.Tensor]:
    """Return position ids and an attention mask that keep the branches of a row independent."""
    dtype = model.get_input_embeddings().weight.dtype
    lowest = torch.finfo(dtype).min
    positions = torch.zeros(len(batch), width, dtype=torch.long)
    mask = torch.full((len(batch), 1, width, shared + width), lowest, dtype=dtype)
    mask[..., :shared] = 0
    causal = torch.full((width, width), lowest, dtype=dtype).triu(1)
    for r, row in enumerate(batch):
        positions[r] = torch.arange(shared, shared + width)
        visible = mask[r, 0, :, shared:]
        visible[:, : row.trunk] = causal[:, : row.trunk]
        start = row.trunk
        for length in row.branches:
            stop = start + length
            visible[start:stop, start:stop] = causal[:length, :length]
            positions[r, start:stop] = torch.arange(length) + shared + row.trunk
            start = stop
    inputs = {"attention_mask": mask, "position_ids": positions}
    return {name: value.to(model.device) for name, value in inputs.items()}


@contextlib.contextmanager
def _limit_head(model) -> Iterator[_Limit]:
    """Within this context, the LM head runs only at the places of a batch that a thread computes.

    Yield a context for one batch; its argument are (row, position). The logits have the shape [1,
    places, vocabulary]. A hook rather than a direct call of the head keeps what a model does with
    its logits afterwards (scaling, capping).
    """
    here = threading.local()

    def choose(_: Any, args: tuple) -> tuple | None:
        index = getattr(here, "index", None)
        return None if index is None else (args[0][index][None],)

    @contextlib.contextmanager
    def limit(places: Sequence[tuple[int, int]]) -> Iterator[None]:
        columns = zip(*places, strict=True)
        here.index = tuple(torch.tensor(column, device=model.device) for column in columns)
        try:
            yield
        finally:
            here.index = None

    hook = model.get_output_embeddings().register_forward_pre_hook(choose)
    try:
        yield limit
    finally:
        hook.remove()


def _log_probabilities(logits: torch.Tensor, steps: Sequence[tuple[int, int]]) -> list[float]:
    """Return the log-probability of each (row of `logits`, token), in order, in float32."""
    chunks = collections.defaultdict(list)
    for i, (row, token) in enumerate(steps):
        chunks[row // HEAD_ROWS].append((i, row % HEAD_ROWS, token))
    values = [0.0] * len(steps)
    for part, chunk in chunks.items():
        table = logits[part * HEAD_ROWS : (part + 1) * HEAD_ROWS].float().log_softmax(-1)
        order, rows, tokens = (list(x) for x in zip(*chunk, strict=True))
        for i, value in zip(order, table[rows, tokens].tolist(), strict=True):
            values[i] = value
    return values
