"""Figures: names are escaped. The notebook test draws them all."""

import pandas as pd
from tests.support.project import SCRIPT

from clinical_camel.note_synthesis import figures


def test_a_hostile_id_or_corpus_name_is_escaped_in_tables_and_figures():
    table = pd.DataFrame({"corpus": [SCRIPT], "model": [SCRIPT]})
    assert "<script" not in table._repr_html_()
    label = figures.escape_label(SCRIPT)
    assert label.count(r"\$") == label.count("$")
