"""Every ranker of the settings applied to the same replies: the rule, a judge, files of people."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from clinical_camel import data
from clinical_camel.core.paths import root
from clinical_camel.reward_and_rl.preferences import rank_by_judge, rank_by_rule, read_rankings
from clinical_camel.reward_and_rl.settings import JUDGE, RULE, RewardAndRl
from clinical_camel.reward_and_rl.shapes import Prompt, RankedReply, Reply
from clinical_camel.teachers import Judge
from clinical_camel.teachers.cache import Ledger
from clinical_camel.teachers.comparisons import VerdictCounts
from clinical_camel.teachers.judge import load_judge
from clinical_camel.teachers.settings import Overlap


def rank_replies(
    replies: Sequence[Reply], prompts: Sequence[Prompt], settings: RewardAndRl, ledger: Path
) -> tuple[dict[str, list[RankedReply]], VerdictCounts | None]:
    """Return the rankings of each ranker of the settings, by its name there, and the counts of the
    judge's verdicts (None without a judge).

    Every reply of a judge that is a language model is in the `ledger` file before it is read: a
    second run pays for nothing twice. Raises what `rank_by_judge`, `rank_by_rule`, `read_rankings`
    and `teachers.load_judge` raise.
    """
    rankings, counts = {}, None
    for name in settings.rankers:
        if name == RULE:
            rankings[name] = rank_by_rule(replies)
        elif name == JUDGE:
            with open_judge(settings, ledger) as judge:
                rankings[name], counts = rank_by_judge(replies, judge)
        else:
            rankings[name] = read_rankings(root() / name, prompts)
    return rankings, counts


@contextlib.contextmanager
def open_judge(settings: RewardAndRl, ledger: Path) -> Iterator[Judge]:
    """Yield the judge of these settings; its replies are saved in the `ledger` file."""
    with contextlib.ExitStack() as stack:
        opened = None
        if not isinstance(settings.judge, Overlap):
            opened = stack.enter_context(contextlib.closing(Ledger(ledger)))
        licences = [data.describe(spec)["licence"] for spec in settings.prompts]
        yield load_judge(
            settings.judge, opened, licences, student=settings.model, seed=settings.seed
        )
