"""Work and memory of the reward model and the policies (step 07), and of free replies (step 08).

Of step 07, a training step generates its replies, and three models then read them: the policy, the
SFT model as reference, and the reward model. Policy and reference are two adapters on one base. The
reward model has a base of its own.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from clinical_camel import data, models, sft_qlora
from clinical_camel.core.paths import find_producer
from clinical_camel.data import Consultation, Dialogue
from clinical_camel.estimate import memory
from clinical_camel.estimate.shapes import Base, find_base, list_lora_shapes
from clinical_camel.estimate.sizes import find_size
from clinical_camel.estimate.speed import Machine
from clinical_camel.estimate.work import (
    CHARACTERS,
    COUNTS,
    NO_TOKENIZER,
    ROWS,
    Work,
    count_generation,
    is_local,
    sample_evenly,
    stretch,
)
from clinical_camel.eval_replies.cases import to_messages
from clinical_camel.eval_replies.settings import CONSULTATION, QUESTION, EvalReplies
from clinical_camel.reward_and_rl.settings import DPO, EXAM_KEY, JUDGE, PPO, RewardAndRl
from clinical_camel.runner.jobs import has_params, load_job
from clinical_camel.teachers.settings import LanguageModel, Local

# forward passes over each reply of a batch besides the training: the policy before its update (PPO
# trains more than once on a batch), the reference, the reward model; the exam's key needs no model
FORWARD_PASSES = {PPO: 3, "rloo": 2, "grpo": 2, DPO: 1, EXAM_KEY: 1}
MEASUREMENTS = 3  # forward passes over each held-out reply: policy, reference, reward model
JUDGE_TOKENS = 512  # of a judge's instructions: assumed
OPTIONS, QUESTIONS = 4, 300  # of each exam that is scored at a measurement: as in the shipped ones
PAIRS_PER_REPLY = 0.5  # preference pairs; rankings with ties give fewer, without ties more: assumed


# ------------------------------------------------------------------------------------- step 07


def count_policies(settings: RewardAndRl, tokenizer: Any) -> Work:
    """Count an upper bound: every reply has `max_new_tokens` tokens."""
    prompts, estimates, unknown = _count_prompts(settings.prompts, settings.seed, tokenizer)
    count, new = len(prompts), settings.max_new_tokens
    held_out = round(settings.held_out_fraction * count)
    mean = min(sum(prompts) / max(1, count), settings.max_prompt_tokens)
    row = mean + new
    pairs = round(PAIRS_PER_REPLY * settings.replies_per_prompt * (count - held_out))
    sampled = count_generation(
        prompts, new, settings.sampling_token_budget, scale=settings.replies_per_prompt
    )
    parts = [_count_method(name, settings, row) for name in settings.methods]
    trained = [part.repeat(len(settings.seeds)) for part in parts]
    evaluations = 1 + len(settings.methods) * _count_evaluations(settings)
    measured = _count_measurement(settings, held_out, row).repeat(len(settings.seeds) * evaluations)
    reward = Work(
        training_tokens=2 * pairs * row * settings.reward_epochs,
        forward_tokens=2 * PAIRS_PER_REPLY * settings.replies_per_prompt * count * row,  # checks
        optimizer_steps=math.ceil(settings.reward_epochs * pairs / settings.reward_batch_size),
        batches=math.ceil(settings.reward_epochs * pairs / settings.reward_batch_size),
    )
    estimates += [
        f"upper bound: every reply has {new} tokens",
        f"{pairs:,} preference pairs: {PAIRS_PER_REPLY:g} for each reply to a training prompt "
        "(assumed)",
    ]
    estimates += _describe_judge(settings, count, held_out)
    total = _add([sampled, reward, *trained, measured])
    longest = max([0, *prompts]) if tokenizer else settings.max_prompt_tokens
    return dataclasses.replace(
        total,
        rows=count,
        longest_row=min(longest, settings.max_prompt_tokens) + new,
        target_share=new / row,
        estimates=tuple(dict.fromkeys(estimates)),
        unknown=tuple(unknown),
    )


def _count_prompts(
    specs: Mapping[str, float], seed: int, tokenizer: Any
) -> tuple[list[int], list[str], list[str]]:
    """Return the tokens of each prompt, what is estimated, and what is not counted.

    Raises DataError for an article, as the step does.
    """
    lengths: list[int] = []
    estimates = [] if tokenizer else [NO_TOKENIZER]
    unknown = []
    for spec, share in specs.items():
        if is_local(spec):
            rows = data.load_training_rows(spec, share, seed)
            read = sample_evenly(data.require_dialogues(rows, f"prompts: {spec}"), ROWS)
            tokens = [_count_tokens(row.messages[:-1], tokenizer) for row in read]
            lengths += stretch(tokens, len(rows))
            if len(read) < len(rows):
                text = f"estimated from {len(read)} of {len(rows):,} rows"
                estimates.append(f"{data.label(spec)}: {text}")
        elif size := find_size(spec):
            lengths += [size.tokens] * round(share * size.rows)
            estimates.append(f"{data.label(spec)}: {size.describe(round(share * size.rows))}")
        else:
            unknown.append(f"{data.label(spec)}: not on this machine, size unknown, not counted")
    return lengths, estimates, unknown


def _count_tokens(messages: Sequence[Mapping[str, str]], tokenizer: Any) -> int:
    if tokenizer is None:
        return sum(len(message["content"]) for message in messages) // CHARACTERS
    return len(models.tokenize_text(tokenizer, models.render_chat(tokenizer, messages)))


def _count_rows(settings: RewardAndRl) -> int:
    """Return the replies of a batch."""
    return settings.prompts_per_step * settings.num_generations


def count_part(settings: RewardAndRl) -> int:
    """Return the replies that are computed at a time in training; a pair of DPO has two.

    The reward model's parts on a GPU, which are smaller and computed twice, are not counted.
    """
    return min(_count_rows(settings), max(1, settings.token_budget // _count_longest(settings)))


def _count_longest(settings: RewardAndRl) -> int:
    """Return the tokens of the longest prompt with its reply."""
    return settings.max_prompt_tokens + settings.max_new_tokens


def _count_sampling_batches(method: str, settings: RewardAndRl) -> int:
    """Return the batches in which the replies of a step are sampled; TRL samples all at once."""
    at_once = max(1, settings.sampling_token_budget // _count_longest(settings))
    return math.ceil(_count_rows(settings) / at_once) if method == PPO else 1


def _count_method(method: str, settings: RewardAndRl, row: float) -> Work:
    """Count one training: the replies of each batch, then forward passes and updates."""
    rows, steps = _count_rows(settings), settings.rl_steps
    tokens, passes = steps * rows * row, settings.ppo_epochs if method == PPO else 1
    writes = 0 if method == DPO else steps  # DPO reads the pairs of the SFT model
    at_once = count_part(settings)
    batches = math.ceil(rows / (max(2, at_once // 2 * 2) if method == DPO else at_once))
    return Work(
        training_tokens=tokens * passes,
        forward_tokens=tokens * FORWARD_PASSES[method],
        generated_tokens=writes * rows * settings.max_new_tokens,
        decode_steps=writes * _count_sampling_batches(method, settings) * settings.max_new_tokens,
        optimizer_steps=steps * passes,
        batches=steps * passes * batches,
    )


def _describe_judge(settings: RewardAndRl, prompts: int, held_out: int) -> list[str]:
    """Return the requests to a judge that is a language model."""
    requests = _count_requests(settings, prompts, held_out)
    if not requests or not isinstance(settings.judge, LanguageModel):
        return []
    is_timed = isinstance(settings.judge, Local)
    return [
        f"judge: at most {requests:,} requests{'' if is_timed else ', not counted in the time'}"
    ]


def _count_requests(settings: RewardAndRl, prompts: int, held_out: int) -> int:
    """Return the most requests to a judge: two for each comparison."""
    pairs = math.comb(settings.replies_per_prompt, 2) * prompts * (JUDGE in settings.rankers)
    measured = len(settings.methods) * _count_evaluations(settings) + 1
    pairs += (
        (settings.gold == JUDGE)
        * min(settings.eval_limit or held_out, held_out)
        * (len(settings.seeds) * measured)
    )
    return 2 * pairs


def count_judge(settings: RewardAndRl, work: Work) -> Work:
    """Count the requests to a judge on this machine, whose base is not that of the policies.

    `work`: of `count_policies`. An upper bound: replies and verdicts have their `max_new_tokens`,
    and no verdict is requested again. Other judges have no work here.
    """
    if not isinstance(settings.judge, Local):
        return Work()
    requests = _count_requests(settings, work.rows, round(settings.held_out_fraction * work.rows))
    row = settings.max_new_tokens / work.target_share  # a prompt with its reply
    prompt = round(row) + 2 * settings.max_new_tokens + JUDGE_TOKENS  # another reply, a reference
    return count_generation(
        [prompt] * requests, settings.judge.max_new_tokens, settings.judge.token_budget
    )


def _count_evaluations(settings: RewardAndRl) -> int:
    """Return the measurements of a training after its start."""
    return math.ceil(settings.rl_steps / settings.eval_steps)


def _count_measurement(settings: RewardAndRl, held_out: int, row: float) -> Work:
    """Count one measurement: replies to held-out prompts, and the exams."""
    replies, new = min(settings.eval_limit or held_out, held_out), settings.max_new_tokens
    written = count_generation([round(row) - new] * replies, new, settings.sampling_token_budget)
    exams = sum(map(bool, (settings.exam, settings.primer_exam)))
    tokens = (MEASUREMENTS * replies + exams * OPTIONS * (settings.eval_limit or QUESTIONS)) * row
    return dataclasses.replace(written, forward_tokens=written.forward_tokens + tokens)


def _add(parts: Sequence[Work]) -> Work:
    return Work(**{name: sum(getattr(part, name) for part in parts) for name in COUNTS})


def estimate_policy_memory(
    base: Base, settings: RewardAndRl, work: Work, machine: Machine
) -> memory.Parts:
    """Return the bytes of a training step of a policy, with all models that step 07 loads.

    They are those of the moment with most of them: the update, the generation of replies, or that
    of verdicts.
    """
    recipe = find_sft_recipe(settings)
    changed = recipe.model_copy(
        update={
            "quantize": settings.quantize,
            "batch_size": count_part(settings),
            "max_length": settings.max_prompt_tokens + settings.max_new_tokens,
            "packing": False,
            "prompt_weight": 0.0,
            "optimizer": "adamw_torch",
            "speedups": ["target_head"],  # only the tokens of replies reach the LM head
            "gradient_checkpointing_layers": 0,
        }
    )
    row, size = work.longest_row, machine.number_size
    batch = memory.estimate_replies(base, settings.sampling_token_budget, row, size)
    replies = {part: machine.batches_at_once * bytes_ for part, bytes_ in batch.items()}
    if set(settings.methods) - {PPO, DPO}:  # TRL samples all replies of a step in one batch
        step = memory.estimate_replies(base, _count_rows(settings) * row, row, size)
        replies = max(replies, step, key=lambda parts: sum(parts.values()))
    judge, verdicts = _estimate_judge(settings, machine)
    trained = memory.estimate_trained_model(base, changed, machine)
    parts = max(
        memory.estimate_training(base, changed, work, machine),
        trained | replies,
        trained | verdicts,
        key=lambda moment: sum(moment.values()),
    )
    targets = tuple(recipe.lora_targets)
    reference, reward = (
        4 * sum(r * c for r, c in list_lora_shapes(base, rank, targets))
        for rank in (recipe.lora_rank, recipe.lora_rank + settings.reward_lora_rank)
    )
    loaded = memory.estimate_weights(base, settings.quantize, machine.number_size)
    return parts | {
        "reference adapter": reference,
        "reward model": sum(loaded.values()) + reward,
        "value head": 16 * base.hidden_size * (PPO in settings.methods),
        "judge": judge,
    }


def _estimate_judge(settings: RewardAndRl, machine: Machine) -> tuple[int, memory.Parts]:
    """Return the bytes of a judge that stays in memory, and those while it writes verdicts.

    It is a local model that gives the gold reward; one that only ranks is removed before the
    training.
    """
    if settings.gold != JUDGE or not isinstance(settings.judge, Local):
        return 0, {}
    base, judge = find_base(settings.judge.model, key="judge.model"), settings.judge
    row = settings.max_prompt_tokens + 3 * settings.max_new_tokens + JUDGE_TOKENS
    work = Work(longest_row=row + judge.max_new_tokens)
    parts = memory.estimate_generation(base, judge, work, machine)
    names = memory.estimate_replies(base, judge.token_budget, row, machine.number_size)
    verdicts = {name: parts.pop(name) for name in names}
    return sum(parts.values()) - parts["libraries"], verdicts


def find_sft_recipe(settings: RewardAndRl) -> sft_qlora.Recipe:
    """Return the recipe of the SFT adapter; the default recipe for an adapter from elsewhere."""
    study, step = find_producer(settings.adapter) or ("", "")
    if has_params(study, step):
        return load_job(study, step).settings
    return sft_qlora.Recipe(model=settings.model, quantize=settings.quantize)


# ------------------------------------------------------------------------------------- step 08


def count_replies(settings: EvalReplies, tokenizer: Any, context: int) -> Work:
    """Count an upper bound: every reply has `max_new_tokens` tokens.

    The requests to a judge are only named, among the estimates.
    """
    lengths: list[int] = []
    estimates = [f"upper bound: every reply has {settings.max_new_tokens} tokens"]
    estimates += [] if tokenizer else [NO_TOKENIZER]
    unknown, questions = [], 0
    for task, specs in settings.list_specs().items():
        for spec in specs:
            if not is_local(spec.rpartition("@")[2]):
                unknown.append(f"{data.label(spec)}: not on this machine, not counted")
                continue
            conversations = data.load_conversations(spec, settings.case_limit)
            questions += len(conversations) * (task == QUESTION)
            for row in conversations:
                lengths += _count_cases(row, task, settings, tokenizer)
    limit = context - settings.max_new_tokens
    prompts = [min(length, limit) for length in lengths]
    work = count_generation(prompts, settings.max_new_tokens, settings.token_budget)
    count = len(settings.adapters)
    if isinstance(settings.judge, LanguageModel):
        requests = 2 * questions * (count + len(settings.other_replies) - 1)
        text = f"judge: at most {requests:,} requests, two for each pair of answers"
        estimates += [text] * bool(questions)
    return work.repeat(
        count,
        rows=len(lengths),
        estimates=tuple(estimates),
        unknown=tuple(unknown),
    )


def _count_cases(
    row: Dialogue | Consultation, task: str, settings: EvalReplies, tokenizer: Any
) -> list[int]:
    """Return the tokens of the prompt of each reply that a model writes in a conversation."""
    messages = to_messages(row) if isinstance(row, Consultation) else row.messages
    turns = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    is_last = task != CONSULTATION or settings.reply_turns == "last"
    return [_count_tokens(messages[:i], tokenizer) for i in (turns[-1:] if is_last else turns)]
