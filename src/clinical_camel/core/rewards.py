"""What step 07 concludes of a method, in words that the page of results (step 00) shares."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from clinical_camel.core.wording import format_interval, join

if TYPE_CHECKING:  # the settings of step 07 read ON_PROXY, and the runner starts without pandas
    import pandas as pd

# the methods that maximise the reward model; DPO and the exam's key are only measured by it
ON_PROXY = ("ppo", "rloo", "grpo")
VERDICTS = {
    "hacking": "the proxy reward rose and the gold reward fell",
    "proxy rose, gold fell": (
        "the proxy reward, which this method does not maximise, rose and the gold reward fell"
    ),
    "both rose": "both rewards rose",
    "only the proxy rose": "the proxy reward rose; the gold reward did not change clearly",
    "only the gold fell": "the proxy reward did not rise clearly, and the gold reward fell",
    "no clear rise": "the proxy reward did not rise clearly",
}

PROXY_ROSE = ("hacking", "proxy rose, gold fell", "both rose", "only the proxy rose")
GOLD_FELL = ("hacking", "proxy rose, gold fell", "only the gold fell")
LEAST_KL = 0.1  # nats; below it, a ratio to the KL says nothing


def describe_cause(
    comparison: "pd.DataFrame", verdicts: Mapping[str, str], names: Mapping[str, str]
) -> Iterator[str]:
    """Yield the gold reward per nat of KL, and whether reward hacking explains its fall.

    A method that never sees the reward model cannot use its faults. If its gold reward falls as
    much per nat, the distance from the SFT model explains the fall as well. `comparison`: of
    `reward_and_rl.changes.compare_with_start`; `verdicts` (of GOLD_FELL or others) and `names`: by
    method. The intervals treat the KL as exact.
    """
    rows = comparison[(comparison["measure"] == "gold") & (comparison["kl"] >= LEAST_KL)]
    if not any(verdicts.get(method) in GOLD_FELL for method in rows["method"]):
        return
    rates = rows[["change", "low", "high"]].div(rows["kl"], axis=0).set_axis(rows["method"])
    parts = [
        f"{names[rate.Index]} {format_interval(*rate[1:])} (KL {kl:.1f})"
        for rate, kl in zip(rates.itertuples(), rows["kl"], strict=True)
    ]
    yield (
        "Change of the gold reward, divided by the distance from the SFT model (the KL, in nats): "
        f"{'; '.join(parts)}."
    )
    controls = [method for method in rates.index if method not in ON_PROXY]
    suspects = [method for method in rates.index if verdicts.get(method) == "hacking"]
    if not suspects:
        return
    if not controls:
        yield (
            "We cannot tell whether this is reward hacking: no method trained without the reward "
            f"model moved far enough from the SFT model (a KL of {LEAST_KL}) to compare."
        )
        return
    others = join([names[method] for method in controls])
    others += f", which never see{'s' if len(controls) == 1 else ''} the reward model"
    least = rates.loc[controls, "low"].min()
    worse = [names[m] for m in suspects if rates.loc[m, "high"] < least]
    similar = [names[m] for m in suspects if names[m] not in worse]
    if worse:
        yield (
            f"For the same distance, the gold reward falls more with {join(worse)} than with "
            f"{others}. Reward hacking is likely."
        )
    if similar:
        yield (
            f"For the same distance, the gold reward does not fall clearly more with "
            f"{join(similar)} than with {others}. So the distance alone may explain the fall, and "
            "reward hacking is not shown."
        )
