"""Prompts, replies, rankings and pairs of step 07, and the type of every reward.

One form for all methods: rows of a preference file, samples of a policy and rollouts of PPO, RLOO
and GRPO are `Reply`, and what scores them is a `RewardFunction`, whether a trained model, a rule or
the key of an exam.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from clinical_camel.data import Dialogue, Message
from clinical_camel.data.grouping import hash_question, name_group, unite_groups


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation that ends with a user turn.

    `reference` is the correct reply, "" if there is none. Prompts of one `group` state the same
    facts: intervals resample groups.
    """

    id: str
    group: str
    messages: list[Message]
    reference: str


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply to a prompt; `complete`: it ended with its end token, not at the token limit."""

    prompt: Prompt
    text: str
    complete: bool


@dataclass(frozen=True, slots=True)
class RankedReply:
    """A reply with its rank among the replies to one prompt: 1 is best, ties are allowed."""

    prompt_id: str
    reply: str
    rank: int
    ranker: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two replies to a prompt, of which `ranker` prefers `chosen`."""

    prompt: Prompt
    chosen: str
    rejected: str
    ranker: str


# [replies] to float32 [replies]: higher is better.
RewardFunction = Callable[[Sequence[Reply]], torch.Tensor]


def make_prompts(dialogues: Sequence[Dialogue]) -> list[Prompt]:
    """Return one prompt per dialogue: all turns before the last reply, which is the reference.

    The group of a dialogue `<group>/<name>` is `<group>` (the subject of a triple, the article of a
    dialogue); any other dialogue is its own group. Groups with an equal prompt become one: the same
    question may have several answers. Earlier turns of a conversation stay.

    >>> messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "Yes."}]
    >>> (prompt,) = make_prompts([Dialogue(id="gout/cause-1", source="x", messages=messages)])
    >>> prompt.group, prompt.messages, prompt.reference
    ('gout', [{'role': 'user', 'content': '?'}], 'Yes.')
    """
    prompts = [list(dialogue.messages[:-1]) for dialogue in dialogues]
    names = [name_group(dialogue.id) for dialogue in dialogues]
    groups = unite_groups(names, [hash_question(messages) for messages in prompts])
    return [
        Prompt(dialogue.id, group, messages, dialogue.messages[-1]["content"])
        for dialogue, group, messages in zip(dialogues, groups, prompts, strict=True)
    ]
