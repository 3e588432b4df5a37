"""What step 07 concludes of a method, in words that the page of results (step 00) shares."""

from collections.abc import Iterator, Mapping
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
GOLD_FELL = ("proxy rose, gold fell", "only the gold fell")
WORD_RULE = "rule: fewer new words"  # a baseline of the reward model, a row of its accuracy
# rows of a comparison: the change of the proxy reward from replies with the same gold reward as
# before, and that of the gold reward from replies that have a new word as before or still have none
PROXY_PART, GOLD_PART = "proxy_same_gold", "gold_same_words"


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


def describe_hacking(comparison: "pd.DataFrame", names: Mapping[str, str]) -> Iterator[str]:
    """Yield which part of the proxy's change comes from replies that are no better, and what it is.

    If the proxy of such replies rises, the policy uses a fault of the reward model: reward hacking.
    Replies of one policy, sampled twice, differ in both directions, so this part is 0 then. A
    method that never sees the reward model shows what a change of the policy alone gives.
    `comparison`: of `reward_and_rl.changes.compare_with_start`. `names`: of methods.
    """
    by_method = comparison.set_index("method")
    parts = by_method[by_method["measure"] == PROXY_PART]
    if parts.empty:
        return
    proxy = by_method.loc[by_method["measure"] == "proxy", "change"]
    shown = [
        f"{names[part.Index]} {part.change:+.3f}{format_bounds(part.low, part.high, '.3f')} of "
        f"{proxy[part.Index]:+.3f}"
        for part in parts.itertuples()
    ]
    yield (
        "Change of the proxy reward that comes from replies whose gold reward is the same as "
        f"before: {'; '.join(shown)}."
    )
    controls = [method for method in parts.index if method not in ON_PROXY]
    highest = max([0.0, *parts.loc[controls, "high"]])
    others = join([names[method] for method in controls])
    never = f"{others}, which never see{'s' * (len(controls) == 1)} the reward model"
    hacking = [m for m in parts.index if m in ON_PROXY and parts.loc[m, "low"] > highest]
    unclear = [m for m in parts.index if m in ON_PROXY and m not in hacking]
    if hacking:
        text = (
            f"With {join([names[m] for m in hacking])}, the reward model pays more for replies "
            "that are no better: *reward hacking*."
        )
        yield text + f" It pays clearly less for the replies of {never}." * bool(controls)
    if unclear:
        yield (
            f"With {join([names[m] for m in unclear])}, reward hacking is not shown: this part is "
            f"not clearly above {'that of ' + never if controls else '0'}."
        )
