"""What the published numbers showed, in sentences computed from the tables."""

from collections.abc import Mapping

import pandas as pd

from clinical_camel import data
from clinical_camel.exam_results.answers import NO_STUDY
from clinical_camel.published.cases import solve_cases


def describe_published(
    assessed: pd.DataFrame, item_sets: pd.DataFrame, audit: pd.DataFrame, runs: list[str]
) -> list[str]:
    """Return the result of step 10 as paragraphs.

    `assessed`: `assess_published`; `item_sets`: `match_item_sets`; `audit`:
    `compare_with_published`; `runs`: `ours.describe_runs`.
    """
    recalled = int(assessed["recalled"].sum())
    return [
        f"We found a source for {len(assessed) - recalled} of {len(assessed)} published "
        f"accuracies; the other {recalled} are recalled. {_describe_sets(item_sets)}",
        _describe_cases(solve_cases(data.load_published())),
        f"Ours: {_count_verdicts(audit)}",
        "\n".join(f"- {line}" for line in runs),
    ]


def _describe_sets(item_sets: pd.DataFrame) -> str:
    """Return of which benchmarks no public set of questions fits all published percentages."""
    fits = item_sets.groupby("benchmark", sort=False)["all_possible"].any()
    unfit = [f"`{name}`" for name in fits[~fits].index]
    if not unfit:
        return "For every benchmark, a public set of questions fits all percentages."
    return (
        f"For {len(unfit)} of {len(fits)} benchmarks, no public set of questions fits all "
        f"percentages: {', '.join(unfit)}."
    )


def _describe_cases(solved: Mapping[str, object]) -> str:
    fits = "can" if solved["pubmedqa_fits_500"] == "yes" else "cannot"
    counts = ", ".join(map(str, solved["medalpaca_counts"]))
    return (
        f"Clinical Camel's five-shot score on PubMedQA {fits} come from the 500 test questions, "
        f"which the scores that it is compared with fit. Most of MedAlpaca's scores fit {counts} "
        "questions of the USMLE self-assessments. The scores of the first Clinical Camel on Step 3 "
        f"fit {solved['step_3_count']} questions."
    )


def _count_verdicts(audit: pd.DataFrame) -> str:
    ours = audit[audit["reason"] != NO_STUDY]
    counts = ours["verdict"].value_counts()
    shown = ", ".join(f"{count} {verdict}" for verdict, count in counts.items()) or "none"
    text = f"{len(ours)} published accuracies of systems that our studies reproduce: {shown}"
    others = len(audit) - len(ours)
    return f"{text}; {others} more of other systems." if others else f"{text}."


def format_headline(audit: pd.DataFrame) -> str:
    """Return the number of comparisons and of verdicts in one line."""
    return _count_verdicts(audit).removesuffix(".")
