"""What the published numbers say by themselves, before anything is run.

A printed percentage is k of n items, rounded. So a value that no k of n can give was not scored on
those n items, whatever its table says. The other way round it is weak: from n = 1,000 on every
value with one decimal fits, so what a fit is worth (`chance_of_fit`) stands beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binom

from clinical_camel import stats


@dataclass(frozen=True, slots=True)
class ItemSet:
    """A public set of items of a benchmark: how many, which, how many options each (0: it varies).

    `scorable`: its answers are public, so that a run of ours can be on it.
    """

    benchmark: str
    n: int
    items: str
    options: int
    source: str
    scorable: bool = True


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


def chance_of_fit(n: int) -> float:
    """The share of the 1,001 values from 0.0 to 100.0 that some k of n items gives: what a fit is
    worth. Near 0 a fit says much; from n = 1,000 on every value fits, and it says nothing.

    >>> round(chance_of_fit(100), 3), round(chance_of_fit(500), 3), chance_of_fit(1000)
    (0.101, 0.5, 1.0)
    """
    return sum(_reached(tenths, 1000, n) for tenths in range(1001)) / 1001


def audit_published(published: pd.DataFrame) -> pd.DataFrame:
    """What each published accuracy says by itself; values, intervals and chance in percent.

    `n` is the public count, or, where the table has none (`n_from` is "inferred"), that of the only
    item set of the benchmark that the value fits. `nearest` is the k of n next to the value,
    `possible` whether it is printed so; `rounded_twice`: only if it was rounded to two decimals
    first. `fits` and `misfits` name the item sets the value could and could not come from, and
    `chance_of_fit` is how often a random value would fit `n`. `recalled`: not found in any source.
    ValueError for a value with more than one decimal.
    """
    claims = published[published["metric"] == "accuracy"]
    table = pd.DataFrame([_by_itself(claim) for claim in claims.to_dict("records")])
    whole = dict.fromkeys(["shots", "n"], "Int64")
    return table.astype(whole | dict.fromkeys(["possible", "rounded_twice"], "boolean"))


def _by_itself(claim: dict) -> dict:
    value, sets = claim["value"], sets_of(claim["benchmark"])
    fitting = [each for each in sets if fits(value, each.n)]
    stated = pd.notna(claim["n"])
    inferred = fitting[0].n if len(fitting) == 1 else None
    n = int(claim["n"]) if stated else inferred
    row = {"system": claim["system"], "size": claim["size"], "benchmark": claim["benchmark"]}
    row |= {"shots": claim["shots"], "value": value, "n": n}
    row |= {"n_from": "stated" if stated else "inferred" if n else "", "status": claim["status"]}
    row |= {"recalled": recalled(claim["status"])} | _fraction(value, n)
    row["chance"] = 100 / sets[0].options if sets and sets[0].options else np.nan
    row["fits"] = "; ".join(label(each) for each in fitting)
    row["misfits"] = "; ".join(label(each) for each in sets if each not in fitting)
    return row | {"protocol": claim["protocol"], "source": claim["source"]}


def _fraction(value: float, n: int | None) -> dict:
    """The value as k of n: the nearest such k in percent, whether it fits, and its interval."""
    names = ["nearest", "possible", "rounded_twice", "low", "high", "half_width", "chance_of_fit"]
    if n is None:
        return dict.fromkeys(names, np.nan) | {"possible": None, "rounded_twice": None}
    k = round(value / 100 * n)
    low, high = (100 * limit for limit in stats.wilson(k, n))
    once = fits(value, n)
    twice = not once and fits(value, n, twice=True)
    values = [100 * k / n, once, twice, low, high, (high - low) / 2, chance_of_fit(n)]
    return dict(zip(names, values, strict=True))


def item_sets(published: pd.DataFrame) -> pd.DataFrame:
    """Which values that are compared (one benchmark, one number of shots) fit which public items.

    A value that cannot come from the items, not even rounded twice, is proof; one that fits is
    evidence only where a fit is rare. `by_accident` is the chance that random values would fit as
    often (binomial). `all_fit` says that all that are compared could share these items. A value
    that was only recalled is named with that mark and counts for nothing.
    """
    claims = published[published["metric"] == "accuracy"]
    rows = []
    for (benchmark, shots), group in claims.groupby(["benchmark", "shots"], dropna=False):
        for each in sets_of(benchmark):
            shared = _shared(each, group.to_dict("records"))
            rows.append({"benchmark": benchmark, "shots": shots} | shared)
    return pd.DataFrame(rows).astype({"shots": "Int64"})


def _shared(each: ItemSet, claims: Sequence[dict]) -> dict:
    """How the values of these claims sit on one item set."""
    could = [c for c in claims if fits(c["value"], each.n, twice=True)]
    cannot = [c for c in claims if c not in could]
    real = [c for c in claims if not recalled(c["status"])]
    proof = [_named(c, each.n) for c in cannot if c in real]
    once = sum(fits(c["value"], each.n) for c in real)
    rare = chance_of_fit(each.n)
    accident = float(binom.sf(once - 1, len(real), rare))
    worth = "as any value does" if rare == 1 else f"random values as often with p = {accident:.2g}"
    who = f"{len(proof)} values" if len(proof) > 2 else " and ".join(proof)
    finding = f"{who} cannot come from these {each.n:,} items; " if proof else ""
    row = {"items": each.items, "n": each.n, "chance_of_fit": rare}
    row |= {"fits": ", ".join(_named(c, each.n) for c in could)}
    row |= {"cannot": ", ".join(_named(c, each.n) for c in cannot), "all_fit": not proof}
    row |= {"by_accident": accident}
    row["finding"] = f"{finding}{once} of {len(real)} fit, {worth}"
    return row | {"source": each.source}


def fitting_counts(values: Sequence[float], fewest: int, most: int) -> pd.DataFrame:
    """How many of the values each number of items could give: for a set whose size is not known.

    `by_accident` is the chance that as many random values fit that number. Many numbers are tried
    here, so even the best fit is a guess unless that chance is far below one in their number.
    """
    rows = []
    for n in range(fewest, most + 1):
        fitting = sum(fits(value, n) for value in values)
        accident = float(binom.sf(fitting - 1, len(values), chance_of_fit(n)))
        rows.append({"n": n, "fitting": fitting, "of": len(values), "by_accident": accident})
    return pd.DataFrame(rows).sort_values(["fitting", "n"], ascending=[False, True])


def fits(value: float, n: int, twice: bool = False) -> bool:
    """Whether k of n, rounded to one decimal, prints as `value`; a tie may go either way.

    `twice`: rounded to two decimals first and then to one, as a table does that copies another.
    117 of 144 are 81.25; 65 of 135 are 48.148, so 48.1, but by way of 48.15 they become 48.2:

    >>> fits(81.2, 144), fits(81.3, 144), fits(48.2, 135), fits(48.2, 135, twice=True)
    (True, True, False, True)
    """
    tenths = round(value * 10)
    if abs(value * 10 - tenths) > 1e-6:
        raise ValueError(f"{value}: a published value has one decimal")
    if not twice:
        return _reached(tenths, 1000, n)
    return any(_reached(10 * tenths + more, 10_000, n) for more in range(-5, 6))


def _reached(printed: int, whole: int, n: int) -> bool:
    """Whether some k of n rounds to `printed` of `whole`: in whole numbers, so nothing is lost."""
    k = (2 * printed * n + whole) // (2 * whole)
    return 2 * abs(whole * k - printed * n) <= n


def sets_of(benchmark: str) -> list[ItemSet]:
    return [each for each in ITEM_SETS if each.benchmark == benchmark]


def label(each: ItemSet) -> str:
    return f"{each.n:,} {each.items}"


def recalled(status: str) -> bool:
    return status.startswith("recalled")


def name_of(claim: dict) -> str:
    return f"{claim['system']}:{claim['size']}".removesuffix(":")


def _named(claim: dict, n: int) -> str:
    """The system with its value, marked if recalled, or if the value fits only rounded twice."""
    marks = ["recalled"] if recalled(claim["status"]) else []
    if fits(claim["value"], n, twice=True) and not fits(claim["value"], n):
        marks.append("rounded twice")
    return f"{name_of(claim)} {claim['value']}" + (f" ({', '.join(marks)})" if marks else "")


SHOTS = {0: ("0-shot", "o", "#0072B2", 0.18), 5: ("5-shot", "s", "#D55E00", -0.18)}
NO_SHOTS = ("shots not stated", "^", "#000000", 0.0)
ONLY_RECALLED = " (recalled only, not found)"


def plot_published(table: pd.DataFrame) -> Figure:
    """Published accuracies of one family of benchmarks: a panel each, a line for each system.

    `table` holds rows of `audit_published`. With the Wilson interval, where the number of items is
    known, and chance as a dashed line. A hollow marker is a value that was only recalled and not
    found in any source. n stands at the right; one with a question mark was inferred from the
    value.
    """
    names = list(dict.fromkeys(table["benchmark"]))
    most = max(len(_systems(rows)) for _, rows in table.groupby("benchmark"))
    columns = min(3, len(names))
    lines = -(-len(names) // columns)
    size = (1.2 + 4.4 * columns, 0.8 + lines * (0.9 + 0.34 * most))
    figure, axes = plt.subplots(lines, columns, figsize=size, squeeze=False, layout="constrained")
    for axis, name in zip(axes.flat, names, strict=False):
        _published_panel(axis, table[table["benchmark"] == name])
        axis.set_title(name, fontsize=10)
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    handles = {}
    for axis in axes.flat:
        handles |= dict(zip(*axis.get_legend_handles_labels()[::-1], strict=True))
    order = sorted(handles)  # 0-shot, 5-shot, chance, shots not stated
    figure.legend(
        [handles[name] for name in order], order, loc="outside lower center", ncols=6, fontsize=9
    )
    return figure


def _systems(rows: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(name_of(row) for row in rows.to_dict("records")))


def _published_panel(axis: Axes, rows: pd.DataFrame) -> None:
    systems = _systems(rows)[::-1]  # the first on top
    counts: dict[str, list[str]] = {name: [] for name in systems}
    for row in rows.to_dict("records"):
        _published_dot(axis, systems.index(name_of(row)), row)
        n = "unknown" if pd.isna(row["n"]) else f"{row['n']:,}"
        counts[name_of(row)].append(n + ("?" if row["n_from"] == "inferred" else ""))
    for y, name in enumerate(systems):
        text = "n = " + ", ".join(dict.fromkeys(counts[name]))
        place = {"xycoords": ("axes fraction", "data"), "annotation_clip": False}
        axis.annotate(text, (1.01, y), va="center", fontsize=8, **place)
    if rows["chance"].notna().any():
        axis.axvline(rows["chance"].max(), linestyle="--", color="grey", label="chance")
    axis.set_yticks(range(len(systems)), systems, fontsize=9)
    axis.set_ylim(-0.6, len(systems) - 0.4)
    axis.set_xlim(0, 100)
    axis.set_xlabel("accuracy, %", fontsize=9)
    axis.grid(visible=True, axis="x", alpha=0.3)


def _published_dot(axis: Axes, y: float, row: dict) -> None:
    shots = None if pd.isna(row["shots"]) else row["shots"]
    text, marker, colour, above = SHOTS.get(shots, NO_SHOTS)
    spread = [[row["value"] - row["low"]], [row["high"] - row["value"]]]
    axis.errorbar(
        row["value"],
        y + above,
        xerr=None if pd.isna(row["low"]) else spread,
        fmt=marker,
        color=colour,
        markerfacecolor="white" if row["recalled"] else colour,
        markersize=5.5,
        linewidth=1.2,
        label=text + (ONLY_RECALLED if row["recalled"] else ""),
    )
