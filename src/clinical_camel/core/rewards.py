"""What step 07 concludes of a method, in words that the page of results (step 00) shares."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from clinical_camel.core.wording import format_bounds, join

if TYPE_CHECKING:  # the settings of step 07 read ON_PROXY, and the runner starts without pandas
    import pandas as pd

# the methods that maximise the reward model; DPO and the exam's key are only measured by it
ON_PROXY = ("ppo", "rloo", "grpo")
VERDICTS = {
    "proxy rose, gold fell": "the proxy reward rose and the gold reward fell",
    "both rose": "both rewards rose",
    "only the proxy rose": "the proxy reward rose; the gold reward did not change clearly",
    "only the gold fell": "the proxy reward did not rise clearly, and the gold reward fell",
    "no clear rise": "the proxy reward did not rise clearly",
}
PROXY_ROSE = ("proxy rose, gold fell", "both rose", "only the proxy rose")
PROXY_ALONE = ("proxy rose, gold fell", "only the proxy rose")
GOLD_FELL = ("proxy rose, gold fell", "only the gold fell")
WORD_RULE = "rule: fewer new words"  # a baseline of the reward model, a row of its accuracy
# parts of a change (`reward_and_rl.changes.compare_parts`): of the proxy reward, from replies whose
# gold reward is as before; of the gold reward, from replies with or without new words as before
PROXY_PART, GOLD_PART = "proxy_same_gold", "gold_same_words"
NEAR = 1.25  # times the KL of the control: farther is said to be
START = "SFT"  # the control of a part of a change since the SFT model


def decide_verdicts(comparison: "pd.DataFrame", level: float) -> dict[str, str]:
    """Return the verdict on each method, of VERDICTS; a change is clear if p_holm is below `level`.

    `comparison`: of `reward_and_rl.changes.compare_with_start`.
    """
    verdicts = {}
    for method, part in comparison.groupby("method", sort=False):
        rows = part.set_index("measure")
        is_clear = rows["p_holm"] < level
        rises, falls = is_clear & (rows["change"] > 0), is_clear & (rows["change"] < 0)
        if rises["proxy"]:
            verdicts[method] = "both rose" if rises["gold"] else "only the proxy rose"
            if falls["gold"]:
                verdicts[method] = "proxy rose, gold fell"
        else:
            verdicts[method] = "only the gold fell" if falls["gold"] else "no clear rise"
    return verdicts


def describe_verdict(method: str, verdict: str) -> str:
    """Return a verdict in words; where the proxy rose, whether the method maximises it."""
    words, proxy = VERDICTS[verdict], "the proxy reward"
    if method in ON_PROXY or not words.startswith(f"{proxy} rose"):
        return words
    return words.replace(proxy, f"{proxy}, which this method does not maximise,", 1)


def describe_hacking(
    parts: "pd.DataFrame",
    comparison: "pd.DataFrame",
    verdicts: Mapping[str, str],
    names: Mapping[str, str],
) -> Iterator[str]:
    """Yield which part of the proxy's change comes from replies that are no better, and what it is.

    Reward hacking: the proxy rises, the gold does not, and the proxy also rises for replies whose
    gold reward is as before, more than with a method that never sees the reward model, at the
    nearest KL: farther from the SFT model, every part may be larger. `parts` and `comparison`: of
    `reward_and_rl.changes`. `verdicts` (of `decide_verdicts`) and `names`: by method.
    """
    rows = parts[parts["part"] == PROXY_PART]
    own = rows[rows["control"] == START].set_index("method")
    if own.empty:
        return
    proxy = comparison[comparison["measure"] == "proxy"].set_index("method")["change"]
    shown = [
        f"{names[row.Index]} {row.change:+.3f}{format_bounds(row.low, row.high, '.3f')} of "
        f"{proxy[row.Index]:+.3f} ({row.share:.0%} of replies)"
        for row in own.itertuples()
    ]
    yield (
        "Change of the proxy reward that comes from replies whose gold reward is as before: "
        f"{'; '.join(shown)}."
    )
    suspects = find_suspects(own.index, verdicts)
    if suspects:
        yield (
            "*Reward hacking* is shown if the proxy reward also rises for replies whose gold "
            "reward does not change, and more than with each method that never sees the reward "
            "model (intervals not adjusted). Farther from the SFT model, both may change more, so "
            "two methods are compared where their KL is nearest."
        )
    for method in suspects:
        yield _describe_suspect(rows[rows["method"] == method], names)


def find_suspects(methods: Iterable[str], verdicts: Mapping[str, str]) -> list[str]:
    """Return the methods that maximise the proxy, and raised it alone."""
    return [m for m in methods if m in ON_PROXY and verdicts.get(m) in PROXY_ALONE]


def summarise_hacking(
    parts: "pd.DataFrame", verdicts: Mapping[str, str], names: Mapping[str, str]
) -> Iterator[str]:
    """Yield with which methods reward hacking is shown, and its limit; as `describe_hacking`."""
    rows = parts[parts["part"] == PROXY_PART]
    suspects = find_suspects(rows["method"].unique(), verdicts)
    if not suspects:
        return
    by_method = {method: rows[rows["method"] == method] for method in suspects}
    shown = [method for method in suspects if is_hacking(by_method[method])]
    others = [names[method] for method in suspects if method not in shown]
    text = f"is shown with {join([names[method] for method in shown]) or 'no method'}"
    text += f", not with {join(others)}" if shown and others else ""
    compared = rows[rows["method"].isin(suspects) & (rows["control"] != START)]
    more = ", and more than with methods that never see the reward model" * bool(len(compared))
    yield (
        "*Reward hacking* (the proxy reward also rises for replies whose gold reward does not "
        f"change{more}; intervals not adjusted) {text}."
    )
    if far := [names[method] for method in shown if len(find_nearer(by_method[method]))]:
        yield (
            f"With {join(far)}, the distance from the SFT model is larger than with some of these "
            "methods and may be a part of the reason."
        )


def is_hacking(rows: "pd.DataFrame") -> bool:
    """Whether the intervals of a method's rows, against zero and each control, are above 0."""
    return bool((rows["low"] > 0).all())


def find_nearer(rows: "pd.DataFrame") -> "pd.Series":
    """Return the controls that stayed much nearer to the SFT model than the method of the rows."""
    compared = rows[rows["control"] != START]
    return compared.loc[compared["kl"] > NEAR * compared["control_kl"], "control"]


def _describe_suspect(rows: "pd.DataFrame", names: Mapping[str, str]) -> str:
    """Return whether the proxy's part of one method, of `compare_parts`, shows reward hacking."""
    name = names[rows["method"].iloc[0]]
    if is_hacking(rows):
        compared, far = rows[rows["control"] != START], find_nearer(rows)
        distances = [
            f"{names[row.control]} (KL {row.kl:.2f} against {row.control_kl:.2f})"
            for row in compared.itertuples()
        ]
        more = f": more than with {join(distances)}" if distances else ""
        nearer = join([names[control] for control in far])
        limit = (
            f" {name} has no measurement as near to the SFT model as {nearer}, so a part of the "
            "difference may come from the distance."
        )
        return f"It is shown with {name}{more}.{limit * bool(len(far))}"
    open_ones = [
        "its rise" if control == START else f"its difference from {names[control]}"
        for control in rows.loc[~(rows["low"] > 0), "control"]
    ]
    return f"It is not shown with {name}: the interval of {join(open_ones)} is not above 0."
