"""The gold reward: what every method should maximise, measured on held-out prompts.

`gold: rule` compares a reply with the fact in its reference (`rule`). It fits short replies that
state one fact. `gold: judge` compares a reply with the first reply of the SFT model to the same
prompt: 1 if the judge prefers it, 0.5 for a tie, 0 if it prefers that of the SFT model. The mean is
the win rate against the SFT model, which starts near 0.5. Gao et al. (2023, arXiv:2210.10760) call
the reward gold from which the pairs of the reward model come: with `rankers: [judge]`, the judge.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from clinical_camel.core.settings import drop_without_effect
from clinical_camel.reward_and_rl.preferences import WINS, require_verdicts
from clinical_camel.reward_and_rl.rankers import open_step_judge
from clinical_camel.reward_and_rl.rule import rule_reward
from clinical_camel.reward_and_rl.sampling import group_replies
from clinical_camel.reward_and_rl.settings import JUDGE, RewardAndRl
from clinical_camel.reward_and_rl.shapes import Reply, RewardFunction
from clinical_camel.teachers import Comparison, Judge


@contextlib.contextmanager
def open_gold(
    settings: RewardAndRl, replies: Sequence[Reply], ledger: Path
) -> Iterator[dict[str, Any]]:
    """Yield `gold` and `gold_key` of `Material`.

    `replies` are those of the SFT model; those of a judge that is a language model are saved in the
    `ledger` file before they are read. Raises what `teachers.load_judge` raises.
    """
    if settings.gold != JUDGE:
        yield {"gold": rule_reward, "gold_key": settings.gold}
        return
    baseline = {name: group[0] for name, group in group_replies(replies).items()}
    texts = [[name, reply.text] for name, reply in baseline.items()]
    judged_by = drop_without_effect({JUDGE: settings.judge.model_dump()})[JUDGE]
    with open_step_judge(settings, ledger) as judge:
        yield {"gold": make_judge_reward(judge, baseline), "gold_key": [JUDGE, judged_by, texts]}


def make_judge_reward(judge: Judge, baseline: Mapping[str, Reply]) -> RewardFunction:
    """Return a reward: 1, 0.5 or 0 for a win, a tie or a loss against `baseline` (by prompt id).

    If one of two replies did not end, the other wins. A comparison without a verdict is a tie. The
    reward raises DataError if most comparisons have no verdict, TeacherStop as `Judge.compare`.
    """

    def compute(replies: Sequence[Reply]) -> torch.Tensor:
        others = [baseline[reply.prompt.id] for reply in replies]
        sent = [i for i, reply in enumerate(replies) if reply.complete == others[i].complete]
        verdicts = judge.compare(
            [
                Comparison(
                    id=f"{replies[i].prompt.id}/{i}",
                    messages=replies[i].prompt.messages,
                    first=replies[i].text,
                    second=others[i].text,
                    reference=replies[i].prompt.reference,
                )
                for i in sent
            ]
        )
        require_verdicts(verdicts, judge.name, "gold")
        wins = [float(reply.complete) for reply in replies]
        for i, verdict in zip(sent, verdicts, strict=True):
            wins[i] = WINS.get(verdict.winner, 0.5)
        return torch.tensor(wins, dtype=torch.float32)

    return compute
