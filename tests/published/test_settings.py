"""The settings of step 10: what they reject."""

import pytest

from clinical_camel.published import Published


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"systems": {"clinical_camel:7b": "clinical_camel_13b"}}, "is not in published.csv; did"),
        ({"systems": {"clinical_camel:13b": "clinical_camel"}}, "is no folder of params/"),
        (
            {"recipes": ["mini_camle"]},
            'recipes: "mini_camle" is no folder of params/; did',
        ),
        ({"recipes": ["mini_camel_notes"]}, "recipes: mini_camel_notes trains nothing"),
        ({"hourly_rate": -1.0}, "hourly_rate: "),
    ],
)
def test_each_problem_is_named_by_its_key(values, message):
    assert any(message in text for text in Published.check(values)), Published.check(values)
