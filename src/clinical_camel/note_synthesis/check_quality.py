"""How good the check of sentences is, as `benchmarks/grounding.py` measured it.

check_quality.csv has columns measure (recall or alarms), corpus, kind, n, share, low, high. Recall:
the share of planted errors of a kind that the check flags. Alarms: the share of the unchanged
sentences of reference notes that it flags ("any") or contradicts.
"""

import importlib.resources

import pandas as pd

EMBEDDED, PUBLIC = "embedded", "three corpora"
GOOD, POOR = 0.9, 0.6  # recall above which a kind is seen well, below which badly
LEAST = 20  # cases from which a recall is put into words


def load_check_quality() -> pd.DataFrame:
    """Return the measured recall and alarms."""
    folder = importlib.resources.files("clinical_camel.note_synthesis")
    with (folder / "check_quality.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file)


def format_check_quality(quality: pd.DataFrame) -> pd.DataFrame:
    """Return the recall for reading, best first: planted error, n, "% noticed" with interval."""
    rows = quality[quality["measure"] == "recall"].sort_values("share", ascending=False)
    cells = [
        f"{100 * r.share:.0f} [{100 * r.low:.0f}, {100 * r.high:.0f}]" for r in rows.itertuples()
    ]
    return pd.DataFrame({"planted error": rows["kind"], "n": rows["n"], "% noticed": cells})


def describe_check(quality: pd.DataFrame) -> list[str]:
    """Return what the check sees well, partly and badly, and its false alarms, in sentences."""
    recall = quality[quality["measure"] == "recall"]
    share, is_rare = recall["share"], recall["n"] < LEAST
    classes = (
        ("It notices at least nine in ten of", ~is_rare & (share >= GOOD)),
        ("It notices six to nine in ten of", ~is_rare & share.between(POOR, GOOD, "left")),
        ("It misses more than four in ten of", ~is_rare & (share < POOR)),
        (f"Fewer than {LEAST} cases, too few to judge, were there of", is_rare),
    )
    lines = []
    for opening, chosen in classes:
        if kinds := list(recall.loc[chosen, "kind"]):
            lines.append(f"{opening} these errors: {'; '.join(kinds)}.")
    alarms = quality[(quality["measure"] == "alarms") & (quality["kind"] == "any")]
    for corpus, notes in ((PUBLIC, "real reference notes"), (EMBEDDED, "embedded reference notes")):
        for row in alarms[alarms["corpus"] == corpus].itertuples():
            lines.append(
                f"It flags {_format_share(row)} % of the unchanged sentences of {notes} "
                f"(n = {row.n})."
            )
    return lines


def _format_share(row) -> str:
    return f"{100 * row.share:.0f} [{100 * row.low:.0f}, {100 * row.high:.0f}]"
