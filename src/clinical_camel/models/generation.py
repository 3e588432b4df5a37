"""Generate text in batches; the sample for a prompt does not depend on its batch."""

import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, fields
from typing import Any, Self

import torch
from peft import PeftModel
from tqdm import tqdm
from transformers import (
    CompileConfig,
    DynamicCache,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StaticCache,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.cache_utils import DynamicLayer

from clinical_camel.models import compute
from clinical_camel.models.gate import ModelError
from clinical_camel.models.loading import LLM
from clinical_camel.models.scoring import can_branch
from clinical_camel.models.tokenization import tokenize_text
from clinical_camel.models.workers import compute_batches

COMPILE = CompileConfig()  # its defaults: generated kernels, replayed as CUDA graphs
COMPILED_LENGTHS = 256  # a compiled cache is a multiple of this long: fewer shapes to compile


@dataclass(frozen=True, slots=True)
class Decoding:
    """How the next token is chosen: temperature 0 is greedy, top_k 0 and top_p 1 keep all."""

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0

    @classmethod
    def from_settings(cls, settings: Any) -> Self:
        """Return the decoding of a step's settings, which have the same names."""
        return cls(**{field.name: getattr(settings, field.name) for field in fields(cls)})


def generate(
    llm: LLM,
    prompts: Sequence[str],
    decoding: Decoding,
    *,
    token_budget: int,
    seed: int,
    skip: Set[int] = frozenset(),
    compiled: bool = False,
) -> Iterator[tuple[int, str, bool]]:
    """Yield (index of the prompt, generated text, whether it ended with EOS), longest prompt first.

    `token_budget` limits rows x tokens of a batch, new tokens included; on a CPU, threads compute
    several batches at once (`workers`). Each prompt has its own random generator, so resumed runs
    and halved batches sample the same text. `skip`: indices that are already done; batches stay the
    same, and a batch of only such indices is not computed. `compiled`: on a GPU, compile the step
    of a token and replay it as a CUDA graph, which takes minutes at the start; on a CPU, it only
    fixes the size of the cache. A model's own generation settings have no influence. Raises
    ModelError for a prompt without room for `decoding.max_new_tokens` in the context, for NaN, and
    if `compiled` for an architecture that cannot have such a cache.
    """
    if skip.issuperset(range(len(prompts))):
        return
    ids = [tokenize_text(llm.tokenizer, prompt) for prompt in prompts]
    seeds = [compute_seed(prompt, seed) for prompt in prompts]
    for i, tokens, ended in generate_tokens(
        llm, ids, decoding, token_budget=token_budget, seeds=seeds, skip=skip, compiled=compiled
    ):
        yield i, llm.tokenizer.decode(tokens, skip_special_tokens=True).strip(), ended


def compute_seed(prompt: str, seed: int) -> int:
    """Return the seed of a prompt's own random generator, from that of the step."""
    return seed + zlib.crc32(prompt.encode())


def generate_to_journal(
    llm: LLM,
    prompts: Mapping[str, str],
    settings: Any,
    journal: Any,
    *,
    description: str,
    unit: str,
    compiled: bool = False,
) -> None:
    """Generate the text after each prompt and append it to `journal` at once: text, ended.

    `prompts`: by the id of the text in the journal; those in the journal are not generated again.
    `settings` has the fields of `Decoding`, `token_budget` and `seed`. The progress bar counts
    texts as `unit`. `compiled`: as in `generate`, with its errors.
    """
    keys = list(prompts)
    skip = {i for i, key in enumerate(keys) if key in journal.done}
    generated = generate(
        llm,
        list(prompts.values()),
        Decoding.from_settings(settings),
        token_budget=settings.token_budget,
        seed=settings.seed,
        skip=skip,
        compiled=compiled,
    )
    bar = {"total": len(keys), "initial": len(skip), "desc": description, "unit": unit}
    for i, text, ended in tqdm(generated, file=sys.stdout, **bar):
        journal.append(keys[i], {"text": text, "ended": ended})


@torch.inference_mode()
def generate_tokens(
    llm: LLM,
    ids: Sequence[Sequence[int]],
    decoding: Decoding,
    *,
    token_budget: int,
    seeds: Sequence[int],
    skip: Set[int] = frozenset(),
    compiled: bool = False,
) -> Iterator[tuple[int, list[int], bool]]:
    """Yield (index, new token ids with the EOS token, whether it ended with EOS), as `generate`.

    `ids`: the token ids of each prompt. `seeds`: of each prompt's random generator.
    """
    model, tokenizer = llm.activate(), llm.tokenizer
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    base.generation_config = GenerationConfig()  # its values would fill ours where ours are None
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]), reverse=True)
    if (most := len(ids[order[0]]) + decoding.max_new_tokens) > llm.max_length:
        raise ModelError(
            f"max_new_tokens: a prompt of {len(ids[order[0]])} tokens and "
            f"{decoding.max_new_tokens} new ones are {most}, more than the context of "
            f"{llm.max_length}; write a smaller number"
        )

    def write_batch(batch: list[list[int]]) -> list[tuple[int, list[int], bool]]:
        chosen, width = [row[0] for row in batch], len(batch[0])
        pad, end = tokenizer.pad_token_id, tokenizer.eos_token_id
        padded = torch.tensor([[pad] * (width - len(ids[i])) + list(ids[i]) for i in chosen])
        mask = torch.tensor([[0] * (width - len(ids[i])) + [1] * len(ids[i]) for i in chosen])
        guard = _NanGuard()
        output = model.generate(
            past_key_values=_make_cache(base, width + decoding.max_new_tokens, compiled),
            input_ids=padded.to(model.device),
            attention_mask=mask.to(model.device),
            generation_config=GenerationConfig(
                max_new_tokens=decoding.max_new_tokens,
                pad_token_id=pad,
                eos_token_id=end,
                repetition_penalty=decoding.repetition_penalty,
                do_sample=False,
                disable_compile=not compiled,
                compile_config=COMPILE if compiled else None,
            ),
            logits_processor=LogitsProcessorList(
                [guard, *_make_sampler([seeds[i] for i in chosen], decoding)]
            ),
        )
        if guard.has_nan:
            raise ModelError("the model gave NaN logits")
        rows = [row.tolist() for row in output[:, width:]]
        texts = [row[: row.index(end) + 1] if end in row else row for row in rows]
        return [(i, row, end in row) for i, row in zip(chosen, texts, strict=True)]

    rows = [[i] * len(ids[i]) for i in order]
    new = decoding.max_new_tokens
    for texts in compute_batches(
        rows, new, token_budget, write_batch, lambda row: row[0] in skip, model.device
    ):
        yield from (text for text in texts if text[0] not in skip)


def _make_cache(model: Any, length: int, compiled: bool = False) -> StaticCache | None:
    """Return a key-value cache of this length, or None for one that grows.

    A growing cache is copied at every step: a batch of 8 rows of SmolLM2 after 900 tokens takes 2.3
    times as long on a CPU (measured only there). A fixed one has its final size from the start, and
    fits plain attention only. Raises ModelError if `compiled`, which needs a fixed one, and the
    architecture cannot have it.
    """
    is_wanted = compiled or model.num_parameters() >= compute.LARGE
    can_be_fixed = model._can_compile_fullgraph and can_branch(model, length)
    if is_wanted and can_be_fixed:
        layers = DynamicCache(config=model.config).layers
        if {type(layer) for layer in layers} == {DynamicLayer}:
            if compiled:
                length = -(-length // COMPILED_LENGTHS) * COMPILED_LENGTHS
            return StaticCache(config=model.config, max_cache_len=length)
    if compiled:
        raise ModelError(
            f"compile_generation: {type(model).__name__} cannot have a cache of fixed size; write "
            "false"
        )
    return None


def _make_sampler(seeds: Sequence[int], decoding: Decoding) -> LogitsProcessorList:
    """Return the processors that turn greedy decoding into sampling; none for temperature 0."""
    steps = LogitsProcessorList()
    if decoding.temperature > 0:
        steps.append(TemperatureLogitsWarper(decoding.temperature))
        steps += [TopKLogitsWarper(decoding.top_k)] if decoding.top_k else []
        steps += [TopPLogitsWarper(decoding.top_p)] if decoding.top_p < 1 else []
        steps.append(_Gumbel(seeds))
    return steps


class _NanGuard(LogitsProcessor):
    """Remembers whether a score was NaN: the most likely of such scores is any token."""

    def __init__(self) -> None:
        self.has_nan: Any = False  # a tensor after the first step: one transfer a batch, not a step

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.has_nan = scores.isnan().any() | self.has_nan
        return scores


class _Gumbel(LogitsProcessor):
    """Add Gumbel noise to the scores, each row from its own random generator.

    The most likely token is then a sample from the softmax (Gumbel-max trick, Gumbel 1954). With
    one generator for all rows, a sample would depend on the other rows of the batch. Noise is drawn
    on the device of the scores, so a GPU does not wait for it, and samples otherwise than a CPU.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.seeds, self.generators = seeds, []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        place, size = scores.device, scores.shape[-1]
        if not self.generators:  # each continues at the next token
            self.generators = [torch.Generator(place).manual_seed(seed) for seed in self.seeds]
        uniform = [torch.rand(size, generator=g, device=place) for g in self.generators]
        noise = -torch.log(-torch.log(torch.stack(uniform).clamp(1e-20, 1 - 1e-7)))
        return scores.float() + noise
