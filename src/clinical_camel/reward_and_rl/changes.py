"""How policies changed: curves, changes since the SFT model, differences between methods.

All tests are paired by prompt (or question) and seed. Intervals resample subjects and seeds
(`two_way`): they hold for other subjects and, with several seeds, for other policy trainings with
this reward model and this SFT model, not for other reward models.

The two rewards decide the verdicts, so their tests are one family (Holm). The tests of all other
measures are another: how many of these there are must not decide whether a reward rose.
"""

import numpy as np
import pandas as pd

from clinical_camel import stats, two_way
from clinical_camel.core.rewards import GOLD_PART, ON_PROXY, PROXY_PART, START
from clinical_camel.reward_and_rl.measures import VALUES, Rows
from clinical_camel.reward_and_rl.settings import METHODS, PPO

REWARDS = ("proxy", "gold")
COUNTS = ("method", "measure", "n", "groups", "seeds")
CHANGES = (*COUNTS, "start", "end", "change", "low", "high", "p", "chance")
# parts of a change, by name: the measure that changes, the measure that is as before
PARTS = {PROXY_PART: ("proxy", "gold"), GOLD_PART: ("gold", "new_word")}
PART_COLUMNS = (
    *("part", "method", "control", "n", "groups", "seeds", "share"),
    *("change", "low", "high", "kl", "control_kl"),
)
DIFFERENCES = (*COUNTS, "ppo", "other", "difference", "low", "high", "p")


def tabulate_curves(replies: pd.DataFrame, exams: pd.DataFrame) -> pd.DataFrame:
    """Return every measure at every step: method, step, measure, n, seeds, mean, change, low, high.

    Means are over prompts (or questions) and seeds. `change` is since the SFT model, paired by
    prompt and seed, with its 95 % interval. A step that not all seeds reached, because a training
    was stopped, has only those that did; `seeds` counts them.
    """
    rows = []
    for name, table, id_, value in _list_measures(replies, exams):
        keys = ["method", "seed", "group", id_]
        start = table.loc[table["step"] == 0, [*keys, value]]
        pairs = table[["step", *keys, value]].merge(start, on=keys, suffixes=("", "_start"))
        pairs["change"] = pairs[value] - pairs[f"{value}_start"]
        for (method, step), part in pairs.groupby(["method", "step"], sort=False):
            seeds = part["seed"].nunique()
            change = _estimate(part, "change")
            row = {"method": method, "step": step, "measure": name, "n": len(part) // seeds}
            row |= {"seeds": seeds, "mean": part[value].mean(), "change": change.mean}
            rows.append(row | {"low": change.low, "high": change.high})
    return pd.DataFrame(rows)


def compare_with_start(replies: pd.DataFrame, exams: pd.DataFrame) -> pd.DataFrame:
    """Return how every measure changed from the SFT model to the last measurement of each seed.

    Columns: CHANGES (chance: of an exam), p_holm (adjusted for the rewards of all methods, and for
    all other rows), kl, kl_low, kl_high (at the end, in nats per reply). The KL has no row: it is 0
    at the start and cannot fall. A stopped training counts with its last measurement; one without a
    measurement after its start is left out, and `seeds` counts the others. p is 1 with a single
    subject, which gives no interval.
    """
    rows = []
    for name, table, id_, value in _list_measures(replies, exams):
        if name == "kl":
            continue
        keys = ["method", "seed", "group", id_]
        start = table.loc[table["step"] == 0, [*keys, value]]
        pairs = _select_last(table)[[*keys, value]].merge(start, on=keys, suffixes=("_b", "_a"))
        for method, part in pairs.groupby("method", sort=False):
            names = ("start", "end", "change")
            row = _compare(part, id_, (f"{value}_a", f"{value}_b"), names)
            chance = table["chance"].mean() if "chance" in table else np.nan
            rows.append({"method": method, "measure": name} | row | {"chance": chance})
    table = _adjust(rows, CHANGES)
    kls = {m: _estimate(part, "kl") for m, part in _select_last(replies).groupby("method")}
    for column, name in (("kl", "mean"), ("kl_low", "low"), ("kl_high", "high")):
        table[column] = [float(getattr(kls[method], name)) for method in table["method"]]
    return table


def compare_parts(replies: pd.DataFrame) -> pd.DataFrame:
    """Return parts of changes since the SFT model, see PARTS: PART_COLUMNS, without tests.

    A part is the mean over all replies of the change of a measure, counted as 0 unless another
    measure is the same before and after. Two samples of one policy differ in both directions, so
    a part is 0 for a policy that did not change. `share`: the replies that count. `kl`: of the
    method. `control`: START, at the method's last measurement; or a method without the reward
    model, whose part is subtracted, paired by prompt and seed. Then the method is at the
    measurement whose KL is nearest to the last one of the control, `control_kl`.
    """
    keys = ["method", "seed", "group", "prompt_id"]
    values = sorted({"kl", *(name for pair in PARTS.values() for name in pair)})
    start = replies.loc[replies["step"] == 0, [*keys, *values]]
    trained = replies.loc[replies["step"] > 0, [*keys, "step", *values]]
    pairs = trained.merge(start, on=keys, suffixes=("_b", "_a"))
    rows = []
    for name, (value, same) in PARTS.items():
        is_same = np.isclose(pairs[f"{same}_a"], pairs[f"{same}_b"])
        change = (pairs[f"{value}_b"] - pairs[f"{value}_a"]).where(is_same, 0.0)
        table = pairs[[*keys, "step"]].assign(change=change, share=is_same, kl=pairs["kl_b"])
        last = dict(list(_select_last(table).groupby("method", sort=False)))
        for method, part in last.items():
            rows.append([name, method, START, *_count(part), *_limit(part), np.nan])
            for control in [c for c in last if method in ON_PROXY and c not in ON_PROXY]:
                control_kl = last[control]["kl"].mean()
                steps = table[table["method"] == method]
                distances = (steps.groupby("step")["kl"].mean() - control_kl).abs()
                near = steps[steps["step"] == distances.idxmin()]
                both = near.merge(last[control], on=keys[1:], suffixes=("", "_control"))
                both["change"] -= both["change_control"]
                if len(both):
                    limits = (*_count(both), *_limit(both), control_kl)
                    rows.append([name, method, control, *limits])
    return pd.DataFrame(rows, columns=list(PART_COLUMNS))


def _count(part: pd.DataFrame) -> tuple[int, int, int, float]:
    """Return prompts, groups, seeds, and the share of the replies that count."""
    counts = (part[name].nunique() for name in ("prompt_id", "group", "seed"))
    return (*counts, float(part["share"].mean()))


def _limit(part: pd.DataFrame) -> tuple[float, float, float, float]:
    """Return the mean change with its interval, and the KL."""
    estimate = _estimate(part, "change")
    return estimate.mean, estimate.low, estimate.high, float(part["kl"].mean())


def compare_methods(replies: pd.DataFrame, exams: pd.DataFrame) -> pd.DataFrame:
    """Return PPO minus each other method, at the last measurement of each training.

    Columns: DIFFERENCES, p_holm (adjusted as in `compare_with_start`). Only seeds that both methods
    have count. Empty without PPO or without another method.
    """
    rows = []
    for name, table, id_, value in _list_measures(replies, exams):
        keys = ["seed", "group", id_]
        last = _select_last(table)
        ours = last.loc[last["method"] == PPO, [*keys, value]]
        for method, part in last[last["method"] != PPO].groupby("method", sort=False):
            pairs = part[[*keys, value]].merge(ours, on=keys, suffixes=("_a", "_b"))
            if len(pairs):
                names = ("other", "ppo", "difference")
                row = _compare(pairs, id_, (f"{value}_a", f"{value}_b"), names)
                rows.append({"method": method, "measure": name} | row)
    return _adjust(rows, DIFFERENCES)


def select_examples(replies: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return replies of each method to the same prompts, at the start and at the end.

    The prompts are those of the first seed whose proxy reward rose most in the first method, where
    a model that hacks its reward shows it; the last is the one whose gold reward fell most.
    Columns: prompt_id, method, step, reply, proxy, gold.
    """
    first = replies[replies["seed"] == replies["seed"].iloc[0]]
    last, start = _select_last(first), first[first["step"] == 0]
    method = (last if len(last) else start)["method"].iloc[0]
    before, after = (
        part[part["method"] == method].set_index("prompt_id")[[*REWARDS]] for part in (start, last)
    )
    changes = (after - before).dropna()
    by_gold = changes["gold"].sort_values(kind="stable").index[:1]
    by_proxy = changes["proxy"].sort_values(ascending=False, kind="stable").index
    prompts = [*by_proxy.drop(by_gold)[: count - 1], *by_gold][:count]
    rows = [start[start["method"] == method].assign(method="SFT"), last]
    table = pd.concat(rows, ignore_index=True)
    columns = ["prompt_id", "method", "step", "reply", "proxy", "gold"]
    chosen = [table[table["prompt_id"] == prompt][columns] for prompt in prompts]
    return pd.concat(chosen, ignore_index=True)


def _list_measures(
    replies: pd.DataFrame, exams: pd.DataFrame
) -> list[tuple[str, pd.DataFrame, str, str]]:
    """Return each measure: its name, its table, the column that pairs rows, that of its values."""
    measures = [(name, replies, "prompt_id", name) for name in VALUES]
    exam_names = list(dict.fromkeys(exams["exam"]))
    tables = [exams[exams["exam"] == name] for name in exam_names]
    rows = zip(exam_names, tables, strict=True)
    return measures + [(name, table, "question_id", "correct") for name, table in rows]


def _select_last(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the last measurement of each training, without those at the start."""
    trained = rows[rows["step"] > 0]
    last = trained.groupby(["method", "seed"])["step"].transform("max")
    return trained[trained["step"] == last]


def _compare(
    pairs: pd.DataFrame, id_: str, values: tuple[str, str], names: tuple[str, str, str]
) -> dict[str, float]:
    """Return n, seeds, both means, and the second minus the first with its interval and p."""
    first, second = (pairs[value] for value in values)
    change = _estimate(pairs.assign(change=second - first), "change")
    p = two_way.compute_p_difference(change) if change.low == change.low else 1.0
    row = {
        "n": pairs[id_].nunique(),
        "groups": pairs["group"].nunique(),
        "seeds": pairs["seed"].nunique(),
    }
    row |= dict(zip(names, (first.mean(), second.mean(), change.mean), strict=True))
    return row | {"low": change.low, "high": change.high, "p": p}


def _adjust(rows: Rows, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return rows as a table, sorted by method, with p adjusted within each of the two families."""
    table = pd.DataFrame(rows, columns=list(columns))
    families = table["p"].astype(float).groupby(table["measure"].isin(REWARDS))
    table["p_holm"] = families.transform(lambda p: stats.adjust_holm(p.to_numpy()))
    order = {"by": "method", "key": lambda names: names.map(METHODS.index), "kind": "stable"}
    return table.sort_values(**order, ignore_index=True)


def _estimate(part: pd.DataFrame, value: str) -> two_way.Estimate:
    """Return the mean of a value over groups and seeds with its interval."""
    sums = part.pivot_table(index="group", columns="seed", values=value, aggfunc="sum", sort=False)
    sizes = part[part["seed"] == part["seed"].iloc[0]].groupby("group", sort=False).size()
    return two_way.estimate_mean(sums.to_numpy(), sizes.loc[sums.index].to_numpy(), seed=0)
