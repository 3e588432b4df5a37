"""Clinical notes: the headline says no more than the tables carry."""

import pytest
from tests.support import toy_results

from clinical_camel.results import notes


@pytest.mark.parametrize(
    ("p_holm", "value", "headline"),
    [
        (0.3, 0.1, "We found no significant improvement of clinical notes"),
        (0.01, 0.1, "In one training, tuned notes share more words with the reference notes"),
        (0.01, -0.1, "In one training, tuned notes share fewer words with the reference notes"),
    ],
)
def test_the_headline_on_notes_follows_the_test(project, settings, p_holm, value, headline):
    toy_results.save_notes(project, p_holm=p_holm, value=value)
    finding = notes.assess_notes(settings)
    assert finding.headline == headline
    assert "27 of 28 outputs of the tuned model (96.4 % [82.3, 99.4]) and 28 of 28" in finding.lead
    assert "8 of 28 outputs of the tuned model (28.6 % [15.3, 47.1]) and 7 of 28" in finding.lead
    assert "0 of 28 outputs of a fixed text that reads no visit" in finding.sentences[0]
    assert "no person has judged these notes" in finding.sentences[1]
    assert "a small change would be missed" in finding.sentences[1]


def test_outputs_that_are_no_notes_are_the_headline(project, settings):
    toy_results.save_notes(project, written=3, p_holm=0.01)
    finding = notes.assess_notes(settings)
    assert finding.headline == "Most outputs of the tuned model are no clinical notes"
    assert "Outputs that are notes: 4 of 28 outputs of the tuned model" in finding.lead
    assert "ROUGE-L" not in finding.lead


def test_several_collections_are_counted_together(project, settings):
    toy_results.save_notes(project)
    place = project.root / "outputs/mini_camel/04_note_synthesis"
    tables = {file.stem: notes.pd.read_csv(file) for file in place.glob("*.csv")}
    twice = {name: notes.pd.concat([table, table]) for name, table in tables.items()}
    twice["comparison"]["p_holm"] = [0.01, 0.9]
    toy_results.save(project, "mini_camel", "04_note_synthesis", **twice)
    finding = notes.assess_notes(settings)
    assert "16 of 56 outputs of the tuned model" in finding.lead
    assert "rises significantly in 1 and falls in 0 of 2 collections" in finding.lead
    assert (
        finding.headline == "In one training, tuned notes share more words with the reference notes"
    )
    assert "Sentences that the rules" not in " ".join(finding.sentences)
