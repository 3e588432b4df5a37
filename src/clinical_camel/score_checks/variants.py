"""What a change of the questions does to the score: knowledge, or a trick of the options?"""

from collections.abc import Iterator, Mapping

import pandas as pd

from clinical_camel.core.wording import format_accuracy, format_percent, format_points
from clinical_camel.exam_results.answers import LEVEL
from clinical_camel.exam_results.pages import name_protocol


def describe_variants(scores: pd.DataFrame, variants: pd.DataFrame) -> Iterator[str]:
    """Yield what each variant of the questions says about the last model; then the ceiling.

    `scores`: scores.csv of step 03; `variants`: `exam_results.compare_variants`. Of several exams
    and protocols, the first. Without variants, one sentence.
    """
    if variants.empty:
        yield "This study asks its questions only as they are, so it has no variant to compare."
    changed = variants[variants["variant"] != "open_book"]
    if len(changed):
        yield from _describe_changes(scores, changed)
    yield from describe_ceiling(scores)


def _describe_changes(scores: pd.DataFrame, variants: pd.DataFrame) -> Iterator[str]:
    """Yield the answer, then what each change of the questions does to the last model."""
    model = variants["model"].iloc[-1]
    keys = ["benchmark", "protocol", "num_shots"]
    first = variants[(variants[keys] == variants[keys].iloc[0]).all(axis=1)]
    rows = {row["variant"]: row for row in first[first["model"] == model].to_dict("records")}
    shown = scores[(scores[keys] == variants[keys].iloc[0].tolist()).all(axis=1)]
    of_model = {row["variant"]: row for row in shown[shown["model"] == model].to_dict("records")}
    yield _answer_variants(model, of_model)
    same = variants["benchmark"].eq(first["benchmark"].iloc[0]) & variants["model"].eq(model)
    for row in variants[same & variants["variant"].eq("shuffled")].to_dict("records"):
        yield _describe_shuffled(row)
    if "none_of_the_above" in rows:
        yield from _describe_none(shown)


def _answer_variants(model: str, by_variant: dict[str, dict]) -> str:
    unchanged, hidden = by_variant["as_given"], by_variant.get("options_only")
    text = (
        f"On `{unchanged['benchmark']}`, asked as {name_protocol(unchanged)}, `{model}` answers "
        f"{format_accuracy(unchanged)} % correctly (n = {unchanged['n']:,}, chance "
        f"{format_percent(unchanged['chance'])} %)"
    )
    if hidden is None:
        return f"{text}."
    text += f", and without the question {format_accuracy(hidden)} %."
    if hidden["low"] > hidden["chance"]:
        return f"**The options alone give part of the answer away.** {text}"
    if unchanged["low"] <= unchanged["chance"]:
        return f"**There is no knowledge to explain: `{model}` is at chance.** {text}"
    return f"**The score needs the question: it is no trick of the options.** {text}"


def _describe_shuffled(row: Mapping) -> str:
    """Return what shuffled options did in one protocol; nothing, if no answer changed."""
    place = f"Asked as {name_protocol(row | {'variant': 'as_given'})}"
    if not row["only_model_correct"] + row["only_reference_correct"]:
        return (
            f"{place}, shuffled options change no answer: each option is rated alone, so this form "
            "cannot show whether their order matters."
        )
    is_equal = row["p_holm"] >= LEVEL
    return (
        f"{place}, shuffled options change the score of `{row['model']}` by {format_points(row)}: "
        f"{'no sign that' if is_equal else 'so'} the position of the correct option matters."
    )


def _describe_none(shown: pd.DataFrame) -> Iterator[str]:
    """Yield who chooses "None of the above" where it is correct, and why that may mean little."""
    rows = shown[shown["variant"] == "none_of_the_above"].to_dict("records")
    scores = " and ".join(f"`{row['model']}` in {format_accuracy(row)} %" for row in rows)
    yield f'Where "None of the above" is correct, it is chosen by {scores} of the questions.'
    for row in rows:
        if row["shortest"] > 0.5 > row["accuracy_norm"]:
            yield (
                f"This is no knowledge of `{row['model']}`: {format_percent(row['shortest'])} % of "
                "its answers are the shortest option, and this phrase is short. Likelihoods "
                f"divided by length give {format_percent(row['accuracy_norm'])} %."
            )
        elif row["high"] < row["chance"]:
            yield (
                f"`{row['model']}` avoids the phrase even where every other option is wrong: it "
                "recognises familiar phrases and does not reject wrong ones."
            )


def describe_ceiling(scores: pd.DataFrame) -> Iterator[str]:
    """Yield, exam by exam, the scores with the article before the question (`open_book`).

    `scores`: `compute_scores`; of each exam, its first protocol and number of shots.
    """
    for benchmark, rows in scores[scores["variant"] == "open_book"].groupby(
        "benchmark", sort=False
    ):
        first = rows.iloc[0]
        same = (rows[["protocol", "num_shots"]] == first[["protocol", "num_shots"]]).all(axis=1)
        shown = "; ".join(
            f"`{row['model']}` {format_accuracy(row)} %"
            for row in rows[same & (rows["n"] > 0)].to_dict("records")
        )
        if shown:
            yield (
                f"Ceiling on `{benchmark}`, with the article before the question, "
                f"{first['protocol']}, {first['num_shots']}-shot: {shown} (n = {first['n']:,}, "
                f"chance {format_percent(first['chance'])} %)."
            )
