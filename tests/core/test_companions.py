"""Files that are read with the file that a setting names."""

import pytest

from clinical_camel.core.companions import list_companions


@pytest.mark.parametrize(
    ("file", "reader", "names"),
    [
        ("kg.v2.csv", "triples", ["kg.templates.csv"]),
        ("replies.v2.sqlite", "ledger", ["replies.v2_readings.csv"]),
        ("answer.csv", "cmedqa2_test", ["question.csv", "test_candidates.txt"]),
        ("kg.v2.csv", "", []),
        ("kg.v2.csv", "medqa_us", []),
        ("other.csv", "triples", []),
    ],
)
def test_only_files_of_the_reader_that_exist_are_listed(tmp_path, file, reader, names):
    present = ["kg.templates.csv", "kg.v2_readings.csv", "replies.v2_readings.csv"]
    for name in [*present, "question.csv", "test_candidates.txt", "train_candidates.txt"]:
        (tmp_path / name).touch()
    assert [other.name for other in list_companions(tmp_path / file, reader)] == names
