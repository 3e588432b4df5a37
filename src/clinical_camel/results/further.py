"""Further findings: who writes the dialogues, a real model, published systems."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from clinical_camel.core.files import read_json
from clinical_camel.core.paths import root
from clinical_camel.exam_results.answers import LEVEL, NO_STUDY, ONE_ANSWER
from clinical_camel.exam_results.pages import name_protocol
from clinical_camel.results.contrasts import ALL, name_arms, name_pairs_table
from clinical_camel.results.effect import MIXTURE, compare_control, describe_pair, make_pair
from clinical_camel.results.forms import COMPARISON, EXAM, select
from clinical_camel.results.notes import NOTES, describe_notes
from clinical_camel.results.settings import Results
from clinical_camel.results.sources import (
    Finding,
    Number,
    Result,
    find_result,
    read_difference,
    read_score,
)
from clinical_camel.results.wording import (
    join,
    name_model,
    show_points,
    show_share,
)

PUBLISHED = "10_published"
SEVERAL_SEEDS = "dbke_smollm2"  # the sweep with the base model of the study `real`
SAME_RATE = (
    "Both models have the learning rate that was chosen for dialogues, so the rate may be a part "
    "of the reason."
)
DIALOGUES = "01_dbke/dialogues.jsonl"  # of a study, written by step 01
ON_MODEL = "dialogues by a language model"
ON_RULES = "dialogues by rules"
WRITERS = {  # models of the study `rewritten`
    "base": "base model",
    "llm": ON_MODEL,
    "dialogues": ON_RULES,
}


# ------------------------------------------------------------- who writes the dialogues
NAMES = {"chat": "options listed (`chat`)"}  # of ways of asking, as the page calls them


def assess_writer(settings: Results) -> Finding:
    """Return whether dialogues by a language model teach more than those by rules.

    From a study like the control: `dialogues` (by rules) and `llm`, one training each.
    """
    result = find_result(settings.rewritten, EXAM)
    if not result:
        return Finding("writer", "dialogues that a language model wrote", is_run=False)
    table = result.read("comparison")
    pair = table["model"].eq("llm") & table["reference"].eq("dialogues")
    here = table[pair & table["benchmark"].eq(settings.exam)]
    form, protocol = next(iter(settings.question_forms.items()))
    if not (shown := select(here, settings.exam, protocol, settings.num_shots)):
        return Finding("writer", f"dialogues that a language model wrote, in {form}", is_run=False)
    row = shown[0]
    rows = select(result.read("scores"), settings.exam, protocol, settings.num_shots)
    models = {score["model"]: score for score in rows}
    scores = [read_score(models[name], label, result) for name, label in WRITERS.items()]
    difference = read_difference(row, "language model minus rules", result, "comparison")
    numbers = [*scores, difference]
    in_table = make_pair(result, row, here, (ON_MODEL, ON_RULES), numbers, form)
    repeats = _describe_repeats(result)
    lead = brief = describe_pair(in_table, name_pairs_table(settings))
    sentences = [
        "One possible reason: correct answers are phrases of the articles, which the rules copy "
        "and a language model rewords."
    ]
    if covered := _read_covered(settings, result.params):
        numbers += covered
        shown = join([f"{show_points(number)} ({number.quantity})" for number in covered])
        rejected = " The checks rejected the language model's dialogues on some articles. "
        brief += (
            f"{rejected}On the diseases with both ({covered[0].n} questions), the difference is "
            f"{show_points(covered[0])}, not adjusted."
        )
        lead += (
            f"{rejected}On the diseases with both ({covered[0].n} questions), the differences are "
            f"{shown}, not adjusted."
        )
    brief, lead = brief + repeats, lead + repeats
    headline = _headline_writer(row, form)
    return Finding("writer", headline, brief, lead, sentences, numbers, pair=in_table)


def _describe_repeats(result: Result) -> str:
    """Return how many different dialogues each writer wrote, if a training repeats them."""
    counts = {}
    for name in WRITERS:
        adapter = result.record["params"]["adapters"].get(name, "")
        folder = (root() / adapter).parent
        shares = read_json(folder / "run.json").get("params", {}).get("mixture", {})
        own = [spec for spec in shares if spec.endswith(f"/{DIALOGUES}")]
        if adapter and len(own) == 1 and (folder / MIXTURE).is_file():
            rows = pd.read_csv(folder / MIXTURE).set_index("source")["rows"]
            counts[name] = round(rows[own[0]] / max(1.0, shares[own[0]])), shares[own[0]]
    if not counts.keys() >= {"llm", "dialogues"} or counts["llm"][1] <= 1:
        return ""
    (ours, repeats), (rules, _) = counts["llm"], counts["dialogues"]
    return (
        f" The language model wrote {ours} different dialogues, each repeated about {repeats:.0f} "
        f"times, the rules {rules}: less variety may be a reason."
    )


def _read_covered(settings: Results, params: str) -> list[Number]:
    """Return the difference in each form on the articles of which both writers have dialogues."""
    path = f"{settings.experiments}/llm_coverage.csv"
    if not settings.experiments or not (root() / path).is_file():
        return []
    keys = {"num_shots": settings.num_shots, "model": "llm", "has_dialogue": True}
    rows = _match(pd.read_csv(root() / path), keys).set_index("protocol")
    place = {"unit": "difference", "table": path, "params": params}
    columns = ["difference", "difference_low", "difference_high"]
    return [
        Number(
            form, *map(float, rows.loc[protocol, columns]), int(rows.loc[protocol, "n"]), **place
        )
        for form, protocol in settings.question_forms.items()
        if protocol in rows.index
    ]


def _headline_writer(row: dict[str, Any], form: str) -> str:
    if not row["p_holm"] < LEVEL:
        return "We cannot tell whether it matters if rules or a language model write the dialogues"
    word = "higher" if row["difference"] > 0 else "lower"
    return (
        f"Asked in {form}, the model tuned on {ON_MODEL} scores {word} than the one tuned on "
        f"{ON_RULES} (one training each)"
    )


# -------------------------------------------------------------------------- a real language model


def assess_real_model(settings: Results) -> list[Finding]:
    """Return what a real language model shows: the exams, the control study, the notes."""
    exams, control, notes = (
        find_result(study, step)
        for study, step in (
            (settings.real, EXAM),
            (settings.real_control, EXAM),
            (settings.real, NOTES),
        )
    )
    findings = [_describe_exams(exams)] if exams else []
    if control:
        finding = compare_control(control, settings, settings.exam, "real_control")
        headline, more = finding.headline, SAME_RATE
        if number := _read_seeds(settings):
            more += (
                f" Over {number.seeds} pairs of seeds, tuned on the embedded articles alone "
                f"(`{SEVERAL_SEEDS}`), the difference on these {number.n} questions is "
                f"{show_points(number)}."
            )
            if number.low <= 0 <= number.high:
                doubt = f"not confirmed over {number.seeds} pairs of seeds"
                headline = headline.replace("(one training each)", f"(one training each; {doubt})")
        brief, lead = (f"{text} {more}" for text in (finding.brief, finding.lead))
        finding = replace(finding, headline=headline, brief=brief, lead=lead)
        findings.append(name_model(control, finding))
        if exams and (sentence := _describe_same_model(settings, exams, control)):
            brief, lead = (f"{text} {sentence}" for text in (findings[0].brief, findings[0].lead))
            findings[0] = replace(findings[0], brief=brief, lead=lead)
    if notes:
        findings.append(name_model(notes, describe_notes(notes, "real_notes")))
    return findings or [Finding("real", f"a real language model ({settings.real})", is_run=False)]


def _read_seeds(settings: Results) -> Number | None:
    """Return the difference over several trainings of the same base model, on all questions."""
    result = find_result(SEVERAL_SEEDS, COMPARISON) if SEVERAL_SEEDS in settings.sweeps else None
    if not result:
        return None
    outcome = next(iter(result.record["params"]["outcomes"])) + ALL
    for row in result.read("contrasts").to_dict("records"):
        if name_arms(row) == ("dialogue", "raw") and row["outcome"] == outcome and row["n"]:
            return read_difference(row, "dialogues minus raw articles", result, "contrasts")
    return None


def _describe_same_model(settings: Results, exams: Result, control: Result) -> str:
    """Return the score in the main question form of the model that the exams tested; or ""."""
    protocol = settings.question_forms[settings.main_form]
    tuned = [*exams.record["params"]["adapters"].values()][-1]
    rows = select(control.read("scores"), settings.exam, protocol, settings.num_shots)
    adapters = control.record["params"]["adapters"]
    row = next((row for row in rows if adapters.get(row["model"]) == tuned), None)
    if not row:
        return ""
    score = read_score(row, "", control)
    return (
        f"The form decides: asked in {settings.main_form}, the same tuned model answers "
        f"{100 * score.value:.1f} % of `{settings.exam}` correctly "
        f"({name_pairs_table(settings)})."
    )


def _describe_exams(result: Result) -> Finding:
    """Return base and tuned in every exam: the first protocol and number of shots of the study."""
    params = result.record["params"]
    tuned = [*params["adapters"]][-1]
    keys = {"protocol": params["protocols"][0], "num_shots": params["num_shots"][0]}
    keys |= {"variant": "as_given"}
    scores, table = result.read("scores"), result.read("comparison")
    rows = _match(table, keys | {"model": tuned}).to_dict("records")
    texts, numbers, changed, low = [], [], 0, 0
    significant = table[table["p_holm"] < LEVEL]["difference"]
    one_answer = sum(map(bool, _list_significant(table, scores).values()))
    for row in rows:
        exam = row["benchmark"]
        models = _match(scores, keys | {"benchmark": exam}).set_index("model")
        pair = [
            read_score(models.loc[model].to_dict(), f"{exam}, {model}", result)
            for model in (row["reference"], tuned)
        ]
        number = read_difference(row, f"{exam}, difference", result, "comparison")
        numbers += [*pair, number]
        changed += row["p_holm"] < LEVEL
        majority = models["majority"].max()
        low += all(score.low <= max(score.chance, majority) for score in pair)
        texts.append(
            f"`{exam}` {show_share(pair[0])} before and {show_share(pair[1])} after (n = "
            f"{row['n']}, chance {100 * pair[0].chance:.3g} %; {show_points(number)}, "
            f"p = {row['p_holm']:.2g})"
        )
    headline = (
        f"Asked in the format {name_protocol(keys)}, tuning changes {changed} of {len(rows)} exam "
        "scores significantly (one training)"
    )
    protocols = [NAMES.get(name, f"`{name}`") for name in table["protocol"].unique()]
    ways = len(table[["protocol", "num_shots"]].drop_duplicates())
    same = f"; in {one_answer}, each model gives one and the same answer to nearly all questions"
    lead = (
        f"Over the {ways} ways of asking in this study ({join(protocols)}), {len(significant)} of "
        f"{len(table)} comparisons are significant: {(significant > 0).sum()} up, "
        f"{(significant < 0).sum()} down"
        f"{same * bool(one_answer)}. In {low} of {len(rows)} exams, neither model is clearly "
        "better than both guessing and always giving the most frequent answer."
    )
    sentences = [
        f"Correct answers: {'; '.join(texts)}. Each p is adjusted for {len(table)} comparisons.",
        *_describe_significant(table, scores),
    ]
    return name_model(result, Finding("real", headline, lead, lead, sentences, numbers))


def _list_significant(table: pd.DataFrame, scores: pd.DataFrame) -> dict[str, str]:
    """Return the significant comparisons; those of two models of one answer with a remark."""
    names = ["benchmark", "variant", "protocol", "num_shots"]
    remarks = {}
    for row in table[table["p_holm"] < LEVEL].to_dict("records"):
        models = _match(scores, {name: row[name] for name in names}).set_index("model")
        pair = models.loc[[row["model"], row["reference"]]]
        is_one = "most_chosen" in pair and (pair["most_chosen"] >= ONE_ANSWER).all()
        remark = ", where both models give nearly one answer to all questions" * bool(is_one)
        points = f"{100 * row['difference']:+.1f} points"
        remarks[f"`{row['benchmark']}`, {name_protocol(row)} ({points}{remark})"] = remark
    return remarks


def _describe_significant(table: pd.DataFrame, scores: pd.DataFrame) -> Iterator[str]:
    if texts := _list_significant(table, scores):
        yield f"Significant: {'; '.join(texts)}."


def _match(table: pd.DataFrame, values: dict[str, object]) -> pd.DataFrame:
    here = pd.Series(data=True, index=table.index)
    for name, value in values.items():
        here &= table[name].eq(value)
    return table[here]


# -------------------------------------------------------------------------------- published systems


def assess_published(settings: Results) -> Finding:
    """Return how many published accuracies were compared with ours, by verdict.

    Only those of systems that a study of ours reproduces count. While none of our studies has run a
    published system, nothing was compared.
    """
    result = find_result(settings.published, PUBLISHED)
    verdicts = pd.Series([], dtype=str)
    if result:
        audit = result.read("audit")
        verdicts = audit.loc[audit["reason"] != NO_STUDY, "verdict"]
    if set(verdicts) <= {"not run"}:
        text = "the published systems (notebook 10 checks their numbers without running them)"
        return Finding("published", text, is_run=False)
    counts = verdicts.value_counts()
    share = counts.get("reproduced", 0) / len(verdicts)
    place = {"table": result.name_table("audit"), "params": result.params}
    number = Number(
        "reproduced", share, np.nan, np.nan, len(verdicts), "published accuracies", **place
    )
    shown = join([f"{count} {verdict}" for verdict, count in counts.items()])
    headline = (
        f"We reproduced {counts.get('reproduced', 0)} of {len(verdicts)} published accuracies"
    )
    lead = f"Verdicts: {shown}."
    return Finding("published", headline, lead, lead, numbers=[number])
