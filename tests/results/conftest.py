"""A project without any result, and the settings of step 00."""

import pytest

from clinical_camel.results import Results

DEFAULTS = Results()  # made here: this repository has the params folders that they name


@pytest.fixture
def settings(project) -> Results:
    sweep = "seeds: [[0, 0], [1, 1], [2, 2]]\narms: {raw: {}, placebo: {}}\n"
    project.file("params/dbke_effect/sweep.yaml", sweep)
    return DEFAULTS
