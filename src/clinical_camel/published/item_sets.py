"""The published numbers alone: which sets of items can they come from?

A published percentage is k of n items, rounded. A value that no k of n gives was not scored on
those n items, whatever its table says. The opposite is weak evidence: from n = 1,000 every value
with one decimal is possible. `chance_of_fit` says how weak.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binom

from clinical_camel import stats


@dataclass(frozen=True, slots=True)
class ItemSet:
    """A public set of items of a benchmark.

    `options`: options per item; 0 if it varies. `scorable`: the answers are public, so a run of
    ours can be on it.
    """

    benchmark: str
    n: int
    items: str
    options: int
    source: str
    scorable: bool = True

    @property
    def label(self) -> str:
        return f"{self.n:,} {self.items}"


_MMLU, _MEDQA = "hub cais/mmlu", "hub GBaker/MedQA-USMLE-4-options"
_CAMEL = "bowang-lab/clinical-camel evaluation/step_exams.jsonl, counted"
_ALPACA = "kbressem/medAlpaca README.md"
_GUESS = "no source: found here, as the count that most of the scores fit"

ITEM_SETS = (
    ItemSet("mmlu_anatomy", 135, "test", 4, _MMLU),
    ItemSet("mmlu_clinical_knowledge", 265, "test", 4, _MMLU),
    ItemSet("mmlu_college_biology", 144, "test", 4, _MMLU),
    ItemSet("mmlu_college_medicine", 173, "test", 4, _MMLU),
    ItemSet("mmlu_medical_genetics", 100, "test", 4, _MMLU),
    ItemSet("mmlu_professional_medicine", 272, "test", 4, _MMLU),
    ItemSet("medqa_us", 1273, "test", 4, _MEDQA),
    ItemSet("medqa_us_5_options", 1273, "test", 5, "jind11/MedQA"),
    ItemSet("medmcqa", 4183, "validation, the usual test set", 4, "hub openlifescienceai/medmcqa"),
    ItemSet("medmcqa", 6150, "test, answers hidden", 4, "hub openlifescienceai/medmcqa", False),
    ItemSet("pubmedqa", 500, "test split", 3, "pubmedqa/pubmedqa test_ground_truth.json"),
    ItemSet("pubmedqa", 1000, "all labelled", 3, "lm-evaluation-harness 0.3.0, pubmedqa.py"),
    ItemSet("usmle_step_1_v1", 94, "released", 0, _CAMEL),
    ItemSet("usmle_step_2_v1", 109, "released", 0, _CAMEL),
    ItemSet("usmle_step_3_v1", 121, "released", 0, _CAMEL),
    ItemSet("usmle_step_3_v1", 122, "released, and the broken record", 0, _CAMEL),
    ItemSet("usmle_self_assessment_step_1", 119, "all", 0, _ALPACA),
    ItemSet("usmle_self_assessment_step_1", 92, "without pictures, as stated", 0, _ALPACA),
    ItemSet("usmle_self_assessment_step_1", 91, "inferred", 0, _GUESS),
    ItemSet("usmle_self_assessment_step_2", 120, "all", 0, _ALPACA),
    ItemSet("usmle_self_assessment_step_2", 110, "without pictures, as stated", 0, _ALPACA),
    ItemSet("usmle_self_assessment_step_2", 109, "inferred", 0, _GUESS),
    ItemSet("usmle_self_assessment_step_3", 135, "all", 0, _ALPACA),
    ItemSet("usmle_self_assessment_step_3", 122, "without pictures, as stated", 0, _ALPACA),
    ItemSet("usmle_self_assessment_step_3", 123, "inferred", 0, _GUESS),
)


def find_item_sets(benchmark: str) -> list[ItemSet]:
    """Return the public item sets of a benchmark."""
    return [item_set for item_set in ITEM_SETS if item_set.benchmark == benchmark]


def is_recalled(status: str) -> bool:
    """Whether a published value was only recalled: no source was found."""
    return status.startswith("recalled")


def name_system(row: dict) -> str:
    """Return the system of a row of published.csv as "name:size", or "name" without a size."""
    return f"{row['system']}:{row['size']}".removesuffix(":")


def is_possible(value: float, n: int, rounded_twice: bool = False) -> bool:
    """Whether k of n, rounded to one decimal, gives `value`; a tie may be rounded up or down.

    `rounded_twice`: rounded to two decimals first and then to one, as in a table that copies
    another. 117 of 144 are 81.25. 65 of 135 are 48.148: 48.1, but 48.2 if rounded to 48.15 first.
    Raises ValueError for a value with more than one decimal.

    >>> is_possible(81.2, 144), is_possible(81.3, 144)
    (True, True)
    >>> is_possible(48.2, 135), is_possible(48.2, 135, rounded_twice=True)
    (False, True)
    """
    tenths = round(value * 10)
    if abs(value * 10 - tenths) > 1e-6:
        raise ValueError(f"{value}: write a published value with one decimal")
    if not rounded_twice:
        return _is_rounded(tenths, 1000, n)
    return any(_is_rounded(10 * tenths + more, 10_000, n) for more in range(-5, 6))


def _is_rounded(printed: int, scale: int, n: int) -> bool:
    """Whether some k / n rounds to printed / scale, in exact integer arithmetic."""
    k = (2 * printed * n + scale) // (2 * scale)
    return 2 * abs(scale * k - printed * n) <= n


def chance_of_fit(n: int) -> float:
    """Return the share of the 1,001 values from 0.0 to 100.0 that are possible with n items.

    Near 0, a possible value is strong evidence; from n = 1,000 every value is possible.

    >>> round(chance_of_fit(100), 3), round(chance_of_fit(500), 3), chance_of_fit(1000)
    (0.101, 0.5, 1.0)
    """
    return sum(_is_rounded(tenths, 1000, n) for tenths in range(1001)) / 1001


# ------------------------------------------------------------------------ each value alone


def assess_published(published: pd.DataFrame) -> pd.DataFrame:
    """Return what each published accuracy says alone; values, intervals and chance in percent.

    `n` is the public count. Where the table has none (`n_from` is "inferred"), it is the count of
    the only item set of the benchmark with which the value is possible. `nearest` is the closest k
    of n, and `possible` whether it rounds to the value; `rounded_twice` whether it does so only
    after rounding to two decimals. `possible_items` and `impossible_items` name the item sets that
    the value can and cannot come from. `chance_of_fit` is how often a random value is possible.
    `recalled`: no source was found. Raises ValueError for a value with more than one decimal.
    """
    accuracies = published[published["metric"] == "accuracy"]
    table = pd.DataFrame([_assess(row) for row in accuracies.to_dict("records")])
    integers = dict.fromkeys(["shots", "n"], "Int64")
    return table.astype(integers | dict.fromkeys(["possible", "rounded_twice"], "boolean"))


def _assess(row: dict) -> dict:
    value, item_sets = row["value"], find_item_sets(row["benchmark"])
    possible = [item_set for item_set in item_sets if is_possible(value, item_set.n)]
    is_stated = pd.notna(row["n"])
    inferred = possible[0].n if len(possible) == 1 else None
    n = int(row["n"]) if is_stated else inferred
    return {
        **{name: row[name] for name in ("system", "size", "benchmark", "shots", "value")},
        "n": n,
        "n_from": "stated" if is_stated else "inferred" if n else "",
        "status": row["status"],
        "recalled": is_recalled(row["status"]),
        **_nearest_fraction(value, n),
        "chance": 100 / item_sets[0].options if item_sets and item_sets[0].options else np.nan,
        "possible_items": "; ".join(item_set.label for item_set in possible),
        "impossible_items": "; ".join(s.label for s in item_sets if s not in possible),
        "protocol": row["protocol"],
        "source": row["source"],
    }


def _nearest_fraction(value: float, n: int | None) -> dict:
    """Return the k of n nearest to a value in percent, whether it is possible, and its interval."""
    names = ["nearest", "possible", "rounded_twice", "low", "high", "half_width", "chance_of_fit"]
    if n is None:
        return dict.fromkeys(names, np.nan) | {"possible": None, "rounded_twice": None}
    k = round(value / 100 * n)
    low, high = (100 * limit for limit in stats.wilson_interval(k, n))
    possible = is_possible(value, n)
    rounded_twice = not possible and is_possible(value, n, rounded_twice=True)
    interval = [low, high, (high - low) / 2]
    values = [100 * k / n, possible, rounded_twice, *interval, chance_of_fit(n)]
    return dict(zip(names, values, strict=True))


# ------------------------------------------------------------------------- values together


def match_item_sets(published: pd.DataFrame) -> pd.DataFrame:
    """Return which values of one benchmark and number of shots are possible with which item set.

    A value that is impossible even if rounded twice is proof; a possible one is evidence only if
    `chance_of_fit` is low. `p_by_chance` is the binomial probability that as many random values
    would be possible. `all_possible`: all values can share these items. A recalled value is marked
    and does not count.
    """
    accuracies = published[published["metric"] == "accuracy"]
    rows = []
    for (benchmark, shots), group in accuracies.groupby(["benchmark", "shots"], dropna=False):
        for item_set in find_item_sets(benchmark):
            match = _match(item_set, group.to_dict("records"))
            rows.append({"benchmark": benchmark, "shots": shots} | match)
    return pd.DataFrame(rows).astype({"shots": "Int64"})


def _match(item_set: ItemSet, rows: Sequence[dict]) -> dict:
    n = item_set.n
    possible = [row for row in rows if is_possible(row["value"], n, rounded_twice=True)]
    impossible = [row for row in rows if row not in possible]
    sourced = [row for row in rows if not is_recalled(row["status"])]
    proof = [_format_value(row, n) for row in impossible if row in sourced]
    fitting = sum(is_possible(row["value"], n) for row in sourced)
    share = chance_of_fit(n)
    p_by_chance = float(binom.sf(fitting - 1, len(sourced), share))
    random_values = f"random values as often with p = {p_by_chance:.2g}"
    strength = "as any value does" if share == 1 else random_values
    values = f"{len(proof)} values" if len(proof) > 2 else " and ".join(proof)
    finding = f"{values} cannot come from these {n:,} items; " if proof else ""
    return {
        "items": item_set.items,
        "n": n,
        "chance_of_fit": share,
        "possible_values": ", ".join(_format_value(row, n) for row in possible),
        "impossible_values": ", ".join(_format_value(row, n) for row in impossible),
        "all_possible": not proof,
        "p_by_chance": p_by_chance,
        "fitting": fitting,
        "sourced": len(sourced),
        "finding": f"{finding}{fitting} of {len(sourced)} fit, {strength}",
        "source": item_set.source,
    }


def _format_value(row: dict, n: int) -> str:
    """Return system and value, marked if recalled, or if possible only when rounded twice."""
    value, marks = row["value"], ["recalled"] if is_recalled(row["status"]) else []
    if is_possible(value, n, rounded_twice=True) and not is_possible(value, n):
        marks.append("rounded twice")
    return f"{name_system(row)} {value}" + (f" ({', '.join(marks)})" if marks else "")


def describe_findings(item_sets: pd.DataFrame) -> list[str]:
    """Return what the table of `match_item_sets` shows, in sentences.

    A sentence for each benchmark and number of shots with a percentage that one of its public sets
    cannot give; the last sentence names the benchmarks of which every percentage is possible.
    """
    sentences, possible = [], []
    for (benchmark, shots), group in item_sets.groupby(["benchmark", "shots"], sort=False):
        if group["all_possible"].all():
            possible += [benchmark]
        else:
            counts = "; ".join(map(_count_fitting, group.to_dict("records")))
            total = group["sourced"].iloc[0]
            percentages = "percentage" if total == 1 else "percentages"
            sentences.append(f"`{benchmark}`, {shots}-shot, {total} {percentages}: {counts}.")
    names = ", ".join(f"`{name}`" for name in dict.fromkeys(possible))
    return [*sentences, f"Every percentage is possible: {names}."] if possible else sentences


def _count_fitting(row: dict) -> str:
    fits = f"{row['fitting']} fit the {row['n']:,} questions ({row['items']})"
    if row["chance_of_fit"] == 1:
        return f"{fits}, as any percentage does"
    fits += f", by chance with p = {row['p_by_chance']:.2g}"
    impossible = [name for name in row["impossible_values"].split(", ") if "recalled" not in name]
    if row["all_possible"] or len(impossible) > 2:
        return fits
    return f"{fits}, and {' and '.join(impossible)} cannot come from them"
