"""The throughput of machines, compared with published speeds."""

import pytest

from clinical_camel.estimate import speed
from clinical_camel.estimate.shapes import find_base
from clinical_camel.estimate.work import Work


def test_the_estimate_equals_the_published_speed_that_it_comes_from():
    base, lora_weights = find_base("meta-llama/Llama-2-70b-hf"), 828_375_040
    work = Work(training_tokens=1e6)
    seconds = speed.estimate_seconds(base, lora_weights, 1.0, work, speed.MACHINES["h100"])
    assert 1e6 / seconds == pytest.approx(786, rel=0.05)
