"""The measured quality of the check, as notebook 04 shows it."""

import random
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from clinical_camel import note_synthesis
from clinical_camel.note_synthesis import check_quality, planting, word_lists

COLUMNS = ["measure", "corpus", "kind", "n", "share", "low", "high"]
ROOT = Path(__file__).parents[2]
EXAMPLES = word_lists.read_rows("planting_examples.csv")


def test_the_shipped_table_has_every_kind_with_an_example_and_the_alarms():
    quality = note_synthesis.load_check_quality()
    assert list(quality) == COLUMNS
    table = note_synthesis.format_check_quality(quality)
    assert set(planting.KINDS) <= set(table["planted error"]) == {kind for kind, *_ in EXAMPLES}
    assert table["example"].str.len().min() > 10
    alarms = quality[quality["measure"] == "alarms"]
    assert {"three corpora", "embedded"} <= set(alarms["corpus"])


@pytest.mark.parametrize(
    ("kind", "original", "changed"), [row for row in EXAMPLES if row[0] in planting.KINDS]
)
def test_an_example_is_what_the_rules_of_its_kind_plant(kind, original, changed):
    source = original.lower()
    made = {planting.plant(kind, original, source, random.Random(seed)) for seed in range(500)}
    if kind.endswith("(no such disease)"):  # one of 5,760 names
        made, changed = {text.rpartition(" ")[0] for text in made}, changed.rpartition(" ")[0]
    assert changed in made


def test_groups_alarms_and_what_was_not_measured_are_described():
    rows = [
        ("recall", "three corpora", "dose", 50, 0.9, 0.8, 1.0),
        ("recall", "three corpora", "side", 50, 0.6, 0.5, 0.7),
        ("recall", "three corpora", "sex", 50, 0.59, 0.5, 0.7),
        ("recall", "three corpora", "swapped sides", 3, 1.0, 0.4, 1.0),
        ("pairs", "written pairs", "false", 90, 0.8, 0.7, 0.87),
        ("pairs", "written pairs", "true", 70, 0.3, 0.2, 0.42),
        ("alarms", "three corpora", "any", 4000, 0.15, 0.13, 0.17),
        ("alarms", "embedded", "any", 300, 0.02, 0.01, 0.04),
        ("alarms", "embedded", "contradicted", 300, 0.01, 0.0, 0.04),
    ]
    quality = pd.DataFrame(rows, columns=COLUMNS)
    assert note_synthesis.describe_check(quality) == [
        "**How far to trust it:** a large language model that knew neither the rules nor a result "
        "wrote short visits with true and false sentences (no clinician has read them). The check "
        "flags 80 [70, 87] % of 90 false sentences "
        "and 30 [20, 42] % of 70 true sentences. So 18 of its 67 ticks are wrong there, and 21 of "
        "its 93 flags. Neither decides: read the turns. The errors below are easier, because "
        "each changes one thing in a sentence that the check had accepted.",
        "It **can** see these errors (it flags at least nine in ten): dose.",
        "It **can partly** see these (it flags six to nine in ten): side.",
        "It **hardly** sees these (it flags fewer than six in ten): sex.",
        "Fewer than 20 cases, too few to judge: swapped sides.",
        check_quality.CANNOT,
        "**False alarms:** it flags 15 [13, 17] % of the unchanged sentences of real reference "
        "notes (n = 4000).",
        "**False alarms:** it flags 2 [1, 4] % of the unchanged sentences of embedded reference "
        "notes (n = 300).",
    ]
    cells = note_synthesis.format_check_quality(quality)["% flagged"]
    assert cells.tolist() == ["100 [40, 100]", "90 [80, 100]", "60 [50, 70]", "59 [50, 70]"]


def test_notebook_and_page_leave_the_groups_to_the_measurement():
    """Only `describe_check` says what the check can see: prose would go stale with the table."""
    cells = nbformat.read(ROOT / "notebooks/04_note_synthesis.ipynb", 4).cells
    prose = [cell.source for cell in cells if cell.cell_type == "markdown"]
    for text in (*prose, (ROOT / "docs/notes.md").read_text(encoding="utf-8")):
        for claim in ("**can**", "can partly", "hardly see", "partly see"):
            assert claim not in text
