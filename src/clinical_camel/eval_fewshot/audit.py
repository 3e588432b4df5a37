"""Each published number beside ours, with a verdict and its reason.

A verdict needs the same items, the same protocol and both numbers of items. A difference that is
not significant proves nothing; only an interval of the difference that stays within `MARGIN` does.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clinical_camel import stats
from clinical_camel.data import Question
from clinical_camel.eval_fewshot import claims

MARGIN = 0.05  # two accuracies count as the same if the interval of their difference is within this
MMLU = "mmlu_medical"  # our benchmark whose subjects are published one by one


# How the published protocol begins: the protocols of ours that may stand beside it. Every text of
# published.csv is named here; most have no counterpart, and none of ours is like them by its name.
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
# The paper does not say which of acc and acc_norm it prints (the harness gives both).
NORM_UNKNOWN = ("lm-evaluation-harness, log-likelihood of the option text",)

COLUMNS = ["system", "benchmark", "shots", "n_published", "published", "items", "status"]
COLUMNS += ["published_protocol", "protocol", "model", "ours", "n_ours", "low", "high", "chance"]
COLUMNS += ["difference", "difference_low", "difference_high", "p", "detectable", "verdict"]
COLUMNS += ["reason"]
WHOLE = ["shots", "n_published", "n_ours"]


def by_subject(
    answers: pd.DataFrame, questions: Mapping[str, Sequence[Question]]
) -> tuple[pd.DataFrame, dict[str, Sequence[Question]]]:
    """Answers and questions with the subjects of `mmlu_medical` as benchmarks of their own.

    The published table has MMLU by subject, so `score_table` of this is what `audit` needs. Other
    benchmarks stay as they are.
    """
    part = "mmlu_" + answers["subset"].astype(str)
    split = answers["benchmark"].where(answers["benchmark"] != MMLU, part)
    apart = {name: rows for name, rows in questions.items() if name != MMLU}
    for row in questions.get(MMLU, ()):
        apart.setdefault(f"mmlu_{row.subset}", []).append(row)
    return answers.assign(benchmark=split), apart


def audit(
    published: pd.DataFrame, scores: pd.DataFrame, system: str, model: str = ""
) -> pd.DataFrame:
    """Each published accuracy of `system` ("name:size") beside ours, with a verdict and its reason.

    Shares from 0 to 1, as in `score_table`; `difference` is ours minus published. The verdicts:

        reproduced      the 95 % interval of the difference is within MARGIN: equivalence, which a
                        difference that is merely not significant would not show
        differs         that interval excludes 0
        cannot tell     neither: too few items
        not comparable  recalled only, other protocol, other or unknown items, no fraction of n
        not run         no score of ours for this benchmark and these shots

    An empty `system` says that the model is none of the published ones: every row is "not run" and
    no score of ours stands in it. `detectable` is the difference that these two numbers of items
    show with 80 % power; where nothing was run, that a run on the published items would show.
    The comparison is unpaired, because a published score comes without its answers. ValueError
    for an unknown system, and if `scores` hold several models and `model` does not say which one
    is the system's.
    """
    theirs = _claims_of(published, system)
    ours = _scores_of(scores, model) if system else scores.iloc[:0]
    rows = []
    for claim in theirs.to_dict("records"):
        same = ours["benchmark"].eq(claim["benchmark"]) & ours["num_shots"].eq(claim["shots"])
        found = ours[same.fillna(False).astype(bool)].to_dict("records")
        rows += [_compared(claim, score) for score in found] or [_not_run(claim, system)]
    return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(WHOLE, "Int64"))


def _claims_of(published: pd.DataFrame, system: str) -> pd.DataFrame:
    accuracies = published[published["metric"] == "accuracy"]
    names = accuracies["system"] + ":" + accuracies["size"]
    if system and system not in set(names):
        raise ValueError(f"system: {system!r} is not one of {', '.join(sorted(set(names)))}")
    return accuracies[names == system] if system else accuracies


def _scores_of(scores: pd.DataFrame, model: str) -> pd.DataFrame:
    there = list(dict.fromkeys(scores["model"]))
    if model and model not in there:
        raise ValueError(f"model: {model!r} is not one of {', '.join(there)}")
    if not model and len(there) > 1:
        raise ValueError(f"model: which of {', '.join(there)} is the published system's?")
    return scores[scores["model"] == model] if model else scores


def _not_run(claim: dict, system: str) -> dict:
    if not system:
        reason = "the model that ran is none of the published systems"
    elif pd.isna(claim["shots"]):
        reason = "published without its number of shots"
    else:
        reason = f"no score of ours for {claim['benchmark']}, {claim['shots']}-shot"
    value, n = claim["value"] / 100, claim["n"]
    detectable = np.nan if pd.isna(n) else stats.detectable_unpaired(value, int(n), int(n))
    return _claimed(claim) | {"detectable": detectable, "verdict": "not run", "reason": reason}


def _compared(claim: dict, score: dict) -> dict:
    row = _claimed(claim) | {"protocol": score["protocol"], "model": score["model"]}
    row |= {"ours": score["accuracy"], "n_ours": score["n"]}
    row |= {name: score[name] for name in ("low", "high", "chance")}
    obstacles = _obstacles(claim, score)
    if obstacles:
        return row | {"verdict": "not comparable", "reason": "; ".join(obstacles)}
    value, n = claim["value"] / 100, int(claim["n"])
    difference = _difference(score["accuracy"], score["n"], value, n)
    verdict, reason = _verdict(*difference[1:3])
    if claim["protocol"].startswith(NORM_UNKNOWN):
        other = _difference(score["accuracy_norm"], score["n"], value, n)
        if _verdict(*other[1:3])[0] != verdict:
            reason = f"acc or acc_norm is not stated: {verdict} by acc, not by acc_norm"
            verdict = "cannot tell"
    names = ["difference", "difference_low", "difference_high", "p"]
    row |= dict(zip(names, difference, strict=True))
    row["detectable"] = stats.detectable_unpaired(value, score["n"], n)
    return row | {"verdict": verdict, "reason": reason + _part(claim, score)}


def _claimed(claim: dict) -> dict:
    """The published side of a row; the rest of it is missing until something was run."""
    row = dict.fromkeys(COLUMNS, np.nan) | {"protocol": "", "model": ""}
    row |= {name: claim[name] for name in ("benchmark", "shots", "status")}
    row |= {"system": claims.name_of(claim), "published": claim["value"] / 100}
    row |= {"n_published": claim["n"], "published_protocol": claim["protocol"]}
    sets = claims.sets_of(claim["benchmark"])
    fitting = [claims.label(each) for each in sets if claims.fits(claim["value"], each.n, True)]
    none = "no public set fits" if sets else "unknown"
    return row | {"items": " or ".join(fitting) or none}


def _obstacles(claim: dict, score: dict) -> list[str]:
    """Why ours may not be compared with the claim, in words; empty if it may."""
    found = ["the published value is recalled only"] if claims.recalled(claim["status"]) else []
    if score["protocol"] not in comparable(claim["protocol"]):
        found.append(f"other protocol: ours is {score['protocol']}, theirs {claim['protocol']}")
    if pd.isna(claim["n"]):
        return [*found, "the published number of items is not known"]
    n = int(claim["n"])
    if not claims.fits(claim["value"], n, twice=True):
        found.append(f"{claim['value']} % is no fraction of {n:,} items")
    asked = score["n"] + score["too_long"]
    scorable = [each.n for each in claims.sets_of(claim["benchmark"]) if each.scorable]
    if asked > n or (asked < n and len(scorable) != 1):
        found.append(f"other items: ours are {asked:,}, theirs {n:,}")
    return found if score["n"] else [*found, "no question of ours fits the context"]


def comparable(protocol: str) -> tuple[str, ...]:
    """The names of our protocols that may stand beside a published one; ValueError if unknown."""
    for begins, ours in COMPARABLE.items():
        if protocol.startswith(begins):
            return ours
    raise ValueError(f"published protocol {protocol!r}: COMPARABLE does not say what is like it")


def _verdict(low: float, high: float) -> tuple[str, str]:
    interval = f"the difference is between {100 * low:+.1f} and {100 * high:+.1f} points"
    if low > 0 or high < 0:
        return "differs", interval
    if low > -MARGIN and high < MARGIN:
        return "reproduced", f"{interval}, within {100 * MARGIN:.0f}"
    return "cannot tell", f"{interval}: too few items to tell"


def _part(claim: dict, score: dict) -> str:
    """What of the items ours was scored on, if not all. A part is drawn by the hash of the ids
    (`data.load_questions`), and for a random part the unpaired interval is wide enough."""
    asked, text = score["n"] + score["too_long"], ""
    if asked < claim["n"]:
        text = f"; ours on {asked:,} of the {int(claim['n']):,} items"
    return text + (f"; {score['too_long']} too long for the model" if score["too_long"] else "")


def _difference(
    ours: float, n_ours: int, theirs: float, n_theirs: int
) -> tuple[float, float, float, float]:
    return stats.unpaired(round(ours * n_ours), n_ours, round(theirs * n_theirs), n_theirs)


MARKERS = "osD^vP*X<>dphH"
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C8C"]


def plot_protocols(scores: pd.DataFrame) -> Figure:
    """How far the protocol alone moves the score of one model.

    A row for each benchmark and number of shots, a dot with its 95 % interval for each protocol, a
    short line at chance, and at the right the range from the lowest to the highest score, in
    points. Colours are those of Okabe and Ito, and no two protocols share a marker. ValueError for
    the scores of several models.
    """
    models = list(dict.fromkeys(scores["model"]))
    if len(models) != 1:
        raise ValueError(f"scores of one model, not of {', '.join(models) or 'none'}")
    protocols = list(dict.fromkeys(scores["protocol"]))
    groups = list(scores.groupby(["benchmark", "num_shots"], sort=False))[::-1]  # first on top
    height = 0.3 + 0.11 * len(protocols)
    figure, axis = plt.subplots(figsize=(9, 1.3 + height * len(groups)), layout="constrained")
    for y, (_, rows) in enumerate(groups):
        _protocol_row(axis, y, rows, protocols)
    labels = [f"{name}\n{shots}-shot, n = {rows['n'].max():,}" for (name, shots), rows in groups]
    axis.set_yticks(range(len(groups)), labels, fontsize=9)
    axis.set_ylim(-0.5, len(groups) - 0.5)
    axis.set_xlim(0, 100)
    axis.set_xlabel("accuracy, %")
    axis.grid(visible=True, axis="x", alpha=0.3)
    for y in range(len(groups) - 1):
        axis.axhline(y + 0.5, color="lightgrey", linewidth=0.8)
    axis.set_title(f"model: {models[0]}", loc="left", fontsize=10)
    handles, names = axis.get_legend_handles_labels()
    unique = dict(zip(names, handles, strict=True))
    order = [name for name in [*protocols, "chance"] if name in unique]
    figure.legend(
        [unique[name] for name in order], order, loc="outside lower center", ncols=5, fontsize=9
    )
    return figure


def _protocol_row(axis: Axes, y: int, rows: pd.DataFrame, protocols: Sequence[str]) -> None:
    step = 0.76 / max(len(protocols), 1)
    for score in rows.to_dict("records"):
        k = protocols.index(score["protocol"])
        accuracy, low, high = (100 * score[name] for name in ("accuracy", "low", "high"))
        axis.errorbar(
            accuracy,
            y + step * ((len(protocols) - 1) / 2 - k),
            xerr=[[accuracy - low], [high - accuracy]],
            fmt=MARKERS[k % len(MARKERS)],
            color=COLOURS[k % len(COLOURS)],
            markersize=5,
            linewidth=1.2,
            label=score["protocol"],
        )
    chance = [100 * rows["chance"].mean()] * 2
    axis.plot(chance, [y - 0.45, y + 0.45], "--", color="grey", linewidth=1, label="chance")
    lowest, highest = 100 * rows["accuracy"].min(), 100 * rows["accuracy"].max()
    text = f"{highest - lowest:.1f} points\n{lowest:.1f} to {highest:.1f}"
    place = {"xycoords": ("axes fraction", "data"), "annotation_clip": False}
    axis.annotate(text, (1.01, y), va="center", fontsize=9, **place)
