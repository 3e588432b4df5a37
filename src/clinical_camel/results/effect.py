"""Do dialogues teach more than raw articles, and in which question forms?

With the controlled comparison (step 06), its verdict by the rules written before the runs counts.
Without it, the control study does: one training of each model, which every headline says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from clinical_camel import data
from clinical_camel.core.paths import root
from clinical_camel.exam_results.answers import LEVEL
from clinical_camel.results.controlled import assess_controlled, assess_other_forms
from clinical_camel.results.forms import (
    COMPARISON,
    EXAM,
    name_question,
    read_control,
    read_form,
    select,
)
from clinical_camel.results.robustness import (
    NORMALISED,
    RAW,
    compare_answers,
    list_overlapping,
)
from clinical_camel.results.settings import Results
from clinical_camel.results.sources import (
    Finding,
    Number,
    Pair,
    Result,
    find_result,
    read_difference,
)
from clinical_camel.results.wording import (
    BASES,
    join,
    join_counts,
    show_points,
)

MIXTURE, LOG = "mixture.csv", "train_log.csv"  # of step 02, beside the adapter
EQUAL_SHARE = 0.01  # two amounts of text are "the same" if they differ by less


def assess_effect(settings: Results) -> Finding:
    """Return whether dialogues teach more than raw articles, in the main question form."""
    if result := find_result(settings.comparison, COMPARISON):
        return assess_controlled(settings, result)
    if result := find_result(settings.control, EXAM):
        return _assess_control(settings, result)
    return Finding("effect", "dialogues against raw articles", is_run=False)


def _assess_control(settings: Results, result: Result) -> Finding:
    finding = compare_control(result, settings, settings.exam, "effect")
    seeds = count_planned_pairs(settings.comparison)
    missing = f"The controlled comparison with {seeds} pairs of seeds has not been run."
    sentence, numbers = _answer_objections(settings, result)
    lead = " ".join(filter(None, [finding.lead, sentence, missing]))
    return replace(finding, lead=lead, numbers=finding.numbers + numbers)


def _answer_objections(settings: Results, result: Result) -> tuple[str, list[Number]]:
    """Return the difference without the effect of lengths, and without look-alike questions."""
    if "answers.csv" not in result.record["artefacts"]:
        return "", []
    question = name_question(settings, settings.exam)
    pair, overlapping = ("dialogues", "raw"), list_overlapping(settings)
    by_length = compare_answers(result, question, pair, NORMALISED)
    text = (
        "Two objections: if the likelihood of each option is divided by its length, the difference "
        f"is {show_points(by_length)}"
    )
    if not overlapping:
        return f"{text}, not adjusted.", [replace(by_length, quantity="divided by length")]
    clean = compare_answers(result, question, pair, RAW, overlapping)
    text += (
        f"; on the {clean.n} questions that do not resemble a training text, it is "
        f"{show_points(clean)}. Neither is adjusted."
    )
    names = ("divided by length", "without look-alike questions")
    pairs = zip((by_length, clean), names, strict=True)
    return text, [replace(number, quantity=f"difference, {name}") for number, name in pairs]


def compare_control(result: Result, settings: Results, exam: str, name: str) -> Finding:
    """Return what a control study (step 03: base, raw, dialogues, one training each) shows.

    Only the main question form has a headline; the others have a sentence. A difference counts if
    it is significant after Holm's adjustment over the complete table of the study.
    """
    table = result.read("comparison")
    pair = table["model"].eq("dialogues") & table["reference"].eq("raw")
    form, protocol = next(iter(settings.question_forms.items()))
    rows = select(table[pair], exam, protocol, settings.num_shots)
    scores = read_control(result, exam, protocol, settings.num_shots)
    if not rows:
        return Finding(name, f"dialogues against raw articles ({result.study})", is_run=False)
    difference = read_difference(rows[0], "dialogues minus raw articles", result, "comparison")
    names, ways = ("dialogues", "raw articles"), table[pair & table["benchmark"].eq(exam)]
    row = make_pair(result, rows[0], ways, names, [*scores, difference], form)
    headline, shared = _headline_control(rows[0], form), _describe_shared(result)
    return Finding(name, headline, describe_pair(row), shared, [*scores, difference], pair=row)


def make_pair(
    result: Result,
    row: dict[str, Any],
    ways: pd.DataFrame,
    names: tuple[str, str],
    numbers: Sequence[Number],
    form: str,
) -> Pair:
    """Return a row of Table 1 from a row of comparison.csv, in the question form `form`.

    `ways`: the rows of the same two models on the same exam. `numbers`: the scores of the base
    model, of the first and of the second model, in any order, and the difference.
    """
    logs = [folder / LOG for folder in _find_trainings(result, (row["model"], row["reference"]))]
    steps = [int(pd.read_csv(log)["step"].max()) for log in logs if log.is_file()]
    base = result.record["params"].get("model", "mini")
    return Pair(
        names,
        list(numbers[:-1]),
        numbers[-1],
        row["p_holm"],
        len(result.read("comparison")),
        int((ways["p_holm"] < LEVEL).sum()),
        len(ways),
        form,
        BASES.get(base, base),
        tuple(steps) if len(steps) == len(logs) else (),
    )


def describe_pair(pair: Pair) -> str:
    """Return the difference of two models, and in how many ways of asking it is significant."""
    return (
        f"The difference is {show_points(pair.difference)}, significant in {pair.significant} of "
        f"{pair.ways} ways of asking this exam (Table 1)."
    )


def _find_trainings(result: Result, models: Sequence[str]) -> list[Path]:
    """Return the folders of step 02 that trained these models of step 03."""
    adapters = result.record["params"]["adapters"]
    return [(root() / adapters.get(name, "")).parent for name in models]


def _describe_shared(result: Result) -> list[str]:
    """Return what else the models on raw articles and on dialogues both learn from."""
    files = [f / MIXTURE for f in _find_trainings(result, ("raw", "dialogues"))]
    if not all(file.is_file() for file in files):
        return []
    ours, theirs = map(pd.read_csv, files)
    shared = ours[ours["source"].isin(theirs["source"])]
    texts = join([f"`{data.label(row.source)}` ({row.rows})" for row in shared.itertuples()])
    return [f"Both models also learn from the same other dialogues: {texts}."] if texts else []


def _headline_control(row: dict[str, Any], form: str) -> str:
    if not row["p_holm"] < LEVEL:
        return f"We cannot tell whether dialogues teach more than raw articles, asked in {form}"
    word = "higher" if row["difference"] > 0 else "lower"
    return (
        f"Asked in {form}, the model tuned on dialogues scores {word} than the one tuned on raw "
        "articles (one training each)"
    )


def count_planned_pairs(sweep: str) -> int:
    """Return the number of pairs of seeds in params/<sweep>/sweep.yaml."""
    text = (root() / "params" / sweep / "sweep.yaml").read_text(encoding="utf-8")
    return len(yaml.safe_load(text)["seeds"])


# ------------------------------------------------------------------------------ question forms


def assess_forms(settings: Results) -> Finding:
    """Return in which question forms dialogues are ahead: over all seeds that there are."""
    if result := find_result(settings.comparison, COMPARISON):
        return assess_other_forms(settings, result)
    numbers = read_repeats(settings)
    limits = (
        "The intervals show how a result may vary with other diseases, not with other "
        "trainings; they are not adjusted, and no test was made."
    )
    if not numbers:
        return Finding("forms", "the question forms over several seeds", is_run=False)
    shown = join([f"{show_points(number)} ({number.quantity})" for number in numbers])
    ahead = [number for number in numbers if number.low > 0]
    headline = {
        0: "no question form shows a clear advantage of dialogues",
        len(numbers): "dialogues are ahead in every question form",
    }.get(len(ahead), f"dialogues are ahead in {len(ahead)} of {len(numbers)} question forms")
    headline = f"Over {max(number.seeds for number in numbers)} seeds, {headline}"
    lead = f"Dialogues minus raw articles ({join_counts(numbers)} questions): {shown}. {limits}"
    if at_chance := list_forms_at_chance(settings):
        forms = join([f"*{form}*" for form in at_chance])
        lead += (
            f" With {forms}, no model is clearly better than guessing, so no difference can show."
        )
    return Finding("forms", headline, lead, [*_describe_unequal(settings)], numbers)


def read_repeats(settings: Results) -> list[Number]:
    """Return dialogues minus raw articles in each form, over the seeds of `repeats`."""
    folder = root() / settings.repeats
    names = ("mini_seeds", "mini_differences")
    if not settings.repeats or not all((folder / f"{name}.csv").is_file() for name in names):
        return []
    runs, table = (pd.read_csv(folder / f"{name}.csv", dtype={"correct": str}) for name in names)
    here = table[table["benchmark"].eq(settings.exam) & table["seed"].eq("all")]
    here = here.set_index("protocol").to_dict("index")
    counts = runs[runs["benchmark"] == settings.exam].groupby("protocol")["n"].max()
    seeds = runs["seed"].nunique()
    path, params = f"{settings.repeats}/mini_differences.csv", f"params/{settings.control}"
    return [
        Number(
            form,
            *(here[protocol][name] for name in ("difference", "low", "high")),
            n=int(counts[protocol]),
            unit="difference",
            seeds=seeds,
            table=path,
            params=params,
        )
        for form, protocol in settings.question_forms.items()
        if protocol in here
    ]


def list_forms_at_chance(settings: Results) -> list[str]:
    """Return the question forms in which the interval of every model contains chance."""
    scores = {form: read_form(settings, form) for form in settings.question_forms}
    return [f for f, numbers in scores.items() if numbers and all(n.is_at_chance for n in numbers)]


def _describe_unequal(settings: Results) -> Iterator[str]:
    """Yield what else differs between the two trainings of the repeats."""
    runs = pd.read_csv(root() / settings.repeats / "mini_seeds.csv", dtype={"correct": str})
    means = runs.groupby("study")[["target_tokens", "steps"]].mean()
    if not {settings.embedded, settings.control} <= set(means.index):
        return
    ratio = means.loc[settings.control] / means.loc[settings.embedded] - 1
    is_equal = abs(ratio["target_tokens"]) < EQUAL_SHARE
    tokens = "learn from as many tokens" if is_equal else "learn from other numbers of tokens"
    word = "fewer" if ratio["steps"] < 0 else "more"
    yield (
        f"Other causes are not excluded: both trainings {tokens}, but the one on raw articles "
        f"takes {abs(ratio['steps']):.0%} {word} steps, and articles contain no questions."
    ).replace("%", " %")
