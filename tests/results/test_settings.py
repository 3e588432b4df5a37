"""The settings of step 00: what they reject."""

import pytest

from clinical_camel.results import Results


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"control": "mini_camle_raw"}, 'control: "mini_camle_raw" is no folder of params/; did'),
        ({"sweeps": ["dbke_size"]}, 'sweeps: "dbke_size" is no folder of params/; did'),
        ({"experiments": "experiment"}, 'experiments: "experiment" is no folder'),
        ({"question_forms": {}}, "question_forms: "),
        ({"num_shots": -1}, "num_shots: "),
    ],
)
def test_each_problem_is_named_by_its_key(values, message):
    assert any(message in text for text in Results.check(values)), Results.check(values)


def test_the_first_question_form_is_the_main_one():
    assert Results().main_form == "plain text"
    assert Results.check({}) == []
