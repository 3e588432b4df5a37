"""Training with rewards (step 07): the proxy reward, the gold reward, and the reward model."""

from collections.abc import Iterator
from typing import Any

from clinical_camel.core.rewards import (
    GOLD_FELL,
    ON_PROXY,
    PROXY_ROSE,
    VERDICTS,
    describe_cause,
)
from clinical_camel.exam_results.answers import LEVEL
from clinical_camel.results.settings import Results
from clinical_camel.results.sources import Finding, Number, Result, find_result
from clinical_camel.results.wording import count_trainings, join, show_share, show_value

REWARDS = "07_reward_and_rl"
SCALES = {"rule": " (0: wrong, 1: the fact and nothing else)", "judge": " (share of wins)"}


def assess_rewards(settings: Results) -> Finding:
    """Return what training with rewards did to the proxy and the gold reward, by method."""
    result = find_result(settings.rewards, REWARDS)
    if not result:
        return Finding("rewards", "training with rewards", is_run=False)
    hacking = result.read("hacking")
    if hacking.empty:
        return Finding("rewards", "training with rewards", is_run=False)
    changes = {row.method: _read_changes(result, row.method) for row in hacking.itertuples()}
    on_proxy = hacking[hacking["method"].isin(ON_PROXY)]
    rose = int(on_proxy["verdict"].isin(PROXY_ROSE).sum())
    fell = int(hacking["verdict"].isin(GOLD_FELL).sum())
    headline = (
        f"Training with rewards: the proxy reward rises significantly with {rose} of the "
        f"{len(on_proxy)} methods that are trained on it; the gold reward falls significantly with "
        f"{fell} of all {len(hacking)} methods"
    )
    accuracy = _read_accuracy(result)
    brief = [
        "PPO, RLOO and GRPO are trained on the *proxy* reward, that of a reward model; all methods "
        "should raise the *gold* reward.",
        *_describe_accuracy(accuracy),
        *_describe_objective(result),
    ]
    shown = join(
        [f"`{name}` {' and '.join(map(show_value, pair))}" for name, pair in changes.items()]
    )
    first = next(iter(changes.values()))[0]
    verdict_of = dict(zip(hacking["method"], hacking["verdict"], strict=True))
    shown_as = {name: f"`{name}`" for name in verdict_of}
    lead = [
        *brief,
        f"Changes of both: {shown} ({first.n} held-out prompts, {count_trainings(first.seeds)}; "
        "significant: p below 0.05, adjusted for both rewards of all methods).",
        *_describe_start(result),
        *describe_cause(result.read("comparison"), verdict_of, shown_as),
    ]
    verdicts = [
        f"`{row.method}`: {VERDICTS[row.verdict]} (n = {first.n} prompts, trainings: {first.seeds})"
        for row in hacking.itertuples()
    ]
    numbers = [*accuracy, *(number for pair in changes.values() for number in pair)]
    texts = " ".join(brief), " ".join(lead)
    return Finding("rewards", headline, *texts, [f"{'; '.join(verdicts)}."], numbers)


def _read_changes(result: Result, method: str) -> list[Number]:
    """Return the changes of the proxy and of the gold reward."""
    table = result.read("comparison")
    own = table[table["method"] == method].set_index("measure")
    return [
        Number(
            f"{method}, {measure} reward",
            *map(float, own.loc[measure, ["change", "low", "high"]]),
            n=int(own.loc[measure, "n"]),
            items="prompts",
            unit="reward",
            seeds=int(own.loc[measure, "seeds"]),
            table=result.name_table("comparison"),
            params=result.params,
        )
        for measure in ("proxy", "gold")
    ]


def _read_accuracy(result: Result) -> list[Number]:
    """Return the share of held-out pairs in which the reward model prefers the better reply."""
    table = result.read("reward_accuracy")
    rows = table[table["part"].eq("held out") & table["subset"].eq("all")].to_dict("records")
    place = {"table": result.name_table("reward_accuracy"), "params": result.params}
    return [_read_pairs(row, place) for row in rows]


def _read_pairs(row: dict[str, Any], place: dict[str, str]) -> Number:
    shares = (row["accuracy"], row["low"], row["high"])
    return Number(
        "reward model, better reply preferred", *shares, int(row["n"]), "pairs", chance=0.5, **place
    )


def _describe_accuracy(accuracy: list[Number]) -> Iterator[str]:
    for number in accuracy:
        text = (
            "On held-out prompts, the reward model prefers the better of two replies in "
            f"{show_share(number)} of {number.n} pairs (a coin: 50 %)"
        )
        is_coin = number.is_at_chance
        yield f"{text}, so a higher proxy reward means little there." if is_coin else f"{text}."


def _describe_objective(result: Result) -> Iterator[str]:
    """Yield how many methods raised what the trainings should raise, and how short they were."""
    table, params = result.read("comparison"), result.record["params"]
    rows = table[table["measure"].eq("objective") & table["method"].isin(ON_PROXY)]
    if len(rows) and {"rl_steps", "prompts_per_step", "num_generations"} <= params.keys():
        replies = params["prompts_per_step"] * params["num_generations"]
        is_rise, is_clear = rows["change"] > 0, rows["p_holm"] < LEVEL
        rises = is_rise.sum()
        what = f"rose with {rises}" if rises else f"fell with {len(rows)}"
        clear = (is_clear & (is_rise if rises else True)).sum()
        yield (
            "In training, a reply also pays for its distance from the model before. Proxy reward "
            f"minus this price {what} of {len(rows)} methods in {params['rl_steps']} steps "
            f"of {replies} replies, significantly with {clear or 'none'}."
        )


def _describe_start(result: Result) -> Iterator[str]:
    """Yield the gold reward before training, and its scale."""
    table = result.read("comparison")
    start = table.loc[table["measure"] == "gold", "start"]
    if len(start):
        scale = SCALES.get(result.record["params"].get("gold", "rule"), "")
        yield f"Before, the gold reward is {start.iloc[0]:.2f}{scale}."
