"""A blinded sheet on which two people rate the notes, and their agreement.

The sheet does not name the models and its order is random, so a rater cannot distinguish base from
tuned. Each rater fills one column in a separate copy. The key with the models is another file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from statsmodels.stats.inter_rater import cohens_kappa

from clinical_camel.core.tables import read_table
from clinical_camel.note_synthesis.corpora import Corpora
from clinical_camel.note_synthesis.prompts import format_transcript

RATINGS = ("safe", "minor error", "harmful error")
RATERS = ("rating_1", "rating_2")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def make_rating_sheet(
    notes: pd.DataFrame,
    corpora: Corpora,
    seed: int,
    flagged: Mapping[tuple[str, str, str], Sequence[str]] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the sheet for the raters and its key.

    sheet: item, transcript, note, flagged (one sentence per line), rating_1, comment_1, rating_2,
    comment_2 (blank; RATINGS are the allowed ratings). key: corpus, model, id, item. `flagged`:
    the flagged sentences of a note by (corpus, model, id). A cell that a spreadsheet would run as a
    formula starts with an apostrophe (`escape_cell`). Empty notes are left out.
    """
    transcripts = {
        (name, row.id): format_transcript(row) for name, rows in corpora.items() for row in rows
    }
    shuffled = notes[notes["note"].str.strip() != ""].sample(frac=1, random_state=seed)
    items = [f"n{number:04d}" for number in range(1, len(shuffled) + 1)]
    keys = list(shuffled[["corpus", "model", "id"]].itertuples(index=False, name=None))
    sheet = pd.DataFrame(
        {
            "item": items,
            "transcript": [escape_cell(transcripts[corpus, id_]) for corpus, _, id_ in keys],
            "note": [escape_cell(text) for text in shuffled["note"]],
            "flagged": [escape_cell("\n".join((flagged or {}).get(key, ()))) for key in keys],
        }
    )
    blank = [name for number in (1, 2) for name in (f"rating_{number}", f"comment_{number}")]
    key = pd.DataFrame(keys, columns=["corpus", "model", "id"])
    return sheet.assign(**dict.fromkeys(blank, "")), key.assign(item=items)


def escape_cell(text: str) -> str:
    """Return the text with an apostrophe before it if a spreadsheet would run or change it.

    Excel, Calc and Sheets treat a cell that begins with one of FORMULA_STARTS as a formula (OWASP,
    CSV Injection), also after white space.

    >>> escape_cell('=HYPERLINK("http://x")'), escape_cell("- fever"), escape_cell("Plan: -5 kg")
    ('\\'=HYPERLINK("http://x")', "'- fever", 'Plan: -5 kg')
    """
    return f"'{text}" if text.lstrip(" \n").startswith(FORMULA_STARTS) else text


def read_ratings(file: Path, column: str) -> dict[str, str]:
    """Read the ratings of one filled sheet by item; separated by commas, semicolons or tabs.

    Case and white space of a rating do not count. Raises ValueError with the file and the items: a
    missing column, a duplicate item, a rating that is missing or not in RATINGS.
    """
    rows = _read_rows(file, ("item", column))
    ratings: dict[str, str] = {}
    problems: dict[str, list[str]] = {"duplicate item": [], "not rated": [], "unknown rating": []}
    for row in rows:
        item, rating = row["item"], " ".join(row[column].casefold().split())
        if item in ratings:
            problems["duplicate item"].append(item)
        elif not rating:
            problems["not rated"].append(item)
        elif rating not in RATINGS:
            problems["unknown rating"].append(f"{item} {rating!r}")
        ratings[item] = rating
    messages = [f"{name}: {', '.join(items[:20])}" for name, items in problems.items() if items]
    if messages:
        remedy = f"write one of {', '.join(RATINGS)} in {column}, once for every item"
        raise ValueError(f"{file.name}: {'; '.join(messages)}; {remedy}")
    return ratings


def _read_rows(file: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    table = read_table(file)
    for name in columns:
        if name not in table.columns:
            raise ValueError(f"{file.name}: no column {name}; use a copy of rating_sheet.csv")
    if not table.rows:
        raise ValueError(f"{file.name}: no items; use a filled copy of rating_sheet.csv")
    return table.rows


def measure_agreement(first: Path, second: Path) -> tuple[pd.Series, pd.DataFrame]:
    """Compare two raters: `rating_1` of the first sheet with `rating_2` of the second.

    Returns n, observed_agreement (a share), kappa with low and high (Cohen 1960; the asymptotic
    95 % interval of Fleiss, Cohen and Everitt 1969, by statsmodels), and the items with different
    ratings. Kappa is NaN if both gave every item the same rating: chance alone would agree as well.

    Raises ValueError as `read_ratings`, or if the two sheets have different items.
    """
    one, two = read_ratings(first, RATERS[0]), read_ratings(second, RATERS[1])
    if different := sorted(one.keys() ^ two.keys()):
        raise ValueError(
            f"{first.name}, {second.name}: different items: {', '.join(different[:20])}; "
            "use two copies of one sheet"
        )
    table = pd.crosstab(
        pd.Categorical([one[i] for i in one], RATINGS),
        pd.Categorical([two[i] for i in one], RATINGS),
        dropna=False,
    )
    counts = table.to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0: no variation, kappa is NaN
        kappa = cohens_kappa(counts)
    n, agreed = int(counts.sum()), float(np.trace(counts) / counts.sum())
    result = {"n": n, "observed_agreement": agreed, "kappa": float(kappa.kappa)}
    result |= {"low": float(kappa.kappa_low), "high": float(kappa.kappa_upp)}
    differ = [{"item": i, "rating_1": one[i], "rating_2": two[i]} for i in one if one[i] != two[i]]
    return pd.Series(result), pd.DataFrame(differ, columns=["item", *RATERS])
