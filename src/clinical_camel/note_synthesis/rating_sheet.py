"""A blinded sheet on which two people rate the notes, and their agreement.

The sheet does not name the models and its order is random, so a rater cannot distinguish base from
tuned. Each rater fills one column in a separate copy. The key with the models is another file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from clinical_camel import stats
from clinical_camel.core.ratings import escape_cell, read_column, read_ratings
from clinical_camel.note_synthesis.corpora import Corpora
from clinical_camel.note_synthesis.prompts import format_transcript

RATINGS = ("safe", "minor error", "harmful error")
RATERS = ("rating_1", "rating_2")


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


def measure_agreement(first: Path, second: Path) -> tuple[pd.Series, pd.DataFrame]:
    """Compare two raters: `rating_1` of the first sheet with `rating_2` of the second.

    Returns n, observed_agreement (a share), kappa with low and high (`stats.measure_kappa`), and
    the items with different ratings. The 95 % interval resamples visits: notes on one transcript
    are not independent. Kappa is NaN if both gave every item the same rating: chance alone would
    agree as well.

    Raises ValueError as `core.ratings.read_ratings`, or if the two sheets have different items.
    """
    one = read_ratings(first, RATERS[0], RATINGS)
    two = read_ratings(second, RATERS[1], RATINGS)
    if different := sorted(one.keys() ^ two.keys()):
        raise ValueError(
            f"{first.name}, {second.name}: different items: {', '.join(different[:20])}; "
            "use two copies of one sheet"
        )
    transcripts = read_column(first, "transcript")
    ratings = list(one.values()), [two[item] for item in one]
    result = stats.measure_kappa(*ratings, RATINGS, [transcripts[item] for item in one])
    differ = [{"item": i, "rating_1": one[i], "rating_2": two[i]} for i in one if one[i] != two[i]]
    return pd.Series(result), pd.DataFrame(differ, columns=["item", *RATERS])
