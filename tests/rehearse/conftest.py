"""Parts and forecasts of steps, as a rehearsal writes them."""

import pytest

from clinical_camel.rehearse.record import Part, StepForecast


def make_forecast(step: str = "02_sft_qlora", **changes) -> StepForecast:
    """Return the forecast of a step that takes an hour and 10 GB, as planned."""
    values = {
        "step": step,
        "seconds": 3600.0,
        "low": 3000.0,
        "high": 4200.0,
        "planned_seconds": 3600.0,
        "memory": 10**10,
        "planned_memory": 10**10,
        "memory_available": 8 * 10**10,
        "device": "gpu",
        "parts": [Part("steps", "optimizer steps", 4, 400, 36.0, 3600.0, 3000.0, 4200.0)],
    }
    return StepForecast(**values | changes)


@pytest.fixture
def forecast_of():
    return make_forecast
