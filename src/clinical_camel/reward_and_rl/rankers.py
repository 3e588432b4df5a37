"""Every ranker of the settings applied to the same replies: the rule, a judge, files of people."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from clinical_camel import data
from clinical_camel.core.paths import root
from clinical_camel.reward_and_rl.preferences import rank_by_judge, rank_by_rule, read_rankings
from clinical_camel.reward_and_rl.settings import JUDGE, RULE, RewardAndRl
from clinical_camel.reward_and_rl.shapes import Prompt, RankedReply, Reply
from clinical_camel.teachers import Judge, open_judge
from clinical_camel.teachers.comparisons import VerdictCounts


def rank_replies(
    replies: Sequence[Reply], prompts: Sequence[Prompt], settings: RewardAndRl, ledger: Path
) -> tuple[dict[str, list[RankedReply]], VerdictCounts | None]:
    """Return the rankings of each ranker of the settings, by its name there, and the counts of the
    judge's verdicts (None without a judge, and for a judge that is a rule).

    Replies that did not end are not ranked: RL lowers their reward by `truncation_penalty`, and
    pairs with them would teach the reward model little else.
    Replies of a judge that is a language model are saved in the `ledger` file. Raises what
    `rank_by_judge`, `rank_by_rule`, `read_rankings` and `teachers.load_judge` raise.
    """
    rankings, counts = {}, None
    ended = [reply for reply in replies if reply.complete]
    for name in settings.rankers:
        if name == RULE:
            rankings[name] = rank_by_rule(ended)
        elif name == JUDGE:
            with open_step_judge(settings, ledger) as judge:
                rankings[name], verdicts = rank_by_judge(ended, judge)
                counts = None if judge.is_rule else verdicts
        else:
            rankings[name] = read_rankings(root() / name, prompts)
    return rankings, counts


def open_step_judge(settings: RewardAndRl, ledger: Path) -> AbstractContextManager[Judge]:
    """Return the judge of these settings, to be entered (see `teachers.open_judge`)."""
    licences = [data.describe(spec)["licence"] for spec in settings.prompts]
    return open_judge(settings.judge, ledger, licences, settings.model, settings.seed)
