"""A project without any result, and the settings of step 00."""

import pytest

from clinical_camel.results import Results

DEFAULTS = Results()  # made here: this repository has the params folders that they name


@pytest.fixture
def settings(project) -> Results:
    project.file("params/dbke_effect/sweep.yaml", "seeds: [[0, 0], [1, 1], [2, 2]]\n")
    return DEFAULTS
