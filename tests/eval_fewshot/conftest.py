"""The embedded base model, loaded once."""

import pytest

from clinical_camel import models


@pytest.fixture(scope="package")
def llm():
    return models.load("mini", {"base": ""})["base"]
