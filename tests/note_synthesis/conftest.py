"""The embedded base model and consultations, loaded once."""

import pytest

from clinical_camel import data, models


@pytest.fixture(scope="package")
def llm():
    return models.load("mini", {"base": ""})["base"]


@pytest.fixture(scope="package")
def mini_consultations():
    return data.load_consultations("mini_consultations")
