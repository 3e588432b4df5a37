"""Every ranker of the settings applied to the same replies: the rule, a judge, files of people."""

import dataclasses
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from clinical_camel import data
from clinical_camel.core.paths import root
from clinical_camel.reward_and_rl.preferences import (
    make_pairs,
    rank_by_judge,
    rank_by_rule,
    read_rankings,
    split_pairs,
)
from clinical_camel.reward_and_rl.settings import JUDGE, RULE, RewardAndRl
from clinical_camel.reward_and_rl.shapes import Prompt, RankedReply, Reply
from clinical_camel.teachers import Judge, load_judge, open_judge
from clinical_camel.teachers.comparisons import VerdictCounts


def load_rankings(
    settings: RewardAndRl, prompts: Sequence[Prompt], held_out: Sequence[Prompt]
) -> dict[str, list[RankedReply]]:
    """Return the rankings in files of people, by their name in the settings; no reply is needed.

    Called before replies are sampled, so that a ranker that cannot be used is an error then. Raises
    what `read_rankings`, `load_judge` and, if the first ranker is a file, `make_pairs` and
    `split_pairs` raise. `held_out`: those of `prompts` that are held out.
    """
    files = [name for name in settings.rankers if name not in (RULE, JUDGE)]
    rankings = {name: read_rankings(root() / name, prompts) for name in files}
    if first := rankings.get(settings.rankers[0]):
        split_pairs(make_pairs(first, prompts, settings.seed)[0], held_out)
    if settings.uses_judge:
        load_judge(settings.judge, None, _list_licences(settings), settings.model, settings.seed)
    return rankings


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
            rankings[name] = restore_texts(read_rankings(root() / name, prompts), replies)
    return rankings, counts


def restore_texts(rankings: Sequence[RankedReply], replies: Sequence[Reply]) -> list[RankedReply]:
    """Return the rankings with the texts of the replies that differ from them in white space only.

    The sheet has no "\\r" and no NUL, spreadsheets and editors change line ends and drop spaces at
    the ends. The reward model is trained on what the policy wrote, and rankers are compared on
    equal texts.
    """
    written = {(reply.prompt.id, reply.text) for reply in replies}
    by_words = {(name, *text.replace("\x00", " ").split()): text for name, text in sorted(written)}
    return [
        row
        if (row.prompt_id, row.reply) in written
        else dataclasses.replace(
            row, reply=by_words.get((row.prompt_id, *row.reply.split()), row.reply)
        )
        for row in rankings
    ]


def open_step_judge(settings: RewardAndRl, ledger: Path) -> AbstractContextManager[Judge]:
    """Return the judge of these settings, to be entered (see `teachers.open_judge`)."""
    licences = _list_licences(settings)
    return open_judge(settings.judge, ledger, licences, settings.model, settings.seed)


def _list_licences(settings: RewardAndRl) -> list[str]:
    return [data.describe(spec)["licence"] for spec in settings.prompts]
