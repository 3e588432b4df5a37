"""One measurement of a policy: replies to held-out prompts, and exams.

Every measurement has the same held-out prompts and random numbers, so two of them are paired. The
SFT model is step 0 of every method.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from clinical_camel import models
from clinical_camel.data import Question
from clinical_camel.models import LLM, Decoding, ModelError
from clinical_camel.reward_and_rl.guards import StoppedTraining
from clinical_camel.reward_and_rl.material import Material, compute_rewards, select_measured
from clinical_camel.reward_and_rl.new_words import collect_words, count_new_words
from clinical_camel.reward_and_rl.rollouts import (
    Policy,
    Rollouts,
    measure_kl,
    predict,
    sample_rollouts,
)
from clinical_camel.reward_and_rl.settings import RewardAndRl

# of a reply, one number each
VALUES = ("proxy", "gold", "objective", "kl", "tokens", "entropy", "truncated", "new_word")
LABELS = {
    "proxy": "proxy reward",
    "gold": "gold reward",
    "objective": "objective: proxy minus β × KL and penalty",
    "kl": "KL to the SFT model (nats per reply)",
    "tokens": "length (tokens)",
    "entropy": "entropy (nats per token)",
    "truncated": "truncated replies (share)",
    "new_word": "replies with a new word (share)",
    "exam": "exam accuracy",
    "primer_exam": "accuracy on what the base knew",
}
Rows = list[dict[str, Any]]


def measure_policy(
    policy: Policy, material: Material, settings: RewardAndRl, seed: int
) -> tuple[Rows, Rows]:
    """Return one row per held-out prompt, and one per exam question.

    Of a prompt: prompt_id, group, reply, proxy, gold (no truncation penalty), objective (proxy
    minus the truncation penalty and `kl_coefficient` times the KL), kl (in nats, see
    `rollouts.measure_kl`), tokens, entropy (mean over the tokens), truncated (0 or 1),
    new_word (0 or 1, see `new_words`). Of a question: exam, question_id, group, correct (0 or 1),
    chance. Raises StoppedTraining for NaN.
    """
    prompts = select_measured(material.held_out, settings.eval_limit)
    try:
        rollouts = sample_rollouts(
            policy.llm,
            prompts,
            Decoding(settings.max_new_tokens, temperature=settings.temperature),
            token_budget=settings.sampling_token_budget,
            seeds=[seed * len(prompts) + i for i in range(len(prompts))],
        )
        exams = [
            row
            for exam, questions in material.exams.items()
            for row in score_exam(policy.llm, questions, settings.token_budget, exam)
        ]
    except ModelError as error:
        if "NaN" in str(error):
            raise StoppedTraining(f"{error}; use a lower learning rate") from error
        raise
    proxy, gold = (
        compute_rewards(reward, rollouts.replies, 0.0).tolist()
        for reward in (material.proxy, material.gold)
    )
    kls, entropies = measure_divergence(policy, rollouts, settings)
    lengths = rollouts.count_tokens().tolist()
    words = collect_words([*material.training, *material.held_out])
    replies = [
        {
            "prompt_id": reply.prompt.id,
            "group": reply.prompt.group,
            "reply": reply.text,
            "proxy": proxy[i],
            "gold": gold[i],
            "objective": (
                proxy[i]
                - settings.truncation_penalty * (not reply.complete)
                - settings.kl_coefficient * kls[i]
            ),
            "kl": kls[i],
            "tokens": int(lengths[i]),
            "entropy": entropies[i],
            "truncated": int(not reply.complete),
            "new_word": int(count_new_words(reply.text, words) > 0),
        }
        for i, reply in enumerate(rollouts.replies)
    ]
    return replies, exams


@torch.no_grad()
def measure_divergence(
    policy: Policy, rollouts: Rollouts, settings: RewardAndRl
) -> tuple[list[float], list[float]]:
    """Return of each reply its KL to the reference (nats) and its mean entropy per token (nats)."""
    kls = torch.zeros(len(rollouts))
    entropies = torch.zeros(len(rollouts))
    model = policy.llm.activate()
    for rows, part in rollouts.split(settings.token_budget):
        mask = part.reply_mask
        now = predict(model, part, settings.temperature)
        with policy.use_reference() as reference:
            before = predict(reference, part, settings.temperature)
        kls[rows] = measure_kl(now, before, mask).cpu()
        entropies[rows] = ((now.entropies() * mask).sum(1) / mask.sum(1)).cpu()
    return kls.tolist(), entropies.tolist()


def score_exam(llm: LLM, questions: Sequence[Question], token_budget: int, exam: str) -> Rows:
    """Return one row per question: the option that is most likely as a reply is the answer.

    The question is a turn of a chat without its options (the protocol `conversation` of step 03).
    """
    prefix = models.find_reply_prefix(llm.tokenizer)
    pairs, owners = [], []
    for question in questions:
        text = f"{question.context}\n{question.question}" if question.context else question.question
        prompt = models.render_chat(llm.tokenizer, [{"role": "user", "content": text}])
        for i, option in enumerate(question.options):
            pairs.append(models.tokenize_pair(llm.tokenizer, prompt, prefix + option))
            owners.append((question.id, i))
    scores = {owners[i]: value for i, value in models.score_pairs(llm, pairs, token_budget)}
    rows = []
    for question in questions:
        values = [scores[question.id, i] for i in range(len(question.options))]
        correct = values.index(max(values)) == question.answer
        group = question.group or question.id
        row = {"exam": exam, "question_id": question.id, "group": group, "correct": int(correct)}
        rows.append(row | {"chance": 1 / len(question.options)})
    return rows


def label_rows(rows: Rows, labels: Mapping[str, Any]) -> Rows:
    """Return rows with these columns first."""
    return [{**labels, **row} for row in rows]
