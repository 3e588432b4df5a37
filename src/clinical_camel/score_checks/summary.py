"""What the checks showed, in sentences computed from the tables."""

from collections.abc import Iterator, Mapping

import pandas as pd

from clinical_camel.core.wording import format_accuracy, format_p, format_percent
from clinical_camel.exam_results.answers import EVALUATION, LEVEL, ONE_TRAINING
from clinical_camel.exam_results.comparison import compare_models
from clinical_camel.exam_results.pages import format_difference, name_protocol
from clinical_camel.score_checks.exam import Exam
from clinical_camel.score_checks.subgroups import describe_images
from clinical_camel.score_checks.variants import describe_variants


def describe_checks(exam: Exam, tables: Mapping[str, pd.DataFrame], seed: int) -> list[str]:
    """Return what the checks say about the score of the last model, a paragraph per check.

    `tables`: `variants` of `exam_results.compare_variants`, `overlaps` of `data.search_sources`,
    `counts` of `count_overlaps`, `clean` of `compute_clean_scores`, `subgroups` of
    `compute_subgroup_scores`. `seed` fixes the bootstrap.
    """
    main = find_main(exam, exam.scores)
    if main is None:
        return [f"`{exam.model}` answered no question, so there is no score to check."]
    score = (
        f"The score: `{exam.model}` answers {format_accuracy(main)} % of `{main['benchmark']}` "
        f"correctly, asked as {name_protocol(main)} (n = {main['n']:,}, chance "
        f"{format_percent(main['chance'])} %)."
    )
    checks = {
        "Variants": describe_variants(exam.scores, tables["variants"]),
        "Training data": _describe_overlap(exam, tables, seed),
        "Calibration": _describe_calibration(exam, main),
        "Subgroups": _describe_subgroups(exam, tables["subgroups"]),
        "Images": [describe_images(exam.questions)],
    }
    paragraphs = [f"**{name}.** {' '.join(texts)}" for name, texts in checks.items()]
    return [score, *paragraphs, ONE_TRAINING]


def format_headline(exam: Exam, tables: Mapping[str, pd.DataFrame]) -> str:
    """Return the first evaluation of the last model in one line: all and clean questions."""
    row = find_main(exam, tables["clean"])
    if row is None:
        return f"{exam.model} answered no question"
    every = f"{row['accuracy']:.1%} of {row['n']} questions"
    rest = f"{row['overlapping']} of them resemble training data"
    if row["overlapping"] and row["n_clean"]:
        rest += f", {row['accuracy_clean']:.1%} without these"
    if tables["counts"].empty:
        rest = "no training data was searched"
    return f"{row['benchmark']}, {name_protocol(row)}: {exam.model} {every}; {rest}"


def find_main(exam: Exam, table: pd.DataFrame) -> dict | None:
    """Return the row of the first evaluation of the last model; None without an answer."""
    rows = table[(table["model"] == exam.model) & (table["n"] > 0)]
    rows = rows.query(exam.first) if len(rows.query(exam.first)) else rows
    return rows.iloc[0].to_dict() if len(rows) else None


def _describe_overlap(exam: Exam, tables: Mapping[str, pd.DataFrame], seed: int) -> Iterator[str]:
    """Yield the score without the questions in the training data, and what remains of the gain."""
    clean = tables["clean"]
    if tables["counts"].empty:
        yield "`training_sources` is empty, so nothing was searched."
        return
    row = find_main(exam, clean)
    if not row["overlapping"]:
        yield f"None of the {row['n']:,} questions was found in the training data."
    elif row["n_clean"]:
        same = (clean[EVALUATION] == [row[name] for name in EVALUATION]).all(axis=1)
        shown = ", ".join(
            f"`{r['model']}` {format_percent(r['accuracy_clean'], r['low_clean'], r['high_clean'])}"
            for r in clean[same].to_dict("records")
        )
        yield (
            f"{row['overlapping']:,} of {row['n']:,} questions resemble training data. Accuracy on "
            f"the other {row['n_clean']:,}, in percent: {shown}."
        )
        yield from _compare_clean(exam, tables["overlaps"], row, seed)
    else:
        yield f"All {row['n']:,} questions resemble training data: the score may be memory."
    others = clean[clean["benchmark"] != row["benchmark"]].drop_duplicates("benchmark")
    counts = [f"`{r.benchmark}` {r.overlapping:,} of {r.n:,}" for r in others.itertuples()]
    if counts:
        yield f"Questions of the other exams that resemble training data: {', '.join(counts)}."


def _compare_clean(exam: Exam, overlaps: pd.DataFrame, main: Mapping, seed: int) -> Iterator[str]:
    """Yield the difference to the reference on the questions that were found nowhere."""
    reference = exam.params["baseline"]
    if reference == exam.model:
        return
    same = (exam.answers[EVALUATION] == [main[name] for name in EVALUATION]).all(axis=1)
    is_overlapping = exam.answers["id"].isin(
        overlaps.loc[overlaps["benchmark"] == main["benchmark"], "id"]
    )
    table = compare_models(exam.answers[same & ~is_overlapping], exam.questions, reference, seed)
    for row in table[table["model"] == exam.model].to_dict("records"):
        verdict = "significant" if row["p_holm"] < LEVEL else "not significant"
        yield (
            f"On these, the difference of `{exam.model}` to `{reference}` is "
            f"{format_difference(row).removesuffix(' *')} points, {verdict} "
            f"(p {format_p(row['p_holm'], sign='= ')})."
        )


def _describe_calibration(exam: Exam, main: Mapping) -> Iterator[str]:
    """Yield for each model whether its confidence is that of its accuracy."""
    same = (exam.answers[EVALUATION] == [main[name] for name in EVALUATION]).all(axis=1)
    answers = exam.answers[same & exam.answers["confidence"].notna() & exam.answers["fits"]]
    scores = exam.scores[(exam.scores[EVALUATION] == [main[n] for n in EVALUATION]).all(axis=1)]
    if answers.empty:
        yield "A written reply has no confidence, so there is no calibration."
    for row in scores.to_dict("records"):
        confidence = answers.loc[answers["model"] == row["model"], "confidence"].mean()
        if pd.isna(confidence):
            continue
        verdict = "calibrated on average"
        if confidence > row["high"]:
            verdict = "overconfident"
        elif confidence < row["low"]:
            verdict = "underconfident"
        yield (
            f"`{row['model']}` is {verdict}: mean confidence {format_percent(confidence)} %, "
            f"accuracy {format_accuracy(row)} %, calibration error "
            f"{format_percent(row['calibration_error'])} points."
        )


def _describe_subgroups(exam: Exam, subgroups: pd.DataFrame) -> Iterator[str]:
    """Yield the subgroups of each grouping whose intervals do not overlap, for the last model."""
    rows = subgroups[subgroups["model"] == exam.model].query(exam.first)
    groupings = list(rows.groupby(["benchmark", "grouping"], sort=False))
    if not groupings:
        yield "No exam has several subgroups."
        return
    apart = []
    for (benchmark, grouping), group in groupings:
        lowest, highest = (group.loc[group["accuracy"].agg(f)] for f in ("idxmin", "idxmax"))
        if lowest["high"] < highest["low"]:
            apart.append(
                f"`{benchmark}` by {grouping}: {lowest['subgroup']} {format_accuracy(lowest)} %, "
                f"{highest['subgroup']} {format_accuracy(highest)} %"
            )
    yield (
        f"In {len(apart)} of {len(groupings)} groupings (of all exams), the intervals of the "
        f"lowest and the highest subgroup do not overlap{': ' + '; '.join(apart) if apart else ''}."
    )
    if apart:
        yield "These pairs were chosen after looking, so they suggest a question and prove nothing."
