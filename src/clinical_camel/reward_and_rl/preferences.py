"""Rankings of replies by a rule, a judge or people, and the preference pairs made of them.

Every ranker gives each reply to a prompt a rank, 1 for the best, with ties. A pair is two replies
of different rank to one prompt (Ouyang et al. 2022, arXiv:2203.02155, section 3.4). Two rankers of
the same replies are compared pair by pair.
"""

import itertools
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from clinical_camel import stats
from clinical_camel.core.hashing import key_hash
from clinical_camel.core.paths import relative
from clinical_camel.core.ratings import escape_cell, unescape_cell
from clinical_camel.core.tables import unify_line_ends
from clinical_camel.data import files
from clinical_camel.data.grouping import hash_question
from clinical_camel.data.shapes import DataError
from clinical_camel.data.tables import read_table
from clinical_camel.reward_and_rl.rule import score_by_rule
from clinical_camel.reward_and_rl.sampling import group_replies
from clinical_camel.reward_and_rl.settings import RULE, SUBJECT, name_ranker
from clinical_camel.reward_and_rl.shapes import Pair, Prompt, RankedReply, Reply
from clinical_camel.teachers import Comparison, Judge
from clinical_camel.teachers.comparisons import Verdict, VerdictCounts, count_verdicts

MAX_RANK = 1000
COLUMNS = ("prompt_id", "reply", "rank")
UNREAD = ("question", "ranker", "comment")  # columns that a file may have
WINS = {"first": 1.0, "second": 0.0}  # of the first reply; a tie, and no verdict, counts half
ORDERS = ("first", "second", "tie")  # of two replies: which one is preferred


@dataclass(frozen=True, slots=True)
class PairCounts:
    """What became of every two replies to a prompt: all = made + tied + identical + repeated.

    `repeated`: a pair of the same texts was made before. `prompts_without_pair`: all replies to
    these prompts are tied or equal.
    """

    made: int
    tied: int
    identical: int
    repeated: int
    prompts_without_pair: int

    def __str__(self) -> str:
        parts = {"tied": self.tied, "identical": self.identical, "repeated": self.repeated}
        rest = ", ".join(f"{count} {name}" for name, count in parts.items())
        return f"{self.made} pairs; {rest}; {self.prompts_without_pair} prompts without a pair"


# ---------------------------------------------------------------------------------- the rankers


def rank_by_rule(replies: Sequence[Reply]) -> list[RankedReply]:
    """Rank the replies to each prompt by `score_by_rule`; equal scores are ties.

    Raises ValueError for a prompt without a reference.
    """
    return [
        row
        for group in group_replies(replies).values()
        for row in _rank(group, [score_by_rule(reply) for reply in group], RULE)
    ]


def rank_by_judge(
    replies: Sequence[Reply], judge: Judge
) -> tuple[list[RankedReply], VerdictCounts]:
    """Rank the replies to each prompt by their wins in all comparisons of two; ties count half.

    Also returns the counts of the verdicts, with those that depend on the order of the replies.
    Identical replies are compared once. A comparison without a verdict counts as a tie. Raises
    DataError if most comparisons have no verdict, with the first reason.
    """
    groups = {name: _unique(group) for name, group in group_replies(replies).items()}
    questions = {
        f"{name}/{i}-{j}": (name, i, j)
        for name, group in groups.items()
        for i, j in itertools.combinations(range(len(group)), 2)
    }
    verdicts = judge.compare(
        [
            Comparison(
                id=id_,
                messages=groups[name][i].prompt.messages,
                first=groups[name][i].text,
                second=groups[name][j].text,
                reference=groups[name][i].prompt.reference,
            )
            for id_, (name, i, j) in questions.items()
        ]
    )
    require_verdicts(verdicts, judge.name, "rankers")
    wins = {name: [0.0] * len(group) for name, group in groups.items()}
    for verdict in verdicts:
        name, i, j = questions[verdict.id]
        won = WINS.get(verdict.winner, 0.5)
        wins[name][i] += won
        wins[name][j] += 1 - won
    rows = []
    for name, group in groups.items():
        rows += _rank(group, wins[name], judge.name)
    return rows, count_verdicts(verdicts)


def require_verdicts(verdicts: Sequence[Verdict], judge: str, setting: str) -> None:
    """Raise DataError if most comparisons have no verdict, with the first reason."""
    failures = [verdict.failure for verdict in verdicts if not verdict.winner]
    if 2 * len(failures) > len(verdicts):
        raise DataError(
            f"{setting}: judge {judge} gave no verdict in {len(failures)} of {len(verdicts)} "
            f"comparisons ({failures[0] or 'no reason given'}); choose another judge"
        )


def read_rankings(path: Path, prompts: Sequence[Prompt], ranker: str = "") -> list[RankedReply]:
    """Read rankings from CSV or JSON lines: prompt_id, reply, rank.

    The columns question, ranker and comment may be there and are not read; a CSV file may
    have no other column.
    `ranker` is the name in tables, by default that of the file. Line ends of a reply become "\\n".
    A row of the sheet with an empty rank is left out, if its prompt has two ranks. Raises DataError
    with every problem by line: an unknown prompt, a rank that is no whole number from 1, a reply
    that is ranked twice, a prompt with one ranked reply.
    """
    name = ranker or name_ranker(path.name)
    prompt_ids = {prompt.id for prompt in prompts}
    rows, problems, unit = _read_rows(path)
    ranked: list[tuple[int, RankedReply]] = []
    lines: dict[tuple[str, str], int] = {}
    for number, row in rows:
        text = unescape_cell(unify_line_ends(row["reply"]))
        key = (row["prompt_id"], text)
        if not str(row["rank"]).strip():
            continue
        rank = _parse_rank(row["rank"])
        if row["prompt_id"] not in prompt_ids:
            problems.append((number, f"prompt_id {row['prompt_id']!r} is no prompt of this step"))
        elif rank is None:
            problems.append((number, f"rank {row['rank']!r} is not a whole number from 1 (best)"))
        elif lines.setdefault(key, number) != number:
            problems.append((number, f"this reply is also ranked in {unit} {lines[key]}"))
        else:
            ranked.append((number, RankedReply(row["prompt_id"], text, rank, name)))
    counts = Counter(row.prompt_id for _, row in ranked)
    problems += [
        (number, f"prompt {row.prompt_id} has one ranked reply; rank two or more")
        for number, row in ranked
        if counts[row.prompt_id] == 1
    ]
    files.require_no_problems(relative(path), sorted(problems), unit)
    if not ranked:
        raise DataError(f"{relative(path)}: no row has a rank; write 1 for the best reply")
    return [row for _, row in ranked]


def make_ranking_sheet(replies: Sequence[Reply], seed: int) -> pd.DataFrame:
    """Return a sheet for people: prompt_id, question, reply, rank (blank).

    Replies that did not end are left out. Identical replies occur once; the order within a prompt
    is random. A cell that a spreadsheet would run as a formula starts with an apostrophe
    (`escape_cell`). `read_rankings` reads it.
    """
    rows = []
    for name, group in group_replies(replies).items():
        unique = _unique(group)
        random.Random(f"{seed}/{name}").shuffle(unique)
        question = escape_cell(unique[0].prompt.messages[-1]["content"])
        for reply in filter(lambda reply: reply.text and reply.complete, unique):
            rows.append((name, question, escape_cell(reply.text), ""))
    return pd.DataFrame(rows, columns=["prompt_id", "question", "reply", "rank"])


def _rank(group: Sequence[Reply], scores: Sequence, ranker: str) -> list[RankedReply]:
    """Return the replies ranked by their scores, higher is better; the next rank follows a tie."""
    order = sorted(set(scores), reverse=True)
    return [
        RankedReply(reply.prompt.id, reply.text, order.index(score) + 1, ranker)
        for reply, score in zip(group, scores, strict=True)
    ]


def _unique(group: Sequence[Reply]) -> list[Reply]:
    return list({reply.text: reply for reply in group}.values())


def _read_rows(path: Path) -> tuple[list[tuple[int, dict]], list[tuple[int, str]], str]:
    """Return (number, row) with all COLUMNS as texts, problems, and what the numbers count."""
    if path.suffix in (".csv", ".tsv"):
        optional = (COLUMNS[2], *UNREAD)
        return *read_table(path, COLUMNS[:2], optional), "line"
    raw = files.read_rows(path)
    rows, problems = [], list(raw.problems)
    for number, row in zip(raw.numbers, raw.rows, strict=True):
        wrong = [n for n in COLUMNS[:2] if not isinstance(row.get(n), str) or not row[n].strip()]
        if wrong:
            problems.append((number, f"{wrong[0]} is missing or no text"))
        else:
            rows.append((number, {**row, "rank": row.get("rank", "")}))
    return rows, problems, raw.unit


def _parse_rank(value: object) -> int | None:
    text = str(value).strip().removesuffix(".0")
    return int(text) if text.isdecimal() and 1 <= int(text) <= MAX_RANK else None


# ------------------------------------------------------------------------------------ the pairs


def make_pairs(
    rankings: Sequence[RankedReply], prompts: Sequence[Prompt], seed: int
) -> tuple[list[Pair], PairCounts]:
    """Return the pairs of replies of different rank, in random order within a prompt, and counts.

    A prompt with k replies gives up to k (k - 1) / 2 pairs. Raises DataError if no two replies
    differ in rank.
    """
    by_id = {prompt.id: prompt for prompt in prompts}
    groups: dict[str, list[RankedReply]] = {}
    for row in rankings:
        groups.setdefault(row.prompt_id, []).append(row)
    pairs, counts = [], Counter()
    for name, group in groups.items():
        made = []
        for first, second in itertools.combinations(group, 2):
            if first.reply == second.reply:
                counts["identical"] += 1
            elif first.rank == second.rank:
                counts["tied"] += 1
            else:
                better, worse = sorted((first, second), key=lambda row: row.rank)
                made.append(Pair(by_id[name], better.reply, worse.reply, better.ranker))
        texts = list(dict.fromkeys((pair.chosen, pair.rejected, pair.ranker) for pair in made))
        random.Random(f"{seed}/{name}").shuffle(texts)
        counts["repeated"] += len(made) - len(texts)
        counts["prompts_without_pair"] += not made
        pairs += [Pair(by_id[name], *row) for row in texts]
    if not pairs:
        raise DataError(
            f"rankers: the {len(rankings)} ranked replies make no pair, all are tied or equal; use "
            "more replies_per_prompt or a higher temperature"
        )
    names = ("tied", "identical", "repeated", "prompts_without_pair")
    return pairs, PairCounts(len(pairs), **{name: counts[name] for name in names})


def split_pairs(pairs: Sequence[Pair], held_out: Sequence[Prompt]) -> tuple[list[Pair], list[Pair]]:
    """Return the pairs to train on, and those on the held-out prompts.

    Raises DataError if one of the two is empty.
    """
    names = {prompt.id for prompt in held_out}
    training = [pair for pair in pairs if pair.prompt.id not in names]
    tested = [pair for pair in pairs if pair.prompt.id in names]
    for name, rows in (("training", training), ("held-out", tested)):
        if not rows:
            raise DataError(
                f"rankers: no pair on {name} prompts; rank more prompts, or change "
                "held_out_fraction"
            )
    return training, tested


def choose_held_out(
    prompts: Sequence[Prompt], fraction: float, by: str, seed: int
) -> frozenset[str]:
    """Return the ids of the held-out prompts: `fraction` of the questions or subjects, rounded.

    `by` is "prompt" (prompts with the same question stay together) or "subject" (prompts of the
    same group do). Raises ValueError if nothing would be held out, or nothing left to train on.
    """
    units = {p.id: p.group if by == SUBJECT else hash_question(p.messages) for p in prompts}
    names = sorted(set(units.values()))
    count = round(fraction * len(names))
    if not 0 < count < len(names):
        raise ValueError(
            f"held_out_fraction: {fraction} of {len(names)} {by}s is {count}; one {by} or more "
            "must be held out, and one or more left to train on"
        )
    chosen = set(random.Random(seed).sample(names, count))
    return frozenset(id for id, name in units.items() if name in chosen)


# -------------------------------------------------------------------------------- the agreement


def compare_rankers(
    first: Sequence[RankedReply], second: Sequence[RankedReply], prompts: Sequence[Prompt]
) -> dict[str, float]:
    """Compare two rankers over all pairs of replies that both ranked.

    Returns pairs, both_strict (neither has a tie), agreement (share of these with the same order)
    with low and high (clustered by the group of the prompt), ties_first, ties_second, kappa (over
    first, second, tie) with kappa_low and kappa_high (groups resampled). Shares are NaN without a
    pair: two people may have ranked other prompts.
    """
    groups = {prompt.id: prompt.group for prompt in prompts}
    orders, clusters = [], []
    ranks_first, ranks_second = _map_ranks(first), _map_ranks(second)
    for name, one in ranks_first.items():
        other = ranks_second.get(name, {})
        # by hash, so that the order of the rows in a file does not decide which reply is first
        for a, b in itertools.combinations(sorted(one.keys() & other.keys(), key=key_hash), 2):
            orders.append((_order(one[a], one[b]), _order(other[a], other[b])))
            clusters.append(groups[name])
    columns = [[pair[i] for pair in orders] for i in (0, 1)]
    strict = [i for i, pair in enumerate(orders) if "tie" not in pair]
    same = [orders[i][0] == orders[i][1] for i in strict]
    interval = stats.clustered_interval(same, [clusters[i] for i in strict]) if same else None
    nan = float("nan")
    none = dict.fromkeys(("kappa", "low", "high"), nan)
    kappa = stats.measure_kappa(*columns, ORDERS, clusters) if orders else none
    return {
        "pairs": len(orders),
        "both_strict": len(strict),
        "agreement": sum(same) / len(same) if same else nan,
        "low": interval[0] if interval else nan,
        "high": interval[1] if interval else nan,
        "ties_first": columns[0].count("tie"),
        "ties_second": columns[1].count("tie"),
        "kappa": kappa["kappa"],
        "kappa_low": kappa["low"],
        "kappa_high": kappa["high"],
    }


def tabulate_agreement(
    rankings: Mapping[str, Sequence[RankedReply]], prompts: Sequence[Prompt]
) -> pd.DataFrame:
    """Return one row of `compare_rankers` for every two rankers, with ranker_1 and ranker_2."""
    return pd.DataFrame(
        [
            {"ranker_1": one, "ranker_2": two}
            | compare_rankers(rankings[one], rankings[two], prompts)
            for one, two in itertools.combinations(rankings, 2)
        ]
    )


def _map_ranks(rankings: Sequence[RankedReply]) -> dict[str, dict[str, int]]:
    ranks: dict[str, dict[str, int]] = {}
    for row in rankings:
        ranks.setdefault(row.prompt_id, {})[row.reply] = row.rank
    return ranks


def _order(first: int, second: int) -> str:
    return "tie" if first == second else "first" if first < second else "second"
