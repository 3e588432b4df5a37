"""The table of estimates that step 10 reads is what `plan` says."""

import functools

import pytest

from clinical_camel import published
from clinical_camel.core.paths import root
from clinical_camel.estimate import plans
from clinical_camel.runner.jobs import load_job

REMEDY = "run `python -m clinical_camel plans`, then `run published`"
estimate_plan = functools.cache(plans.estimate_plan)  # several seconds for clinicalgpt_7b


@pytest.mark.parametrize("study", published.read_plans())
def test_the_committed_estimate_is_that_of_plan(study):
    """Rows of a file of the authors would be counted, but plans.csv is made without any."""
    inputs = [file for file in load_job(study, "02_sft_qlora").inputs if file.startswith("data/")]
    if present := [file for file in inputs if (root() / file).exists()]:
        pytest.skip(f"{present[0]} is on this machine")
    committed, current = published.read_plans()[study], estimate_plan(study)
    assert current.hours == pytest.approx(committed.hours, rel=0.1), REMEDY
    assert current.training_tokens == committed.training_tokens, REMEDY
    assert (current.machine, current.is_minimum) == (committed.machine, committed.is_minimum)


def test_the_table_is_written_and_read_back(tmp_path):
    file = plans.write_plans(["medalpaca_7b"], tmp_path / "plans.csv")
    assert published.read_plans(file) == {"medalpaca_7b": plans.estimate_plan("medalpaca_7b")}


def test_only_the_steps_that_a_score_needs_are_counted():
    """Step 07 of clinicalgpt_7b alone takes more than 30 hours, by `plan`."""
    assert estimate_plan("clinicalgpt_7b").hours < 20


def test_the_studies_are_those_of_the_params_file():
    assert set(plans.list_planned_studies()) == set(published.read_plans())
