"""The further sweeps of step 06: a real language model, more text, other sizes, rewording."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from clinical_camel.core.verdicts import PRELIMINARY, SECONDARY, describe_conclusions
from clinical_camel.core.wording import format_points
from clinical_camel.results.contrasts import (
    ALL,
    ARMS,
    list_contrasts,
    list_readings,
    name_arms,
    read_primary,
)
from clinical_camel.results.controlled import VERDICTS, WITHIN
from clinical_camel.results.forms import COMPARISON
from clinical_camel.results.settings import Results
from clinical_camel.results.sources import (
    Contrast,
    Finding,
    Number,
    Result,
    find_result,
    read_difference,
)
from clinical_camel.results.wording import join, join_counts, join_seeds, show_p, show_points

TITLES = {  # of sweeps; each starts a headline
    "dbke_smollm2": "SmolLM2-135M over several seeds",
    "dbke_scaling": "more dialogues per article",
    "dbke_sizes": "smaller and larger base models",
    "dbke_reworded": "rewording or conversation with SmolLM2-135M",
}
ANSWERED = (
    "Excluded are questions that resemble a training text, and those that the base model answers "
    "correctly before tuning by more than 1 nat, even if by luck."
)
WORDS = {  # of sweeps, explained
    "dbke_scaling": (
        "`passes_20` has 20 dialogues per article, and so on. *Six passes*: more dialogues are "
        "more steps. *Equal steps*: fewer dialogues are repeated more often. *Rises*: both the "
        "fit and the difference of the ends are above 0."
    ),
    "dbke_sizes": (
        "*Rises*, *falls*: the fit is clear, and each size scores higher, or lower, than the last."
    ),
}
REMARKS = {  # on sweeps, for the notebook
    "dbke_smollm2": ANSWERED,
    "dbke_scaling": (
        "Steps grow less than dialogues, because the other training texts stay the same. The "
        "learning rate is that of `mini_camel`, chosen for five dialogues, not that of Table 1."
    ),
    "dbke_sizes": "All sizes have the learning rate of `mini_camel`; none was chosen per size.",
    "dbke_reworded": (
        "A large language model wrote the dialogues and the paraphrases of the same articles; all "
        "pairs of seeds have the same texts. Dialogues are chats, paraphrases plain text. The "
        "correct options are phrases of the articles, which favours the articles. " + ANSWERED
    ),
}
CAVEATS = {  # for README, too
    "dbke_smollm2": (
        "The learning rate was chosen for this model on dialogues only, and is the highest that "
        "was tried."
    ),
    "dbke_reworded": "The learning rate was chosen for dialogues.",
}
NO_VERDICT = "this comparison has no verdicts, and its intervals are not adjusted"
FEW_SEEDS = 3  # up to so many pairs, the variation between seeds is poorly known
UNSURE = (
    "So few pairs of seeds say little about the variation between seeds: an interval may be too "
    "narrow."
)


def assess_sweeps(settings: Results) -> list[Finding]:
    """Return a finding for each of `settings.sweeps`."""
    return [assess_sweep(settings, sweep) for sweep in settings.sweeps]


def assess_sweep(settings: Results, sweep: str) -> Finding:
    """Return what a sweep shows: verdicts, the gain per doubling of its curves, or differences.

    A sweep whose runs are not complete has not run yet: its numbers may change.
    """
    result = find_result(sweep, COMPARISON)
    title = TITLES.get(sweep, f"`{sweep}`")
    missing = Finding(sweep, f"{title} (`{sweep}`)" if sweep in TITLES else title, is_run=False)
    if not result:
        return missing
    rows = read_primary(result)
    verdicts = {row["verdict"] for row in rows}
    curves = result.record["params"].get("scaling", {})
    if PRELIMINARY in verdicts or (curves and _has_missing_runs(result, curves)):
        return missing
    start = title[0].upper() + title[1:]
    if curves:
        finding = _describe_curves(settings, result, start, rows)
    elif SECONDARY in verdicts:
        finding = _describe_differences(settings, result, start, rows)
    else:
        finding = _describe_verdicts(settings, result, start, rows)
    return finding or missing


def _has_missing_runs(result: Result, curves: dict[str, list[str]]) -> bool:
    """Whether runs of an arm of a curve are missing: its fit may change."""
    runs = result.read("runs")
    arms = {arm for names in curves.values() for arm in names}
    return bool((runs["arm"].isin(arms) & runs["status"].eq("missing")).any())


def _list_remarks_on(contrast: Contrast) -> list[str]:
    """Return the meaning of the verdict, p, and what else differs; "" for what is missing."""
    p = f"p = {show_p(contrast.p)}" if contrast.p == contrast.p else ""
    return [contrast.meaning, p, contrast.readings.replace("(B: ", f"({contrast.names[1]}: ")]


def _name_form(settings: Results, result: Result) -> str:
    """Return the question form of the primary outcome, in words."""
    name, outcome = next(iter(result.record["params"]["outcomes"].items()))
    forms = {f"{settings.exam}/{own}": form for form, own in settings.question_forms.items()}
    return forms.get(outcome, name)


def _describe_verdicts(
    settings: Results, result: Result, start: str, rows: Sequence[dict[str, Any]]
) -> Finding | None:
    """Return the verdicts on the planned contrasts; None if no contrast has a number."""
    contrasts = list_contrasts(result)
    if not contrasts:
        return None
    smallest, form = result.record["params"]["smallest_effect"], _name_form(settings, result)
    headline = f"the planned contrasts, asked in {form}"
    if name_arms(rows[0]) == ("dialogue", "raw"):
        headline = VERDICTS.get(rows[0]["verdict"], WITHIN)
        headline = headline.format(form=form, limit=f"{100 * smallest:g}")
        headline = headline[0].lower() + headline[1:]
    differences = [contrast.difference for contrast in contrasts]
    parts = [
        f"{' minus '.join(contrast.names)} {show_points(contrast.difference)} "
        f"({', '.join(filter(None, _list_remarks_on(contrast)))})"
        for contrast in contrasts
    ]
    brief = (
        f"Correct answers to {join_counts(differences)} questions, {join_seeds(differences)} "
        f"pairs of seeds, p adjusted for {len(rows)} comparisons: {'; '.join(parts)}."
    )
    verdicts = {" - ".join(name_arms(row)): row["verdict"] for row in rows}
    brief = " ".join([brief, *_list_caveats(result, differences)])
    lead = " ".join([brief, *_list_remarks(result), describe_conclusions(verdicts)])
    numbers = [n for c in contrasts for n in (*c.scores, c.difference, c.everything) if n]
    numbers = list(dict.fromkeys(numbers))
    return Finding(result.study, f"{start}: {headline}", brief, lead, numbers=numbers)


def _describe_differences(
    settings: Results, result: Result, start: str, rows: Sequence[dict[str, Any]]
) -> Finding | None:
    """Return the differences of a sweep without verdicts."""
    rows = [row for row in rows if row["n"]]
    if not rows:
        return None
    names = [[ARMS.get(arm, arm) for arm in name_arms(row)] for row in rows]
    numbers, texts = _read_differences(result, rows, names)
    parts = [_compare(number, *pair) for number, pair in zip(numbers, names, strict=True)]
    if len(numbers) > 1 and not any(number.low > 0 or number.high < 0 for number in numbers):
        parts = [f"none of the {len(numbers)} planned differences is clear"]
    shown = [f"{number.quantity} {show_points(number)}" for number in numbers]
    clear, *unclear = _describe_others(result, rows[0]) or [""]
    further, remarks = [*_describe_further(result, rows[0])], _list_remarks(result)
    caveats = _list_caveats(result, numbers)
    differ = "Tokens, steps or format differ, too: notebook 00." if shown != texts else ""
    brief, lead = (
        f"Asked in {_name_form(settings, result)}: {'; '.join(lines)} (n = {join_counts(numbers)}, "
        f"{join_seeds(numbers)} pairs of seeds; {NO_VERDICT})."
        for lines in (shown, texts)
    )
    brief = " ".join(filter(None, [brief, differ, clear, *further, *caveats]))
    lead = " ".join(filter(None, [lead, clear, *unclear, *further, *caveats, *remarks]))
    return Finding(result.study, f"{start}: {'; '.join(parts)}", brief, lead, numbers=numbers)


def _describe_others(result: Result, primary: dict[str, Any]) -> list[str]:
    """Return in which other outcomes the interval of the first planned contrast excludes 0.

    A second sentence names those in which it contains 0. [] if there are no other outcomes.
    """
    rows = [
        row
        for row in result.read("contrasts").to_dict("records")
        if name_arms(row) == name_arms(primary) and row["outcome"] != primary["outcome"]
    ]
    rows = [row for row in rows if row["n"]]
    if not rows:
        return []
    scores = result.read("scores").set_index(["outcome", "arm"])["accuracy"]
    shown: dict[bool, list[str]] = {True: [], False: []}
    for row in rows:
        both = [100 * scores[row["outcome"], arm] for arm in name_arms(row)]
        text = f"{format_points(row)} ({both[0]:.1f} minus {both[1]:.1f} %, n = {row['n']})"
        is_clear = row["low"] > 0 or row["high"] < 0
        shown[is_clear].append(f"{row['outcome'].replace(ALL, ' with all questions')} {text}")
    name = " minus ".join(ARMS.get(arm, arm) for arm in name_arms(primary))
    clear = join(shown[True]) or "none"
    texts = [f"Of {len(rows)} other outcomes of {name}, the interval excludes 0 in: {clear}."]
    return texts + [f"It contains 0 in: {join(shown[False])}."] * bool(shown[False])


def _describe_further(result: Result, primary: dict[str, Any]) -> Iterator[str]:
    """Yield the further contrasts in the planned outcome whose interval excludes 0."""
    if "further_contrasts.csv" not in result.record["artefacts"]:
        return
    rows = result.read("further_contrasts").to_dict("records")
    rows = [row for row in rows if row["outcome"] == primary["outcome"] and row["n"]]
    clear = [row for row in rows if row["low"] > 0 or row["high"] < 0]
    if clear:
        shown = [
            f"{' minus '.join(ARMS.get(arm, arm) for arm in name_arms(row))} {format_points(row)}"
            for row in clear
        ]
        yield (
            f"Of {len(rows)} further differences, exploratory, {len(clear)} exclude 0: "
            f"{join(shown)}."
        )


def _read_differences(
    result: Result, rows: Sequence[dict[str, Any]], names: Sequence[Sequence[str]]
) -> tuple[list[Number], list[str]]:
    """Return the difference of each pair of arms, also in words: with what else differs.

    `names`: of both arms, as the page names them.
    """
    numbers, texts = [], []
    for row, pair in zip(rows, names, strict=True):
        number = read_difference(row, " minus ".join(pair), result, "contrasts")
        differing = list_readings(result, *name_arms(row), pair[1])
        numbers.append(number)
        text = f"{number.quantity} {show_points(number)}"
        texts.append(f"{text} ({differing})" if differing else text)
    return numbers, texts


def _compare(number: Number, first: str, second: str) -> str:
    """Return which of two arms is ahead, by the interval of the first minus the second."""
    if number.low > 0:
        return f"{first} are ahead of {second}"
    if number.high < 0:
        return f"{first} are behind {second}"
    return f"we cannot tell {first} from {second}"


def _describe_curves(
    settings: Results, result: Result, start: str, rows: Sequence[dict[str, Any]]
) -> Finding | None:
    """Return the gain in accuracy per doubling of each curve, and the planned differences.

    None if no curve was fitted.
    """
    fits = result.read("scaling").to_dict("records")
    if not fits:
        return None
    gains = [_read_gain(fit, result) for fit in fits]
    changes: dict[str, list[str]] = {}
    parts: dict[str, list[str]] = {}
    for fit, gain in zip(fits, gains, strict=True):
        points = result.read("scaling_points")
        points = points[points["curve"] == fit["curve"]].sort_values("x")
        changes.setdefault(_name_change(gain, rows, points), []).append(fit["curve"])
        part = f"{show_points(gain)} ({fit['curve']})"
        parts.setdefault(fit["quantity"], []).append(part)
    headline = "; ".join(f"{change} ({join(curves)})" for change, curves in changes.items())
    shown = "; ".join(
        f"in a straight-line fit, accuracy changes by {join(texts)} per doubling of the {quantity}"
        for quantity, texts in parts.items()
    )
    seeds = join_seeds(gains)
    every = ", all questions" if result.record["params"].get("other_points") else ""
    gain_text = f"Asked in {_name_form(settings, result)}{every}: {shown}"
    brief = f"{gain_text}, over {seeds} pairs of seeds; {NO_VERDICT}."
    rows = [row for row in rows if row["n"]]
    differences, texts = _read_differences(result, rows, [name_arms(row) for row in rows])
    if differences:
        brief += f" Differences (n = {join_counts(differences)}): {'; '.join(texts)}."
    numbers = [*gains, *differences]
    words = [WORDS[result.study]] if result.study in WORDS else []
    brief = " ".join([brief, *words, *_list_caveats(result, numbers)])
    lead = " ".join([brief, *_list_remarks(result)])
    return Finding(result.study, f"{start}: {headline}", brief, lead, numbers=numbers)


def _read_gain(fit: dict[str, Any], result: Result) -> Number:
    """Return a row of scaling.csv as a number; its n are the arms of the curve."""
    return Number(
        f"{fit['curve']}, per doubling",
        fit["gain_per_doubling"],
        fit["low"],
        fit["high"],
        int(fit["arms"]),
        "arms",
        "difference",
        seeds=int(fit["seeds"]),
        table=result.name_table("scaling"),
        params=result.params,
    )


def _name_change(gain: Number, rows: Sequence[dict[str, Any]], points: pd.DataFrame) -> str:
    """Return the direction in which the slope and the difference of the ends both are clear.

    `rows`: the planned differences; `points`: those of the curve, in the order of its axis. If the
    difference of its ends was not planned, the accuracies must all rise, or all fall.
    """
    accuracies = points["accuracy"].tolist()
    rises = all(low < high for low, high in itertools.pairwise(accuracies))
    falls = all(low > high for low, high in itertools.pairwise(accuracies))
    last, first = points["arm"].iloc[-1], points["arm"].iloc[0]
    for row in rows:
        if name_arms(row) == (last, first) and row["n"]:
            rises, falls = row["low"] > 0, row["high"] < 0
        elif name_arms(row) == (first, last) and row["n"]:
            rises, falls = row["high"] < 0, row["low"] > 0
    if gain.low > 0 and rises:
        return "accuracy rises"
    if gain.high < 0 and falls:
        return "accuracy falls"
    return "we cannot tell whether accuracy changes"


def _list_remarks(result: Result) -> list[str]:
    remarks = [REMARKS[result.study]] if result.study in REMARKS else []
    sizes = result.read("trainings", "parameters", "adapter_parameters")
    return [*remarks, *_describe_adapters(sizes)]


def _list_caveats(result: Result, numbers: Sequence[Number]) -> list[str]:
    """Return what limits the numbers: few seeds, the learning rate, unstable trainings."""
    is_unsure = max((number.seeds for number in numbers), default=0) <= FEW_SEEDS
    caveats = [UNSURE] * is_unsure + [CAVEATS.get(result.study, "")]
    return [*filter(None, caveats), *_describe_unstable(result.read("trainings", "is_unstable"))]


def _describe_adapters(trainings: pd.DataFrame) -> Iterator[str]:
    """Yield how large the adapter is, if the base models have several sizes."""
    pairs = trainings[["parameters", "adapter_parameters"]].dropna().drop_duplicates()
    pairs = pairs.sort_values("parameters")
    shares = 100 * pairs["adapter_parameters"] / pairs["parameters"]
    if len({*pairs["parameters"]}) > 1:
        shown = join([f"{share:.0f}" for share in shares])
        yield (
            f"The adapter has {shown} % as many parameters as the base model, from the smallest to "
            "the largest."
        )


def _describe_unstable(trainings: pd.DataFrame) -> Iterator[str]:
    """Yield how many trainings of each arm were unstable, as step 06 decides."""
    counts = trainings.loc[trainings["is_unstable"], "arm"].value_counts(sort=False)
    if shown := [f"{ARMS.get(arm, f'`{arm}`')} {count}" for arm, count in counts.items()]:
        yield (
            f"{counts.sum()} of {len(trainings)} trainings were unstable (a very large gradient, "
            f"or a rising loss) and count: {join(shown)}."
        )
