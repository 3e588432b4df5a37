"""The measured quality of the check, as notebook 04 shows it."""

import pandas as pd

from clinical_camel import note_synthesis
from clinical_camel.note_synthesis import planting

COLUMNS = ["measure", "corpus", "kind", "n", "share", "low", "high"]


def test_the_shipped_table_has_every_kind_of_error_and_the_alarms():
    quality = note_synthesis.load_check_quality()
    assert list(quality) == COLUMNS
    recall = quality[quality["measure"] == "recall"]
    assert set(planting.KINDS) <= set(recall["kind"])
    alarms = quality[quality["measure"] == "alarms"]
    assert {"three corpora", "embedded"} <= set(alarms["corpus"])


def test_kinds_are_described_by_how_many_are_noticed_and_alarms_by_corpus():
    rows = [
        ("recall", "three corpora", "dose", 50, 0.98, 0.9, 1.0),
        ("recall", "three corpora", "side", 50, 0.6, 0.5, 0.7),
        ("recall", "three corpora", "sex", 50, 0.59, 0.5, 0.7),
        ("recall", "three corpora", "swapped sides", 3, 1.0, 0.4, 1.0),
        ("alarms", "three corpora", "any", 4000, 0.15, 0.13, 0.17),
        ("alarms", "embedded", "any", 300, 0.02, 0.01, 0.04),
        ("alarms", "embedded", "contradicted", 300, 0.01, 0.0, 0.04),
    ]
    quality = pd.DataFrame(rows, columns=COLUMNS)
    lines = note_synthesis.describe_check(quality)
    assert lines == [
        "It notices at least nine in ten of these errors: dose.",
        "It notices six to nine in ten of these errors: side.",
        "It misses more than four in ten of these errors: sex.",
        "Fewer than 20 cases, too few to judge, were there of these errors: swapped sides.",
        "It flags 15 [13, 17] % of the unchanged sentences of real reference notes (n = 4000).",
        "It flags 2 [1, 4] % of the unchanged sentences of embedded reference notes (n = 300).",
    ]
    table = note_synthesis.format_check_quality(quality)
    assert table["% noticed"].tolist() == [
        "100 [40, 100]",
        "98 [90, 100]",
        "60 [50, 70]",
        "59 [50, 70]",
    ]
