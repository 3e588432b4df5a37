"""Training with rewards (step 07): the proxy reward, the gold reward, and the reward model."""

from collections.abc import Iterator

import pandas as pd

from clinical_camel.core.rewards import (
    GOLD_FELL,
    ON_PROXY,
    PROXY_ROSE,
    WORD_RULE,
    decide_verdicts,
    describe_hacking,
    describe_verdict,
    summarise_hacking,
)
from clinical_camel.exam_results.answers import LEVEL
from clinical_camel.results.settings import Results
from clinical_camel.results.sources import Finding, Number, Result, find_result
from clinical_camel.results.wording import (
    count_trainings,
    join,
    name_model,
    show_share,
    show_value,
)

FIRST = "clinicalgpt_mini"  # the study on whose replies the rule of reward hacking was found
REWARDS = "07_reward_and_rl"
SCALES = {
    "rule": " (a rule; 0: wrong, 1: the fact and nothing else)",
    "judge": " (of a judge: the share of wins)",
}


def assess_rewards(settings: Results) -> list[Finding]:
    """Return a finding for each of `settings.rewards`."""
    return [assess_study(study) for study in settings.rewards]


def assess_study(study: str) -> Finding:
    """Return what training with rewards did to the proxy and the gold reward, by method."""
    result = find_result(study, REWARDS)
    missing = Finding(study, f"training with rewards (`{study}`)", is_run=False)
    if not result:
        return missing
    comparison = result.read("comparison")
    verdict_of = decide_verdicts(comparison, LEVEL)
    if not verdict_of:
        return missing
    changes = {method: _read_changes(result, method) for method in verdict_of}
    shown_as = {name: f"`{name}`" for name in verdict_of}
    on_proxy = [method for method in verdict_of if method in ON_PROXY]
    rose = [shown_as[method] for method in on_proxy if verdict_of[method] in PROXY_ROSE]
    fell = [shown_as[method] for method in verdict_of if verdict_of[method] in GOLD_FELL]
    headline = (
        "Training with rewards: the proxy reward rises significantly with "
        f"{join(rose) or 'no method'}{', trained on it' * bool(rose)}; the gold reward falls "
        f"significantly with {join(fell) or 'no method'}"
    )
    accuracy, by_words = _read_accuracy(result)
    parts = result.read("parts")
    cause = [*describe_hacking(parts, comparison, verdict_of, shown_as)]
    if study == FIRST and len(cause) > 1:
        cause.append(
            "We chose this criterion after seeing these replies: another study has to test it."
        )
    golds = join([f"`{name}` {show_value(gold)}" for name, (_, gold) in changes.items()])
    start = [
        f"The *proxy* reward is that of a reward model: {_name_trained(on_proxy)} trained on it. "
        f"All methods should raise the *gold* reward{_describe_scale(result)}. All start from one "
        "SFT model.",
        *_describe_accuracy(accuracy, by_words),
        f"Change of the gold reward: {golds}{_describe_start(comparison)}.",
    ]
    proxies = join([f"`{name}` {show_value(proxy)}" for name, (proxy, _) in changes.items()])
    first = next(iter(changes.values()))[0]
    lead = [
        *start,
        *_describe_objective(result),
        f"Change of the proxy reward: {proxies} ({first.n} held-out prompts, "
        f"{count_trainings(first.seeds)}; significant: p below 0.05, adjusted for both rewards of "
        "all methods).",
        *cause,
    ]
    verdicts = [
        f"`{method}`: {describe_verdict(method, verdict)} (n = {first.n} prompts, "
        f"trainings: {first.seeds})"
        for method, verdict in verdict_of.items()
    ]
    numbers = [*accuracy, *by_words, *(number for pair in changes.values() for number in pair)]
    hacking = [*summarise_hacking(parts, verdict_of, shown_as)]
    if study == FIRST and hacking:
        hacking.append("The criterion was chosen after seeing these replies.")
    texts = " ".join([*start, *_describe_objective(result), *hacking]), " ".join(lead)
    finding = Finding(study, headline, *texts, [f"{'; '.join(verdicts)}."], numbers)
    return name_model(result, finding)


def _name_trained(methods: list[str]) -> str:
    """Return the methods with "is" or "are".

    >>> _name_trained(["ppo", "grpo"]), _name_trained([])
    ('PPO and GRPO are', 'no method is')
    """
    names = join([method.upper() for method in methods]) or "no method"
    return f"{names} {'are' if len(methods) > 1 else 'is'}"


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


def _read_accuracy(result: Result) -> list[list[Number]]:
    """Return in how many held-out pairs the reward model, and a rule, prefer the better reply."""
    table = result.read("reward_accuracy")
    table = table[table["part"] == "held out"]
    place = {"table": result.name_table("reward_accuracy"), "params": result.params}
    names = {"all": "reward model", WORD_RULE: WORD_RULE}
    return [
        [
            Number(
                f"{name}, better reply preferred",
                *(row["accuracy"], row["low"], row["high"]),
                int(row["n"]),
                "pairs",
                chance=0.5,
                **place,
            )
            for row in table[table["subset"] == subset].to_dict("records")
        ]
        for subset, name in names.items()
    ]


def _describe_accuracy(accuracy: list[Number], by_words: list[Number]) -> Iterator[str]:
    for number in accuracy:
        text = (
            "On held-out prompts, the reward model prefers the better of two replies in "
            f"{show_share(number)} of {number.n} pairs (a coin: 50 %)"
        )
        is_coin = number.is_at_chance
        yield f"{text}, so a higher proxy reward means little there." if is_coin else f"{text}."
    for number in by_words:
        yield (
            "A rule that reads no question and prefers the reply with fewer new words (words that "
            "no prompt and no reference has; a tie counts half) is right in "
            f"{show_share(number)}."
        )


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
            f"What {join([method.upper() for method in rows['method']])} "
            f"{'maximise' if len(rows) > 1 else 'maximises'} is the *objective*: the proxy "
            "reward, minus a price for the distance from the model before (its KL) and for replies "
            "that are cut off. It "
            f"{what} of {len(rows)} methods in {params['rl_steps']} steps of {replies} replies, "
            f"significantly with {clear or 'none'}."
        )


def _describe_scale(result: Result) -> str:
    """Return what the gold reward is, in brackets."""
    return SCALES.get(result.record["params"].get("gold", "rule"), "")


def _describe_start(comparison: pd.DataFrame) -> str:
    """Return the gold reward before training, in brackets."""
    start = comparison.loc[comparison["measure"] == "gold", "start"]
    return f" (before: {start.iloc[0]:.2f})" if len(start) else ""
