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
from clinical_camel.results.forms import (
    COMPARISON,
    EXAM,
    find_outcome,
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
    judge,
    show_chance,
    show_points,
    show_share,
    start_sentence,
)

ARMS = {  # of step 06, in words
    "dialogue": "dialogues",
    "raw": "raw articles",
    "monologue": "the same sentences without questions",
    "qa": "single questions with answers",
    "unmasked": "dialogues with loss on the questions, too,",
}
VERDICTS = {  # headlines, by the verdict of step 06
    "helps": "Dialogues teach more than raw articles",
    "hurts": "Dialogues teach less than raw articles",
    "cannot tell": "We cannot tell whether dialogues teach more than raw articles",
    "preliminary": "No verdict yet on dialogues and raw articles: runs are missing",
}
NO_EFFECT = "Dialogues and raw articles teach equally well: there is {verdict}"
MIXTURE, LOG = "mixture.csv", "train_log.csv"  # of step 02, beside the adapter
READINGS = {  # columns of the table of equality
    "target_tokens": "tokens with loss",
    "tokens": "tokens seen",
    "steps": "steps",
    "exposures_mean": "exposures per fact",
}
LARGE_SHARE = 0.1  # a larger difference between arms is named with the verdict
EQUAL_SHARE = 0.01  # two amounts of text are "the same" if they differ by less


def assess_effect(settings: Results) -> Finding:
    """Return whether dialogues teach more than raw articles, in the main question form."""
    if result := find_result(settings.comparison, COMPARISON):
        return _assess_controlled(settings, result)
    if result := find_result(settings.control, EXAM):
        return _assess_control(settings, result)
    return Finding("effect", "dialogues against raw articles", is_run=False)


def _assess_controlled(settings: Results, result: Result) -> Finding:
    contrasts = result.read("contrasts")
    primary = contrasts[contrasts["is_primary"]].to_dict("records")
    main = next((row for row in primary if _name_arms(row) == ("dialogue", "raw")), primary[0])
    verdict = main["verdict"]
    headline = VERDICTS.get(verdict, NO_EFFECT.format(verdict=verdict))
    difference = read_difference(main, "dialogues minus raw articles", result, "contrasts")
    scores = read_form(settings, settings.main_form)
    shown = join([f"{number.quantity} {show_share(number)}" for number in scores])
    lead = (
        f"Correct answers to {main['n']:.0f} questions ({settings.main_form}): {shown}; "
        f"{show_chance(scores)}. The difference is {show_points(difference)}, over "
        f"{main['seeds']:.0f} pairs of seeds"
        + (f": {judge(main['p_holm'], len(primary))}." if pd.notna(main["p_holm"]) else ".")
        + _describe_size(main, result.record["params"]["smallest_effect"])
        + _describe_readings(result, *_name_arms(main))
    )
    sentences = []
    if verdict == "cannot tell" and pd.notna(main["min_detectable_effect"]):
        effect = 100 * main["min_detectable_effect"]
        sentences.append(f"A true difference below {effect:.1f} points would often be missed.")
    others = [row for row in primary if row is not main and row["n"]]
    numbers = [
        read_difference(row, " minus ".join(_name_arms(row)), result, "contrasts") for row in others
    ]
    for row, number in zip(others, numbers, strict=True):
        treatment, control = (ARMS.get(arm, arm) for arm in _name_arms(row))
        text = f"{treatment} against {control}: {row['verdict']}, {show_points(number)}."
        text += _describe_readings(result, *_name_arms(row))
        sentences.append(start_sentence(text))
    return Finding("effect", headline, lead, sentences, [*scores, difference, *numbers])


def _describe_size(row: dict[str, Any], smallest: float) -> str:
    """Return whether a significant effect is beyond the smallest effect of interest."""
    if row["verdict"] not in ("helps", "hurts"):
        return ""
    limit = f"{100 * smallest:g} points"
    if max(row["low"], -row["high"]) > smallest:
        return f" The effect is larger than {limit}."
    return f" The effect may be smaller than {limit}, the smallest effect of interest."


def _describe_readings(result: Result, treatment: str, control: str) -> str:
    """Return the amounts in which two arms differ by more than a tenth, as preregistered."""
    rows = result.read("equality").set_index("arm")
    if not {treatment, control} <= set(rows.index):
        return ""
    ratios = rows.loc[treatment, list(READINGS)] / rows.loc[control, list(READINGS)] - 1
    shown = [
        f"{READINGS[name]} {100 * ratio:+.0f} %"
        for name, ratio in ratios.items()
        if abs(ratio) > LARGE_SHARE
    ]
    return f" The arms are not equal in everything: {join(shown)}." if shown else ""


def _name_arms(row: dict[str, Any]) -> tuple[str, str]:
    return row["treatment"], row["control"]


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
        numbers = list(_read_contrasts(settings, result))
        limits = "The intervals are not adjusted."
    else:
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
    sentences = [] if result else [*_describe_unequal(settings)]
    return Finding("forms", headline, lead, sentences, numbers)


def join_counts(numbers: Sequence[Number]) -> str:
    """Return the numbers of questions, each once.

    >>> join_counts([Number("a", 0.1, 0.0, 0.2, 312), Number("b", 0.1, 0.0, 0.2, 312)])
    '312'
    """
    return join([f"{n:,}" for n in dict.fromkeys(number.n for number in numbers)])


def _read_contrasts(settings: Results, result: Result) -> Iterator[Number]:
    table = result.read("contrasts")
    pair = table["treatment"].eq("dialogue") & table["control"].eq("raw")
    for form, protocol in settings.question_forms.items():
        name = find_outcome(result, settings.exam, protocol)
        for row in table[pair & table["outcome"].eq(name) & (table["n"] > 0)].to_dict("records"):
            yield read_difference(row, form, result, "contrasts")


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
