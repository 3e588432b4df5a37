"""The log-likelihood of continuations, with everything that contexts share computed once.

Three things are shared: what all contexts begin with (worked examples) is read once and kept as a
key-value cache; the continuations of one context branch from one row; and the LM head, which costs
as much as several layers when the vocabulary is large, sees only the positions that are read.
"""

import collections
import contextlib
import functools
import gc
import logging
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from clinical_camel.models.encoding import Pair, common_prefix
from clinical_camel.models.loading import LLM, ModelError, takes_positions

MIN_PREFIX = 8  # a shared prefix shorter than this is not worth a cache
HEAD_ROWS = 512  # positions for which log-probabilities over the vocabulary are held at a time
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Row:
    """A context and the continuations that branch from it, as one row of a batch.

    `tokens`: the context after the shared prefix, then each branch (a continuation without its last
    token, which is predicted and never read). `trunk`: how many of them are context. `branches`:
    length of each branch, in order. `reads`: pair and, for each token of its continuation, the
    place in the row from which it is predicted, and the token.
    """

    tokens: tuple[int, ...]
    trunk: int
    branches: tuple[int, ...]
    reads: tuple[tuple[int, tuple[tuple[int, int], ...]], ...]

    def __len__(self) -> int:
        return len(self.tokens)


@torch.inference_mode()
def score(
    llm: LLM, pairs: Sequence[Pair], token_budget: int, skip: Set[int] = frozenset()
) -> Iterator[tuple[int, float]]:
    """Yields (index of the pair, log-likelihood of its continuation in nats), batch by batch.

    `token_budget` bounds rows x tokens of a batch, the prefix counted in; a batch that runs out of
    memory is halved, and so are those after it. `skip` are indices whose value is known: a batch of
    only such is not computed, and the batches stay the same, so that a run that goes on ends in the
    very numbers of one that was never stopped. What was computed is added up in `llm.counts`:
    prefix_tokens, row_tokens, padding_tokens, head_rows. Raises ModelError for a pair longer than
    `llm.max_length`, or NaN.
    """
    if skip.issuperset(range(len(pairs))):
        return
    longest = max(map(len, pairs))
    if longest > llm.max_length:
        raise ModelError(f"a prompt of {longest} tokens is longer than {llm.max_length}")
    model = llm.activate()
    shared, rows = laid_out(pairs, _can_branch(model, longest))
    prefix = _read_prefix(model, pairs[0].context[:shared]) if shared else None
    llm.counts["prefix_tokens"] += shared
    read = functools.partial(_read, llm, model, prefix, shared)
    known = functools.partial(_known, skip)
    for _, found in halving(rows, shared, token_budget, read, known):
        yield from (each for each in found if each[0] not in skip)


def laid_out(pairs: Sequence[Pair], branch: bool = True) -> tuple[int, list[Row]]:
    """How many leading tokens all contexts share, and the rows of what follows, longest first."""
    shared = min(common_prefix([p.context for p in pairs]), min(len(p.context) for p in pairs) - 1)
    shared = shared if shared >= MIN_PREFIX else 0
    return shared, sorted(_rows(pairs, shared, branch), key=len, reverse=True)


def _known(skip: Set[int], row: Row) -> bool:
    return all(index in skip for index, _ in row.reads)


def halving(rows, shared: int, token_budget: int, compute, known) -> Iterator[tuple[list, object]]:
    """Yields (batch, `compute(batch)`): as many rows as `token_budget` allows, at least one.

    After out-of-memory with half of them, for good. The rows come longest first. A row that does
    not fit alone is an error: nothing smaller helps. A batch is passed over if all its rows are
    `known`.
    """
    start = 0
    while start < len(rows):
        cost = max(1, shared + len(rows[start]))
        batch = list(rows[start : start + max(1, token_budget // cost)])
        if all(map(known, batch)):
            start += len(batch)
            continue
        found, full = None, False
        try:
            found = compute(batch)
        except (RuntimeError, MemoryError) as error:  # a CUDA one is a RuntimeError too
            if len(batch) == 1 or not _is_out_of_memory(error):
                raise
            full = True
        if full:  # outside the handler: the traceback holds on to the tensors of the failed batch
            token_budget = cost * (len(batch) // 2)
            log.warning(
                "out of memory with %d rows: on with token_budget %d", len(batch), token_budget
            )
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            continue
        yield batch, found
        start += len(batch)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out; on a CPU torch says so with a plain RuntimeError."""
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or "can't allocate memory" in str(error)


def _can_branch(model, longest: int) -> bool:
    """Whether several continuations can share one row, which needs a mask and positions of ours.

    ALiBi models (BLOOM) build positions from the mask; flash attention takes no such mask; a window
    shorter than the prompt would have to be part of it.
    """
    window = getattr(model.config, "sliding_window", None)
    return (
        takes_positions(model)
        and model.config._attn_implementation in ("sdpa", "eager")
        and not (window and window < longest)
    )


def _rows(pairs: Sequence[Pair], shared: int, branch: bool) -> list[Row]:
    """One row for each context; without `branch`, one for each different branch of a context."""
    groups: dict[tuple, dict[tuple[int, ...], list[int]]] = {}
    for index, pair in enumerate(pairs):
        tail = pair.continuation[:-1]
        key = (pair.context,) if branch else (pair.context, tail)
        groups.setdefault(key, {}).setdefault(tail, []).append(index)
    rows = []
    for (context, *_), tails in groups.items():
        tokens, lengths, reads = list(context[shared:]), [], []
        trunk = len(tokens)
        for tail, indices in tails.items():
            places = [trunk - 1, *range(len(tokens), len(tokens) + len(tail))]
            tokens += tail
            lengths += [len(tail)] if tail else []
            for i in indices:
                reads.append((i, tuple(zip(places, pairs[i].continuation, strict=True))))
        rows.append(Row(tuple(tokens), trunk, tuple(lengths), tuple(reads)))
    return rows


class _PrefixLayer(DynamicLayer):
    """Keys and values of the prefix: lent to every batch, never grown, never copied whole."""

    def update(self, key_states, value_states, *args, **kwargs):
        parts = ((self.keys, key_states), (self.values, value_states))
        joined = [torch.cat([k.expand(len(new), -1, -1, -1), new], dim=-2) for k, new in parts]
        return joined[0], joined[1]


def _read_prefix(model, tokens: Sequence[int]) -> DynamicCache:
    ids = torch.tensor([list(tokens)], device=model.device)
    cache = DynamicCache()  # without the config: plain layers, which hold the prefix whole
    model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    for layer in cache.layers:
        layer.__class__ = _PrefixLayer
    return cache


def _read(llm: LLM, model, prefix, shared: int, batch: Sequence[Row]) -> list[tuple[int, float]]:
    """(index of the pair, log-likelihood) of every pair that this batch holds."""
    width = max(map(len, batch))
    pad = llm.tokenizer.pad_token_id or 0
    ids = [[*row.tokens, *[pad] * (width - len(row))] for row in batch]
    inputs = {"input_ids": torch.tensor(ids, device=model.device)}
    if any(len(row.branches) > 1 for row in batch):
        inputs |= _branched(batch, width, shared, model)
    else:
        real = [shared + len(row) for row in batch]
        mask = torch.arange(shared + width)[None, :] < torch.tensor(real)[:, None]
        inputs["attention_mask"] = mask.long().to(model.device)
    reads = [(r, read) for r, row in enumerate(batch) for read in row.reads]
    places = sorted({(r, place) for r, (_, steps) in reads for place, _ in steps})
    tokens = sum(map(len, batch))
    done = {"row_tokens": tokens, "padding_tokens": width * len(batch) - tokens}
    with _head_sees(model, places):
        logits = model(**inputs, past_key_values=prefix, use_cache=prefix is not None).logits[0]
    llm.counts.update(done | {"head_rows": len(logits)})
    at = {place: i for i, place in enumerate(places)}
    steps = [(at[r, place], token) for r, (_, steps) in reads for place, token in steps]
    values = iter(_log_probabilities(logits, steps))
    found = [(index, sum(next(values) for _ in steps)) for _, (index, steps) in reads]
    if any(value != value for _, value in found):
        raise ModelError("the model gave NaN logits")
    return found


def _branched(batch: Sequence[Row], width: int, shared: int, model) -> dict[str, torch.Tensor]:
    """Positions and a mask with which no branch sees another, each as if it were the only one."""
    dtype = model.get_input_embeddings().weight.dtype
    lowest = torch.finfo(dtype).min
    positions = torch.zeros(len(batch), width, dtype=torch.long)
    mask = torch.full((len(batch), 1, width, shared + width), lowest, dtype=dtype)
    mask[..., :shared] = 0
    causal = torch.full((width, width), lowest, dtype=dtype).triu(1)
    for r, row in enumerate(batch):
        positions[r] = torch.arange(shared, shared + width)
        seen = mask[r, 0, :, shared:]
        seen[:, : row.trunk] = causal[:, : row.trunk]
        start = row.trunk
        for length in row.branches:
            stop = start + length
            seen[start:stop, start:stop] = causal[:length, :length]
            positions[r, start:stop] = torch.arange(length) + shared + row.trunk
            start = stop
    found = {"attention_mask": mask, "position_ids": positions}
    return {name: value.to(model.device) for name, value in found.items()}


@contextlib.contextmanager
def _head_sees(model, places: Sequence[tuple[int, int]]) -> Iterator[None]:
    """Within, the LM head is given these (row, position) only: logits are [1, places, vocabulary].

    A hook and not a call of the head, so that whatever a model does with its logits afterwards
    (scaling, capping) is done as well.
    """
    rows, positions = (torch.tensor(x, device=model.device) for x in zip(*places, strict=True))
    head = model.get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda _, args: (args[0][rows, positions][None],))
    try:
        yield
    finally:
        hook.remove()


def _log_probabilities(logits: torch.Tensor, steps: Sequence[tuple[int, int]]) -> list[float]:
    """The log-probability of each (row of `logits`, token), in order, in float32."""
    wanted = collections.defaultdict(list)
    for i, (row, token) in enumerate(steps):
        wanted[row // HEAD_ROWS].append((i, row % HEAD_ROWS, token))
    values = [0.0] * len(steps)
    for part, chunk in wanted.items():
        table = logits[part * HEAD_ROWS : (part + 1) * HEAD_ROWS].float().log_softmax(-1)
        order, rows, tokens = (list(x) for x in zip(*chunk, strict=True))
        for i, value in zip(order, table[rows, tokens].tolist(), strict=True):
            values[i] = value
    return values
