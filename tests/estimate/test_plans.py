"""The table of estimates that step 10 reads is what `plan` says."""

import pytest

from clinical_camel import published
from clinical_camel.estimate import plans


@pytest.mark.parametrize("study", ["clinical_camel_70b", "medalpaca_7b"])
def test_the_committed_estimate_is_that_of_plan(study):
    """Nothing of these studies is on a machine for tests, so only the code decides."""
    committed, current = published.read_plans()[study], plans.estimate_plan(study)
    assert current.hours == pytest.approx(committed.hours, rel=0.1), "run `clinical_camel plans`"
    assert current.training_tokens == pytest.approx(committed.training_tokens, rel=0.1)
    assert (current.machine, current.is_minimum) == (committed.machine, committed.is_minimum)


def test_the_table_is_written_and_read_back(tmp_path):
    file = plans.write_plans(["medalpaca_7b"], tmp_path / "plans.csv")
    assert published.read_plans(file) == {"medalpaca_7b": plans.estimate_plan("medalpaca_7b")}


def test_only_the_steps_that_a_score_needs_are_counted():
    """Step 07 of clinicalgpt_7b alone takes more than 100 hours."""
    assert plans.estimate_plan("clinicalgpt_7b").hours < 20


def test_the_studies_are_those_of_the_params_file():
    assert set(plans.list_planned_studies()) == set(published.read_plans())
