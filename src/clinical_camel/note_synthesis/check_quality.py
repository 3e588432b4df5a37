"""How good the check of sentences is, as `benchmarks/grounding.py` measured it.

check_quality.csv has columns measure, corpus, kind, n, share, low, high. recall: the share of
planted errors of a kind that the check flags. alarms: the share of the unchanged sentences of
reference notes that it flags ("any") or contradicts. pairs: the share of the false and of the true
sentences that it flags, of grounding_pairs.csv. planting_examples.csv has for each kind a
sentence before and after the error was planted.
"""

from collections.abc import Iterator

import pandas as pd

from clinical_camel.core.wording import format_percent
from clinical_camel.note_synthesis.word_lists import FOLDER, read_rows

EMBEDDED, PUBLIC = "embedded", "three corpora"
LEAST = 20  # cases from which a recall is put into words
GROUPS = (  # opening of the sentence, recall from and below
    ("It **can** see these errors (it flags at least nine in ten)", 0.9, 2.0),
    ("It **can partly** see these (it flags six to nine in ten)", 0.6, 0.9),
    ("It **hardly** sees these (it flags fewer than six in ten)", 0.0, 0.6),
)
CANNOT = (  # no error of this sort was planted; `wrong_ticks` has examples
    "It **cannot** see what needs understanding: the order of events, cause and purpose, who does "
    "what to whom, which of two things *it* means, whether a thing is a test or a treatment. An "
    "ordinary word that nobody said can pass among words that were said. Nor does it judge the "
    "visit: a wrong decision of the doctor, or a question that nobody asked."
)


def load_check_quality() -> pd.DataFrame:
    """Return the measured recall and alarms."""
    with (FOLDER / "check_quality.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file)


def format_check_quality(quality: pd.DataFrame) -> pd.DataFrame:
    """Return the recall for reading, best first: planted error, example, n, "% flagged"."""
    rows = quality[quality["measure"] == "recall"].sort_values("share", ascending=False)
    examples = {
        kind: f"{original} → {changed}" if original else changed
        for kind, original, changed in read_rows("planting_examples.csv")
    }
    return pd.DataFrame(
        {
            "planted error": rows["kind"],
            "example": rows["kind"].map(examples),
            "n": rows["n"],
            "% flagged": [format_percent(r.share, r.low, r.high, 0) for r in rows.itertuples()],
        }
    )


def describe_check(quality: pd.DataFrame) -> list[str]:
    """Return what the check can, can partly, hardly and cannot see, and its false alarms.

    The groups follow the measured recall alone, so that the sentences cannot contradict the table.
    """
    recall = quality[quality["measure"] == "recall"]
    judged, rare = recall[recall["n"] >= LEAST], recall[recall["n"] < LEAST]
    groups = [
        (opening, judged[judged["share"].between(low, high, "left")])
        for opening, low, high in GROUPS
    ]
    groups.append((f"Fewer than {LEAST} cases, too few to judge", rare))
    lines = [f"{opening}: {'; '.join(rows['kind'])}." for opening, rows in groups if len(rows)]
    lines.append(CANNOT)
    lines[:0] = _describe_pairs(quality)
    alarms = quality[(quality["measure"] == "alarms") & (quality["kind"] == "any")]
    for corpus, notes in ((PUBLIC, "real reference notes"), (EMBEDDED, "embedded reference notes")):
        lines += [
            f"**False alarms:** it flags {format_percent(row.share, row.low, row.high, 0)} % of "
            f"the unchanged sentences of {notes} (n = {row.n})."
            for row in alarms[alarms["corpus"] == corpus].itertuples()
        ]
    return lines


def _describe_pairs(quality: pd.DataFrame) -> Iterator[str]:
    pairs = {row.kind: row for row in quality[quality["measure"] == "pairs"].itertuples()}
    if not pairs:
        return
    false, true = pairs["false"], pairs["true"]
    wrong_flags, wrong_ticks = true.share * true.n, (1 - false.share) * false.n
    flags = wrong_flags + false.share * false.n
    ticks = true.n + false.n - flags
    cells = [
        f"{format_percent(row.share, row.low, row.high, 0)} % of {row.n} {row.kind} sentences"
        for row in (false, true)
    ]
    yield (
        "**How far to trust it:** a large language model that knew neither the rules nor a result "
        "wrote short visits with true and false sentences (no clinician has read them). The check "
        f"flags {cells[0]} and {cells[1]}. So "
        f"{wrong_ticks:.0f} of its {ticks:.0f} ticks are wrong there, and {wrong_flags:.0f} of its "
        f"{flags:.0f} flags. Neither decides: read the turns. The errors below are easier, because "
        "each changes one thing in a sentence that the check had accepted."
    )
