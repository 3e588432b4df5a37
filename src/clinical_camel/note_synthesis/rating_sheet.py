"""A sheet on which two people rate the notes, and how far they agree.

Who wrote a note is not on the sheet and the order is drawn, so that a rater cannot tell base from
tuned. Each rater fills the own column in the own copy; the key that names the models stays apart.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from statsmodels.stats.inter_rater import cohens_kappa

from clinical_camel.note_synthesis.prompts import Visits, transcript

RATINGS = ("safe", "minor error", "harmful error")
RATERS = ("rating_1", "rating_2")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def rating_sheet(
    notes: pd.DataFrame,
    visits: Visits,
    seed: int,
    flagged: Mapping[tuple[str, str, str], Sequence[str]] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The sheet for the raters and the key to it.

    sheet: item, transcript, note, flagged (one sentence a line), rating_1, comment_1, rating_2,
    comment_2 (blank; RATINGS says what may be written). key: item, corpus, model, id. `flagged` has
    the doubtful sentences of a note by (corpus, model, id). A cell that a spreadsheet would take
    for a formula gets an apostrophe in front (`safe_cell`).
    """
    spoken = {(name, row.id): transcript(row) for name, rows in visits.items() for row in rows}
    drawn = notes[notes["note"].str.strip() != ""].sample(frac=1, random_state=seed)
    items = [f"n{number:04d}" for number in range(1, len(drawn) + 1)]
    keys = list(drawn[["corpus", "model", "id"]].itertuples(index=False, name=None))
    doubts = ["\n".join((flagged or {}).get(key, ())) for key in keys]
    sheet = pd.DataFrame(
        {
            "item": items,
            "transcript": [safe_cell(spoken[corpus, id_]) for corpus, _, id_ in keys],
            "note": [safe_cell(text) for text in drawn["note"]],
            "flagged": [safe_cell(text) for text in doubts],
        }
    )
    blank = [name for number in (1, 2) for name in (f"rating_{number}", f"comment_{number}")]
    key = pd.DataFrame(keys, columns=["corpus", "model", "id"])
    return sheet.assign(**dict.fromkeys(blank, "")), key.assign(item=items)


def safe_cell(text: str) -> str:
    """The text, with an apostrophe in front where a spreadsheet would run or change it.

    Excel, Calc and Sheets take a cell that begins with one of FORMULA for a formula (OWASP, CSV
    Injection), also after white space.

    >>> safe_cell('=HYPERLINK("http://x")'), safe_cell("- fever"), safe_cell("Plan: -5 kg")
    ('\\'=HYPERLINK("http://x")', "'- fever", 'Plan: -5 kg')
    """
    return f"'{text}" if text.lstrip(" \n").startswith(FORMULA) else text


def read_ratings(file: Path, column: str) -> dict[str, str]:
    """The ratings of one filled sheet by item; commas, semicolons or tabs, as spreadsheets save.

    Raises ValueError that names the file and the items: a column that is not there, an item twice,
    a rating that is missing or is none of RATINGS (case and white space do not count).
    """
    rows = _read_rows(file, ("item", column))
    found: dict[str, str] = {}
    problems: dict[str, list[str]] = {"stands twice": [], "not rated": [], "unknown rating": []}
    for row in rows:
        item, rating = row["item"], " ".join((row[column] or "").casefold().split())
        if item in found:
            problems["stands twice"].append(item)
        elif not rating:
            problems["not rated"].append(item)
        elif rating not in RATINGS:
            problems["unknown rating"].append(f"{item} {rating!r}")
        found[item] = rating
    said = [f"{what}: {', '.join(items[:20])}" for what, items in problems.items() if items]
    if said:
        known = f"{column} is one of {', '.join(RATINGS)}, for every item once"
        raise ValueError(f"{file.name}: {'; '.join(said)}. {known}")
    return found


def _read_rows(file: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file.name}: not UTF-8; save it as CSV UTF-8") from error
    header = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))
    rows = list(reader)
    for name in columns:
        if name not in (reader.fieldnames or ()):
            raise ValueError(f"{file.name}: no column {name}; is it the sheet that was written?")
    if not rows:
        raise ValueError(f"{file.name}: no item")
    return rows


def agreement(first: Path, second: Path) -> tuple[pd.Series, pd.DataFrame]:
    """How far two raters agree: `rating_1` of the first sheet against `rating_2` of the second.

    n, agreed (share), kappa with low and high (Cohen 1960; the asymptotic 95 % interval of Fleiss,
    Cohen and Everitt 1969, by statsmodels), and the items on which they differ. Kappa is NaN where
    both gave one and the same rating to all: chance alone would agree as well. ValueError as in
    `read_ratings`, or for sheets of other items.
    """
    one, two = read_ratings(first, RATERS[0]), read_ratings(second, RATERS[1])
    if one.keys() != two.keys():
        alone = sorted(one.keys() ^ two.keys())
        raise ValueError(
            f"{first.name}, {second.name}: not the same items: {', '.join(alone[:20])}"
        )
    table = pd.crosstab(
        pd.Categorical([one[i] for i in one], RATINGS),
        pd.Categorical([two[i] for i in one], RATINGS),
        dropna=False,
    )
    counts = table.to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0: no variation, kappa is NaN
        found = cohens_kappa(counts)
    agreed = float(np.trace(counts) / counts.sum())
    result = {"n": int(counts.sum()), "agreed": agreed, "kappa": float(found.kappa)}
    result |= {"low": float(found.kappa_low), "high": float(found.kappa_upp)}
    differ = [{"item": i, "rating_1": one[i], "rating_2": two[i]} for i in one if one[i] != two[i]]
    return pd.Series(result), pd.DataFrame(differ, columns=["item", *RATERS])
