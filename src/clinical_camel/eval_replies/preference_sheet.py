"""A blinded sheet on which people choose the better of two answers; agreement with the judge.

The sheet does not name the models. An item is a hash of the question and both replies, so that a
sheet of other replies is rejected.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from clinical_camel import stats
from clinical_camel.core.hashing import key_hash
from clinical_camel.core.paths import root
from clinical_camel.core.ratings import escape_cell, read_ratings
from clinical_camel.eval_replies.win_rate import (
    BASELINE,
    COLUMNS,
    MODEL,
    PAIR_KEYS,
    SIDES,
    TIE,
)

CHOICES = ("a", "b", "tie")
SHEET = "preference_sheet.csv"


def make_preference_sheet(pairs: pd.DataFrame, limit: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the sheet for people, and its key.

    sheet: item, question, reference, reply_a, reply_b, choice, comment (both blank; CHOICES are
    allowed). key: PAIR_KEYS, group, item, reply_a (which side it is: model or baseline). Pairs with
    equal replies are left out; a hash chooses the order, the sides, and `limit` pairs (0: all). A
    cell that a spreadsheet would run as a formula starts with an apostrophe.
    """
    rows = [row | {"item": _name_item(row)} for row in pairs.to_dict("records")]
    rows = [row for row in rows if row["reply"].split() != row["baseline_reply"].split()]
    rows = list({row["item"]: row for row in sorted(rows, key=lambda row: row["item"])}.values())
    sheet, key = [], []
    for row in rows[: limit or None]:
        is_swapped = int(row["item"][-1], 16) % 2 == 1
        replies = [row["reply"], row["baseline_reply"]]
        first, second = reversed(replies) if is_swapped else replies
        texts = [row["question"], row["reference"], first, second]
        sheet.append([row["item"], *map(escape_cell, texts), "", ""])
        side = BASELINE if is_swapped else MODEL
        key.append([*(row[name] for name in (*PAIR_KEYS, "group")), row["item"], side])
    columns = ["item", "question", "reference", "reply_a", "reply_b", "choice", "comment"]
    key_columns = [*PAIR_KEYS, "group", "item", "reply_a"]
    return pd.DataFrame(sheet, columns=columns), pd.DataFrame(key, columns=key_columns)


def _name_item(row: dict) -> str:
    return key_hash([row["model"], row["messages"], row["reply"], row["baseline_reply"]])[:10]


def load_preferences(files: Sequence[str], pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the choices in these files, by path from the project root (see `read_preferences`)."""
    return read_preferences([root() / file for file in files], make_preference_sheet(pairs, 0)[1])


def read_preferences(files: Sequence[Path], key: pd.DataFrame) -> pd.DataFrame:
    """Return the choices of people as verdicts: COLUMNS of `win_rate`; `judge` is the file's name.

    `decided_by` is "sheet": the file does not say whether a person or a language model filled it.
    A sheet may lack rows (a person chose among some pairs only), but every row needs a choice.

    Raises ValueError with the file and the items: as `read_choices`, or for items that are not in
    the key because the replies changed.
    """
    verdicts = []
    for file, choices in read_choices(files).items():
        rows = key.set_index("item").reindex(list(choices))
        if unknown := rows.index[rows["model"].isna()].tolist():
            raise ValueError(
                f"{file.name}: {len(unknown)} of {len(choices)} items are not of these replies, "
                f"first {unknown[0]}; fill {SHEET} of this run"
            )
        for item, row in rows.iterrows():
            verdict = {name: row[name] for name in (*PAIR_KEYS, "group")}
            verdict |= {"judge": file.stem, "winner": _read_side(choices[item], row["reply_a"])}
            verdict |= {"decided_by": "sheet", "orders_disagree": False}
            verdict |= {"preferred_position": "", "reason": ""}
            verdicts.append(verdict)
    return pd.DataFrame(verdicts, columns=COLUMNS)


def read_choices(files: Sequence[Path]) -> dict[Path, dict[str, str]]:
    """Return the choices on filled sheets, by file and by item; no reply is needed.

    Raises ValueError with the file: no such file, two files of one name, and as
    `core.ratings.read_ratings`.
    """
    choices: dict[Path, dict[str, str]] = {}
    for file in files:
        if not file.is_file():
            raise ValueError(f"human_sheets: {file}: no such file")
        if file.stem in {other.stem for other in choices}:
            raise ValueError("human_sheets: two files have one name; give each person's its own")
        choices[file] = read_ratings(file, "choice", CHOICES, SHEET)
    return choices


def _read_side(choice: str, reply_a: str) -> str:
    if choice == "tie":
        return TIE
    return reply_a if choice == "a" else (BASELINE if reply_a == MODEL else MODEL)


def measure_agreement(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Compare every two judges on the pairs on which both gave a verdict.

    Columns: first, second, n, observed_agreement, kappa, low, high (see `stats.measure_kappa`;
    groups resampled; NaN without a common pair).
    """
    decided = verdicts[verdicts["winner"] != ""]
    judges = list(dict.fromkeys(verdicts["judge"]))
    by_judge = {judge: decided[decided["judge"] == judge].set_index(PAIR_KEYS) for judge in judges}
    rows = []
    for first, second in itertools.combinations(judges, 2):
        both = by_judge[first].index.intersection(by_judge[second].index)
        row = {"first": first, "second": second, "n": len(both)}
        if len(both):
            pair = (by_judge[name].loc[both, "winner"].tolist() for name in (first, second))
            groups = by_judge[first].loc[both, "group"].tolist()
            row |= stats.measure_kappa(*pair, SIDES, groups)
        rows.append(row)
    columns = ["first", "second", "n", "observed_agreement", "kappa", "low", "high"]
    return pd.DataFrame(rows, columns=columns)
