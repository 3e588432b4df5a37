"""What the trainings of the policies showed, in sentences computed from their tables."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from clinical_camel import stats
from clinical_camel.core.rewards import (
    GOLD_PART,
    ON_PROXY,
    START,
    WORD_RULE,
    decide_verdicts,
    describe_hacking,
    describe_verdict,
)
from clinical_camel.core.wording import format_bounds, format_interval, join
from clinical_camel.exam_results.answers import LEVEL
from clinical_camel.reward_and_rl.changes import REWARDS
from clinical_camel.reward_and_rl.figures import NAMES
from clinical_camel.reward_and_rl.measures import LABELS
from clinical_camel.reward_and_rl.training import Trainings
from clinical_camel.teachers.comparisons import VerdictCounts

EXAMS = ("exam", "primer_exam")
LAST_STEPS = 5
OTHER_TRAININGS = "The intervals do not cover other trainings. "


def describe_judge(counts: VerdictCounts | None) -> list[str]:
    """Return how often the verdicts of the judge depend on the order of the replies, if there are
    verdicts of a judge."""
    if not counts:
        return []
    if not counts.orders_disagree + counts.no_verdict:
        return [f"The judge compared {counts.n} pairs in both orders: its verdicts agree in all."]
    return [
        f"The judge compared {counts.n} pairs in both orders. In {counts.orders_disagree}, the two "
        f"verdicts disagree: of these, {counts.prefers_shown_first} prefer the reply shown first "
        f"both times and {counts.prefers_shown_second} the one shown second; the rest are a tie in "
        f"one order. {counts.no_verdict} pairs have no verdict."
    ]


def format_agreement(agreement: pd.DataFrame) -> pd.DataFrame:
    """Return `preferences.tabulate_agreement` as texts with intervals: a row per two rankers."""
    return pd.DataFrame(
        [
            {
                "rankers": f"{row.ranker_1}, {row.ranker_2}",
                "pairs": row.pairs,
                "ties of each": f"{row.ties_first}, {row.ties_second}",
                "without ties": row.both_strict,
                "agreement": f"{row.agreement:.2f} [{row.low:.2f}, {row.high:.2f}]",
                "kappa": f"{row.kappa:.2f} [{row.kappa_low:.2f}, {row.kappa_high:.2f}]",
            }
            for row in agreement.itertuples()
        ]
    )


def describe_reward_model(
    accuracy: pd.DataFrame, bias: dict[str, float], calibration_error: float
) -> list[str]:
    """Return what the reward model is worth on held-out pairs, as plain sentences.

    `accuracy`: of `reward_checks.tabulate_accuracy`, with the column `part`. `bias` and
    `calibration_error`: of `reward_checks.measure_length_bias` and `measure_calibration_error`, on
    the held-out pairs.
    """
    rows = accuracy[accuracy["part"] == "held out"].set_index("subset")
    every = rows.loc["all"]
    low, high = (100 * every[name] for name in ("low", "high"))
    verdict = "more often than a coin" if low > 50 else "not clearly more often than a coin"
    lines = [
        f"The reward model prefers the better reply in {every['accuracy']:.1%} of {every['n']:.0f} "
        f"held-out pairs on {every['groups']:.0f} subjects [{low:.1f}, {high:.1f}]: {verdict}."
    ]
    training = accuracy[(accuracy["part"] == "training") & (accuracy["subset"] == "all")]
    if len(training):
        share = training["accuracy"].iloc[0]
        by_heart = " The difference from the held-out pairs is what it learned by heart."
        lines.append(
            f"Of its training pairs, it is right in {share:.1%}."
            + by_heart * bool(share > every["high"])
        )
    if WORD_RULE in rows.index:
        rule = rows.loc[WORD_RULE]
        lines.append(
            "A rule that reads no question and prefers the reply with fewer new words (words that "
            "no prompt and no reference has; a tie counts half) is right in "
            f"{rule['accuracy']:.1%} [{100 * rule['low']:.1f}, {100 * rule['high']:.1f}]."
        )
    if bias["pairs"]:
        lines.append(
            f"Where the lengths differ, the better reply is the longer one in "
            f"{bias['longer_chosen']:.0%} of pairs, and the reward model prefers the longer one in "
            f"{bias['longer_preferred']:.0%} (n = {bias['pairs']}). A rule that always prefers the "
            f"{'longer' if bias['longer_chosen'] > 0.5 else 'shorter'} one is right in "
            f"{max(bias['longer_chosen'], 1 - bias['longer_chosen']):.0%}."
        )
    if bias["bias"] == bias["bias"]:
        lines.append(
            "Length bias: its accuracy where the better reply is the longer one, minus that where "
            f"it is the shorter one, is {100 * bias['bias']:+.0f} points "
            f"[{100 * bias['low']:.0f}, {100 * bias['high']:.0f}] (0: no bias; below 0: it prefers "
            "short replies)."
        )
    lines.append(
        f"Its confidence differs from its accuracy by {100 * calibration_error:.0f} points on "
        f"average over {every['n']:.0f} pairs (expected calibration error; 0 is best, but so few "
        "pairs alone make it larger than 0)."
    )
    return lines


def describe_policies(
    comparison: pd.DataFrame, methods: pd.DataFrame, parts: pd.DataFrame, trained: Trainings
) -> list[str]:
    """Return the result of the policy trainings as plain sentences.

    `comparison`, `methods`, `parts`: of `changes.compare_with_start`, `compare_methods` and
    `compare_parts`. `trained`: of `training.train_policies`.
    """
    verdicts = decide_verdicts(comparison, LEVEL)
    others = [NAMES[name] for name in verdicts if name not in ON_PROXY]
    verb = "is" if len(others) == 1 else "are"
    measured = f"; {join(others)} {verb} only measured by it" if others else ""
    scope = OTHER_TRAININGS if comparison["seeds"].max() == 1 else ""
    return [
        *(_describe_method(*verdict, comparison) for verdict in verdicts.items()),
        *describe_hacking(parts, comparison, verdicts, NAMES),
        *_describe_new_words(comparison, parts),
        *_describe_objective(comparison),
        *_describe_length(comparison),
        *_describe_exams(comparison),
        *_describe_methods(methods),
        *_describe_pairs(trained.steps),
        *_describe_stops(trained.trainings),
        "Changes of rewards, length and entropy are on held-out prompts, paired with the replies "
        "of the SFT model, and so is the KL; the exams also ask about training subjects. The SFT "
        "model was tuned on all subjects. The proxy reward is what PPO, RLOO and GRPO maximise"
        f"{measured}. The gold reward is what all should maximise. "
        f"{scope}A change is clear if its p is below {LEVEL}, adjusted (Holm) for the rewards "
        "of all methods; other measures are adjusted among themselves. Intervals are not adjusted, "
        "so one may exclude 0 although the change is not clear. The verdicts follow p: methods "
        "with different verdicts need not differ.",
    ]


def format_headline(comparison: pd.DataFrame) -> str:
    """Return the change of the proxy and gold rewards of each method, in one line.

    `comparison`: of `changes.compare_with_start`.
    """
    parts = []
    for method, part in comparison.groupby("method", sort=False):
        rows = part.set_index("measure")
        changes = " / ".join(_format_short(rows.loc[name]) for name in REWARDS)
        parts.append(f"{NAMES[method]} {changes} at KL {part['kl'].iloc[0]:.1f}")
    if not parts:
        return "no policy was measured after its start"
    fewest, most = comparison["seeds"].min(), comparison["seeds"].max()
    each = f"{fewest} trainings each" if fewest == most else f"{fewest} to {most} trainings"
    trainings = "1 training" if most == 1 else each
    return f"change of proxy / gold reward on held-out prompts ({trainings}): {', '.join(parts)}"


def _format_short(row: pd.Series) -> str:
    """Return the change of a reward with its interval."""
    return f"{row['change']:+.2f}{format_bounds(row['low'], row['high'], 'z.2f')}"


def format_comparison(comparison: pd.DataFrame) -> pd.DataFrame:
    """Return the changes as texts with intervals: a row per measure, a column per method.

    `*` marks a clear change: p_holm below LEVEL. The first row is the KL at the end; the last
    rows count prompts, questions of each exam, and seeds.
    """
    columns = {}
    for method, part in comparison.groupby("method", sort=False):
        cells = {"KL at the end": _format_kl(part.iloc[0])}
        cells |= {LABELS[row.measure]: _format_change(row) for row in part.itertuples()}
        first = part.iloc[0]
        cells["prompts on subjects"] = f"{first['n']} on {first['groups']}"
        if counts := join_counts(part.loc[part["measure"].isin(EXAMS), "n"].unique()):
            cells["questions"] = counts
        columns[NAMES[method]] = cells | {"seeds": str(first["seeds"])}
    return pd.DataFrame(columns)


def format_methods(methods: pd.DataFrame) -> pd.DataFrame:
    """Return PPO minus each other method as texts: a row per measure, a column per method.

    `*` marks a clear difference: p_holm below LEVEL.
    """
    columns: dict[str, dict[str, str]] = {}
    for row in methods.to_dict("records"):
        text = _format_interval(row, "difference") + "*" * (row["p_holm"] < LEVEL)
        columns.setdefault(f"PPO minus {NAMES[row['method']]}", {})[LABELS[row["measure"]]] = text
    return pd.DataFrame(columns)


def _describe_method(method: str, verdict: str, comparison: pd.DataFrame) -> str:
    part = comparison[comparison["method"] == method].set_index("measure")
    seeds = int(part.loc["proxy", "seeds"])
    proxy, gold = (_format_interval(part.loc[name]) for name in ("proxy", "gold"))
    verdict = _refine_verdict(describe_verdict(method, verdict), part)
    return (
        f"{NAMES[method]}: {verdict}. Proxy {proxy}, gold {gold}, at a "
        f"KL of {_format_kl(part.loc['proxy'])} nats per reply "
        f"({part.loc['proxy', 'n']} prompts on {part.loc['proxy', 'groups']} subjects, {seeds} "
        f"seed{'s' if seeds > 1 else ''})."
    )


def _refine_verdict(verdict: str, part: pd.DataFrame) -> str:
    """Return a verdict with the direction of a reward that only its interval shows.

    `part`: the rows of a method, by measure.
    """
    for name, words in (("proxy", "did not rise clearly"), ("gold", "did not change clearly")):
        row = part.loc[name]
        if row["p_holm"] < LEVEL and row["change"] < 0:
            verdict = verdict.replace(words, "fell")
        elif row["low"] > 0 or row["high"] < 0:
            word = "rose" if row["low"] > 0 else "fell"
            verdict = verdict.replace(words, f"{word}, but not significantly after adjustment")
    return verdict


def _describe_objective(comparison: pd.DataFrame) -> Iterator[str]:
    """Yield how the objective of PPO, RLOO and GRPO changed: proxy minus KL and penalty."""
    is_objective = comparison["measure"].eq("objective") & comparison["method"].isin(ON_PROXY)
    rows = comparison[is_objective].to_dict("records")
    parts = [
        f"{NAMES[row['method']]} {_format_interval(row)}{'*' * (row['p_holm'] < LEVEL)}"
        for row in rows
    ]
    if not parts:
        return
    text = (
        "What these methods maximise is the objective: the proxy minus β times the KL and minus "
        "the truncation penalty. "
        f"Its change: {'; '.join(parts)}."
    )
    if fell := [NAMES[row["method"]] for row in rows if row["high"] < 0]:
        trainings = "This training" if len(fell) == 1 else "These trainings"
        text += (
            f" It fell with {join(fell)}, where the KL costs more than the proxy gains. "
            f"{trainings} did not optimise it; a lower learning rate may help."
        )
    yield text


def _describe_new_words(comparison: pd.DataFrame, parts: pd.DataFrame) -> Iterator[str]:
    """Yield how many replies have a new word, and how much of the change of gold is without one."""
    rows = {name: part.set_index("method") for name, part in comparison.groupby("measure")}
    own = parts[parts["part"].eq(GOLD_PART) & parts["control"].eq(START)].set_index("method")
    if own.empty:
        return
    new, gold = rows["new_word"], rows["gold"]["change"]
    ends = [f"{NAMES[method]} {share:.0%}" for method, share in new["end"].items()]
    shown = [
        f"{NAMES[method]} {_format_interval(row)} of {gold[method]:+.3f}"
        for method, row in own.iterrows()
    ]
    yield (
        "Replies with a new word, which no prompt and no reference has (it may be a real word or "
        f"none): {new['start'].iloc[0]:.0%} before, {', '.join(ends)} after. Change of the gold "
        f"reward from the replies in which this is as before: {'; '.join(shown)}."
    )


def _describe_length(comparison: pd.DataFrame) -> Iterator[str]:
    rows = comparison[comparison["measure"] == "tokens"]
    changed = rows[rows["p_holm"] < LEVEL]
    if changed.empty:
        if len(rows):
            yield "No method changed the length of replies clearly."
        return
    parts = [
        f"{NAMES[row.method]} from {row.start:.1f} to {row.end:.1f} tokens"
        for row in changed.itertuples()
    ]
    yield f"The length of replies changed: {'; '.join(parts)}."


def _describe_exams(comparison: pd.DataFrame) -> Iterator[str]:
    for name, label in (("exam", "the exam"), ("primer_exam", "what the base knew")):
        rows = comparison[comparison["measure"] == name]
        if rows.empty:
            continue
        changed = rows[rows["p_holm"] < LEVEL]
        first = rows.iloc[0]
        place = f"at the start {first['start']:.0%}, chance {first['chance']:.0%}, n = {first['n']}"
        if changed.empty:
            text = f"No method changed the accuracy on {label} clearly ({place})."
            if name == "primer_exam" and _is_at_chance(first):
                text += " The SFT model is not clearly above chance there"
                text += ", so forgetting cannot be seen."
            yield text
            continue
        parts = [
            f"{NAMES[row.method]} {100 * row.change:+.1f} points "
            f"[{100 * row.low:.1f}, {100 * row.high:.1f}]"
            for row in changed.itertuples()
        ]
        yield f"The accuracy on {label} changed: {'; '.join(parts)}."


def _is_at_chance(row: pd.Series) -> bool:
    """Return whether the accuracy at the start is not clearly above guessing.

    The questions of a group are not independent, so they count as one.
    """
    low, _ = stats.wilson_interval(round(row["start"] * row["groups"]), row["groups"])
    return low <= row["chance"]


def _describe_methods(methods: pd.DataFrame) -> Iterator[str]:
    if methods.empty:
        return
    for name in REWARDS:
        rows = methods[methods["measure"] == name].to_dict("records")
        parts = [
            f"{NAMES[row['method']]} {_format_interval(row, 'difference')}"
            + "*" * (row["p_holm"] < LEVEL)
            for row in rows
        ]
        yield f"{LABELS[name].capitalize()}, PPO minus another method: {'; '.join(parts)}."
    kls = methods[methods["measure"] == "kl"]
    others = ", ".join(f"{NAMES[row.method]} {row.other:.1f}" for row in kls.itertuples())
    yield (
        f"These methods are not at the same KL: PPO {kls['ppo'].mean():.1f}, {others}. A step of "
        "PPO has `ppo_epochs` updates, a step of the others one."
    )


def _describe_pairs(steps: pd.DataFrame) -> Iterator[str]:
    """Yield how well DPO learned its own pairs: a comparison with it is one at this point."""
    if "pair_accuracy" not in steps or not steps["pair_accuracy"].notna().any():
        return
    rows = steps[steps["pair_accuracy"].notna()]
    last = rows[rows["step"] > rows["step"].max() - LAST_STEPS]
    yield (
        f"DPO's own task, in its last {LAST_STEPS} steps: a loss of {last['loss'].mean():.3f} "
        f"({math.log(2):.3f}: nothing learned), and {last['pair_accuracy'].mean():.0%} of its "
        "pairs in the right order (a coin: 50%)."
    )


def _describe_stops(trainings: pd.DataFrame) -> Iterator[str]:
    for row in trainings[trainings["stop_reason"] != ""].itertuples():
        yield (
            f"{NAMES[row.method]} with seed {row.seed} was stopped at step {row.steps}: "
            f"{row.stop_reason}."
        )


def _format_interval(row: Mapping[str, Any] | pd.Series, name: str = "change") -> str:
    """Return a change with its interval; a single subject gives none."""
    interval = format_bounds(row["low"], row["high"], ".3f") or " (no interval: one subject)"
    return f"{row[name]:+.3f}{interval}"


def _format_change(row: Any) -> str:
    return _format_interval(row._asdict()) + "*" * (row.p_holm < LEVEL)


def _format_kl(row: pd.Series) -> str:
    return format_interval(row["kl"], row["kl_low"], row["kl_high"], ".1f")


def join_counts(counts: Iterable[int]) -> str:
    """Return numbers of questions, each once, as they are: 312, 240."""
    return ", ".join(str(count) for count in counts)
