"""The planned contrasts of the controlled comparison (step 06), rows of Table 1."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from clinical_camel.core.arm_differences import list_differences
from clinical_camel.core.verdicts import CANNOT_TELL, HELPS, HURTS, WITHOUT_VERDICT, describe_size
from clinical_camel.results.forms import COMPARISON
from clinical_camel.results.settings import Results
from clinical_camel.results.sources import (
    Contrast,
    Number,
    Result,
    find_result,
    read_difference,
    read_score,
)
from clinical_camel.results.wording import (
    join,
    join_counts,
    join_seeds,
    show_chance,
    show_p,
    show_points,
    show_share,
)

ALL = ", all questions"  # ends the name of an outcome of step 06 that excludes none
ARMS = {  # of step 06, in words
    "dialogue": "dialogues",
    "raw": "raw articles",
    "monologue": "the same sentences without questions",
    "qa": "single questions with answers",
    "unmasked": "dialogues with loss also on the questions",
    "paraphrase": "paraphrases",
    "headings": "the same sentences with the questions as headings",
    "placebo": "dialogues with mismatched questions",
}
MEANINGS = {  # of a verdict
    HELPS: "more correct answers",
    HURTS: "fewer correct answers",
    CANNOT_TELL: "we cannot tell",
}


def list_contrasts(result: Result) -> list[Contrast]:
    """Return the planned contrasts that have a verdict; the adjustment counts all planned ones."""
    table, primary = result.read("contrasts"), read_primary(result)
    shown = [row for row in primary if row["verdict"] not in WITHOUT_VERDICT and row["n"]]
    return [_read_contrast(row, table, result, len(primary)) for row in shown]


def read_primary(result: Result) -> list[dict[str, Any]]:
    """Return the rows of contrasts.csv that were planned, dialogues minus raw articles first."""
    table = result.read("contrasts")
    rows = table[table["is_primary"]].to_dict("records")
    return sorted(rows, key=lambda row: name_arms(row) != ("dialogue", "raw"))


def name_arms(row: dict[str, Any]) -> tuple[str, str]:
    """Return both arms of a row of contrasts.csv, as step 06 names them."""
    return row["treatment"], row["control"]


def name_pairs_table(settings: Results) -> str:
    """Return the name of the table of single trainings: Table 1, unless contrasts are shown."""
    result = find_result(settings.comparison, COMPARISON)
    is_shown = result and read_primary(result)[0]["verdict"] not in WITHOUT_VERDICT
    return "Table 2" if is_shown else "Table 1"


def format_contrasts(contrasts: Sequence[Contrast], form: str) -> str:
    """Return Table 1 with its caption, "" without contrasts; `form`: of the questions, in words."""
    if not contrasts:
        return ""
    everything = [c.everything for c in contrasts if c.everything]
    every = f"all {join_counts(everything)}" if everything else "all"
    title = f"A minus B on {every} questions"
    header = ["A minus B", "A", "B", "A minus B, in points", "p", "verdict", title]
    header += ["training of A had"]
    rows = [header, ["---"] * len(header), *map(_format_contrast, contrasts)]
    scores = [number for contrast in contrasts for number in contrast.scores]
    differences = [contrast.difference for contrast in contrasts]
    caption = (
        f"**Table 1.** Correct answers in % to {join_counts(differences)} questions worded "
        f"unlike any training dialogue, asked in {form} without examples; {show_chance(scores)}. "
        f"{join_seeds(differences)} pairs of seeds. These contrasts and the rules of their "
        "verdicts were written before the runs; p is adjusted for "
        f"{contrasts[0].comparisons} comparisons. The differences on all questions are secondary "
        "and not adjusted. Each arm has the learning rate that was the best of those tried on "
        "other diseases; 5 points are the smallest effect of interest. Last column: which of "
        "tokens, steps, exposures, learning rate and rows per step differ by more than a tenth, "
        "and the format, if it differs."
    )
    return "\n".join([*(f"| {' | '.join(row)} |" for row in rows), "", caption])


def _format_contrast(contrast: Contrast) -> list[str]:
    scores = (show_share(number).replace(" %", "") for number in contrast.scores)
    differences = (contrast.difference, contrast.everything)
    here, everywhere = (show_points(n).replace(" points", "") if n else "" for n in differences)
    p = "" if pd.isna(contrast.p) else show_p(contrast.p)
    names = " minus ".join(contrast.names)
    return [names, *scores, here, p, contrast.meaning, everywhere, contrast.readings]


def _read_contrast(
    row: dict[str, Any], table: pd.DataFrame, result: Result, count: int
) -> Contrast:
    arms = name_arms(row)
    names = tuple(ARMS.get(arm, arm) for arm in arms)
    quantity = " minus ".join(names)
    same = table["treatment"].eq(arms[0]) & table["control"].eq(arms[1])
    others = table[same & table["outcome"].eq(row["outcome"] + ALL)]
    everything = [
        read_difference(other, quantity + ALL, result, "contrasts")
        for other in others.to_dict("records")
    ]
    return Contrast(
        names,
        list(_read_scores(arms, row["outcome"], result)),
        read_difference(row, quantity, result, "contrasts"),
        row["p_holm"],
        count,
        describe_verdict(row, result.record["params"]["smallest_effect"]),
        everything[0] if everything else None,
        list_readings(result, *arms),
    )


def _read_scores(arms: tuple[str, str], outcome: str, result: Result) -> Iterator[Number]:
    scores = result.read("scores")
    rows = scores[scores["outcome"] == outcome].set_index("arm", drop=False)
    for arm in arms:
        yield read_score(rows.loc[arm].to_dict(), ARMS.get(arm, arm), result)


def describe_verdict(row: dict[str, Any], smallest: float) -> str:
    """Return the verdict of a contrast in words, with the size of the effect."""
    meaning = MEANINGS.get(row["verdict"], row["verdict"])
    return add_size(meaning, describe_size(row["verdict"], row["low"], row["high"], smallest))


def add_size(text: str, size: str) -> str:
    """Return a text with `describe_size`, which may be "" or start with "but".

    >>> add_size("Dialogues are ahead", "but the effect may be small")
    'Dialogues are ahead, but the effect may be small'
    """
    return f"{text}{',' * size.startswith('but')} {size}".rstrip()


def list_readings(result: Result, treatment: str, control: str, name: str = "B") -> str:
    """Return in which amounts and settings two arms differ by more than a tenth, and in format.

    Such as "20 % more tokens seen", of the first arm, or "learning rate 0.008 (B: 0.004)", in which
    `name` stands for the second.
    """
    tables = result.read("equality"), result.read("trainings")
    return join(list_differences(*tables, treatment, control, name))
