"""Clinical notes: the headline says no more than the tables carry."""

import pytest
from tests.support import toy_results

from clinical_camel.results import notes


@pytest.mark.parametrize(
    ("p_holm", "value", "headline"),
    [
        (0.3, 0.1, "We found no significant improvement of clinical notes"),
        (0.01, 0.1, "Tuned notes share more words with the reference notes"),
        (0.01, -0.1, "Tuned notes share fewer words with the reference notes"),
    ],
)
def test_the_headline_on_notes_follows_the_test(project, settings, p_holm, value, headline):
    toy_results.save_notes(project, p_holm=p_holm, value=value)
    finding = notes.assess_notes(settings)
    assert finding.headline == f"{headline} (one training)"
    assert "tuned model 26 of 28 (92.9 % [77.4, 98.0]) and base model 27 of 28" in finding.lead
    assert (
        "; 1 of the tuned model and 1 of the base model reached the length limit." in finding.lead
    )
    assert "tuned model 8 of 28 (28.6 % [15.3, 47.1]), base model 7 of 28" in finding.lead
    assert "Most frequent fault" not in finding.lead
    assert "a fixed text that reads no visit 0 of 28" in finding.lead
    assert "No person has judged the notes." in finding.lead
    assert "a small change would be missed" in finding.sentences[0]


def test_outputs_that_are_no_notes_are_the_headline(project, settings):
    toy_results.save_notes(project, written=3, p_holm=0.01)
    finding = notes.assess_notes(settings)
    assert finding.headline == (
        "Of 28 outputs of the tuned model, 3 are finished notes (one training)"
    )
    assert "Finished notes with at least one section: tuned model 3 of 28" in finding.lead
    assert "Most frequent fault of the tuned model: *looping* (24)." in finding.lead
    assert "ROUGE-L" not in finding.lead


def test_several_collections_are_counted_together(project, settings):
    toy_results.save_notes(project)
    place = project.root / "outputs/mini_camel/04_note_synthesis"
    tables = {file.stem: notes.pd.read_csv(file) for file in place.glob("*.csv")}
    twice = {name: notes.pd.concat([table, table]) for name, table in tables.items()}
    twice["comparison"]["p_holm"] = [0.01, 0.9]
    toy_results.save(project, "mini_camel", "04_note_synthesis", **twice)
    finding = notes.assess_notes(settings)
    assert "tuned model 16 of 56" in finding.lead
    assert "significantly more in 1 and fewer in 0 of 2 collections" in finding.lead
    assert finding.headline == (
        "Tuned notes share more words with the reference notes (one training)"
    )
    assert "Sentences that the rules" not in " ".join(finding.sentences)
