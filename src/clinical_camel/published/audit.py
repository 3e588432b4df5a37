"""Each published accuracy compared with ours: a verdict and its reason.

A verdict needs the same items, the same protocol and both numbers of items. A difference that is
not significant proves nothing; an interval of the difference within `MARGIN` shows equivalence.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from clinical_camel import stats
from clinical_camel.exam_results.answers import NO_STUDY
from clinical_camel.published.item_sets import (
    find_item_sets,
    is_possible,
    is_recalled,
    name_system,
)

MARGIN = 0.05  # two accuracies are equivalent if the interval of their difference is within this

# The start of a published protocol: our protocols that are comparable with it. Every protocol of
# published.csv is listed; most have no counterpart.
COMPARABLE = {
    "lm-evaluation-harness, log-likelihood of the option text": ("harness_2023",),
    "independent re-run with lm-evaluation-harness": ("harness_now",),
    "sampled at temperature 0.4, up to 5 tries": ("medalpaca",),
    "re-run by the Meditron authors: top token": (),
    "v1 of May 2023: generated answer, graded by GPT-4": (),
    "as reported by its authors": (),
    "as reported by Nori et al.": (),
    "zero-shot entry of the leaderboard": (),
}
# The paper does not state whether it reports acc or acc_norm (the harness gives both).
NORM_UNKNOWN = ("lm-evaluation-harness, log-likelihood of the option text",)

COLUMNS = ["system", "benchmark", "shots", "n_published", "published", "items", "status"]
COLUMNS += ["published_protocol", "protocol", "model", "accuracy", "n", "low", "high", "chance"]
COLUMNS += ["difference", "difference_low", "difference_high", "p", "min_detectable_effect"]
COLUMNS += ["verdict", "reason"]
INTEGERS = ["shots", "n_published", "n"]


def compare_with_published(
    published: pd.DataFrame, runs: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Compare each published accuracy with ours: verdict and reason.

    `runs`: our scores of a system ("name:size"), `ours.read_runs`; a system without a study is
    absent. `accuracy`, `n`, `low`, `high` and `chance` are ours; shares are from 0 to 1, as in
    scores.csv of step 03; `difference` is ours minus published. The verdicts:

        reproduced      the 95 % interval of the difference is within MARGIN: equivalence, which a
                        difference that is merely not significant would not show
        differs         that interval excludes 0
        cannot tell     neither: too few items
        not comparable  recalled only, other protocol, other or unknown items, no fraction of n
        not run         no score of ours for this system, benchmark and number of shots

    `min_detectable_effect` is the smallest true difference that these two numbers of items detect
    with 80 % power; for a row that was not run, with the published number of items on both sides.
    The comparison is unpaired, because published scores come without their answers.
    """
    rows = []
    for row in published[published["metric"] == "accuracy"].to_dict("records"):
        scores = runs.get(name_system(row), pd.DataFrame(columns=["benchmark", "num_shots"]))
        same = scores["benchmark"].eq(row["benchmark"]) & scores["num_shots"].eq(row["shots"])
        matching = scores[same.fillna(False).astype(bool)].to_dict("records")
        rows += [_compare(row, score) for score in matching] or [_not_run(row, runs)]
    return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(INTEGERS, "Int64"))


def _not_run(published: dict, runs: Mapping[str, pd.DataFrame]) -> dict:
    system = name_system(published)
    if system not in runs:
        reason = NO_STUDY
    elif runs[system].empty:
        reason = "our study of this system has not run"
    elif pd.isna(published["shots"]):
        reason = "published without its number of shots"
    else:
        reason = f"no score of ours for {published['benchmark']}, {published['shots']}-shot"
    value, n = published["value"] / 100, published["n"]
    effect = np.nan
    if pd.notna(n):
        effect = stats.min_detectable_effect_unpaired(value, int(n), int(n))
    result = {"min_detectable_effect": effect, "verdict": "not run", "reason": reason}
    return _published_columns(published) | result


def _compare(published: dict, score: dict) -> dict:
    row = _published_columns(published)
    names = ("protocol", "model", "accuracy", "n", "low", "high", "chance")
    row |= {name: score[name] for name in names}
    if obstacles := _list_obstacles(published, score):
        return row | {"verdict": "not comparable", "reason": "; ".join(obstacles)}
    value, n = published["value"] / 100, int(published["n"])
    difference = _difference(score["accuracy"], score["n"], value, n)
    verdict, reason = _verdict(*difference[1:3])
    if published["protocol"].startswith(NORM_UNKNOWN):
        other = _difference(score["accuracy_norm"], score["n"], value, n)
        if _verdict(*other[1:3])[0] != verdict:
            reason = f"acc or acc_norm is not stated: {verdict} by acc, not by acc_norm"
            verdict = "cannot tell"
    names = ["difference", "difference_low", "difference_high", "p"]
    row |= dict(zip(names, difference, strict=True))
    row["min_detectable_effect"] = stats.min_detectable_effect_unpaired(value, score["n"], n)
    return row | {"verdict": verdict, "reason": reason + _coverage(published, score)}


def _published_columns(published: dict) -> dict:
    """Return a row with the published values; the other columns are missing."""
    item_sets, value = find_item_sets(published["benchmark"]), published["value"]
    possible = [s.label for s in item_sets if is_possible(value, s.n, rounded_twice=True)]
    row = dict.fromkeys(COLUMNS, np.nan) | {"protocol": "", "model": ""}
    row |= {name: published[name] for name in ("benchmark", "shots", "status")}
    row |= {"system": name_system(published), "published": value / 100}
    row |= {"n_published": published["n"], "published_protocol": published["protocol"]}
    items = " or ".join(possible) or ("no public set fits" if item_sets else "unknown")
    return row | {"items": items}


def _list_obstacles(published: dict, score: dict) -> list[str]:
    """Return why our score cannot be compared with the published value; [] if it can."""
    obstacles = []
    if is_recalled(published["status"]):
        obstacles.append("the published value is recalled only")
    if score["protocol"] not in find_comparable_protocols(published["protocol"]):
        theirs = published["protocol"]
        obstacles.append(f"other protocol: ours is {score['protocol']}, theirs {theirs}")
    if pd.isna(published["n"]):
        return [*obstacles, "the published number of items is not known"]
    n = int(published["n"])
    if not is_possible(published["value"], n, rounded_twice=True):
        obstacles.append(f"{published['value']} % is no fraction of {n:,} items")
    items = score["n"] + score["too_long"]
    scorable = [s.n for s in find_item_sets(published["benchmark"]) if s.scorable]
    if items > n or (items < n and len(scorable) != 1):
        obstacles.append(f"other items: ours are {items:,}, theirs {n:,}")
    return obstacles if score["n"] else [*obstacles, "no question of ours fits the context"]


def find_comparable_protocols(published_protocol: str) -> tuple[str, ...]:
    """Return the names of our protocols that are comparable with a published one.

    Raises ValueError for a published protocol that COMPARABLE does not list.
    """
    for start, protocols in COMPARABLE.items():
        if published_protocol.startswith(start):
            return protocols
    raise ValueError(f"published protocol {published_protocol!r}: add it to COMPARABLE")


def _verdict(low: float, high: float) -> tuple[str, str]:
    interval = f"the difference is between {100 * low:+.1f} and {100 * high:+.1f} points"
    if low > 0 or high < 0:
        return "differs", interval
    if low > -MARGIN and high < MARGIN:
        return "reproduced", f"{interval}, within {100 * MARGIN:.0f}"
    return "cannot tell", f"{interval}: too few items to tell"


def _coverage(published: dict, score: dict) -> str:
    """Return which part of the items our score covers; "" for all.

    A part is drawn by the hash of the ids (`data.load_questions`). For a random part, the unpaired
    interval is wide enough.
    """
    items, text = score["n"] + score["too_long"], ""
    if items < published["n"]:
        text = f"; ours on {items:,} of the {int(published['n']):,} items"
    return text + (f"; {score['too_long']} too long for the model" if score["too_long"] else "")


def _difference(
    accuracy: float, n: int, published: float, n_published: int
) -> tuple[float, float, float, float]:
    correct, published_correct = round(accuracy * n), round(published * n_published)
    return stats.compare_unpaired(correct, n, published_correct, n_published)
