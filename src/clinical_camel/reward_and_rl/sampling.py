"""Replies of a policy to prompts, several per prompt, to be ranked or measured."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clinical_camel import models
from clinical_camel.models import LLM, Decoding, ModelError
from clinical_camel.reward_and_rl.settings import RewardAndRl
from clinical_camel.reward_and_rl.shapes import Prompt, Reply

SEED_STEP = 1_000_003  # between the replies to one prompt; a prime, so that seeds do not coincide


def sample_replies(
    llm: LLM,
    prompts: Sequence[Prompt],
    replies_per_prompt: int,
    decoding: Decoding,
    *,
    token_budget: int,
    seed: int,
    journal: Any = None,
) -> list[Reply]:
    """Return `replies_per_prompt` replies to each prompt: all to the first, then to the second.

    A reply depends on its prompt, its number and `seed` alone, not on the other prompts. With a
    `journal` (`done`, `append`) each reply is saved at once, and one that is there is not generated
    again. With temperature 0 only one reply differs. Raises ModelError as `models.generate` does.
    """
    texts = [models.render_chat(llm.tokenizer, prompt.messages) for prompt in prompts]
    done: dict[str, Any] = {} if journal is None else journal.done
    replies: dict[tuple[int, int], Reply] = {}
    # the policies start from this model: see freeze_quantization
    with models.freeze_quantization(llm.model):
        for number in range(replies_per_prompt):
            names = [f"{prompt.id}#{number}" for prompt in prompts]
            skip = {i for i, name in enumerate(names) if name in done}
            for i in skip:
                replies[i, number] = Reply(prompts[i], *done[names[i]])
            for i, text, complete in models.generate(
                llm,
                texts,
                decoding,
                token_budget=token_budget,
                seed=seed + SEED_STEP * number,
                skip=skip,
            ):
                replies[i, number] = Reply(prompts[i], text, complete)
                if journal is not None:
                    journal.append(names[i], [text, complete])
            print(
                f"replies: {number + 1} of {replies_per_prompt} to {len(prompts)} prompts",
                flush=True,
            )
    return [replies[i, n] for i in range(len(prompts)) for n in range(replies_per_prompt)]


def choose_sampling(settings: RewardAndRl) -> dict[str, Any]:
    """Return the arguments of `sample_replies` that the settings decide."""
    return {
        "replies_per_prompt": settings.replies_per_prompt,
        "decoding": Decoding(settings.max_new_tokens, temperature=settings.temperature),
        "token_budget": settings.sampling_token_budget,
        "seed": settings.seed,
    }


def make_sampling_key(
    llm: LLM,
    prompts: Sequence[Prompt],
    replies_per_prompt: int,
    decoding: Decoding,
    *,
    token_budget: int,
    seed: int,
) -> dict[str, Any]:
    """Return everything that decides the replies, for the key of a journal."""
    return {
        "model": llm.source,
        "prompts": [[prompt.id, prompt.messages] for prompt in prompts],
        "replies_per_prompt": replies_per_prompt,
        "decoding": decoding,
        "token_budget": token_budget,
        "seed": seed,
    }


def require_fitting_prompts(llm: LLM, prompts: Sequence[Prompt], settings: RewardAndRl) -> None:
    """Raise ModelError for a prompt longer than `max_prompt_tokens`, or no room for a reply."""
    most = settings.max_prompt_tokens
    models.require_room(llm, most + settings.max_new_tokens - 1)
    for prompt, length in iter_lengths(llm, prompts):
        if length > most:
            raise ModelError(
                f"max_prompt_tokens: prompt {prompt.id} has {length} tokens, more than {most}; "
                "write a larger number, or remove the prompt"
            )


def tokenize_prompt(llm: LLM, prompt: Prompt) -> list[int]:
    """Return the tokens of a prompt, as rendered for generation."""
    return models.tokenize_text(llm.tokenizer, models.render_chat(llm.tokenizer, prompt.messages))


def iter_lengths(llm: LLM, prompts: Sequence[Prompt]) -> Iterator[tuple[Prompt, int]]:
    """Yield each prompt with its length in tokens, as rendered for generation."""
    for prompt in prompts:
        yield prompt, len(tokenize_prompt(llm, prompt))


def group_replies(replies: Sequence[Reply]) -> Mapping[str, list[Reply]]:
    """Return the replies by the id of their prompt, in order."""
    groups: dict[str, list[Reply]] = {}
    for reply in replies:
        groups.setdefault(reply.prompt.id, []).append(reply)
    return groups
