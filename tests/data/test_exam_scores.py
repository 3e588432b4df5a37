"""The table of exam scores is read strictly: by column, line and value."""

import pandas as pd
import pytest
from tests.support.toy_scores import table_of

from clinical_camel import data


def test_scores_are_read_strictly(tmp_path):
    file = tmp_path / "scores.csv"
    text = table_of(tuned=0.5).to_csv(index=False)
    file.write_text("\ufeff" + text.replace(",", ";"))
    assert data.read_scores(file).equals(table_of(tuned=0.5))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("300,0.5,", "300,50,", "line 2: accuracy is 50; write a share from 0 to 1"),
        ("300,0.5,", "300,-0.5,", "line 2: accuracy is -0.5; write a share from 0 to 1"),
        ("300,0.5,", "300,0.0,", "line 2: accuracy is not between low and high"),
        ("300,0.5,", "300,nan,", "line 2: accuracy is nan; write a share"),
        ("300,0.5,", "1.5,0.5,", "line 2: n is no whole number from 0"),
        ("300,0.5,", "300,half,", "line 2: accuracy: 'half' is not a number"),
        ("accuracy", "acc", "scores.csv has no column accuracy"),
    ],
)
def test_scores_that_cannot_be_read_are_refused_by_line(tmp_path, old, new, problem):
    file = tmp_path / "scores.csv"
    file.write_text(table_of(tuned=0.5).to_csv(index=False).replace(old, new))
    with pytest.raises(ValueError, match=problem):
        data.read_scores(file)


def test_variants_other_than_as_given_are_left_out(tmp_path):
    table = pd.concat([table_of(tuned=0.5).assign(variant=v) for v in ("as_given", "shuffled")])
    table.to_csv(tmp_path / "scores.csv", index=False)
    assert len(data.read_scores(tmp_path / "scores.csv")) == 8
