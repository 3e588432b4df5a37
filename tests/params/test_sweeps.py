"""Every sweep of this repository: its runs and its final step have settings that fit together."""

import pytest

from clinical_camel.core.paths import root
from clinical_camel.runner.consistency import check_study
from clinical_camel.runner.sweep import load_sample
from clinical_camel.runs.sweeps import list_runs

SWEEPS = sorted(file.parent.name for file in (root() / "params").glob("*/sweep.yaml"))


@pytest.mark.parametrize("sweep", SWEEPS)
def test_the_settings_of_every_arm_and_of_the_final_step_fit_together(sweep):
    assert len(SWEEPS) >= 7
    jobs = load_sample(sweep)
    assert list(check_study(jobs)) == []
    studies = {job.study for job in jobs}
    for arm in {run.arm for run in list_runs(sweep)}:
        assert any(study.startswith(f"{sweep}/{arm}_d") for study in studies), arm
